"""The cost of reading and storing gold: a random scene, one modality, and its size relative to the raw data.

    python -m bench.gold_reading [--size 10e9] [--drive DIR] [--scratch DIR]

Uses a table of 10 GB that `bench.gold_table` makes on this disk with the jobs themselves, and deletes it afterwards.
Requests and bytes are those that S3 would see; times are those of this disk, mostly of its page cache.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from bench.build_scenes.drive import DriveSpec, drive_folder
from bench.figures import PROJECT, FiguresError, Measurement, Report, console_table, markdown_table, measurement_table
from bench.gold_table import PROCESSES, TABLE, BuiltDrive
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import MANIFEST, DriveId
from lake.tables.creation import ensure_tables
from lake.tables.names import SCENES_TABLE
from lake.tables.scene_key import SceneKey
from lake.tables.scene_reader import PAYLOAD_COLUMNS, SceneReader
from sensors.rig import Modality
from sensors.time_units import NS_PER_S

NAME = "gold"
TABLE_BYTES = 10e9
SPARE_BYTES = 5e9  # left on the disk beside the table
KEYFRAME_HZ = 2.0
SCENES = 200
FIRST_SCENES = 20
MODALITIES = {Modality.LIDAR: "lidars", Modality.CAMERA: "cameras", Modality.RADAR: "radars"}


@dataclass(slots=True)
class CountedFiles:
    """Ranged reads of files on this disk; `payload_reads` counts those that are not of a footer."""

    sizes: Mapping[str, int]
    payload_reads: int = 0

    def __call__(self, uri: str, start: int, length: int) -> bytes:
        with Path(uri).open("rb") as file:
            file.seek(start)
            body = file.read(length)
        self.payload_reads += start + length < self.sizes[uri]
        return body


class _CountedFile:
    """A file for pyarrow that counts the requested bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, count: int = -1) -> bytes:
        body = self._file.read(count)
        self.bytes += len(body)
        return body


def measure(scratch: Path, size: float = TABLE_BYTES, source: Path | None = None) -> Report:
    """Make the table, read it, compare it with the raw drive."""
    free = shutil.disk_usage(scratch).free
    if free < size + SPARE_BYTES:
        raise FiguresError(
            f"{scratch} has {free / 1e9:.1f} GB free, a table of {size / 1e9:.1f} GB needs {SPARE_BYTES / 1e9} more"
        )
    drive = source or drive_folder(DriveSpec())
    raw = raw_bytes(drive)
    sweeps, keyframes = scratch / "sweeps", scratch / "keyframes"
    drives = make_table(drive, sweeps, size)
    files = [sweeps / name for entry in drives for name in entry.files]
    measured = [*scenes(sweeps, files), *one_modality(files)]
    stored = {name: held / len(drives) for name, held in column_bytes(files).items()}
    shutil.rmtree(sweeps)
    of_keyframes = column_bytes([keyframes / name for name in make_table(drive, keyframes, 1, KEYFRAME_HZ)[0].files])
    shutil.rmtree(keyframes)
    measured += [*ratios(raw, stored, of_keyframes), *rates(drive, raw, drives)]
    by_modality = markdown_table(
        ("stored / raw", *MODALITIES),
        [
            (name, *(f"{held[modality] / raw[modality]:.2f}" for modality in MODALITIES))
            for name, held in (("a scene at every sweep", stored), ("a scene at 2 Hz keyframes", of_keyframes))
        ],
    )
    return Report(tuple(measured), {NAME: f"{measurement_table(measured)}\n\n{by_modality}"})


def make_table(drive: Path, out: Path, size: float, keyframe_hz: float | None = None) -> list[BuiltDrive]:
    """Run `bench.gold_table` in a process of its own; returns the drives that it built.

    Raises:
        FiguresError: It failed.
    """
    command = [sys.executable, "-m", "bench.gold_table", "--drive", str(drive), "--out", str(out), "--size", str(size)]
    command += [] if keyframe_hz is None else ["--keyframe-hz", str(keyframe_hz)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FiguresError(f"bench.gold_table failed with {done.returncode}: {done.stderr[-2000:]}")
    return msgspec.json.decode((out / TABLE).read_bytes(), type=list[BuiltDrive])


def scenes(folder: Path, files: Sequence[Path], count: int = SCENES) -> Iterator[Measurement]:
    """Random scenes of the table, whole and by modality: with plan and footer read before, and as the first of a reader."""
    catalog = LakeCatalog("bench", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
    try:
        ensure_tables(catalog)
        table = catalog.load_table(SCENES_TABLE)
        table.add_files([str(path) for path in files], check_duplicate_files=False)
        keys = scene_keys(files)
        chosen = random.Random(1).sample(keys, min(count, len(keys)))
        reads = CountedFiles({str(path): path.stat().st_size for path in files})
        first_ms = [_read(SceneReader(table, reads), key) for key in chosen[:FIRST_SCENES]]
        reader, held_ms, most = SceneReader(table, reads), [], 0
        for key in chosen:
            reader.scene(key, ())  # its plan and its footer
            for modalities in (PAYLOAD_COLUMNS, *((name,) for name in PAYLOAD_COLUMNS)):
                reads.payload_reads = 0
                took_ms = _read(reader, key, modalities)
                most = max(most, reads.payload_reads)
                held_ms += [took_ms] if modalities == PAYLOAD_COLUMNS else []
    finally:
        catalog.engine.dispose()
    yield Measurement("gold.table_gb", sum(path.stat().st_size for path in files) / 1e9, "GB", True)
    yield Measurement("gold.table_scenes", len(keys), "scenes", True)
    yield Measurement("gold.random_scene_range_reads", most, "reads", False, 2)
    yield Measurement("gold.random_scene_ms", statistics.median(held_ms), "ms", False)
    yield Measurement("gold.random_scene_first_ms", statistics.median(first_ms), "ms", False)


def _read(reader: SceneReader, key: SceneKey, modalities: Sequence[str] = PAYLOAD_COLUMNS) -> float:
    began_s = time.perf_counter()
    row = reader.scene(key, modalities)
    took_s = time.perf_counter() - began_s
    if row is None or row.scene_id != str(key):
        raise FiguresError(f"{key} was written, but it was not found")
    return 1e3 * took_s


def scene_keys(files: Sequence[Path]) -> list[SceneKey]:
    """Every scene of the files."""
    columns = ["vehicle_id", "drive_id", "anchor_ns"]
    rows = pa.concat_tables([pq.read_table(path, columns=columns, partitioning=None) for path in files]).to_pylist()
    return [SceneKey(DriveId(row["vehicle_id"], row["drive_id"]), row["anchor_ns"]) for row in rows]


def one_modality(files: Sequence[Path]) -> Iterator[Measurement]:
    """Read only the radars of the whole table."""
    read, began_s = 0, time.perf_counter()
    for path in files:
        with path.open("rb") as opened:
            counted = _CountedFile(opened)
            pq.ParquetFile(pa.PythonFile(counted, mode="r"), pre_buffer=True).read(columns=["radars"])
            read += counted.bytes
    took_s = time.perf_counter() - began_s
    held = sum(path.stat().st_size for path in files)
    yield Measurement("gold.single_modality_bytes_fraction", read / held, "", False, 0.02)
    yield Measurement("gold.single_modality_s", took_s, "s", False)


def column_bytes(files: Sequence[Path]) -> Counter[Modality | None]:
    """Stored bytes of each modality; under None those of everything else, footers included."""
    held: Counter[Modality | None] = Counter()
    names = {column: modality for modality, column in MODALITIES.items()}
    for path in files:
        metadata = pq.read_metadata(path)
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for position in range(group.num_columns):
                chunk = group.column(position)
                held[names.get(chunk.path_in_schema.split(".", 1)[0])] += chunk.total_compressed_size
        held[None] += path.stat().st_size - sum(
            metadata.row_group(number).column(position).total_compressed_size
            for number in range(metadata.num_row_groups)
            for position in range(metadata.num_columns)
        )
    return held


def raw_bytes(drive: Path) -> Counter[Modality]:
    """Bytes of a drive's raw objects, by modality."""
    held: Counter[Modality] = Counter()
    for path in drive.glob("*/*/*.mcap"):
        held[Modality(path.relative_to(drive).parts[0])] += path.stat().st_size
    return held


def rates(drive: Path, raw: Mapping[Modality, int], drives: Sequence[BuiltDrive]) -> Iterator[Measurement]:
    """Of the raw drive, and of both jobs with their default options (a drive after the first: its workers are warm)."""
    manifest: dict[str, int] = json.loads((drive / MANIFEST).read_bytes())
    recorded_s = (manifest["end_ns"] - manifest["start_ns"]) / NS_PER_S
    held_mb = sum(raw.values()) / 1e6
    built_s = statistics.median(entry.seconds for entry in drives[1:] or drives)
    yield Measurement("gold.lidar_share_of_raw", raw[Modality.LIDAR] / sum(raw.values()), "", False)
    yield Measurement("gold.raw_mb_per_s_of_drive", held_mb / recorded_s, "MB/s", False)
    yield Measurement("gold.build_mb_per_s_per_core", held_mb / built_s / PROCESSES, "MB/s", True)


def ratios(
    raw: Mapping[Modality, int], stored: Mapping[Modality | None, float], keyframes: Mapping[Modality | None, float]
) -> Iterator[Measurement]:
    """Gold over raw; a frame is stored as often as scenes use it."""
    for suffix, held in (("", stored), ("_keyframes", keyframes)):
        yield Measurement(f"gold.bytes_vs_raw{suffix}", sum(held.values()) / sum(raw.values()), "", False)
        for modality in MODALITIES:
            yield Measurement(f"gold.{modality}_bytes_vs_raw{suffix}", held[modality] / raw[modality], "", False)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=TABLE_BYTES, help="bytes of the table")
    parser.add_argument("--drive", type=Path, help="a raw drive in the landing layout (default: the benchmark's)")
    parser.add_argument("--scratch", type=Path, help="where the table is made and deleted")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scenelake-gold-", dir=arguments.scratch) as folder:
        report = measure(Path(folder), arguments.size, arguments.drive)
    Console().print(console_table(report.measurements))
    for body in report.sections.values():
        print(body)


if __name__ == "__main__":
    main()
