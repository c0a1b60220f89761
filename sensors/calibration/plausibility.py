"""Whether a rig's mountings can be those of a road vehicle, and which usual mistake would explain those that cannot.

Needs no data: the checks that hold a sensor against its data search near the declared mounting, and see nothing of a gross error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sensors.geometry import SE3
from sensors.rig import Modality, Rig, Sensor

BELOW_GROUND_M = 0.05
FARTHEST_M = 12.0  # from the middle of the other sensors: the length of a coach
STEEPEST_DEG = 45.0  # of a camera's optical axis, upwards: it would show sky alone
ROLLED_DEG = 45.0  # of the right of its image, up or down
OVERTURNED_DEG = 20.0  # of the bottom of its image, upwards; that of a camera that looks straight down is level
NEARER_M = 0.5  # to the other sensors: by less, a place does not tell one mounting from another
INVERSE = "the transform is the inverse of what it should be"
# REP 103: the optical frame (z forward, x right, y down) in the body frame (x forward, y left, z up).
BODY_SE3_OPTICAL = SE3.from_wxyz((0.0, 0.0, 0.0), (0.5, -0.5, 0.5, -0.5))
_MEASURING = (Modality.LIDAR, Modality.CAMERA, Modality.RADAR)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What a declared mounting contradicts. `certain`: no vehicle has it; otherwise a camera may be mounted so on purpose."""

    message: str
    certain: bool = True


def implausible(rig: Rig) -> Mapping[str, Contradiction]:
    """By sensor, what its declared mounting contradicts; a sensor without a mounting is left out."""
    placed = [sensor for sensor in rig.sensors if sensor.modality in _MEASURING and sensor.ego_SE3_sensor is not None]
    found = {}
    for sensor in placed:
        others = [other for other in placed if other is not sensor]
        problems = _problems(sensor, _pose(sensor), others, rig.ground_z_m)
        explanations = _explanations(sensor, others, rig.ground_z_m)
        # Each mistake explains the roll of some camera that is mounted so on purpose, but the inverse its place as well.
        nearer_m = _away_m(_pose(sensor), others) - _away_m(_pose(sensor).inverse(), others)
        certain = bool(problems) or (INVERSE in explanations and nearer_m > NEARER_M)
        if explanations:
            problems += _rolled(sensor, _pose(sensor))
        if problems:
            reasons = [f"it would be plausible if {reason}" for reason in explanations]
            found[sensor.name] = Contradiction("; ".join([*problems, *reasons]), certain)
    unset = [sensor.name for sensor in placed if not _pose(sensor).translation_m.any()]
    if len(unset) > 1:
        for name in unset:
            message = f"{', '.join(unset)} are all at the origin, and no two sensors can be: their mountings were never set"
            found.setdefault(name, Contradiction(message))
    return found


def _problems(sensor: Sensor, pose: SE3, others: list[Sensor], ground_z_m: float | None) -> list[str]:
    found = []
    height_m = float(pose.translation_m[2])
    if ground_z_m is not None and height_m < ground_z_m - BELOW_GROUND_M:
        found.append(f"it is {ground_z_m - height_m:.2f} m below the ground")
    away_m = _away_m(pose, others)
    if away_m > FARTHEST_M:
        found.append(f"it is {away_m:.1f} m from the other sensors")
    if sensor.modality is Modality.CAMERA:
        _, _, axis_deg = _elevations_deg(pose)
        if axis_deg > STEEPEST_DEG:
            found.append(f"its optical axis points {axis_deg:.0f}° upwards")
    return found


def _rolled(sensor: Sensor, pose: SE3) -> list[str]:
    if sensor.modality is not Modality.CAMERA:
        return []
    right_deg, down_deg, _ = _elevations_deg(pose)
    if abs(right_deg) > ROLLED_DEG:
        return [f"its image lies on its side: its right points {abs(right_deg):.0f}° {'up' if right_deg > 0 else 'down'}"]
    if down_deg > OVERTURNED_DEG:
        return [f"its image is upside down: its bottom points {down_deg:.0f}° upwards"]
    return []


def _elevations_deg(pose: SE3) -> tuple[float, float, float]:
    """How far the axes of an optical frame (right, down, ahead) point upwards."""
    right, down, ahead = (math.degrees(math.asin(value)) for value in np.clip(pose.rotation[2], -1.0, 1.0).tolist())
    return right, down, ahead


def _explanations(sensor: Sensor, others: list[Sensor], ground_z_m: float | None) -> list[str]:
    pose = _pose(sensor)
    w, x, y, z = pose.wxyz.tolist()
    hypotheses = {
        INVERSE: pose.inverse(),
        "the quaternion is in the order x y z w": SE3.from_wxyz(pose.translation_m, (z, w, x, y)),
    }
    if sensor.modality is Modality.CAMERA:
        optical = SE3.from_wxyz(pose.translation_m, (pose @ BODY_SE3_OPTICAL).wxyz)
        hypotheses["the axes are those of the camera's body, not of its optical frame"] = optical
    return [words for words, other in hypotheses.items() if _is_usual(sensor, other, others, ground_z_m)]


def _is_usual(sensor: Sensor, pose: SE3, others: list[Sensor], ground_z_m: float | None) -> bool:
    """Stricter than the checks: a hypothesis explains only what it makes ordinary."""
    if sensor.modality is Modality.CAMERA:
        level = abs(_elevations_deg(pose)[2]) < STEEPEST_DEG and not _rolled(sensor, pose)
        if not level or _away_m(pose, others) > _away_m(_pose(sensor), others) + NEARER_M:
            return False
    return not _problems(sensor, pose, others, ground_z_m)


def _away_m(pose: SE3, others: list[Sensor]) -> float:
    """From the middle of the other sensors; 0 without any."""
    if not others:
        return 0.0
    middle = np.median([_pose(other).translation_m for other in others], axis=0)
    return float(np.linalg.norm(pose.translation_m - middle))


def _pose(sensor: Sensor) -> SE3:
    assert sensor.ego_SE3_sensor is not None
    return sensor.ego_SE3_sensor
