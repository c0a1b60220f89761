"""The contract of the ledger's landing half, on the real table and on the fake that the other tests use."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from ingest.ledger.records import DriveRecord, ObjectHead, RefusedRecord, Requeue
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import WorkReason
from lake.drive_input import InputObject, baseline_key
from lake.landing import DriveId
from tests.unit.ingest.ingest_fakes import DRIVE, FakeClock

KEY = f"{DRIVE}/lidar/lidar_top/1700000000000000000.mcap"
V1 = ObjectHead(KEY, "v1", 10, "e1", 5)
V2 = ObjectHead(KEY, "v2", 12, "e2", 4)  # an older time does not make it the older version
V3 = ObjectHead(KEY, "v3", 12, "e3", 4)
R1, R2 = "1" * 64, "2" * 64


def seen(landing: Any) -> DriveRecord:
    found = landing.drive(DRIVE)
    assert isinstance(found, DriveRecord)
    return found


def test_an_object_is_replaced_only_by_who_saw_the_current_one(landing: Any, clock: FakeClock) -> None:
    assert landing.object_of(DRIVE, KEY) is None
    assert landing.put_object(DRIVE, V1, None)
    assert not landing.put_object(DRIVE, V2, None)
    first = landing.object_of(DRIVE, KEY)
    assert (first.head, first.state, first.observed_ns, first.revision) == (V1, ObjectState.LANDED, clock.now_ns, None)
    assert landing.put_object(DRIVE, V2, first)
    assert not landing.put_object(DRIVE, V3, first)
    assert landing.object_of(DRIVE, KEY).head == V2


def test_objects_come_in_key_order_and_of_one_drive_only(landing: Any) -> None:
    keys = [f"{DRIVE}/{name}" for name in ("manifest.json", "calibration.json", "lidar/a/1.mcap", "lidar/a/2.mcap")]
    for key in keys:
        landing.put_object(DRIVE, replace(V1, key=key), None)
    landing.put_object(DriveId("car-2", "d"), replace(V1, key="car-2/d/manifest.json"), None)
    landing.touch(DRIVE)
    assert [found.key for found in landing.objects(DRIVE)] == sorted(keys)
    assert [found.key for found in landing.objects_between(DRIVE, keys[2], keys[3])] == keys[2:]


def test_an_object_makes_its_drive_and_is_counted_there(landing: Any, clock: FakeClock) -> None:
    assert landing.drive(DRIVE) is None
    start_ns = clock.now_ns
    landing.put_object(DRIVE, V1, None)
    clock.advance(5)
    landing.put_object(DRIVE, V2, landing.object_of(DRIVE, KEY))
    clock.advance(5)
    landing.touch(DRIVE)
    assert not landing.put_object(DRIVE, V3, None), "and what is not registered is not counted"
    assert seen(landing) == DriveRecord(
        DRIVE,
        changes=3,
        settling=True,
        created_ns=start_ns,
        updated_ns=start_ns,
        changed_ns=start_ns + 5_000_000_000,
        turn_ns=start_ns + 5_000_000_000,
    )


def test_queue_and_outbox_are_one_write(landing: Any, clock: FakeClock) -> None:
    landing.touch(DRIVE)
    clock.advance(1)
    queued = landing.queue(seen(landing), Requeue(R1, WorkReason.COMPLETE, "m1", None))
    assert queued == seen(landing)
    assert (queued.state, queued.revision, queued.generation, queued.reason) == (DriveState.QUEUED, R1, 1, WorkReason.COMPLETE)
    assert (queued.unsent, queued.settling, queued.updated_ns, queued.manifest_version) == (True, False, clock.now_ns, "m1")
    assert landing.unsent(clock.now_ns, 10) == []
    assert landing.unsent(clock.now_ns + 1, 10) == [DRIVE]
    landing.sent(queued)
    assert not seen(landing).unsent
    assert landing.unsent(clock.now_ns + 1, 10) == []


def test_who_saw_an_older_state_cannot_queue_or_settle(landing: Any) -> None:
    landing.touch(DRIVE)
    old = seen(landing)
    landing.touch(DRIVE)
    assert landing.queue(old, Requeue(R1, WorkReason.COMPLETE, None, None)) is None
    assert not landing.settle(old)
    assert seen(landing).settling
    current = seen(landing)
    assert landing.queue(current, Requeue(R1, WorkReason.COMPLETE, None, None)) is not None
    assert landing.queue(current, Requeue(R2, WorkReason.REPROCESS, None, None)) is None
    assert not landing.settle(current)
    assert seen(landing).revision == R1


def test_a_drive_in_work_is_waiting_until_it_changes(landing: Any, clock: FakeClock) -> None:
    landing.touch(DRIVE)
    assert landing.waiting(clock.now_ns + 1, 10) == [], "a drive that is landing has no message"
    queued = landing.queue(seen(landing), Requeue(R1, WorkReason.COMPLETE, "m1", None))
    assert landing.waiting(clock.now_ns + 1, 10) == [], "unsent: the outbox has it"
    landing.sent(queued)
    assert landing.waiting(clock.now_ns, 10) == []
    assert landing.waiting(clock.now_ns + 1, 10) == [seen(landing)]
    assert landing.waiting(clock.now_ns + 1, 0) == []


def test_only_who_saw_the_last_change_can_mark_a_message_as_lost(landing: Any, clock: FakeClock) -> None:
    landing.touch(DRIVE)
    landing.sent(landing.queue(seen(landing), Requeue(R1, WorkReason.COMPLETE, "m1", None)))
    first = seen(landing)
    clock.advance(7)
    marked = landing.resend(first)
    assert marked == seen(landing) == replace(first, unsent=True, updated_ns=clock.now_ns)
    assert landing.unsent(clock.now_ns + 1, 10) == [DRIVE]
    assert landing.resend(first) is None
    landing.sent(marked)
    assert [found.drive for found in landing.waiting(clock.now_ns + 1, 10)] == [DRIVE]
    assert landing.waiting(clock.now_ns, 10) == [], "it went to the back"


def test_clearing_an_older_mark_leaves_the_newer_one(landing: Any) -> None:
    landing.touch(DRIVE)
    first = landing.queue(seen(landing), Requeue(R1, WorkReason.COMPLETE, None, None))
    second = landing.queue(first, Requeue(R2, WorkReason.REPROCESS, None, "bad manifest"))
    assert (second.generation, second.manifest_fault) == (2, "bad manifest")
    landing.sent(first)
    assert seen(landing).unsent
    landing.sent(second)
    assert not seen(landing).unsent


def test_settling_lists_the_longest_waiting_first(landing: Any, clock: FakeClock) -> None:
    drives = [DriveId("car", f"d{number}") for number in range(5)]
    for drive in reversed(drives):
        landing.touch(drive)
        clock.advance(1)
    assert landing.settling(clock.now_ns, 10) == drives[::-1]
    assert landing.settling(clock.now_ns, 2) == drives[:-3:-1]
    assert landing.settling(clock.now_ns - 2_000_000_000, 10) == drives[:1:-1]
    assert landing.settle(landing.drive(drives[3]))
    assert drives[3] not in landing.settling(clock.now_ns, 10)


@pytest.mark.parametrize("key", ["car/x.pkl", "ü" * 512, "a#b", "x" * 900])
def test_a_refusal_is_kept_once_for_each_version(landing: Any, key: str) -> None:
    record = RefusedRecord(replace(V1, key=key), "KEY001", "outside", "s3://q/x", 7)
    assert landing.refuse(record)
    assert not landing.refuse(replace(record, message="again"))
    later = replace(record, head=replace(record.head, version_id="v2"))
    assert landing.refuse(later)
    landing.refuse(replace(record, head=replace(record.head, key=key[:-1])))
    assert landing.refused_versions(key) == [record, later]


def test_cursor(landing: Any) -> None:
    assert landing.cursor() == ""
    landing.move_cursor("a/b")
    assert landing.cursor() == "a/b"
    landing.move_cursor("")
    assert landing.cursor() == ""


def test_everything_is_listed_over_many_pages(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"{DRIVE}/lidar/lidar_top/{number:019d}.mcap" for number in range(25)]
    for key in keys:
        ledger.put_object(DRIVE, replace(V1, key=key), None)
        ledger.refuse(RefusedRecord(replace(V1, key=key + ".pkl"), "KEY001", "m", "u", 1))
    query = ledger._table._client.query
    pages = []

    def small_pages(**arguments: Any) -> Any:
        pages.append(1)
        return query(**{**arguments, "Limit": 7})

    monkeypatch.setattr(ledger._table._client, "query", small_pages)
    assert [found.key for found in ledger.objects(DRIVE)] == keys
    assert len(list(ledger.refused())) == 25
    assert len(pages) >= 8


def test_an_evaluation_moves_its_drive_to_the_back_and_is_counted_until_it_ends(landing: Any, clock: FakeClock) -> None:
    first, second = DriveId("car-1", "a"), DriveId("car-1", "b")
    for drive in (first, second):
        clock.advance(1)
        landing.put_object(drive, replace(V1, key=f"{drive}/manifest.json"), None)
    clock.advance(1)
    assert landing.settling(clock.now_ns, 10) == [first, second]
    landing.begin_evaluation(first)
    landing.begin_evaluation(first)
    assert (landing.drive(first).tries, landing.drive(first).turn_ns) == (2, clock.now_ns)
    clock.advance(1)
    assert landing.settling(clock.now_ns, 10) == [second, first]
    landing.touch(first)
    assert landing.settling(clock.now_ns, 10) == [second, first], "a version that is known already changes no turn"
    landing.end_evaluation(first)
    assert (landing.drive(first).tries, landing.drive(first).settling) == (0, True)
    landing.begin_evaluation(first)
    assert landing.settle(landing.drive(first))
    assert (landing.drive(first).tries, landing.settling(clock.now_ns + 1, 10)) == (0, [second])
    landing.begin_evaluation(second)
    landing.queue(landing.drive(second), Requeue(R1, WorkReason.COMPLETE, "m1", None))
    assert (landing.drive(second).tries, landing.settling(clock.now_ns + 1, 10)) == (0, [])


def test_no_evaluation_makes_a_drive(landing: Any) -> None:
    with contextlib.suppress(KeyError):  # the fake has no condition
        landing.begin_evaluation(DRIVE)
        landing.end_evaluation(DRIVE)
    assert landing.drive(DRIVE) is None


def test_a_refused_key_is_not_taken_for_one_that_begins_as_it_does(landing: Any) -> None:
    keys = ("a", "a#b", "a#", "a#b#c")
    for key in keys:
        landing.refuse(RefusedRecord(ObjectHead(key, "v1", 1, "e", 2), "KEY001", key, "s3://q/1", 3))
    for key in keys:
        assert [found.message for found in landing.refused_versions(key)] == [key]


def test_a_revision_keeps_the_baseline_that_it_pins_until_the_next_one(landing: Any) -> None:
    landing.touch(DRIVE)
    assert seen(landing).baseline is None
    pinned = InputObject(baseline_key(DRIVE.vehicle_id), "Qx.9 with space", "b" * 64)
    queued = landing.queue(seen(landing), Requeue(R1, WorkReason.COMPLETE, None, None, baseline=pinned))
    assert queued.baseline == seen(landing).baseline == pinned
    again = landing.queue(seen(landing), Requeue(R2, WorkReason.REPROCESS, None, None))
    assert (again.revision, again.baseline, seen(landing).baseline) == (R2, None, None)
