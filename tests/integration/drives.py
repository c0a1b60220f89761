"""Drives for the job tests: a small synthetic drive landed by hand, and the four jobs run on it in this process."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
from pyspark.sql import SparkSession

from bench.own_step import own_step
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions
from lake.documents import Manifest
from lake.drive_input import DriveInput, InputObject, input_key
from lake.errors import LandingError
from lake.iceberg.catalog import AnyCatalog, open_catalog
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import Connect, ObjectStore, ObjectVersion
from lake.tables.creation import ensure_tables
from quality.evaluators.drive import GateVerdict
from scenes.documents import AuditDocument, Inspection
from scenes.work_area import WorkArea
from spark_jobs.audit import audit_drive
from spark_jobs.build_scenes import build_drive
from spark_jobs.inspect import inspect_drive
from spark_jobs.publish import publish_drive
from spark_jobs.runtime.results import PublicationResult

SMALL_RIG = RigOptions(width_px=160, height_px=90, lidar_columns=90, lidar_rings=16)


def small_drive(out: Path, *faults: str, drive_id: str = "d-1", **more: Any) -> Path:
    """One and a half seconds of a small rig."""
    spec = DriveSpec("car-1", drive_id, duration_s=1.5, rig=SMALL_RIG, faults=tuple(map(Fault.parse, faults)), **more)
    generate(spec, out)
    return out


@dataclass
class Processed:
    """The result of the four jobs on a drive."""

    settings: Settings
    drive_input: DriveInput
    inspection: Inspection
    audit: AuditDocument
    published: PublicationResult
    tables: dict[str, pa.Table] = field(default_factory=dict)

    def account(self, sensor: str) -> tuple[int, int, int, int]:
        """Read, gold, quarantined, unmatched."""
        (entry,) = [entry for entry in self.audit.accounts if entry.sensor == sensor]
        assert entry.read is not None
        return entry.read, entry.gold, entry.quarantined, entry.unmatched

    def reasons(self, sensor: str) -> dict[str, int]:
        (entry,) = [entry for entry in self.audit.accounts if entry.sensor == sensor]
        return dict(entry.reasons)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self.tables[table].to_pylist()

    def records(self, rule_id: str) -> list[dict[str, Any]]:
        return [row for row in self.rows("quarantine.records") if rule_id in row["rule_ids"]]

    def check_identity(self) -> None:
        """P1, from the published tables alone: fates of frames against the frames that scenes and records hold."""
        fates = Counter((row["sensor"], row["fate"]) for row in self.rows("gold.frames"))
        read = Counter(row["sensor"] for row in self.rows("gold.frames"))
        assert all(read[sensor] == sum(fates[sensor, fate] for fate in ("gold", "quarantined", "unmatched")) for sensor in read)
        assert all(row["reason"] for row in self.rows("gold.frames") if row["fate"] != "gold")
        held = {
            (entry["sensor"], entry["stamp_ns"])
            for scene in self.rows("gold.scenes")
            for column in ("lidars", "cameras", "radars")
            for entry in scene[column]
        }
        gold = {
            (row["sensor"], row["stamp_ns"])
            for row in self.rows("gold.frames")
            if row["fate"] == "gold" and row["modality"] not in ("pose", "imu", "gnss")
        }
        assert held == gold
        quarantined = sum(count for (_, fate), count in fates.items() if fate == "quarantined")
        assert quarantined == sum(row["frames"] for row in self.rows("quarantine.records"))


def land(settings: Settings, folder: Path, drive: DriveId) -> DriveInput:
    """Put a folder's files into the raw bucket and pin their versions."""
    client = boto3.client("s3")

    def put(name: str) -> tuple[str, str]:
        key = f"{drive}/{name}"
        body = (folder / name).read_bytes()
        return key, client.put_object(Bucket=settings.raw_bucket, Key=key, Body=body)["VersionId"]

    manifest_path = folder / "manifest.json"
    declared: dict[str, str] = {}
    calibration_sha256, manifest = "", None
    if manifest_path.exists():
        manifest = InputObject(*put("manifest.json"), "")
        try:
            document = Manifest.parse(manifest_path.read_bytes(), drive)
            declared = {entry.key: entry.sha256 for entry in document.objects}
            calibration_sha256 = document.calibration_sha256
        except LandingError:
            declared = {}
    objects = set()
    for path in sorted(folder.glob("*/*/*.mcap")):
        key, version_id = put(str(path.relative_to(folder)))
        objects.add(InputObject(key, version_id, declared.get(key, "")))
    calibration = InputObject(*put("calibration.json"), calibration_sha256)
    drive_input = DriveInput(drive, frozenset(objects), manifest, calibration)
    target = ObjectVersion(settings.lake_bucket, input_key(drive, drive_input.revision))
    ObjectStore.connect().put(target, drive_input.to_bytes())
    return drive_input


def process(
    spark: SparkSession,
    settings: Settings,
    folder: Path,
    drive: DriveId,
    attempt: str = "1",
    generation: int = 1,
    connect: Connect = ObjectStore.connect,
) -> Processed:
    """Land a drive and run the four jobs on it; `connect` is what the workers that build scenes call first."""
    drive_input = land(settings, folder, drive)
    area = WorkArea(ObjectStore.connect(), ObjectVersion(settings.lake_bucket, f"work/{drive}/{attempt}"))
    step = own_step(settings, area, drive_input)
    inspection = inspect_drive(spark, step).inspection
    if inspection.verdict is GateVerdict.BUILD:
        build_drive(spark, step, connect)
    audit = audit_drive(step)
    catalog: AnyCatalog = open_catalog(settings)
    ensure_tables(catalog)
    published = publish_drive(catalog, step, generation)
    names = ("gold.scenes", "gold.frames", "quarantine.records")
    tables = {name: catalog.load_table(name).scan().to_arrow() for name in names}
    return Processed(settings, drive_input, inspection, audit, published, tables)
