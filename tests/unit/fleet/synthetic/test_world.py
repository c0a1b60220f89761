"""The road and its boxes: velocities and rates are derivatives, and ray casting agrees with a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.synthetic.raycast import GROUND, NOTHING, cast
from fleet.synthetic.trajectory import Trajectory, seconds
from fleet.synthetic.world import World, is_light_square

STEP_S = 1e-4


@pytest.mark.parametrize("seed", [0, 1, 99])
def test_position_is_the_integral_of_velocity(seed: int) -> None:
    road = Trajectory(seed, -5.0, 20.0)
    s = np.linspace(-4.9, 19.9, 4001) + 1e-3
    before, now, after = road.at(s - STEP_S), road.at(s), road.at(s + STEP_S)
    np.testing.assert_allclose((after.position_m - before.position_m) / (2 * STEP_S), now.velocity_m_s, atol=2e-5)
    np.testing.assert_allclose((after.yaw_rad - before.yaw_rad) / (2 * STEP_S), now.yaw_rate_rad_s, atol=1e-6)
    speed = np.linalg.norm(after.velocity_m_s, axis=1) - np.linalg.norm(before.velocity_m_s, axis=1)
    np.testing.assert_allclose(speed / (2 * STEP_S), now.acceleration_m_s2, atol=1e-6)


def test_the_curve_is_the_same_however_far_it_reaches() -> None:
    s = np.linspace(0.0, 5.0, 101)
    np.testing.assert_allclose(Trajectory(4, -1.0, 6.0).at(s).position_m, Trajectory(4, -30.0, 60.0).at(s).position_m, atol=1e-10)


def test_the_curve_turns_with_a_yaw_rate_that_is_not_constant() -> None:
    rates = Trajectory(3, -1.0, 7.0).at(np.linspace(0.0, 6.0, 601)).yaw_rate_rad_s
    assert np.ptp(rates) > 0.05
    assert rates.min() < 0.0 < rates.max()


def test_the_drive_begins_at_the_origin() -> None:
    pose = World(5, 6.0).road.world_SE3_ego(0)
    np.testing.assert_allclose(pose.translation_m, np.zeros(3), atol=1e-12)


def test_outside_of_the_curve_there_is_no_motion() -> None:
    with pytest.raises(ValueError, match="leaves the curve"):
        Trajectory(0, 0.0, 1.0).at(np.array([2.0]))


def test_boxes_move_as_their_velocity_says() -> None:
    world = World(8, 4.0)
    now_ns = np.arange(0, 4_000_000_000, 250_000_000, dtype=np.int64)
    step_ns = 100_000
    before, now, after = (world.boxes_at(now_ns + shift) for shift in (-step_ns, 0, step_ns))
    span_s = 2 * step_ns * 1e-9
    np.testing.assert_allclose((after.centre_m - before.centre_m) / span_s, now.velocity_m_s, atol=5e-5)
    np.testing.assert_allclose((after.yaw_rad - before.yaw_rad) / span_s, now.yaw_rate_rad_s, atol=1e-5)
    moving = np.array([body.pace != 0.0 for body in world.bodies])
    assert moving.sum() >= 4
    assert (np.linalg.norm(now.velocity_m_s[:, moving], axis=-1) > 3.0).all()
    assert (now.velocity_m_s[:, ~moving] == 0.0).all()


def test_moving_boxes_head_where_they_go_and_stand_on_the_ground() -> None:
    world = World(8, 4.0)
    boxes = world.boxes_at(np.array([0, 2_000_000_000]))
    moving = np.array([body.pace != 0.0 for body in world.bodies])
    heading = np.stack([np.cos(boxes.yaw_rad), np.sin(boxes.yaw_rad)], axis=-1)[:, moving]
    velocity = boxes.velocity_m_s[:, moving, :2]
    np.testing.assert_allclose(np.einsum("tbd,tbd->tb", heading, velocity), np.linalg.norm(velocity, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(boxes.centre_m[..., 2], np.broadcast_to(boxes.size_m[:, 2] / 2, boxes.centre_m.shape[:2]))


def test_the_ego_vehicle_never_touches_a_box() -> None:
    for seed in range(5):
        world = World(seed, 6.0)
        now_ns = np.arange(0, 6_000_000_000, 50_000_000, dtype=np.int64)
        ego, boxes = world.road.at_ns(now_ns), world.boxes_at(now_ns)
        offset = ego.position_m[:, None, :] - boxes.centre_m[..., :2]
        along = np.abs(offset[..., 0] * np.cos(boxes.yaw_rad) + offset[..., 1] * np.sin(boxes.yaw_rad))
        across = np.abs(offset[..., 1] * np.cos(boxes.yaw_rad) - offset[..., 0] * np.sin(boxes.yaw_rad))
        clear = (along > boxes.size_m[:, 0] / 2 + 1.0) | (across > boxes.size_m[:, 1] / 2 + 1.0)
        assert clear.all(), seed


def test_the_checker_repeats_every_four_metres() -> None:
    x, y = np.array([0.5, 2.5, 0.5, -0.5]), np.array([0.5, 0.5, 2.5, 0.5])
    assert is_light_square(x, y).tolist() == [False, True, True, True]
    assert (is_light_square(x + 4.0, y - 8.0) == is_light_square(x, y)).all()


def test_rays_meet_what_a_plain_loop_says() -> None:
    world = World(21, 2.0)
    rng = np.random.default_rng(0)
    since_ns = np.arange(60, dtype=np.int64) * 10_000_000
    boxes = world.boxes_at(since_ns)
    motion = world.road.at_ns(since_ns)
    origin = np.column_stack([motion.position_m, np.full(60, 1.8)])
    azimuth = rng.uniform(-np.pi, np.pi, 60)[:, None]
    elevation = np.radians(np.linspace(-30.0, 12.0, 12))[None, :]
    flat = np.cos(elevation)
    direction = np.stack([np.cos(azimuth) * flat, np.sin(azimuth) * flat, np.sin(elevation) + 0.0 * azimuth], axis=-1)
    hits = cast(origin, direction, boxes, 80.0)
    kinds = set()
    for column in range(60):
        for ray in range(12):
            expected = _nearest(origin[column], direction[column, ray], boxes, column, 80.0)
            assert hits.target[column, ray] == expected[1]
            kinds.add(min(int(expected[1]), 0))
            if expected[1] != NOTHING:
                assert hits.range_m[column, ray] == pytest.approx(expected[0], abs=1e-9)
    assert kinds == {GROUND, NOTHING, 0}


def _nearest(origin, direction, boxes, column, limit):  # type: ignore[no-untyped-def]
    """Face by face: the plane is met first, then the point is looked up in the face."""
    best = (-origin[2] / direction[2], GROUND) if direction[2] < 0 else (np.inf, NOTHING)
    best = best if best[0] <= limit else (np.inf, NOTHING)
    for box in range(len(boxes.size_m)):
        yaw = boxes.yaw_rad[column, box]
        turn = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1.0]])
        start, ray = turn @ (origin - boxes.centre_m[column, box]), turn @ direction
        half = boxes.size_m[box] / 2
        for axis in range(3):
            for side in (-1.0, 1.0):
                if ray[axis] * side >= 0:
                    continue
                reach = (side * half[axis] - start[axis]) / ray[axis]
                point = start + reach * ray
                inside = all(abs(point[other]) <= half[other] for other in range(3) if other != axis)
                if 0 < reach <= limit and inside and reach < best[0]:
                    best = (reach, box)
    return best


def test_seconds_are_exact_for_a_drive() -> None:
    assert seconds(np.array([600_000_000_001], dtype=np.int64))[0] == pytest.approx(600.000000001, abs=1e-12)
