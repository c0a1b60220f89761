"""The match plan comes back from the work area as it was computed."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from scenes.errors import DocumentError, WorkAreaError
from scenes.plan.match_plan import ScenePlan, plan_scenes
from scenes.plan.match_plan_file import plan_tables, read_plan
from scenes.plan.pose_track import PoseTrack
from scenes.work_area import PLAN, TRACK, WorkArea
from tests.unit.scenes import timelines as oracle
from tests.unit.scenes.job_builders import Landed, frame_index, make_rig, pose_table, sensor
from tests.unit.scenes.timelines import Timeline


def area_with(plan: ScenePlan) -> WorkArea:
    area = Landed().area
    area.write_tables(plan_tables(plan))
    return area


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        assert one.dtype == other.dtype
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, PoseTrack):
        assert isinstance(other, PoseTrack)
        values = ((of.frames.frame_ids, of.frames.stamps_ns, of.samples) for of in (one, other))
        return one.bracket_ns == other.bracket_ns and all(same(*pair) for pair in zip(*values, strict=True))
    return one == other


@given(oracle.timelines())
def test_a_plan_is_read_back_as_it_was_made(timeline: Timeline) -> None:
    plan = timeline.plan()
    found = read_plan(area_with(plan))
    assert all(same(getattr(plan, field.name), getattr(found, field.name)) for field in fields(ScenePlan))


def test_a_plan_without_scenes_is_read_back_too() -> None:
    plan = plan_scenes(frame_index([]), pose_table([]), make_rig(sensor("top", "lidar")), frozenset())
    found = read_plan(area_with(plan))
    assert (found.scenes, found.frame_ids.shape, found.track.samples.shape) == (0, (0, 1), (0, 7))


@pytest.mark.parametrize(
    ("head", "stated"),
    [
        (None, "is a document without a version; this code reads .*Head of version 2"),
        ({b"scenelake": b'{"version": 99}'}, "is a document of version 99; this code reads .*Head of version 2"),
        ({b"scenelake": b"{"}, "is damaged"),
        ({b"scenelake": b'{"version": 2}'}, "does not hold a .*Head of version 2: .*missing required field"),
    ],
)
@pytest.mark.parametrize("name", [PLAN, TRACK])
def test_a_plan_whose_head_cannot_be_read_is_refused(name: str, head: dict[bytes, bytes] | None, stated: str) -> None:
    area = area_with(plan_scenes(frame_index([]), pose_table([]), make_rig(sensor("top", "lidar")), frozenset()))
    area.write_table(name, area.read_table(name).replace_schema_metadata(head))
    with pytest.raises(DocumentError, match=rf"s3://lake/work/.*{name} {stated}"):
        read_plan(area)


def test_a_plan_that_is_not_an_arrow_file_is_refused() -> None:
    area = area_with(plan_scenes(frame_index([]), pose_table([]), make_rig(sensor("top", "lidar")), frozenset()))
    area.store.put(area.at(PLAN), b"ARROW1 and then nothing")
    with pytest.raises(WorkAreaError, match=r"plan.arrow is not an Arrow file"):
        read_plan(area)
    assert isinstance(area.read_table(TRACK), pa.Table)
