"""Frames of many objects in one table: every row with its own object's name, however the frames were divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scenes.scan.frame_rows
from lake.landing import SensorKey
from scenes.scan.frame_rows import OBJECT_INDEX, OF_FRAME, FrameRow, FrameRows
from tests.unit.scenes.job_builders import DRIVE, T0


def row(number: int) -> FrameRow:
    return (T0 + number, T0 + number + 1, 9 * number, 50, "" if number % 2 else "zstd", 60, number, 8, f"type{number % 3}")


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(1, 9))
def test_rows_keep_their_order_and_their_object(counts: list[int], at_once: int) -> None:
    frames, expected, number = FrameRows(), [], 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes.scan.frame_rows, "ROWS_AT_ONCE", at_once)
        for place, count in enumerate(counts):
            key = SensorKey(DRIVE, ("lidar", "camera")[place % 2], f"s{place}", T0)
            rows = [row(number + more) for more in range(count)]
            number += count
            frames.add(key, rows)
            named = {"sensor": key.sensor, "modality": key.modality, "key": str(key)}
            expected += [named | dict(zip(OF_FRAME, one, strict=True)) for one in rows]
        table = frames.table()
    assert table.schema.equals(OBJECT_INDEX)
    assert table.to_pylist() == expected
