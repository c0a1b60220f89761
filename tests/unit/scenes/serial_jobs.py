"""The jobs on a drive in memory, one task after the other in this process instead of on Spark."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import spark_jobs.audit
import spark_jobs.build_scenes
import spark_jobs.calibration_check
import spark_jobs.inspect
from lake.drive_input import DriveInput
from quality.accounting import accounts
from quality.rules.findings import Finding
from scenes.plan.windows import WINDOW_BYTES, cut
from scenes.work_area import BUILT, INDEX, INSPECTION
from spark_jobs.audit import Outcome
from tests.unit.scenes.job_builders import SETTINGS, Landed


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


def inspect(landed: Landed, drive_input: DriveInput) -> dict[str, Any]:
    with without_spark():
        return spark_jobs.inspect.inspect_drive(None, SETTINGS, landed.area, drive_input, lambda: landed.store)  # type: ignore[arg-type]


def build(landed: Landed, drive_input: DriveInput, window_bytes: int = WINDOW_BYTES) -> dict[str, int]:
    with without_spark(window_bytes):
        return spark_jobs.build_scenes.build_drive(None, SETTINGS, landed.area, drive_input, lambda: landed.store)  # type: ignore[arg-type]


def outcome(landed: Landed, drive_input: DriveInput) -> Outcome:
    """The drive's account, before Great Expectations sees it."""
    inspection = landed.area.read_json(INSPECTION)
    findings = [Finding.from_dict(document) for document in inspection["findings"]]
    return spark_jobs.audit._outcome(SETTINGS, landed.area, drive_input, landed.area.read_table(INDEX), inspection, findings)


def check_identity(landed: Landed, found: Outcome) -> None:
    """Promise P1 on an outcome: counted by the scans, by fate, by record."""
    entries = accounts(found.frames, spark_jobs.audit._read(landed.area.read_json(INSPECTION)))
    assert spark_jobs.audit._imbalances(entries, found) == []
    rows = found.frames.to_pylist()
    assert {row["fate"] for row in rows} <= {"gold", "quarantined", "unmatched"}
    assert all((row["reason"] is None) == (row["fate"] == "gold") for row in rows)
    assert sum(row["fate"] == "quarantined" for row in rows) == sum(record["frames"] for record in found.records)
    ids = [record["record_id"] for record in found.records]
    assert len(ids) == len(set(ids))


def window_reports(landed: Landed) -> list[Mapping[str, Any]]:
    return [landed.area.read_json(name) for name in landed.area.read_json(BUILT)["windows"]]


def scenes(landed: Landed, half: str = "gold") -> list[dict[str, Any]]:
    """All scenes that were written as gold (or quarantined), in order."""
    files = [report[half] for report in window_reports(landed) if report[half]]
    tables = [pq.read_table(io.BytesIO(landed.s3.body(entry["uri"]))) for entry in files]
    return pa.concat_tables(tables).to_pylist() if tables else []
