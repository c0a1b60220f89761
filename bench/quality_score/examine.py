"""Runs the real jobs `inspect` and `build_scenes` on a drive folder in this process, and returns their findings."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pyspark.sql import SparkSession

from bench.build_scenes.folder_client import VERSION, FolderStore
from bench.folder_settings import SETTINGS
from bench.own_step import own_step
from lake.documents import Manifest
from lake.drive_input import DriveInput, InputObject
from lake.errors import LandingError
from lake.landing import CALIBRATION, MANIFEST, DriveId, SensorKey, parse_raw_key
from lake.storage import ObjectVersion
from quality.evaluators.drive import GateVerdict, evaluate_completeness
from quality.rules.findings import Finding, finding
from quality.rules.rulebook import DEFAULT_RULES
from scenes.documents import BuiltWindows, SceneReport, WindowReport
from scenes.options import BuildOptions
from scenes.work_area import BUILT, WorkArea
from spark_jobs.build_scenes import build_drive
from spark_jobs.inspect import inspect_drive


@dataclass(frozen=True, slots=True)
class Examined:
    """All findings on one drive, and whether it passed the gate."""

    findings: tuple[Finding, ...]
    built: bool

    @property
    def alarms(self) -> frozenset[tuple[str, str | None]]:
        """The (rule, sensor) pairs that failed; an unknown result is not an alarm."""
        return frozenset((entry.rule_id, entry.sensor) for entry in self.findings if entry.measured is not None)


class InProcess:
    """The part of a Spark session that `spark_jobs.runtime.tasks` uses: the tasks run here, one after the other."""

    defaultParallelism = 1

    @property
    def sparkContext(self) -> InProcess:
        """Itself."""
        return self

    def parallelize(self, shares: Sequence[Any], _slices: int) -> _Shares:
        """The shares of the work."""
        return _Shares(shares)


@dataclass(frozen=True, slots=True)
class _Shares:
    shares: Sequence[Any]
    work: Callable[[Any], Any] | None = None

    def map(self, work: Callable[[Any], Any]) -> _Shares:
        return _Shares(self.shares, work)

    def collect(self) -> list[Any]:
        assert self.work is not None
        return [self.work(share) for share in self.shares]


def examine(folder: Path, drive: DriveId, root: Path) -> Examined:
    """Let the drive in `folder` land in a store below the empty folder `root`, and run both jobs on it."""
    stray: tuple[Finding, ...] = tuple(_stray(folder, drive))
    drive_input = landed(folder, drive, root)
    spark, connect = cast(SparkSession, InProcess()), functools.partial(FolderStore, root)
    area = WorkArea(connect(), ObjectVersion(SETTINGS.lake_bucket, "work/score"))
    step = own_step(SETTINGS, area, drive_input, BuildOptions())
    inspection = inspect_drive(spark, step, connect).inspection
    findings = [
        *inspection.findings,
        *inspection.frame_findings,
        *(one for many in inspection.object_findings.values() for one in many),
    ]
    built = inspection.verdict is GateVerdict.BUILD
    if built:
        build_drive(spark, step, connect)
        reports = area.read_documents(area.read_document(BUILT, BuiltWindows).windows, WindowReport)
        findings += [one for report in reports for one in _of_window(report)]
        stray += evaluate_completeness([_whole(scene) for report in reports for scene in report.scenes], DEFAULT_RULES)
    return Examined((*stray, *findings), built)


def _whole(scene: SceneReport) -> bool:
    """Whether a scene has a frame of every required sensor, as in SYN001."""
    return all(found.rule_id != "SYN001" for found in scene.findings)


def landed(folder: Path, drive: DriveId, root: Path) -> DriveInput:
    """The drive as if it had landed in the raw bucket of the store below `root`."""
    target = root / SETTINGS.raw_bucket / str(drive)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, target, copy_function=os.link)
    declared: dict[str, str] = {}
    manifest = None
    if (folder / MANIFEST).is_file():
        manifest = InputObject(drive.manifest_key, VERSION, "")
        try:
            declared = {entry.key: entry.sha256 for entry in Manifest.parse((folder / MANIFEST).read_bytes(), drive).objects}
        except LandingError:
            declared = {}
    keys = [f"{drive}/{path.relative_to(folder).as_posix()}" for path in sorted(folder.glob("*/*/*.mcap"))]
    calibration = hashlib.sha256((folder / CALIBRATION).read_bytes()).hexdigest()
    return DriveInput(
        drive,
        frozenset(InputObject(key, VERSION, declared.get(key, "")) for key in keys),
        manifest,
        InputObject(drive.calibration_key, VERSION, calibration),
    )


def _of_window(report: WindowReport) -> Iterator[Finding]:
    for scene in report.scenes:
        yield from scene.findings
    for frame in report.quarantined_frames:
        yield from frame.findings


def _stray(folder: Path, drive: DriveId) -> Iterator[Finding]:
    """The files that the receiver would refuse before any job starts."""
    for path in sorted(folder.glob("*/*")):
        key = f"{drive}/{path.relative_to(folder).as_posix()}"
        if path.is_file() and path.parent.name != "ground_truth":
            try:
                parsed = parse_raw_key(key)
            except LandingError as error:
                yield finding("KEY001", f"{key}: {error}", measured=1)
            else:
                assert isinstance(parsed, SensorKey)
