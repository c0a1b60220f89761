"""What the ledger says of a drive decides whether its files may go."""

from __future__ import annotations

import pytest

from ingest.ledger.records import DriveRecord
from ingest.ledger.states import DriveState
from lake.landing import DriveId
from lake.maintenance.judgement import DriveProgress
from ops.maintenance.deployed import LedgerAttempts

DRIVE = DriveId("car-1", "drive-a")


class FakeLedger:
    def __init__(self, *states: DriveState) -> None:
        self.states = list(states)

    def drive(self, drive: DriveId) -> DriveRecord | None:
        return DriveRecord(drive, self.states.pop(0), "r" * 64, generation=2) if self.states else None


@pytest.mark.parametrize("state", list(DriveState))
def test_only_a_published_or_quarantined_drive_is_finished(state: DriveState) -> None:
    found = LedgerAttempts(FakeLedger(state)).of(DRIVE)  # type: ignore[arg-type]
    assert found == DriveProgress(state in (DriveState.PUBLISHED, DriveState.QUARANTINED), "r" * 64)


def test_a_drive_is_asked_for_each_time_and_one_that_is_unknown_is_none() -> None:
    attempts = LedgerAttempts(FakeLedger(DriveState.PUBLISHED, DriveState.QUEUED))  # type: ignore[arg-type]
    found = [attempts.of(DRIVE) for _ in range(3)]
    assert [one and one.finished for one in found] == [True, False, None]
