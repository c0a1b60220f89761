"""A window's plan, read by the fast path: the same values as Arrow's own conversion."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from scenes.plan.window_table import WINDOW_TABLE, FrameRef, plan_rows
from scenes.work_area import arrow_bytes
from tests.unit.scenes.job_builders import T0

INTS = st.integers(T0 - 10**12, T0 + 10**12)
POSES = st.none() | st.lists(st.floats(-10, 10), min_size=7, max_size=7)
NAMES = st.sampled_from(("top", "cam", "radar"))


@st.composite
def cells(draw: st.DrawFn) -> dict[str, Any]:
    pose = draw(POSES)
    cell: dict[str, Any] = {"scene": draw(st.integers(0, 9)), "anchor_ns": draw(INTS), "plan_sensor": draw(NAMES)}
    own = draw(POSES)
    cell |= {"sweep": draw(st.integers(0, 3)), "frame_pose": own, "pose": pose}
    cell |= {"pose_keys": None if pose is None else [draw(NAMES), draw(NAMES)]}
    cell |= {"frame_pose_keys": None if own is None else [draw(NAMES), draw(NAMES)]}
    if draw(st.booleans()):
        return cell | {"missing": "no_frames"}
    numbers = ("frame_id", "stamp_ns", "log_ns", "chunk_offset", "chunk_bytes", "chunk_raw_bytes", "message_offset")
    cell |= {name: draw(st.integers(0, 2**50)) for name in (*numbers, "message_bytes", "offset_ns", "residual_ns")}
    words = ("sensor", "modality", "message_type", "key", "compression")
    return cell | {name: draw(st.sampled_from(("", "a", "b"))) for name in words}


def plans(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cells as a plan holds them: scene after scene, each with one pose at its anchor."""
    ordered = sorted(cells, key=lambda cell: cell["scene"])
    first = {cell["scene"]: cell for cell in reversed(ordered)}
    return [cell | {name: first[cell["scene"]][name] for name in ("pose", "pose_keys")} for cell in ordered]


@given(st.lists(cells(), max_size=12).map(plans))
def test_rows_are_those_of_the_table(rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows, schema=WINDOW_TABLE)
    stored = pa.ipc.open_file(arrow_bytes(table)).read_all().combine_chunks()
    for source in (table, stored):
        for found, row in zip(plan_rows(source), table.to_pylist(), strict=True):
            assert (found.scene, found.anchor_ns, found.sensor, found.sweep) == tuple(
                row[name] for name in ("scene", "anchor_ns", "plan_sensor", "sweep")
            )
            assert found.missing == row["missing"]
            for name in ("pose", "frame_pose", "pose_keys", "frame_pose_keys"):
                expected = None if row[name] is None else tuple(row[name])
                assert getattr(found, name) == expected
            if row["frame_id"] is None:
                assert found.frame is None
            else:
                assert found.frame == FrameRef(*(row[name] for name in FrameRef._fields))
                assert (found.offset_ns, found.residual_ns) == (row["offset_ns"], row["residual_ns"])
