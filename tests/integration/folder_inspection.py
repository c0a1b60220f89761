"""The job `inspect` on a drive folder, in this process: the real code, with a folder for S3 and a loop for Spark."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from pyspark.sql import SparkSession

from bench.build_scenes.folder_client import VERSION, FolderStore
from bench.folder_settings import SETTINGS
from bench.own_step import own_step
from bench.quality_score.examine import InProcess
from fleet.object_summary import sha256_of
from lake.documents import Manifest, canonical_json
from lake.drive_input import DriveInput, InputObject
from lake.landing import CALIBRATION, MANIFEST, DriveId
from lake.storage import ObjectVersion
from quality.rules.findings import Finding
from quality.tables.calibration import read_calibration_table
from scenes.work_area import CALIBRATION as CHECKS
from scenes.work_area import WorkArea
from sensors.calibration.result import Checked
from spark_jobs.inspect import inspect_drive


@dataclass(frozen=True)
class Inspected:
    """The result of an inspection: its verdict, the findings on calibration, and the checks behind them."""

    verdict: str
    findings: tuple[Finding, ...]
    checks: tuple[Checked, ...]

    def of(self, sensor: str) -> dict[str, Checked]:
        return {check.quantity.value: check for check in self.checks if check.sensor == sensor}

    def rules(self, severity: str | None = None) -> set[tuple[str, str | None]]:
        return {(found.rule_id, found.sensor) for found in self.findings if severity in (None, found.severity)}


def inspect_folder(root: Path, folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> Inspected:
    """Inspect a drive folder; `change` makes another `calibration.json` of its, which the manifest then declares."""
    document = json.loads((folder / MANIFEST).read_bytes())
    drive = DriveId(document["vehicle_id"], document["drive_id"])
    raw = root / SETTINGS.raw_bucket / str(drive)
    raw.parent.mkdir(parents=True)
    raw.mkdir()
    for path in sorted(folder.iterdir()):
        if path.name not in (CALIBRATION, MANIFEST, "ground_truth"):
            (raw / path.name).symlink_to(path.resolve(), target_is_directory=True)
    calibration = json.loads((folder / CALIBRATION).read_bytes())
    (raw / CALIBRATION).write_bytes(canonical_json(change(calibration) if change else calibration))
    manifest = Manifest.parse((folder / MANIFEST).read_bytes(), drive)
    manifest = replace(manifest, calibration_sha256=sha256_of(raw / CALIBRATION))
    (raw / MANIFEST).write_bytes(manifest.to_bytes())
    drive_input = DriveInput(
        drive,
        frozenset(InputObject(entry.key, VERSION, entry.sha256) for entry in manifest.objects),
        InputObject(f"{drive}/{MANIFEST}", VERSION, ""),
        InputObject(f"{drive}/{CALIBRATION}", VERSION, manifest.calibration_sha256),
    )
    area = WorkArea(FolderStore(root), ObjectVersion(SETTINGS.lake_bucket, "work"))
    step = own_step(SETTINGS, area, drive_input)
    inspection = inspect_drive(cast(SparkSession, InProcess()), step, lambda: FolderStore(root)).inspection
    return Inspected(
        inspection.verdict,
        tuple(entry for entry in inspection.findings if entry.rule_id.startswith("CAL")),
        read_calibration_table(area.read_table(CHECKS)),
    )
