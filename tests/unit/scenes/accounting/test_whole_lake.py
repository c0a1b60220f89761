"""The audit of a lake, drive by drive: what it finds, in what memory, and what happens meanwhile."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

import ops.audit.run
import scenes.accounting.drive_audit as drive_audit
from bench.lake_audit.lake import Size, SmallLake
from ingest.ledger.records import DriveRecord, ObjectRecord
from lake.landing import DriveId
from ops.audit.run import Auditor
from ops.errors import NotFoundError
from scenes.accounting.drive_sources import AuditSources
from scenes.accounting.identity import Check
from scenes.accounting.known_drives import no_drives
from scenes.accounting.tally import MOST_FAILURES, AuditTally, FailedCheck
from scenes.accounting.whole_lake import no_progress, one_by_one
from tests.unit.scenes.accounting.lake_faults import DAY, FAULTS, NEXT_DAY, A, B, C, camera_key, fill

LATER_NS = 3600 * 10**9


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit begins an hour after everything that the test has done."""
    monkeypatch.setattr(ops.audit.run, "begin_ns", lambda: time.time_ns() + LATER_NS)


@pytest.fixture
def full(lake: SmallLake) -> SmallLake:
    fill(lake)
    return lake


def auditor(lake: SmallLake, **more: Any) -> Auditor:
    return Auditor(lake.sources, lake.ledger, None, "test", **more)


def names(failures: tuple[FailedCheck, ...]) -> list[str]:
    return [f"{failure.name} in {failure.scope}" for failure in failures]


def test_an_empty_lake_balances(lake: SmallLake) -> None:
    done = auditor(lake).everything().result
    assert (done.balanced, done.drives, done.failed) == (True, 0, 0)


def test_every_drive_of_a_lake_is_audited_once(full: SmallLake, later: None) -> None:
    checks: list[Check] = []
    seen: list[tuple[int, int]] = []
    done = auditor(full, each=checks.append, progress=lambda done, total: seen.append((done, total))).everything().result
    assert done.failures == ()
    assert (done.drives, done.checks, done.arriving) == (3, len(checks), 0)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    totals = {total.name.split(" = ")[0]: (total.left, total.right, total.scopes) for total in done.totals}
    assert totals["objects landed"] == (10, 10, 4), "three of each drive, and the refused one"
    assert totals["frames read"] == (75, 75, 6), "a check for each drive and sensor"
    assert totals["scenes"] == (12, 12, 3)
    assert {check.scope for check in checks if check.name.startswith("frames read")} == {
        f"{drive}@{'a' * 12} {sensor}" for drive in (A, B, C) for sensor in ("cam_front", "odom")
    }


def test_a_single_drive_and_one_that_nobody_knows(full: SmallLake, later: None) -> None:
    FAULTS["a scene twice"].do(full, A)
    assert auditor(full).drive(B).result.failures == ()
    assert [found.split(" in ")[1][:9] for found in names(auditor(full).drive(A).result.failures)] != []
    with pytest.raises(NotFoundError, match="car-1/d-none"):
        auditor(full).drive(DriveId("car-1", "d-none"))


def test_the_drives_of_a_day_are_those_with_its_data_and_those_that_came_to_nothing_on_it(full: SmallLake, later: None) -> None:
    waiting = DriveId("car-3", "d-waiting")
    full.land(waiting, DAY, Size())
    today = time.strftime("%Y-%m-%d", time.gmtime())
    audited: dict[str, set[str]] = {}
    for day in (DAY.isoformat(), NEXT_DAY.isoformat(), today, "2001-01-01"):
        checks: list[Check] = []
        done = auditor(full, each=checks.append).day(type(DAY).fromisoformat(day)).result
        audited[day] = {check.scope for check in checks if check.name.startswith("publications")}
        assert (done.balanced, done.drives) == (True, len(audited[day]))
    assert audited == {
        "2024-05-01": {str(A), str(B)},
        "2024-05-02": {str(C)},
        today: {str(A), str(B), str(C), str(waiting)},
        "2001-01-01": set(),
    }


def test_the_drives_since_a_time(full: SmallLake, later: None) -> None:
    assert auditor(full).since(0, "ever").result.drives == 3
    assert auditor(full).since(time.time_ns() + 2 * LATER_NS, "later").result.drives == 0


class Moving:
    """A ledger during whose readings something happens, once."""

    def __init__(self, lake: SmallLake, happens: Any) -> None:
        self._ledger, self._happens = lake.ledger, happens

    def drive(self, drive: DriveId) -> DriveRecord | None:
        found = self._ledger.drive(drive)
        self._once()
        return found

    def objects(self, drive: DriveId) -> Iterator[ObjectRecord]:
        self._once()
        return self._ledger.objects(drive)

    def _once(self) -> None:
        happens, self._happens = self._happens, lambda: None
        happens()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


def watched(lake: SmallLake, happens: Any) -> AuditSources:
    return replace(lake.sources, ledger=Moving(lake, happens))


def test_a_drive_that_is_published_while_it_is_audited_is_no_fault(full: SmallLake, later: None) -> None:
    sources = watched(full, lambda: full.publish(A, DAY, revision="b" * 64))
    found = Auditor(sources, full.ledger, None, "test").drive(A).result
    assert found.failures == ()


def test_a_drive_that_is_published_while_it_is_read_was_seen_half(full: SmallLake, later: None) -> None:
    """The test above can fail: one reading alone would be wrong."""
    sources = watched(full, lambda: full.publish(A, DAY, revision="b" * 64))
    (found,) = drive_audit._read(sources, [drive_audit.Target(A)], time.time_ns() + LATER_NS)
    assert not found.balanced


def test_an_object_that_lands_and_is_registered_meanwhile_is_no_fault(full: SmallLake, later: None) -> None:
    key = camera_key(A).replace("camera", "lidar")
    done = Auditor(watched(full, lambda: full.register(A, full.put(key))), full.ledger, None, "test").drive(A).result
    assert (done.failures, done.arriving) == ((), 0)


def test_an_object_that_lands_meanwhile_and_is_not_registered_yet_is_named(full: SmallLake) -> None:
    full.put(camera_key(A).replace("camera", "lidar"))
    done = auditor(full).drive(A).result
    assert (done.balanced, done.arriving, done.open_drives) == (True, 1, (str(A),))


def test_what_stays_wrong_is_read_again_and_reported(full: SmallLake, later: None, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS["a scene twice"].do(full, A)
    groups: list[int] = []
    real = drive_audit._read
    monkeypatch.setattr(drive_audit, "_read", lambda *given: (groups.append(len(given[1])), real(*given))[1])
    assert not auditor(full).everything().result.balanced
    assert groups == [3, 1], "the first reading of all, and the second of the one that does not balance"


def test_the_result_does_not_depend_on_how_drives_are_grouped(
    full: SmallLake, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a scene twice", "a raw version was deleted", "the event of an object was lost"):
        FAULTS[name].do(full, A)
    whole = replace_time(auditor(full).everything().result)
    monkeypatch.setattr(drive_audit, "GROUP", 1)
    assert replace_time(auditor(full).everything().result) == whole


def replace_time(result: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(result, as_of_ns=0)


def test_failures_are_counted_and_the_first_named() -> None:
    tally = AuditTally(0)
    tally.add_checks(Check("a", f"d-{number:05d}", 1, 0, False) for number in range(MOST_FAILURES + 7))
    part = tally.result()
    assert (part.failed, len(part.failures), part.balanced) == (MOST_FAILURES + 7, MOST_FAILURES, False)
    joined = AuditTally(0)
    joined.add_result(part)
    joined.add_result(part)
    assert (joined.result().failed, len(joined.result().failures)) == (2 * (MOST_FAILURES + 7), MOST_FAILURES)


def test_memory_does_not_grow_with_the_lake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight times as many drives, each with the checks of ten sensors and a failure; the names of all of them are on disk."""

    def read(sources: AuditSources, group: Sequence[drive_audit.Target], as_of_ns: int) -> list[drive_audit.DriveAudit]:
        del sources, as_of_ns
        checks = [
            [Check(f"check {number % 15}", f"{target.drive} {number}", 1, 1, number > 0) for number in range(20)]
            for target in group
        ]
        return [drive_audit.DriveAudit(target.drive, tuple(of), True, 0) for target, of in zip(group, checks, strict=True)]

    monkeypatch.setattr(drive_audit, "_read", read)
    monkeypatch.setattr("scenes.accounting.tally.MOST_FAILURES", 100)
    peaks: list[int] = []
    for count in (300, 300, 2_400):
        tally = AuditTally(0)
        tracemalloc.start()
        try:
            with no_drives() as known:
                known.add((f"car-{number % 40}/d-{number:06d}", DAY.isoformat()) for number in range(count))
                one_by_one(cast(AuditSources, None))(known, tally, no_progress, len(known))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert (tally.result().drives, tally.result().failed) == (count, count)
    assert peaks[2] < 1.25 * peaks[1], peaks
