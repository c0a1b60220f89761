"""Whether a rig's mountings can be those of a road vehicle, and which usual mistake would explain those that cannot.

Needs no data: the checks that hold a sensor against its data search near the declared mounting, and see nothing of a gross error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sensors.geometry import SE3
from sensors.rig import Modality, Rig, Sensor

BELOW_GROUND_M = 0.05
FARTHEST_M = 12.0  # from the middle of the other sensors: the length of a coach
STEEPEST_DEG = 45.0  # of a camera's optical axis, upwards: it would show sky alone
# REP 103: the optical frame (z forward, x right, y down) in the body frame (x forward, y left, z up).
BODY_SE3_OPTICAL = SE3.from_wxyz((0.0, 0.0, 0.0), (0.5, -0.5, 0.5, -0.5))
_MEASURING = (Modality.LIDAR, Modality.CAMERA, Modality.RADAR)


def implausible(rig: Rig) -> Mapping[str, str]:
    """By sensor, what its declared mounting contradicts, in words; a sensor without a mounting is left out."""
    placed = [sensor for sensor in rig.sensors if sensor.modality in _MEASURING and sensor.ego_SE3_sensor is not None]
    found = {}
    for sensor in placed:
        others = [other for other in placed if other is not sensor]
        problems = _problems(sensor, _pose(sensor), others, rig.ground_z_m)
        if problems:
            found[sensor.name] = "; ".join([*problems, *_explanations(sensor, others, rig.ground_z_m)])
    unset = [sensor.name for sensor in placed if _is_identity(_pose(sensor))]
    if len(unset) > 1:
        for name in unset:
            found.setdefault(name, f"{', '.join(unset)} are all at the origin and not turned: their mountings were never set")
    return found


def _problems(sensor: Sensor, pose: SE3, others: list[Sensor], ground_z_m: float | None) -> list[str]:
    found = []
    height_m = float(pose.translation_m[2])
    if ground_z_m is not None and height_m < ground_z_m - BELOW_GROUND_M:
        found.append(f"it is {ground_z_m - height_m:.2f} m below the ground")
    if others:
        middle = np.median([_pose(other).translation_m for other in others], axis=0)
        away_m = float(np.linalg.norm(pose.translation_m - middle))
        if away_m > FARTHEST_M:
            found.append(f"it is {away_m:.1f} m from the other sensors")
    if sensor.modality is Modality.CAMERA:
        up_deg = math.degrees(math.asin(float(np.clip(pose.rotation[2, 2], -1.0, 1.0))))
        if up_deg > STEEPEST_DEG:
            found.append(f"its optical axis points {up_deg:.0f}° upwards")
    return found


def _explanations(sensor: Sensor, others: list[Sensor], ground_z_m: float | None) -> list[str]:
    pose = _pose(sensor)
    w, x, y, z = pose.wxyz.tolist()
    hypotheses = {
        "the transform is the inverse of what it should be": pose.inverse(),
        "the quaternion is in the order x y z w": SE3.from_wxyz(pose.translation_m, (z, w, x, y)),
    }
    if sensor.modality is Modality.CAMERA:
        optical = SE3.from_wxyz(pose.translation_m, (pose @ BODY_SE3_OPTICAL).wxyz)
        hypotheses["the axes are those of the camera's body, not of its optical frame"] = optical
    usual = [words for words, other in hypotheses.items() if _is_usual(sensor, other, others, ground_z_m)]
    return [f"it would be plausible if {words}" for words in usual]


def _is_usual(sensor: Sensor, pose: SE3, others: list[Sensor], ground_z_m: float | None) -> bool:
    """Stricter than the checks: a hypothesis explains only what it makes ordinary."""
    level = sensor.modality is not Modality.CAMERA or abs(float(pose.rotation[2, 2])) < math.sin(math.radians(STEEPEST_DEG))
    return level and not _problems(sensor, pose, others, ground_z_m)


def _pose(sensor: Sensor) -> SE3:
    assert sensor.ego_SE3_sensor is not None
    return sensor.ego_SE3_sensor


def _is_identity(pose: SE3) -> bool:
    return not pose.translation_m.any() and bool(np.allclose(np.abs(pose.wxyz), (1.0, 0.0, 0.0, 0.0), atol=1e-12))
