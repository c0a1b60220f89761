"""Motion compensation of a frame's points: where they would have been seen at one instant, or exactly as recorded."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.encode import encode_points
from scenes.build.motion import MARGIN_NS, WindowPoses, place, poses_around
from scenes.plan.drive_frames import DriveFrames
from scenes.plan.pose_track import PoseTrack
from sensors.decode.messages import decode_points
from sensors.decode.points import PointCloud, point_fields
from sensors.geometry import SE3
from sensors.rig import Modality, Sensor, Stamp, Sync
from tests.unit.scenes.job_builders import MS, T0, F, frame_index, make_rig, pose_table, sensor

POINT = np.dtype([("intensity", "u1"), ("x", "<f4"), ("y", "<f8"), ("z", "<f4"), ("t", "<i4")])
MOUNTING = SE3.from_wxyz((1.0, 0.2, 1.8), (np.cos(0.1), 0.0, 0.0, np.sin(0.1)))
SYNC = Sync(Stamp.END, 0, 50 * MS, 25 * MS, required=True)
LIDAR = Sensor("top", Modality.LIDAR, 10.0, SYNC, MOUNTING)


def ego_at(stamp_ns: int) -> SE3:
    """20 m/s ahead and a turn of 0.5 rad/s."""
    seconds = (stamp_ns - T0) / 1e9
    return SE3.from_wxyz((20.0 * seconds, 2.0 * seconds**2, 0.0), (np.cos(seconds / 4), 0.0, 0.0, np.sin(seconds / 4)))


def track(first_ns: int, last_ns: int, step_ns: int = MS, bracket_ns: int = 50 * MS) -> WindowPoses:
    stamps_ns = np.arange(first_ns, last_ns + 1, step_ns, dtype=np.int64)
    poses = np.array([[*ego_at(ns).translation_m, *ego_at(ns).wxyz] for ns in stamps_ns.tolist()])
    return WindowPoses(stamps_ns, poses, [f"pose-{ns // (100 * MS)}" for ns in stamps_ns.tolist()], bracket_ns)


def sweep(world_m: npt.NDArray[np.float64], offsets_ns: list[int], no_return: int | None = None) -> PointCloud:
    """A cloud of static points, each seen from where the lidar was at its own time."""
    points = np.zeros(len(offsets_ns), dtype=POINT)
    for row, (place_m, offset_ns) in enumerate(zip(world_m, offsets_ns, strict=True)):
        seen_m = (ego_at(T0 + offset_ns) @ MOUNTING).inverse().apply(place_m[None])[0]
        points[row] = (row, *seen_m, offset_ns)
    if no_return is not None:
        for axis in "xyz":
            points[no_return][axis] = 0.0
    return decode_points(encode_points(T0, "top", point_fields(POINT), points))


WORLD_M = np.array([[30.0, 5.0, 1.0], [-12.0, 40.0, 0.5], [60.0, -8.0, 2.0], [25.0, 25.0, -1.0]])
OFFSETS_NS = [-90 * MS, -60 * MS, -30 * MS, 0]


@pytest.mark.parametrize("reference_ns", [T0, T0 - 100 * MS, T0 + 37 * MS])
def test_all_points_are_where_the_lidar_sees_them_at_the_anchor(reference_ns: int) -> None:
    cloud = sweep(WORLD_M, OFFSETS_NS)
    placed = place(cloud, LIDAR, reference_ns, track(T0 - 200 * MS, T0 + 100 * MS))
    assert (placed.reference_ns, placed.reason) == (reference_ns, None)
    found = dataclasses.replace(cloud, data=placed.points)
    expected_m = (ego_at(reference_ns) @ MOUNTING).inverse().apply(WORLD_M)
    assert np.abs(found.xyz_m() - expected_m).max() < 2e-4
    for name in ("intensity", "t"):
        assert found.column(name).tolist() == cloud.column(name).tolist()
    assert np.abs(cloud.xyz_m() - expected_m).max() > 0.5, "the drive moves far enough for the test to mean something"


def test_a_direction_without_return_stays_one() -> None:
    cloud = sweep(WORLD_M, OFFSETS_NS, no_return=2)
    placed = place(cloud, LIDAR, T0, track(T0 - 200 * MS, T0 + 100 * MS))
    found = dataclasses.replace(cloud, data=placed.points)
    assert placed.reference_ns == T0
    assert found.invalid().tolist() == [False, False, True, False]
    assert found.xyz_m()[2].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("sensor", "poses", "reason"),
    [
        (LIDAR, None, "switches it off"),
        (dataclasses.replace(LIDAR, ego_SE3_sensor=None), track(T0 - 200 * MS, T0), "where the sensor is"),
        (LIDAR, track(T0 - 70 * MS, T0), "no poses bracket 1 of 4 points"),
        (LIDAR, track(T0 - 200 * MS, T0 - MS), "no poses bracket 4 of 4 points"),
        (LIDAR, track(T0 - 200 * MS, T0 + 100 * MS, 60 * MS), "no poses bracket"),
        (LIDAR, WindowPoses(np.empty(0, dtype=np.int64), np.empty((0, 7)), [], 50 * MS), "no poses bracket"),
    ],
)
def test_what_cannot_be_moved_whole_is_left_as_recorded(sensor: Sensor, poses: WindowPoses | None, reason: str) -> None:
    cloud = sweep(WORLD_M, OFFSETS_NS)
    placed = place(cloud, sensor, T0, poses)
    assert placed.points == cloud.data
    assert placed.reference_ns is None
    assert placed.reason is not None
    assert reason in placed.reason


def test_points_without_times_or_with_integer_coordinates_are_left() -> None:
    poses = track(T0 - 200 * MS, T0 + 100 * MS)
    for dtype, reason in (
        (np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4")]), "no times of their own"),
        (np.dtype([("x", "<i2"), ("y", "<i2"), ("z", "<i2"), ("t", "<i4")]), "not floating-point"),
    ):
        cloud = decode_points(encode_points(T0, "top", point_fields(dtype), np.ones(2, dtype=dtype)))
        assert reason in (place(cloud, LIDAR, T0, poses).reason or "")


def test_a_source_that_has_compensated_is_not_moved_twice() -> None:
    source = dataclasses.replace(LIDAR, sync=dataclasses.replace(SYNC, compensated=True))
    cloud = sweep(WORLD_M, [0, 0, 0, 0])
    same = place(cloud, source, T0, None)
    assert (same.points, same.reference_ns, same.reason) == (cloud.data, T0, None)
    later = place(cloud, source, T0 + 20 * MS, track(T0 - 10 * MS, T0 + 30 * MS))
    expected_m = (ego_at(T0 + 20 * MS) @ MOUNTING).inverse().apply(WORLD_M)
    assert np.abs(dataclasses.replace(cloud, data=later.points).xyz_m() - expected_m).max() < 2e-4
    lost = place(cloud, source, T0 + 20 * MS, None)
    assert (lost.points, lost.reference_ns) == (cloud.data, T0), "still as seen at its own stamp"
    assert lost.reason is not None


def drive_track(stamps_ns: list[int]) -> tuple[pa.Table, PoseTrack]:
    """A drive's index and poses; samples of one second are of one object."""
    rig = make_rig(sensor("top", "lidar"), sensor("odo", "pose"))
    index = frame_index([F("odo", ns, "pose", key=f"odo-{ns // 10**9}") for ns in stamps_ns])
    in_index = [row["stamp_ns"] for row in sorted(index.to_pylist(), key=lambda row: (row["key"], row["chunk_offset"]))]
    return index, PoseTrack.of(pose_table(in_index), DriveFrames.of(index, set()), rig)


@given(st.sets(st.integers(-40, 40), max_size=30), st.lists(st.integers(-40, 40) | st.none(), max_size=5))
def test_a_window_gets_every_sample_that_its_points_can_need(samples_s: set[int], frames_s: list[int | None]) -> None:
    index, track = drive_track([T0 + second * 10**9 for second in sorted(samples_s)])
    rows = pa.table({"stamp_ns": pa.array([None if at is None else T0 + at * 10**9 for at in frames_s], pa.int64())})
    kept = poses_around(index, track, rows)
    frames = [at for at in frames_s if at is not None]
    reach_s = MARGIN_NS // 10**9
    expected = [T0 + s * 10**9 for s in sorted(samples_s) if frames and min(frames) - reach_s <= s <= max(frames) + reach_s]
    found = WindowPoses.of(kept, 1)
    assert found.stamps_ns.tolist() == expected
    assert list(found.keys) == [f"odo-{ns // 10**9}" for ns in expected]
    assert found.poses[:, 0].tolist() == [(ns - T0) / 1e9 for ns in expected]


def test_the_objects_of_the_poses_that_moved_a_frame_are_named() -> None:
    placed = place(sweep(WORLD_M, OFFSETS_NS), LIDAR, T0, track(T0 - 200 * MS, T0 + 100 * MS))
    used = range(T0 - 90 * MS, T0 + 1, MS)
    assert placed.poses == ({f"pose-{ns // (100 * MS)}" for ns in used}, used[0], used[-1])
    assert len(placed.poses.keys) == 2, "the sweep lies across the border of two objects"


@given(st.lists(st.integers(0, 20), unique=True, min_size=1).map(sorted), st.data())
def test_poses_between_two_instants_use_the_samples_that_bracket_them(stamps: list[int], data: st.DataObject) -> None:
    first, last = sorted(data.draw(st.integers(stamps[0], stamps[-1])) for _ in range(2))
    found = WindowPoses(np.array(stamps), np.zeros((len(stamps), 7)), [str(ns) for ns in stamps], 1).used(first, last)
    before, after = max(ns for ns in stamps if ns <= first), min(ns for ns in stamps if ns >= last)
    assert found == ({str(ns) for ns in stamps if before <= ns <= after}, before, after)
