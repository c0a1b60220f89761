"""A gold table of any size on this disk, made by the jobs themselves: one raw drive, built for as many vehicles as needed.

    python -m bench.gold_table --drive DIR --out DIR --size 10e9 [--keyframe-hz 2]

The raw objects of every vehicle are links to the same files, so only gold takes space. The jobs run with their default
options: all payload checks, motion compensation, points as planes. `OUT/lake` is the lake bucket; `OUT/table.json` lists,
for each drive, its data files of `gold.scenes` and the seconds that the two jobs took, without the start of Spark.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bench.build_scenes.folder_client import VERSION, FolderStore
from bench.folder_settings import SETTINGS
from bench.own_step import own_step
from fleet.drive_folder import write_calibration
from lake.documents import Manifest
from lake.drive_input import DriveInput, InputObject
from lake.landing import CALIBRATION, MANIFEST, DriveId
from lake.storage import ObjectVersion
from scenes.documents import BuiltWindows, WindowReport
from scenes.work_area import BUILT, WorkArea
from sensors.rig import Rig
from spark_jobs.build_scenes import build_drive
from spark_jobs.inspect import inspect_drive
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TABLE = "table.json"
PROCESSES = 2


class BuiltDrive(msgspec.Struct, frozen=True):
    """A drive of the table: its files of `gold.scenes`, and how long both jobs took."""

    files: tuple[str, ...]
    seconds: float


def land(source: Path, raw: Path, vehicle_id: str, keyframe_hz: float | None = None) -> Path:
    """Land the drive in `source` as a drive of another vehicle in the folder `raw`; its payload is linked, not copied."""
    manifest: dict[str, Any] = json.loads((source / MANIFEST).read_bytes())
    drive = DriveId(vehicle_id, manifest["drive_id"])
    folder = raw / str(drive)
    folder.mkdir(parents=True)
    for entry in manifest["objects"]:
        inside = "/".join(entry["key"].split("/")[2:])
        entry["key"] = drive.prefix + inside
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        (folder / inside).symlink_to((source / inside).resolve())
    rig = Rig.from_dict(json.loads((source / CALIBRATION).read_bytes()))
    write_calibration(folder, replace(rig, policy=replace(rig.policy, keyframe_hz=keyframe_hz)).to_dict())
    calibration = hashlib.sha256((folder / CALIBRATION).read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest | {"vehicle_id": vehicle_id, "calibration_sha256": calibration}))
    return folder


def pinned_input(folder: Path) -> DriveInput:
    """The pinned input of a landed drive, as registration would make it."""
    body = (folder / MANIFEST).read_bytes()
    named = json.loads(body)
    drive = DriveId(named["vehicle_id"], named["drive_id"])
    return DriveInput(
        drive,
        frozenset(InputObject(entry.key, VERSION, entry.sha256) for entry in Manifest.parse(body, drive).objects),
        InputObject(drive.manifest_key, VERSION, ""),
        InputObject(drive.calibration_key, VERSION, str(named["calibration_sha256"])),
    )


def build(spark: SparkSession, root: Path, folder: Path) -> tuple[str, ...]:
    """Run both jobs on a landed drive; its data files of `gold.scenes`, below `root`."""
    connect = functools.partial(FolderStore, root)
    drive_input = pinned_input(folder)
    area = WorkArea(connect(), ObjectVersion(SETTINGS.lake_bucket, f"work/{drive_input.drive}"))
    step = own_step(SETTINGS, area, drive_input)
    inspect_drive(spark, step, connect)
    build_drive(spark, step, connect)
    reports = area.read_documents(area.read_document(BUILT, BuiltWindows).windows, WindowReport)
    return tuple(report.gold.uri.removeprefix("s3://") for report in reports if report.gold is not None)


def make(source: Path, out: Path, size: float, keyframe_hz: float | None = None) -> None:
    """Build drive after drive until gold has `size` bytes, at least one."""
    drives: list[BuiltDrive] = []
    held = 0
    spark = start_spark(spark_properties("bench", SparkSettings(spark_master=f"local[{PROCESSES},3]")))
    try:
        while held < size or not drives:
            folder = land(source, out / SETTINGS.raw_bucket, f"bench-{len(drives):04d}", keyframe_hz)
            began_s = time.perf_counter()
            files = build(spark, out, folder)
            drives.append(BuiltDrive(files, time.perf_counter() - began_s))
            held += sum((out / name).stat().st_size for name in files)
    finally:
        spark.stop()
    (out / TABLE).write_bytes(msgspec.json.encode(drives))


def main(argv: Sequence[str]) -> int:
    """Make the table that the arguments specify."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drive", type=Path, required=True, help="a drive in the landing layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=float, default=10e9, help="bytes of gold to reach")
    parser.add_argument("--keyframe-hz", type=float, help="scenes at this rate (default: at every sweep)")
    arguments = parser.parse_args(argv)
    make(arguments.drive, arguments.out, arguments.size, arguments.keyframe_hz)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
