"""Poses around a scene: steady motion passes, and each kind of fault is reported by its own rule."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from quality.evaluators.pose import Fixes, Inertial, evaluate_poses
from quality.rules.rulebook import DEFAULT_RULES
from sensors.geometry import SE3, metres_per_degree
from sensors.motion.track_metrics import EgoTrack

T0 = 1_700_000_000_000_000_000
HZ, SECONDS = 50, 8
SPEED_M_S, RADIUS_M = 12.0, 60.0
TIMES_S = np.arange(HZ * SECONDS) / HZ
STAMPS_NS = T0 + (TIMES_S * 1e9).astype(np.int64)
ANCHORS_NS = T0 + (np.arange(5, 75) * 10**8)
Floats = npt.NDArray[np.float64]


def poses() -> Floats:
    angle = TIMES_S * SPEED_M_S / RADIUS_M
    found = np.zeros((len(angle), 7))
    found[:, 0], found[:, 1] = RADIUS_M * np.sin(angle), RADIUS_M * (1 - np.cos(angle))
    found[:, 3], found[:, 6] = np.cos(angle / 2), np.sin(angle / 2)
    return found


def inertial(yaw_rate: float = SPEED_M_S / RADIUS_M, forward: float = 0.0, turned: bool = False) -> Inertial:
    rates, accelerations = np.zeros((len(TIMES_S), 3)), np.zeros((len(TIMES_S), 3))
    rates[:, 2], accelerations[:, 0], accelerations[:, 2] = yaw_rate, forward, 9.81
    mounting = SE3.identity()
    if turned:  # upside down: its x is the ego's x, its z the ego's -z
        mounting = SE3.from_wxyz((0, 0, 0), (0, 1, 0, 0))
        rates[:, 2], accelerations[:, 2] = -yaw_rate, -9.81
    return Inertial(STAMPS_NS, rates, accelerations, mounting)


def fixes(scale: float = 1.0, turn: bool = True) -> Fixes:
    """Positions of the track, in a frame that may be turned against that of the poses."""
    x, y = poses()[::5, :2].T * scale
    east, north = (-y, x) if turn else (x, y)
    per_latitude_m, per_longitude_m = metres_per_degree(48.0)
    positions = np.stack([48.0 + north / per_latitude_m, 11.0 + east / per_longitude_m, np.zeros(len(x))], axis=1)
    return Fixes(STAMPS_NS[::5], positions)


def judged(
    track: Floats, imu: Inertial | None = None, gnss: Fixes | None = None, has_pose: npt.NDArray[np.bool_] | None = None
) -> dict[str, list[int]]:
    there = np.ones(len(ANCHORS_NS), dtype=bool) if has_pose is None else has_pose
    found = evaluate_poses("pose", ANCHORS_NS, there, EgoTrack.of(STAMPS_NS, track), imu, gnss, DEFAULT_RULES)
    by_rule: dict[str, list[int]] = {}
    for scene, entries in found.items():
        for entry in entries:
            by_rule.setdefault(entry.rule_id, []).append(scene)
    return by_rule


@pytest.mark.parametrize("turned", [False, True])
def test_steady_motion_agrees_with_what_moves_along(turned: bool) -> None:
    assert judged(poses(), inertial(turned=turned), fixes()) == {}


def test_a_jump_concerns_the_scenes_around_it() -> None:
    track = poses()
    track[200:, 1] += 0.5  # at 4.0 s
    scenes = judged(track)["POS002"]
    assert scenes == list(range(33, 38 + 1))[: len(scenes)] or {35, 36} <= set(scenes)
    assert all(3.75 <= 0.5 + scene / 10 <= 4.25 for scene in scenes)


def test_speed_and_acceleration_have_limits() -> None:
    fast = poses()
    fast[:, :2] *= 8
    assert len(judged(fast)["POS003"]) == len(ANCHORS_NS)
    shaken = poses()
    shaken[:, 1] += np.sin(2 * np.pi * TIMES_S)
    assert judged(shaken)["POS004"]


def test_the_imu_contradicts() -> None:
    assert set(judged(poses(), inertial(yaw_rate=0.26))) == {"POS005"}
    assert set(judged(poses(), inertial(yaw_rate=0.24))) == set()
    assert set(judged(poses(), inertial(forward=2.7))) == {"POS006"}


def test_gnss_contradicts_a_distance_and_not_a_direction() -> None:
    assert set(judged(poses(), gnss=fixes(scale=1.1))) == {"POS007"}
    assert set(judged(poses(), gnss=fixes(turn=False))) == set()


def test_what_cannot_be_compared_is_unknown_where_there_is_a_sensor() -> None:
    empty = Inertial(STAMPS_NS[:0], np.zeros((0, 3)), np.zeros((0, 3)), SE3.identity())
    nowhere = Fixes(STAMPS_NS[:0], np.zeros((0, 3)))
    found = evaluate_poses(
        "pose", ANCHORS_NS, np.ones(len(ANCHORS_NS), dtype=bool), EgoTrack.of(STAMPS_NS, poses()), empty, nowhere, DEFAULT_RULES
    )
    assert {(entry.rule_id, entry.measured) for entries in found.values() for entry in entries} == {
        ("POS005", None), ("POS006", None), ("POS007", None)
    }  # fmt: skip


def test_scenes_without_a_pose_are_left_to_their_own_rule() -> None:
    there = np.zeros(len(ANCHORS_NS), dtype=bool)
    there[10:12] = True
    fast = poses()
    fast[:, :2] *= 8
    assert judged(fast, has_pose=there)["POS003"] == [10, 11]
