"""Mountings that no road vehicle has are named, with the mistake that explains them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fleet.synthetic.spec import RigOptions
from fleet.synthetic.vehicle import build_rig
from sensors.calibration.plausibility import BODY_SE3_OPTICAL
from sensors.calibration.plausibility import implausible as contradictions
from sensors.geometry import SE3
from sensors.rig import Rig

RIG = build_rig(RigOptions())
FRONT = "camera_front"


def implausible(rig: Rig) -> dict[str, str]:
    return {name: found.message for name, found in contradictions(rig).items()}


def mounted(name: str, pose: SE3, rig: Rig = RIG) -> Rig:
    sensors = tuple(replace(sensor, ego_SE3_sensor=pose) if sensor.name == name else sensor for sensor in rig.sensors)
    return replace(rig, sensors=sensors)


def pose_of(name: str) -> SE3:
    pose = RIG[name].ego_SE3_sensor
    assert pose is not None
    return pose


def pitched(up_deg: float) -> SE3:
    half = math.radians(up_deg) / 2  # about x of the optical frame, to the right
    front = pose_of(FRONT)
    return front @ SE3.from_wxyz((0, 0, 0), (math.cos(half), math.sin(half), 0, 0))


def test_a_usual_rig_is_plausible() -> None:
    assert implausible(RIG) == {}
    unplaced = replace(RIG, sensors=tuple(replace(sensor, ego_SE3_sensor=None) for sensor in RIG.sensors))
    assert implausible(unplaced) == {}


def test_the_optical_frame_looks_ahead() -> None:
    right, down, ahead = BODY_SE3_OPTICAL.rotation.T
    np.testing.assert_allclose([ahead, right, down], [[1, 0, 0], [0, -1, 0], [0, 0, -1]], atol=1e-12)


def test_an_inverted_camera_is_named() -> None:
    problem = implausible(mounted(FRONT, pose_of(FRONT).inverse()))[FRONT]
    assert "below the ground" in problem
    assert "it would be plausible if the transform is the inverse of what it should be" in problem


def test_axes_of_the_body_are_named() -> None:
    body = SE3.from_wxyz(pose_of(FRONT).translation_m, (1.0, 0.0, 0.0, 0.0))
    assert implausible(mounted(FRONT, body))[FRONT] == (
        "its optical axis points 90° upwards; "
        "it would be plausible if the axes are those of the camera's body, not of its optical frame"
    )


@pytest.mark.parametrize(("up_deg", "found"), [(-80, False), (20, False), (42, False), (50, True), (89, True)])
def test_an_axis_in_the_sky_is_found(up_deg: float, found: bool) -> None:
    assert (FRONT in implausible(mounted(FRONT, pitched(up_deg)))) is found


@pytest.mark.parametrize(("away_m", "found"), [(5.0, False), (40.0, True)])
def test_a_sensor_far_from_the_others_is_found(away_m: float, found: bool) -> None:
    lidar = pose_of(RIG.reference)
    moved = SE3.from_wxyz(lidar.translation_m + np.array([away_m, 0.0, 0.0]), lidar.wxyz)
    assert (RIG.reference in implausible(mounted(RIG.reference, moved))) is found


def test_one_sensor_may_be_the_origin_and_two_may_not() -> None:
    one = mounted(RIG.reference, SE3.identity())
    assert implausible(one) == {}
    two = mounted("radar_front", SE3.identity(), one)
    assert set(implausible(two)) == {RIG.reference, "radar_front"}
    assert "never set" in implausible(two)["radar_front"]
    turned = mounted(FRONT, BODY_SE3_OPTICAL, one)
    assert set(implausible(turned)) == {RIG.reference, FRONT}, "an optical frame says nothing of where the camera is"


# ---- without a word on where the ground is, as in the rigs of public datasets ----

UNPLACED = replace(RIG, ground_z_m=None)
NUSCENES_FRONT = SE3.from_wxyz((1.70, 0.02, 1.51), BODY_SE3_OPTICAL.wxyz)
ABOUT_AXIS = {"over": (0.0, 0.0, 0.0, 1.0), "right": (0.5**0.5, 0.0, 0.0, 0.5**0.5), "left": (0.5**0.5, 0.0, 0.0, -(0.5**0.5))}


def facing(yaw_deg: float, *, x_forward: bool = True) -> SE3:
    """A level camera that looks to the left by `yaw_deg`, half a metre to that side of the middle of the roof."""
    turn = math.radians(yaw_deg + (0 if x_forward else 90))
    about_z = SE3.from_wxyz((0, 0, 0), (math.cos(turn / 2), 0, 0, math.sin(turn / 2)))
    rotation = (about_z @ BODY_SE3_OPTICAL).wxyz
    return SE3.from_wxyz((0.5 * math.cos(turn), 0.5 * math.sin(turn), 1.6), rotation)


def test_an_inverse_is_named_by_how_the_image_then_lies() -> None:
    found = contradictions(mounted(FRONT, NUSCENES_FRONT.inverse(), UNPLACED))[FRONT]
    assert found.certain
    assert found.message == (
        "its image lies on its side: its right points 90° up; "
        "it would be plausible if the transform is the inverse of what it should be"
    )


@pytest.mark.parametrize("x_forward", [True, False])
@pytest.mark.parametrize("yaw_deg", range(-180, 180, 15))
def test_a_level_camera_is_plausible_whatever_it_looks_at(yaw_deg: int, x_forward: bool) -> None:
    assert implausible(mounted(FRONT, facing(yaw_deg, x_forward=x_forward), UNPLACED)) == {}


@pytest.mark.parametrize("roll", list(ABOUT_AXIS))
@pytest.mark.parametrize("yaw_deg", range(-180, 180, 15))
def test_a_camera_that_is_rolled_on_purpose_does_not_condemn_a_drive(yaw_deg: int, roll: str) -> None:
    pose = facing(yaw_deg) @ SE3.from_wxyz((0, 0, 0), ABOUT_AXIS[roll])
    found = contradictions(mounted(FRONT, pose, UNPLACED)).get(FRONT)
    assert found is None or not found.certain


def test_a_swapped_quaternion_that_rolls_the_image_is_a_warning() -> None:
    w, x, y, z = facing(180).wxyz.tolist()
    swapped = SE3.from_wxyz(facing(180).translation_m, (x, y, z, w))
    found = contradictions(mounted(FRONT, swapped, UNPLACED))[FRONT]
    assert not found.certain
    assert found.message == (
        "its image is upside down: its bottom points 90° upwards; it would be plausible if the quaternion is in the order x y z w"
    )
