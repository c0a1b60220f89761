"""Motion compensation against motion whose solution is known in closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sensors.geometry import SE3
from sensors.motion.deskew import compensate

EPOCH_NS = 1_700_000_000_123_456_789
MS = 1_000_000
SPEED_M_S, YAW_RATE_RAD_S = 20.0, 0.5
START_M = np.array([4_000_000.0, -2_000_000.0, 300.0])  # map coordinates far from the origin
SLOPE = SE3.from_wxyz((0.0, 0.0, 0.0), (math.cos(0.1), math.sin(0.1), 0.0, 0.0))
EGO_SE3_LIDAR = SE3.from_wxyz((1.2, 0.1, 1.8), (math.cos(0.4), 0.0, math.sin(0.4), 0.0))
BRACKET_NS = 50 * MS
Floats = npt.NDArray[np.float64]


def odom_SE3_ego(at_ns: int) -> SE3:
    """A circle at constant speed and yaw rate, in closed form, on a slope: rotations about one axis only would commute."""
    t = (at_ns - EPOCH_NS) / 1e9
    angle, radius = YAW_RATE_RAD_S * t, SPEED_M_S / YAW_RATE_RAD_S
    position = START_M + radius * np.array([math.sin(angle), 1 - math.cos(angle), 0.0])
    return SLOPE @ SE3.from_wxyz(position, (math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2)))


def pose_samples(first_ms: int, last_ms: int, step_ms: int = 10) -> tuple[list[int], Floats]:
    stamps = [EPOCH_NS + at * MS for at in range(first_ms, last_ms + 1, step_ms)]
    poses = [odom_SE3_ego(at) for at in stamps]
    return stamps, np.array([[*pose.translation_m, *pose.wxyz] for pose in poses])


def sweep(count: int = 400) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Points of a still world as seen from the moving lidar, each at its own time, and those times."""
    random = np.random.default_rng(7)
    world = SLOPE.apply(START_M + random.uniform(-60, 60, size=(count, 3)))
    offsets_ns = np.linspace(-100 * MS, 0, count).astype(np.int64)
    seen = [
        (odom_SE3_ego(EPOCH_NS + int(offset)) @ EGO_SE3_LIDAR).inverse().apply(point[None])[0]
        for point, offset in zip(world, offsets_ns, strict=True)
    ]
    return np.array(seen), offsets_ns


def still(seen: Floats, offsets_ns: npt.NDArray[np.int64], reference_ns: int) -> Floats:
    """Where the lidar would have seen the points at the reference time, by composing whole transforms."""
    lidar_SE3_odom = (odom_SE3_ego(reference_ns) @ EGO_SE3_LIDAR).inverse()
    world = [
        (odom_SE3_ego(EPOCH_NS + int(offset)) @ EGO_SE3_LIDAR).apply(point[None])[0]
        for point, offset in zip(seen, offsets_ns, strict=True)
    ]
    return lidar_SE3_odom.apply(np.array(world))


def run(points: npt.NDArray[Any], offsets_ns: npt.NDArray[np.int64], reference_ns: int, poses: tuple[list[int], Floats]) -> Any:
    return compensate(points, offsets_ns, EPOCH_NS, reference_ns, *poses, EGO_SE3_LIDAR, BRACKET_NS)


@pytest.mark.parametrize("reference_ms", [0, -50, -100, -37])
def test_a_turning_car_is_compensated_within_a_millimetre(reference_ms: int) -> None:
    seen, offsets_ns = sweep()
    reference_ns = EPOCH_NS + reference_ms * MS
    expected = still(seen, offsets_ns, reference_ns)
    found = run(seen.astype(np.float32), offsets_ns, reference_ns, pose_samples(-110, 10))
    errors_mm = 1000 * np.linalg.norm(found.xyz_m - expected, axis=1)
    skew_mm = 1000 * np.linalg.norm(seen - expected, axis=1)
    assert found.complete
    assert found.xyz_m.dtype == np.float32
    assert skew_mm.max() > 900  # there was something to correct
    # A chord leaves its arc by v * rate * dt^2 / 8 = 0.13 mm between poses 10 ms apart.
    assert errors_mm.max() < 0.2


def test_a_car_that_stands_still_leaves_the_points_alone() -> None:
    seen, offsets_ns = sweep()
    pose = [*odom_SE3_ego(EPOCH_NS).translation_m, *odom_SE3_ego(EPOCH_NS).wxyz]
    found = run(
        seen.astype(np.float32),
        offsets_ns,
        EPOCH_NS,
        ([EPOCH_NS - 110 * MS + i * 10 * MS for i in range(12)], np.array([pose] * 12)),
    )
    np.testing.assert_allclose(found.xyz_m, seen, rtol=0, atol=1e-5)


def test_points_outside_of_the_poses_stay_and_are_named() -> None:
    seen, offsets_ns = sweep()
    points = seen.astype(np.float32)
    found = run(points, offsets_ns, EPOCH_NS, pose_samples(-50, 0))
    assert not found.complete
    np.testing.assert_array_equal(found.valid, offsets_ns >= -50 * MS)
    np.testing.assert_array_equal(found.xyz_m[~found.valid], points[~found.valid])
    expected = still(seen, offsets_ns, EPOCH_NS)[found.valid]
    np.testing.assert_allclose(found.xyz_m[found.valid], expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("reference_ms", "poses"),
    [
        pytest.param(11, pose_samples(-110, 10), id="reference-after-the-last-pose"),
        pytest.param(-5, pose_samples(-120, 60, step_ms=60), id="gap-wider-than-the-bracket"),
        pytest.param(0, ([], np.empty((0, 7))), id="no-poses"),
    ],
)
def test_without_a_reference_pose_nothing_moves_and_the_result_says_so(
    reference_ms: int, poses: tuple[list[int], Floats]
) -> None:
    seen, offsets_ns = sweep(20)
    points = seen.astype(np.float32)
    found = run(points, offsets_ns, EPOCH_NS + reference_ms * MS, poses)
    assert not found.valid.any()
    np.testing.assert_array_equal(found.xyz_m, points)


def test_points_without_a_position_stay_recognisable() -> None:
    points = np.array([[0, 0, 0], [np.nan, 1, 1], [np.inf, 0, 0], [5, 5, 5], [0, 0, 0]], dtype=np.float32)
    offsets_ns = np.array([-50, -50, -50, -50, -5000]) * MS
    found = run(points, offsets_ns, EPOCH_NS, pose_samples(-110, 10))
    np.testing.assert_array_equal(found.xyz_m[[0, 1, 2, 4]], points[[0, 1, 2, 4]])
    assert not np.array_equal(found.xyz_m[3], points[3])
    assert found.complete  # the last point's time has no pose, but there is nothing to move


def test_the_input_is_not_changed() -> None:
    seen, offsets_ns = sweep(10)
    points = seen.astype(np.float32)
    before = points.copy()
    run(points, offsets_ns, EPOCH_NS, pose_samples(-110, 10))
    np.testing.assert_array_equal(points, before)


def test_an_empty_sweep_is_complete() -> None:
    found = run(np.empty((0, 3), np.float32), np.empty(0, np.int64), EPOCH_NS, pose_samples(-110, 10))
    assert (found.complete, found.xyz_m.shape) == (True, (0, 3))


def test_an_absurd_offset_is_a_point_that_cannot_be_moved() -> None:
    offsets_ns = np.array([-4 * 10**18, 4 * 10**18, 0])
    found = run(np.ones((3, 3), np.float32), offsets_ns, EPOCH_NS, pose_samples(-110, 10))
    assert found.valid.tolist() == [False, False, True]


def test_points_and_times_must_belong_together() -> None:
    with pytest.raises(ValueError, match=r"2 time offsets need points of shape \(2, 3\), got \(3, 3\)"):
        run(np.ones((3, 3), np.float32), np.zeros(2, np.int64), EPOCH_NS, pose_samples(-110, 10))
