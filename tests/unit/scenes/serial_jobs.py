"""The jobs on a drive in memory, one task after the other in this process instead of on Spark."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import spark_jobs.build_scenes
import spark_jobs.calibration_check
import spark_jobs.inspect
from bench.folder_settings import SETTINGS
from lake.drive_input import DriveInput
from scenes.documents import AuditDocument, BuiltWindows, Inspection, WindowReport
from scenes.left_out import read_left_out
from scenes.options import BuildOptions
from scenes.outcome.account import AuditOutcome, DriveAccount
from scenes.plan.windows import WINDOW_BYTES, cut
from scenes.work_area import BUILT, INDEX, INSPECTION
from spark_jobs.audit import _outcome, audit_drive
from spark_jobs.inspect import Inspected
from spark_jobs.runtime.results import BuildResult
from spark_jobs.runtime.step import Step
from tests.unit.scenes.job_builders import PROVENANCE, Landed

OPTIONS = BuildOptions()


def run_serially(_: object, work: Callable[[Any], Any], items: Sequence[Any], sizes: Sequence[int]) -> list[Any]:
    assert len(sizes) == len(items)
    return [pickle.loads(pickle.dumps(answer)) for answer in work(items)]  # as Spark brings them back


@contextmanager
def without_spark(window_bytes: int = WINDOW_BYTES) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for job in (spark_jobs.inspect, spark_jobs.build_scenes, spark_jobs.calibration_check):
            patch.setattr(job, "run_tasks", run_serially)
        patch.setattr(spark_jobs.build_scenes, "cut", lambda anchors, sizes: cut(anchors, sizes, window_bytes))
        yield


def step_of(landed: Landed, drive_input: DriveInput, options: BuildOptions = OPTIONS) -> Step:
    return Step(SETTINGS, options, PROVENANCE, landed.area, drive_input)


def inspect(landed: Landed, drive_input: DriveInput, options: BuildOptions = OPTIONS) -> Inspected:
    with without_spark():
        return spark_jobs.inspect.inspect_drive(None, step_of(landed, drive_input, options), lambda: landed.store)  # type: ignore[arg-type]


def build(
    landed: Landed, drive_input: DriveInput, window_bytes: int = WINDOW_BYTES, options: BuildOptions = OPTIONS
) -> BuildResult:
    with without_spark(window_bytes):
        step = step_of(landed, drive_input, options)
        return spark_jobs.build_scenes.build_drive(None, step, lambda: landed.store)  # type: ignore[arg-type]


def audit(landed: Landed, drive_input: DriveInput, options: BuildOptions = OPTIONS) -> AuditDocument:
    return audit_drive(step_of(landed, drive_input, options))


def account(landed: Landed, drive_input: DriveInput) -> DriveAccount:
    inspection, step = landed.area.read_document(INSPECTION, Inspection), step_of(landed, drive_input)
    return DriveAccount.of(
        landed.store, step.targets, drive_input, inspection, landed.area.read_table(INDEX), read_left_out(landed.area)
    )


def outcome(landed: Landed, drive_input: DriveInput) -> AuditOutcome:
    """The drive's account, before Great Expectations sees it."""
    return _outcome(step_of(landed, drive_input), account(landed, drive_input))


def check_identity(landed: Landed, drive_input: DriveInput, found: AuditOutcome) -> None:
    """Promise P1 on an outcome: counted by the scans, by fate, by record."""
    assert found.imbalances(account(landed, drive_input).accounts(found)) == []
    rows = found.frames.to_pylist()
    assert {row["fate"] for row in rows} <= {"gold", "quarantined", "unmatched"}
    assert all((row["reason"] is None) == (row["fate"] == "gold") for row in rows)
    assert sum(row["fate"] == "quarantined" for row in rows) == sum(record.frames for record in found.records)
    ids = [record.record_id for record in found.records]
    assert len(ids) == len(set(ids))


def window_reports(landed: Landed) -> list[WindowReport]:
    return landed.area.read_documents(landed.area.read_document(BUILT, BuiltWindows).windows, WindowReport)


def scenes(landed: Landed, half: str = "gold") -> list[dict[str, Any]]:
    """All scenes that were written as gold (or quarantined), in order."""
    files = [file for report in window_reports(landed) if (file := getattr(report, half)) is not None]
    tables = [pq.read_table(io.BytesIO(landed.s3.body(file.uri))) for file in files]
    return pa.concat_tables(tables).to_pylist() if tables else []
