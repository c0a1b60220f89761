from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.errors import LedgerError, SupersededWorkError, TransitionError, UnknownDriveError
from ingest.ledger.detail import RunFailure, RunResult
from ingest.ledger.records import DriveRecord, ObjectHead, ObjectOutcome, Requeue
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import WorkReason
from lake.landing import DriveId
from tests.unit.ingest.ingest_fakes import DRIVE, FakeClock

KEYS = [f"{DRIVE}/lidar/lidar_top/{number:019d}.mcap" for number in range(3)]
R1, R2 = "1" * 64, "2" * 64
DONE = [ObjectOutcome(KEYS[0], "v1", ObjectState.PUBLISHED), ObjectOutcome(KEYS[1], "v1", ObjectState.QUARANTINED)]


@pytest.fixture
def queued(ledger: Ledger) -> DriveRecord:
    for key in KEYS:
        ledger.put_object(DRIVE, ObjectHead(key, "v1", 1, "e", 1), None)
        ledger.touch(DRIVE, changed=True)
    return queue(ledger, R1)


def queue(ledger: Ledger, revision: str) -> DriveRecord:
    seen = ledger.drive(DRIVE)
    assert seen is not None
    found = ledger.queue(seen, Requeue(revision, WorkReason.COMPLETE, "m1", None))
    assert found is not None
    return found


def states(ledger: Ledger) -> list[ObjectState]:
    return [found.state for found in ledger.objects(DRIVE)]


def test_begin_finish(ledger: Ledger, queued: DriveRecord, clock: FakeClock) -> None:
    clock.advance(3)
    begun = ledger.begin(DRIVE, R1)
    assert (begun.state, begun.attempts, begun.updated_ns, begun.generation) == (DriveState.PROCESSING, 1, clock.now_ns, 1)
    ended = ledger.finish(DRIVE, R1, DriveState.PUBLISHED, DONE, RunResult(scenes=7, warnings=("DEC001",)))
    assert (ended.state, ended.detail) == (DriveState.PUBLISHED, RunResult(scenes=7, warnings=("DEC001",)))
    assert states(ledger) == [ObjectState.PUBLISHED, ObjectState.QUARANTINED, ObjectState.LANDED]
    assert [found.revision for found in ledger.objects(DRIVE)] == [R1, R1, None]
    assert [found.drive for found in ledger.drives(DriveState.PUBLISHED)] == [DRIVE]
    assert list(ledger.drives(DriveState.PROCESSING)) == []


def test_twice_is_once(ledger: Ledger, queued: DriveRecord, clock: FakeClock) -> None:
    ledger.begin(DRIVE, R1)
    first = ledger.finish(DRIVE, R1, DriveState.PUBLISHED, DONE, RunResult(scenes=7))
    clock.advance(3)
    assert ledger.finish(DRIVE, R1, DriveState.PUBLISHED, DONE, RunResult(scenes=7)) == first
    assert ledger.begin(DRIVE, R1) == first
    assert ledger.fail(DRIVE, R1, RunFailure(error="late")) == first
    with pytest.raises(TransitionError, match="published and cannot become quarantined"):
        ledger.finish(DRIVE, R1, DriveState.QUARANTINED, [], RunResult())
    assert ledger.drive(DRIVE) == first


def test_begun_again_after_a_lost_lease_and_after_a_failure(ledger: Ledger, queued: DriveRecord) -> None:
    ledger.begin(DRIVE, R1)
    assert ledger.begin(DRIVE, R1).attempts == 2
    failed = ledger.fail(DRIVE, R1, RunFailure(error="boom"))
    assert (failed.state, failed.detail) == (DriveState.FAILED, RunFailure(error="boom"))
    assert ledger.begin(DRIVE, R1).attempts == 3
    ledger.fail(DRIVE, R1, RunFailure(error="boom"))
    assert ledger.finish(DRIVE, R1, DriveState.QUARANTINED, [], RunResult()).state is DriveState.QUARANTINED


def test_a_newer_revision_stops_the_older_run(ledger: Ledger, queued: DriveRecord) -> None:
    ledger.begin(DRIVE, R1)
    newer = queue(ledger, R2)
    assert (newer.generation, newer.attempts, newer.detail) == (2, 0, None)
    for step in (
        lambda: ledger.begin(DRIVE, R1),
        lambda: ledger.finish(DRIVE, R1, DriveState.PUBLISHED, DONE, RunResult()),
        lambda: ledger.fail(DRIVE, R1, RunFailure(error="boom")),
    ):
        with pytest.raises(SupersededWorkError, match="generation 2"):
            step()
    assert states(ledger) == [ObjectState.LANDED] * 3
    assert ledger.drive(DRIVE) == newer


def test_a_newer_version_of_an_object_stays_pending(ledger: Ledger, queued: DriveRecord) -> None:
    ledger.begin(DRIVE, R1)
    known = ledger.object_of(DRIVE, KEYS[0])
    assert known is not None
    assert ledger.put_object(DRIVE, replace(known.head, version_id="v2"), known)
    ledger.finish(DRIVE, R1, DriveState.PUBLISHED, DONE, RunResult())
    assert states(ledger) == [ObjectState.LANDED, ObjectState.QUARANTINED, ObjectState.LANDED]


def test_an_outcome_for_an_unregistered_object_makes_no_item(ledger: Ledger, queued: DriveRecord) -> None:
    ledger.begin(DRIVE, R1)
    ledger.finish(DRIVE, R1, DriveState.PUBLISHED, [ObjectOutcome("car-1/x", "v1", ObjectState.PUBLISHED)], RunResult())
    assert len(states(ledger)) == 3


def test_refusals(ledger: Ledger, queued: DriveRecord) -> None:
    other = DriveId("car-9", "none")
    for step in (lambda: ledger.begin(other, R1), lambda: ledger.fail(other, R1, RunFailure(error="boom"))):
        with pytest.raises(UnknownDriveError, match="car-9/none"):
            step()
    with pytest.raises(TransitionError, match="queued and cannot become published"):
        ledger.finish(DRIVE, R1, DriveState.PUBLISHED, [], RunResult())
    with pytest.raises(TransitionError, match="use fail"):
        ledger.finish(DRIVE, R1, DriveState.FAILED, [], RunResult())
    with pytest.raises(LedgerError, match="exceeds 65536"):
        ledger.fail(DRIVE, R1, RunFailure(error="x" * 70_000))
    assert ledger.drive(DRIVE) == queued


def test_all_drives_are_listed_by_state(ledger: Ledger, queued: DriveRecord) -> None:
    ledger.touch(DriveId("car-2", "d"), changed=True)
    assert {(found.drive, found.state) for found in ledger.drives()} == {
        (DRIVE, DriveState.QUEUED),
        (DriveId("car-2", "d"), DriveState.LANDING),
    }


def test_a_run_that_outlived_a_reprocessing_of_the_same_revision_cannot_end_it(ledger: Ledger, queued: DriveRecord) -> None:
    ledger.begin(DRIVE, R1)
    ledger.finish(DRIVE, R1, DriveState.PUBLISHED, DONE, RunResult(), generation=1)
    queue(ledger, R1)
    ledger.begin(DRIVE, R1)
    with pytest.raises(SupersededWorkError, match="generation 2"):
        ledger.finish(DRIVE, R1, DriveState.PUBLISHED, DONE, RunResult(), generation=1)
    with pytest.raises(SupersededWorkError, match="generation 2"):
        ledger.fail(DRIVE, R1, RunFailure(error="boom"), generation=1)
    assert ledger.begin(DRIVE, R1).state is DriveState.PROCESSING
    assert ledger.finish(DRIVE, R1, DriveState.PUBLISHED, DONE, RunResult(), generation=2).state is DriveState.PUBLISHED


def test_drives_that_came_into_their_state_since(ledger: Ledger, queued: DriveRecord, clock: FakeClock) -> None:
    at_ns = queued.updated_ns
    assert [found.drive for found in ledger.drives(DriveState.QUEUED, at_ns)] == [DRIVE]
    assert list(ledger.drives(DriveState.QUEUED, at_ns + 1)) == []
    clock.advance(3)
    ledger.touch(DRIVE, changed=True)
    assert list(ledger.drives(DriveState.QUEUED, at_ns + 1)) == [], "a new object is no change of state"
    ledger.begin(DRIVE, R1)
    assert [found.state for found in ledger.drives(since_ns=at_ns + 1)] == [DriveState.PROCESSING]
