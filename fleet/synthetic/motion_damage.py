"""What goes wrong in poses and inertial measurements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fleet.fault_kinds import FaultKind
from fleet.faults import Fault
from sensors.geometry import SE3

MOTION_DAMAGE = frozenset(
    {
        FaultKind.POSE_JUMP,
        FaultKind.POSE_SCALE,
        FaultKind.POSE_SHAKE,
        FaultKind.GYRO_BIAS,
        FaultKind.ACCELERATION_BIAS,
    }
)
SHAKE_HZ = 1.0
YAW_RATE, FORWARD = 2, 3  # places in an inertial sample


def damaged_motion(payload: Any, fault: Fault, since_start_ns: int) -> Any:
    """The pose (SE3) or inertial sample (6,) after a fault of `MOTION_DAMAGE`."""
    size = fault.size or 0.0
    match fault.kind:
        case FaultKind.POSE_JUMP:
            return _aside(payload, size)
        case FaultKind.POSE_SHAKE:
            return _aside(payload, size * math.sin(2.0 * math.pi * SHAKE_HZ * since_start_ns * 1e-9))
        case FaultKind.POSE_SCALE:
            return SE3.from_wxyz(payload.translation_m * size, payload.wxyz)
    sample = np.array(payload)
    sample[YAW_RATE if fault.kind is FaultKind.GYRO_BIAS else FORWARD] += size
    return sample


def _aside(pose: SE3, left_m: float) -> SE3:
    return SE3.from_wxyz(pose.translation_m + left_m * pose.rotation[:, 1], pose.wxyz)
