"""The contract of decisions, on the real table and on the fake that the other tests use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ingest.ledger.detail import RunResult
from ingest.ledger.records import DriveRecord, Requeue
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState
from ingest.ledger.work_message import WorkReason
from tests.unit.ingest.ingest_fakes import DRIVE, FakeClock

R1, R2 = "1" * 64, "2" * 64
A, B = frozenset({"a"}), frozenset({"b"})
RELEASE = Requeue(R2, WorkReason.RELEASED, "m1", None, A)


def seen(landing: Any) -> DriveRecord:
    found = landing.drive(DRIVE)
    assert isinstance(found, DriveRecord)
    return found


def enter(landing: Any, state: DriveState) -> DriveRecord:
    """Bring the queued drive to `state`, by the ledger's own transitions."""
    if isinstance(landing, Ledger):
        landing.begin(DRIVE, R1)
        if state is not DriveState.PROCESSING:
            landing.finish(DRIVE, R1, state, [], RunResult())
    else:
        landing.drive_items[DRIVE] = replace(landing.drive_items[DRIVE], state=state)
    return seen(landing)


@pytest.fixture
def queued(landing: Any) -> Any:
    landing.touch(DRIVE, changed=True)
    assert landing.queue(seen(landing), Requeue(R1, WorkReason.COMPLETE, "m1", None)) is not None
    return landing


def test_decisions_are_numbered_and_keep_what_was_seen(queued: Any, clock: FakeClock) -> None:
    final = enter(queued, DriveState.PUBLISHED)
    first = queued.decide(final, A, None)
    clock.advance(1)
    second = queued.decide(first, B, None)
    assert (first.decisions, second.decisions, second.state, second.generation) == (1, 2, DriveState.PUBLISHED, 1)
    log = queued.decisions(DRIVE)
    assert [(made.number, made.overrides, made.revision, made.generation) for made in log] == [(1, A, R1, 1), (2, B, R1, 1)]
    assert log[1].decided_ns - log[0].decided_ns == 1_000_000_000


def test_a_decision_and_its_revision_are_one_write(queued: Any, clock: FakeClock) -> None:
    released = queued.decide(enter(queued, DriveState.QUARANTINED), A, RELEASE)
    assert released == seen(queued)
    assert (released.state, released.revision, released.generation, released.reason) == (
        DriveState.QUEUED,
        R2,
        2,
        WorkReason.RELEASED,
    )
    assert (released.decisions, released.overrides, released.unsent, released.attempts) == (1, A, True, 0)
    assert queued.unsent(clock.now_ns + 1, 10) == [DRIVE]


@pytest.mark.parametrize("requeue", [None, RELEASE], ids=["reject", "release"])
def test_who_saw_an_older_state_decides_nothing(queued: Any, requeue: Requeue | None) -> None:
    old = enter(queued, DriveState.PUBLISHED)
    decided = queued.decide(old, A, None)
    assert queued.decide(old, B, requeue) is None, "another decision was taken meanwhile"
    queued.touch(DRIVE, changed=True)
    assert queued.decide(decided, B, requeue) is None, "an object was registered meanwhile"
    assert [made.overrides for made in queued.decisions(DRIVE)] == [A]
    assert (seen(queued).decisions, seen(queued).state) == (1, DriveState.PUBLISHED)


@pytest.mark.parametrize("state", [DriveState.QUEUED, DriveState.PROCESSING])
@pytest.mark.parametrize("requeue", [None, RELEASE], ids=["reject", "release"])
def test_nothing_is_decided_about_a_drive_that_is_not_finished(queued: Any, state: DriveState, requeue: Requeue | None) -> None:
    current = seen(queued) if state is DriveState.QUEUED else enter(queued, state)
    assert queued.decide(current, A, requeue) is None
    assert queued.decisions(DRIVE) == []
    assert seen(queued) == current
