from __future__ import annotations

import datetime
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import TableError
from lake.tables.schemas import FATES, FRAMES, GOLD
from quality.accounting import Imbalance, SensorAccount, accounts, balance
from quality.rules.catalogue import Outcome

rows_of = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(FATES)), max_size=40)


def frames(*rows: tuple[str, str, str | None]) -> pa.Table:
    shared = {"vehicle_id": "v", "drive_id": "d", "revision": "r", "day": datetime.date(2026, 1, 1), "modality": "lidar"}
    place = {"stamp_ns": 1, "key": "k", "chunk_offset": 0, "message_offset": 0, "scenes": 0}
    return pa.Table.from_pylist(
        [{**shared, **place, "sensor": sensor, "fate": fate, "reason": reason} for sensor, fate, reason in rows], schema=FRAMES
    )


def explained(rows: list[tuple[str, str]]) -> pa.Table:
    return frames(*((sensor, fate, None if fate == GOLD else f"because of {fate}") for sensor, fate in rows))


@settings(deadline=None)
@given(rows_of)
def test_whole_books_balance(rows: list[tuple[str, str]]) -> None:
    read = Counter(sensor for sensor, _ in rows)
    entries = accounts(explained(rows), read)
    assert balance(entries) == ()
    assert sum(entry.gold + entry.quarantined + entry.unmatched for entry in entries) == len(rows)


@settings(deadline=None)
@given(rows_of.filter(bool), st.data())
def test_one_lost_frame_is_always_found(rows: list[tuple[str, str]], data: st.DataObject) -> None:
    read = Counter(sensor for sensor, _ in rows)
    lost = data.draw(st.integers(0, len(rows) - 1))
    found = balance(accounts(explained(rows[:lost] + rows[lost + 1 :]), read))
    assert [(entry.sensor, entry.frames) for entry in found] == [(rows[lost][0], 1)]


def test_account() -> None:
    table = frames(("a", "gold", None), ("a", "unmatched", "late"), ("a", "quarantined", "DEC005"), ("a", "unmatched", "late"))
    assert accounts(table, {"a": 4}) == (SensorAccount("a", 4, 1, 1, 2, {"DEC005": 1, "late": 2}),)


def test_frame_in_gold_twice_is_found() -> None:
    (entry,) = balance(accounts(frames(("a", "gold", None), ("a", "gold", None)), {"a": 1}))
    assert entry.frames == 1
    assert entry.message == "1 frames read, but 2 gold + 0 quarantined + 0 unmatched = 2"


def test_sensor_that_vanished_altogether_is_found() -> None:
    assert [(entry.sensor, entry.frames) for entry in balance(accounts(frames(), {"a": 5}))] == [("a", 5)]


def test_a_sensor_that_was_not_counted_is_unknown() -> None:
    (entry,) = balance(accounts(frames(("a", "gold", None)), {}))
    assert entry.frames is None
    assert entry.finding().outcome is Outcome.UNKNOWN


def test_unknown_fate_is_an_imbalance() -> None:
    (entry,) = balance(accounts(frames(("a", "lost", "?"))))
    assert (entry.sensor, entry.frames) == ("a", 1)


@pytest.mark.parametrize("reason", [None, ""])
def test_frame_kept_out_of_gold_without_reason_is_found(reason: str | None) -> None:
    (entry,) = balance(accounts(frames(("a", "unmatched", reason), ("a", "unmatched", "late"))))
    assert (entry.frames, entry.message) == (1, "1 frames are kept out of gold without a reason")


def test_finding() -> None:
    entry = Imbalance("a", 3, "lost").finding()
    assert (entry.rule_id, entry.sensor, entry.measured, entry.message) == ("ACC001", "a", 3, "a: lost")


def test_another_schema_is_refused() -> None:
    with pytest.raises(TableError, match="fate: missing"):
        accounts(frames().drop_columns(["fate"]))
