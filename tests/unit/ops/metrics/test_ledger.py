"""The ledger is followed without rereading finished drives, and drives are summed up by their current state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.ledger.records import DriveRecord
from ingest.ledger.repository import Ledger
from ingest.ledger.states import FINAL, DriveState
from ingest.ledger.work_message import WorkReason
from lake.landing import DriveId
from ops.metrics.ledger import OVERLAP_NS, RECENT_LAGS, DriveStates, LedgerWatch
from ops.metrics.mark_store import DriveMark, MarkStore
from sensors.stamps import percentile

S = 10**9
NOW_NS = 1_000_000 * S
DRIVES = [DriveId("car-1", name) for name in ("d-bad", "d-new", *(f"d-{number}" for number in range(60)))]


@dataclass
class FakeLedger:
    """Drives by id, as in the ledger's index; `queries` records each query for finished drives and the size of its result."""

    records: dict[DriveId, DriveRecord] = field(default_factory=dict)
    queries: list[tuple[DriveState, int, int]] = field(default_factory=list)
    looked_up: list[DriveId] = field(default_factory=list)

    def put(self, name: str, state: DriveState, updated_s: float, **more: Any) -> DriveId:
        drive = DriveId("car-1", name)
        before = self.records.get(drive, DriveRecord(drive, generation=1, reason=WorkReason.COMPLETE, created_ns=1, changed_ns=1))
        self.records[drive] = replace(before, state=state, updated_ns=round(updated_s * S), **more)
        return drive

    def drives(self, state: DriveState, since_ns: int = 0) -> Iterator[DriveRecord]:
        found = [record for record in self.records.values() if record.state is state and record.updated_ns >= since_ns]
        if state in FINAL:
            self.queries.append((state, since_ns, len(found)))
        yield from sorted(found, key=lambda record: record.updated_ns)

    def settling(self, before_ns: int, limit: int) -> list[DriveId]:
        return [drive for drive, record in self.records.items() if record.settling and record.changed_ns < before_ns][:limit]

    def drive(self, drive: DriveId) -> DriveRecord | None:
        self.looked_up.append(drive)
        return self.records.get(drive)


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def watch(ledger: FakeLedger) -> LedgerWatch:
    return LedgerWatch(cast(Ledger, ledger), lambda: NOW_NS)


def states(watch: LedgerWatch) -> dict[str, str]:
    marks = watch.read()
    found = [marks.get(drive) for drive in DRIVES]
    assert sum(marks.counts.values()) == len([mark for mark in found if mark is not None])
    return {mark.drive.drive_id: mark.state.value for mark in found if mark is not None}


def stored(marks: Iterable[DriveMark]) -> MarkStore:
    store = MarkStore()
    for one in marks:
        store.put(one)
    return store


def seen_of(watch: LedgerWatch, drive: DriveId) -> DriveMark:
    found = watch.read().get(drive)
    assert found is not None
    return found


def test_finished_drives_are_read_once(ledger: FakeLedger, watch: LedgerWatch) -> None:
    for number in range(50):
        ledger.put(f"d-{number}", DriveState.PUBLISHED, 10_000 + 1000 * number)
    ledger.put("d-bad", DriveState.QUARANTINED, 5000)
    ledger.put("d-new", DriveState.QUEUED, 70_000)
    first = states(watch)
    assert len(first) == 52
    ledger.queries.clear()
    assert states(watch) == first
    newest_ns = 59_000 * S
    assert ledger.queries == [
        (DriveState.PUBLISHED, newest_ns - OVERLAP_NS, 1),
        (DriveState.QUARANTINED, newest_ns - OVERLAP_NS, 0),
    ]


def test_a_drive_is_in_one_state_whatever_it_did_meanwhile(ledger: FakeLedger, watch: LedgerWatch) -> None:
    ledger.put("d-1", DriveState.PROCESSING, 100)
    assert states(watch) == {"d-1": "processing"}
    ledger.put("d-1", DriveState.PUBLISHED, 200)
    assert states(watch) == {"d-1": "published"}
    ledger.put("d-1", DriveState.QUEUED, 300, generation=2)
    assert states(watch) == {"d-1": "queued"}
    ledger.put("d-1", DriveState.FAILED, 400, generation=2)
    assert states(watch) == {"d-1": "failed"}
    # The clock of the one who ended it is 250 s behind that of the others: the overlap finds it all the same.
    ledger.put("d-2", DriveState.PUBLISHED, 1000)
    ledger.put("d-1", DriveState.QUARANTINED, 750, generation=2)
    assert states(watch) == {"d-1": "quarantined", "d-2": "published"}


def test_one_that_ends_between_two_queries_is_seen_at_its_end(ledger: FakeLedger, watch: LedgerWatch) -> None:
    ledger.put("d-1", DriveState.PROCESSING, 100)
    plain = ledger.drives

    def moving(state: DriveState, since_ns: int = 0) -> Iterator[DriveRecord]:
        found = list(plain(state, since_ns))
        if state is DriveState.PROCESSING:
            ledger.put("d-1", DriveState.PUBLISHED, 101)
        yield from found

    ledger.drives = moving  # type: ignore[method-assign]
    assert states(watch) == {"d-1": "published"}


def test_late_objects_of_a_finished_drive_are_noticed_and_forgotten(ledger: FakeLedger, watch: LedgerWatch) -> None:
    drive = ledger.put("d-1", DriveState.PUBLISHED, 100)
    ledger.put("d-2", DriveState.PUBLISHED, 9000)
    assert not seen_of(watch, drive).settling
    ledger.put("d-1", DriveState.PUBLISHED, 100, settling=True, changed_ns=8000 * S)
    seen = seen_of(watch, drive)
    assert (seen.settling, seen.unprocessed, seen.changed_ns) == (True, True, 8000 * S)
    ledger.put("d-1", DriveState.PUBLISHED, 100, settling=False)
    assert not seen_of(watch, drive).settling
    ledger.looked_up.clear()
    watch.read()
    assert [one.drive_id for one in ledger.looked_up] == ["d-1", "d-2"], "each in its turn, and not again"


def test_drives_that_were_forgotten_are_noticed_a_few_at_a_time(
    ledger: FakeLedger, watch: LedgerWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.metrics.ledger.MOST_ASKED", 2)
    for number in range(5):
        ledger.put(f"d-{number}", DriveState.PUBLISHED, 100)
    assert len(states(watch)) == 5
    for name in ("d-0", "d-3"):
        del ledger.records[DriveId("car-1", name)]
    gone: list[str] = []
    for _ in range(3):
        ledger.looked_up.clear()
        watch.read(lambda drive: gone.append(drive.drive_id))
        assert len(ledger.looked_up) <= 2
    assert sorted(gone) == ["d-0", "d-3"] and set(states(watch)) == {"d-1", "d-2", "d-4"}


def test_a_drive_that_is_being_forgotten_is_counted_and_waits_for_nothing(ledger: FakeLedger, watch: LedgerWatch) -> None:
    drive = ledger.put("d-1", DriveState.FORGOTTEN, 100)
    found = DriveStates.of(watch.read(), NOW_NS)
    assert (found.counts[DriveState.FORGOTTEN], found.oldest_unprocessed_ns) == (1, 0)
    del ledger.records[drive]
    assert DriveStates.of(watch.read(), NOW_NS).counts[DriveState.FORGOTTEN] == 0


def mark(name: str, state: DriveState, updated_s: float, changed_s: float, **more: Any) -> DriveMark:
    base = DriveMark(
        DriveId("car-1", name), state, WorkReason.COMPLETE, "r", 1, round(updated_s * S), round(changed_s * S), settling=False
    )
    return replace(base, **more)


def test_counts_and_ages() -> None:
    now_s = NOW_NS // S
    marks = [
        mark("d-1", DriveState.LANDING, now_s - 500, now_s - 20, reason=None),
        mark("d-2", DriveState.PROCESSING, now_s - 40, now_s - 90),
        mark("d-3", DriveState.PROCESSING, now_s - 60, now_s - 80),
        mark("d-4", DriveState.PUBLISHED, now_s - 9000, now_s - 9030),
    ]
    found = DriveStates.of(stored(marks), NOW_NS)
    assert {state: count for state, count in found.counts.items() if count} == {
        DriveState.LANDING: 1,
        DriveState.PROCESSING: 2,
        DriveState.PUBLISHED: 1,
    }
    assert set(found.counts) == set(DriveState)
    assert found.state_age_ns == {
        DriveState.LANDING: 500 * S, DriveState.QUEUED: 0, DriveState.PROCESSING: 60 * S, DriveState.FAILED: 0,
        DriveState.FORGOTTEN: 0,
    }  # fmt: skip
    assert found.oldest_unprocessed_ns == 90 * S
    assert found.lags_ns.tolist() == [30 * S]


def test_a_drive_that_is_processed_again_waits_since_then_and_has_no_lag_from_landing() -> None:
    now_s = NOW_NS // S
    again = mark("d-1", DriveState.QUEUED, now_s - 15, now_s - 90_000, reason=WorkReason.RELEASED)
    assert DriveStates.of(stored([again]), NOW_NS).oldest_unprocessed_ns == 15 * S
    published = replace(again, state=DriveState.PUBLISHED)
    assert DriveStates.of(stored([published]), NOW_NS).lags_ns.tolist() == []
    late = replace(published, settling=True)
    assert DriveStates.of(stored([late]), NOW_NS).oldest_unprocessed_ns == 90_000 * S


def test_nothing_waits_in_an_empty_ledger_and_clocks_make_no_age_negative() -> None:
    empty = DriveStates.of(MarkStore(), NOW_NS)
    assert (empty.oldest_unprocessed_ns, set(empty.state_age_ns.values()), empty.lags_ns.tolist()) == (0, {0}, [])
    ahead = mark("d-1", DriveState.QUEUED, NOW_NS // S + 5, NOW_NS // S + 5)
    found = DriveStates.of(stored([ahead]), NOW_NS)
    assert (found.oldest_unprocessed_ns, found.state_age_ns[DriveState.QUEUED]) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**4)), max_size=250))
def test_lags_are_those_of_the_drives_published_last(published: list[tuple[int, int]]) -> None:
    marks = [
        mark(f"d-{number}", DriveState.PUBLISHED, at_s, at_s - lag_s)
        for number, (at_s, lag_s) in enumerate(dict(published).items())
    ]
    lags = DriveStates.of(stored(marks), NOW_NS).lags_ns
    newest = sorted(marks, key=lambda one: -one.updated_ns)[:RECENT_LAGS]
    assert sorted(lags.tolist()) == lags.tolist() == sorted(one.updated_ns - one.changed_ns for one in newest)
    if len(lags):
        assert percentile(lags, 50) in lags
        assert np.count_nonzero(lags <= percentile(lags, 95)) >= 0.95 * len(lags)


def test_changes_are_told_and_a_drive_that_is_gone_is_one(ledger: FakeLedger, watch: LedgerWatch) -> None:
    waiting = ledger.put("d-1", DriveState.QUEUED, 100)
    done = ledger.put("d-2", DriveState.PUBLISHED, 100)
    changed: list[DriveId] = []
    watch.read(changed.append)
    assert sorted(changed) == [waiting, done]
    changed.clear()
    watch.read(changed.append)
    assert changed == []
    del ledger.records[waiting]
    marks = watch.read(changed.append)
    assert (changed, marks.get(waiting), dict(marks.counts)) == ([waiting], None, {DriveState.QUEUED: 0, DriveState.PUBLISHED: 1})
