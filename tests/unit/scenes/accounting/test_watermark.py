"""The watermark: what it says, that nobody else can have written it, and when nothing follows from it any more."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest

import ops.audit.run
from bench.lake_audit.lake import Size, SmallLake
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.pinned import PinnedTables, pin
from ops.audit.run import Auditor
from scenes.accounting.tally import AuditResultDocument, AuditTally
from scenes.accounting.watermark import KEY, MOST_DAYS, TablePosition, Watermark, WatermarkStore, check_current, positions
from scenes.errors import WatermarkError
from sensors.time_units import NS_PER_DAY
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.scenes.accounting.lake_faults import DAY, NEXT_DAY, A, B, C, camera_key, fill

SECRET = "a secret that only auditors have"
NO_TABLES = PinnedTables({}, {})
TARGET = ObjectVersion("lake", KEY)


@pytest.fixture
def store() -> WatermarkStore:
    return WatermarkStore(ObjectStore(FakeS3()), "lake", SECRET)  # type: ignore[arg-type]


def result(as_of_ns: int = 5, **more: Any) -> AuditResultDocument:
    return msgspec.structs.replace(AuditTally(as_of_ns).result(), **more)


def test_what_was_signed_is_read_back_and_names_its_predecessor(store: WatermarkStore) -> None:
    assert store.read() is None
    first = store.sign(result(drives=3, open_drives=("car-1/d-1",)), NO_TABLES, "alice", None)
    assert store.read() == first
    assert (first.full_ns, first.drives, first.open_drives, first.previous) == (5, 3, ("car-1/d-1",), None)
    second = store.sign(result(9, drives=1), NO_TABLES, "bob", first)
    assert (second.as_of_ns, second.full_ns, second.drives, second.signed_by) == (9, 5, 3, "bob")
    assert second.previous is not None
    assert store.read() == second


@pytest.mark.parametrize(
    "change",
    [
        {"as_of_ns": 10**18},
        {"drives": 7},
        {"open_drives": []},
        {"signed_by": "mallory"},
        {"mac": ""},
        {"mac": "0" * 64},
        {"full_ns": 99},
    ],
)
def test_a_watermark_that_was_changed_is_refused(store: WatermarkStore, change: dict[str, Any]) -> None:
    store.sign(result(open_drives=("car-1/d-1",)), NO_TABLES, "alice", None)
    document = json.loads(store.store.read(TARGET))
    store.store.put(TARGET, json.dumps(document | change).encode())
    with pytest.raises(WatermarkError, match="forged") as refused:
        store.read()
    assert "audit --all" in (refused.value.hint or "")


def test_a_watermark_of_another_key_is_refused(store: WatermarkStore) -> None:
    WatermarkStore(store.store, "lake", "the secret of someone else").sign(result(), NO_TABLES, "mallory", None)
    with pytest.raises(WatermarkError, match="forged"):
        store.read()


@pytest.mark.parametrize("body", [b"", b"{}", b"not json", b"[1]", b'{"version": 1, "mac": "x"}'])
def test_a_damaged_watermark_is_refused(store: WatermarkStore, body: bytes) -> None:
    store.store.put(TARGET, body)
    with pytest.raises(WatermarkError, match="damaged"):
        store.read()


def test_a_watermark_of_another_version_and_a_huge_one_are_refused(store: WatermarkStore) -> None:
    store.sign(result(), NO_TABLES, "alice", None)
    document = json.loads(store.store.read(TARGET))
    store.store.put(TARGET, json.dumps(document | {"version": 2}).encode())
    with pytest.raises(WatermarkError, match="version 2"):
        store.read()
    store.store.put(TARGET, b" " * 2**21)
    with pytest.raises(Exception, match="at most"):
        store.read()


def test_a_guessable_key_and_an_audit_that_does_not_balance_sign_nothing(store: WatermarkStore) -> None:
    with pytest.raises(WatermarkError, match="at least 16"):
        WatermarkStore(store.store, "lake", "secret")
    for unsound in (result(failed=1), result(open_drives=tuple(f"car-1/d-{number}" for number in range(1000)))):
        with pytest.raises(WatermarkError, match="balances"):
            store.sign(unsound, NO_TABLES, "alice", None)
    assert store.read() is None


def mark(**more: Any) -> Watermark:
    facts = {"as_of_ns": 0, "tables": {}, "full_ns": 0, "drives": 1, "open_drives": (), "signed_by": "a", "previous": None}
    return Watermark(**{**facts, **more})


def test_a_stale_watermark_is_refused(lake: SmallLake) -> None:
    lake.add(A, DAY)
    tables = pin(lake.catalog())
    was = tables.load_table("gold.drives")
    position = TablePosition(str(was.metadata.table_uuid), 1)
    check_current(mark(tables={"gold.drives": position}), tables, MOST_DAYS * NS_PER_DAY)
    check_current(mark(tables=positions(tables)), tables, 0)
    for stale, now_ns, why in (
        (mark(tables={"gold.drives": TablePosition("another", 1)}), 0, "not the table"),
        (mark(tables={"gold.drives": TablePosition(position.uuid, 9)}), 0, "before commit 9"),
        (mark(tables={"gold.drives": TablePosition(position.uuid, 1, 7)}), 0, "put back"),
        (mark(tables={"gold.other": position}), 0, "not the table"),
        (mark(as_of_ns=1), 0, "not come yet"),
        (mark(), (MOST_DAYS + 1) * NS_PER_DAY, "31 days ago"),
    ):
        with pytest.raises(WatermarkError, match=why):
            check_current(stale, tables, now_ns)


def test_the_next_audit_looks_at_what_changed_and_at_nothing_else(lake: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(lake)
    hours = iter(range(1, 100))
    monkeypatch.setattr(ops.audit.run, "begin_ns", lambda: time.time_ns() + next(hours) * 3600 * 10**9)
    monkeypatch.setattr(ops.audit.selection, "OVERLAP_NS", 0)
    auditor = Auditor(lake.sources, lake.ledger, WatermarkStore(ObjectStore(lake.s3), "lake", SECRET), "alice")
    first = auditor.changed()
    assert (first.result.drives, first.since, first.signed is not None) == (3, None, True)
    quiet = auditor.changed()
    assert (quiet.result.drives, quiet.since, quiet.signed is not None) == (0, first.signed, True)
    lake.commit(C, "b" * 64, 7, NEXT_DAY, Size())  # the ledger knows nothing of it
    wrong = auditor.changed()
    assert (wrong.result.drives, wrong.result.unbalanced_drives, wrong.signed) == (1, 1, None)
    assert auditor.changed().result.drives == 1, "what was not signed off is looked at again"


def test_a_drive_with_an_object_that_was_just_arriving_is_looked_at_again(
    lake: SmallLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lake)
    head = lake.put(camera_key(B).replace("camera", "lidar"))
    monkeypatch.setattr(ops.audit.selection, "OVERLAP_NS", 0)
    auditor = Auditor(lake.sources, lake.ledger, WatermarkStore(ObjectStore(lake.s3), "lake", SECRET), "alice")
    monkeypatch.setattr(ops.audit.run, "begin_ns", lambda: time.time_ns() - 60 * 10**9)
    first = auditor.everything()
    assert (first.result.arriving, first.signed is not None) == (1, True)
    monkeypatch.setattr(ops.audit.run, "begin_ns", lambda: time.time_ns() + 3600 * 10**9)
    lost = auditor.changed().result
    assert [failure.scope for failure in lost.failures] == [str(B)], "its event never came"
    lake.register(B, head)
    assert auditor.changed().result.balanced


def test_a_forged_watermark_stops_the_audit(lake: SmallLake) -> None:
    auditor = Auditor(lake.sources, lake.ledger, WatermarkStore(ObjectStore(lake.s3), "lake", SECRET), "alice")
    auditor.everything()
    document = json.loads(ObjectStore(lake.s3).read(TARGET))
    ObjectStore(lake.s3).put(TARGET, json.dumps(document | {"as_of_ns": 2**62}).encode())
    with pytest.raises(WatermarkError, match="forged"):
        auditor.changed()
    assert auditor.everything().signed is not None


def test_without_a_key_everything_is_looked_at(lake: SmallLake) -> None:
    fill(lake)
    auditor = Auditor(lake.sources, lake.ledger, None, "alice")
    for _ in range(2):
        done = auditor.changed()
        assert (done.result.drives, done.signed) == (3, None)
