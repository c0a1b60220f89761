"""Registration of a forgotten drive: refused in the transaction that would have registered it."""

from __future__ import annotations

from typing import Any

import pytest

from ingest.errors import ContentionError, ForgottenWorkError, HeldError
from ingest.ledger.dynamodb_table import LedgerTable
from ingest.ledger.holds import Holds
from ingest.ledger.records import ObjectHead
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState
from ingest.ledger.tombstones import Tombstones
from ingest.register import Registrar
from tests.unit.ingest.ingest_fakes import DRIVE, FakeClock, FakeLedger, FakeObjects, FakeQueue
from tests.unit.localstack.stack_tools import table_arguments

HEAD = ObjectHead(f"{DRIVE}/lidar/lidar_top/0000000000000000001.mcap", "v1", 5, "e1", 1)


@pytest.fixture
def table(dynamodb: Any) -> LedgerTable:
    return LedgerTable(dynamodb, table_arguments()["TableName"])


@pytest.fixture
def tombstones(table: LedgerTable, clock: FakeClock) -> Tombstones:
    return Tombstones(table, clock)


def test_every_process_has_the_same_salt(table: LedgerTable, clock: FakeClock) -> None:
    first, second = Tombstones(table, clock), Tombstones(table, clock)
    assert first.salt() == second.salt() == Tombstones(table, clock).salt()
    assert len(bytes.fromhex(first.salt())) == 32


def test_a_tombstone_that_is_set_between_the_look_and_the_write_stops_the_write(ledger: Ledger, tombstones: Tombstones) -> None:
    assert ledger.forgotten(DRIVE) is None
    tombstones.put(DRIVE, "F-1")
    assert not ledger.put_object(DRIVE, HEAD, None)
    ledger.touch(DRIVE)
    assert ledger.drive(DRIVE) is None and ledger.object_of(DRIVE, HEAD.key) is None
    assert ledger.forgotten(DRIVE) == "F-1"


def test_the_first_request_stays(tombstones: Tombstones) -> None:
    assert tombstones.put(DRIVE, "F-1").request == tombstones.put(DRIVE, "F-2").request == "F-1"
    assert [one.request for one in tombstones.all()] == ["F-1"]


def test_of_a_hold_and_a_tombstone_one_is_refused(table: LedgerTable, tombstones: Tombstones, clock: FakeClock) -> None:
    holds = Holds(table, clock)
    hold = holds.place("h1", DRIVE, "incident", "ada", tombstones.not_forgotten(DRIVE))
    with pytest.raises(HeldError, match="incident"):
        tombstones.put(DRIVE, "F-1")
    with pytest.raises(ContentionError):
        holds.place("h1", DRIVE, "another", "bob", tombstones.not_forgotten(DRIVE))
    assert holds.release(hold, "bob", "closed") and not holds.release(hold, "bob", "closed")
    assert holds.of(DRIVE) == [] and [one.released_by for one in holds.all()] == ["bob"]
    tombstones.put(DRIVE, "F-1")
    with pytest.raises(HeldError, match="forgotten"):
        holds.place("h2", DRIVE, "incident", "ada", tombstones.not_forgotten(DRIVE))


def test_a_fenced_drive_stays_where_it_is(ledger: Ledger, tombstones: Tombstones) -> None:
    assert ledger.put_object(DRIVE, HEAD, None)
    seen = ledger.drive(DRIVE)
    assert seen is not None
    tombstones.put(DRIVE, "F-1")
    fence = tombstones.fence(DRIVE)
    assert fence is not None and fence.in_work is None and tombstones.fence(DRIVE) == fence
    now = ledger.drive(DRIVE)
    assert now is not None and now.state is DriveState.FORGOTTEN and now.generation == seen.generation + 1
    assert not now.settling and not now.unsent
    with pytest.raises(ForgottenWorkError):
        ledger.begin(DRIVE, "ab" * 32)


def test_nothing_to_fence_is_not_an_error(tombstones: Tombstones) -> None:
    assert tombstones.fence(DRIVE) is None


def test_a_late_object_is_counted_once_and_not_named(table: LedgerTable, tombstones: Tombstones) -> None:
    tombstones.put(DRIVE, "F-1")
    for _ in range(2):
        tombstones.add_late(DRIVE, HEAD)
    assert tombstones.late(DRIVE) == 1 and tombstones.is_late(DRIVE, HEAD.key, HEAD.version_id)
    assert DRIVE.drive_id not in str(list(table.scan()))


@pytest.mark.parametrize("key", [HEAD.key, f"{DRIVE}/manifest.json", f"{DRIVE}/notes.txt", f"{DRIVE}/a/b/c"])
def test_the_registrar_refuses_every_key_of_a_forgotten_drive_and_copies_none(clock: FakeClock, key: str) -> None:
    objects, ledger = FakeObjects(clock), FakeLedger(clock)
    registrar = Registrar(objects, ledger, FakeQueue(), clock, lambda _: None)
    ledger.tombstones[DRIVE] = "F-1"
    head = objects.put(key, b"body")
    assert registrar.register(key) is None
    assert ledger.late == {(DRIVE, key, head.version_id)}
    assert objects.refused == {} and ledger.refused_items == {} and ledger.object_items == {}
