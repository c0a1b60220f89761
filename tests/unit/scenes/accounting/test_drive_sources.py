"""The audit's view of what the ledger and the tables hold."""

from __future__ import annotations

import pytest

from ingest.ledger.detail import RunDetail, RunFailure, RunResult, encode_detail
from ingest.ledger.records import DriveRecord
from ingest.ledger.states import DriveState
from lake.landing import DriveId
from scenes.accounting.drive_sources import ledger_drive
from scenes.accounting.inputs import LedgerDrive

DRIVE = DriveId("car-1", "d-1")


@pytest.mark.parametrize(
    ("detail", "warnings"),
    [(RunResult(warnings=("CMP004", "CLK002")), {"CMP004", "CLK002"}), (RunFailure(error="no space left"), set()), (None, set())],
)
def test_the_warnings_of_a_drive_are_those_of_its_last_finished_run(detail: RunDetail | None, warnings: set[str]) -> None:
    drive = DriveRecord(DRIVE, DriveState.PUBLISHED, "r1", detail_json=None if detail is None else encode_detail(detail))
    assert ledger_drive(drive) == LedgerDrive("published", "r1", frozenset(warnings))
