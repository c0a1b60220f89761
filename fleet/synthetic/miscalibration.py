"""Faults of the declared calibration: the data stay true, so the size of the error is known exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fleet.fault_kinds import FaultKind
from fleet.faults import Amounts, Fault, FaultEffect
from fleet.synthetic.vehicle import BODY_OF_CAMERA, mounted
from sensors.geometry import SE3
from sensors.rig import Modality, Rig, Sensor

CM_PER_M = 100.0
GROSS = frozenset({FaultKind.SWAP_QUATERNION, FaultKind.INVERT_EXTRINSIC, FaultKind.BODY_AXES, FaultKind.DEGREES_EXTRINSIC})
MOUNTING_FAULTS = GROSS | {FaultKind.ROTATE_EXTRINSIC, FaultKind.SHIFT_EXTRINSIC}


def miscalibrated(document: dict[str, Any], rig: Rig, fault: Fault) -> dict[str, Any]:
    """The `calibration.json` document of a rig after a fault; other kinds of faults leave it unchanged.

    A turn is about the sensor's own axes x forward, y left, z up (of a camera: along its optical axis, and upright), in the
    order yaw, pitch, roll; a shift is along the vehicle's axes. Of the lens, amounts are factors.
    """
    name = fault.sensor or rig.reference
    if fault.kind is FaultKind.UNLISTED_SENSOR:
        return {**document, "sensors": [entry for entry in document["sensors"] if entry["name"] != name]}
    entries = [entry if entry["name"] != name else _changed(entry, rig, fault) for entry in document["sensors"]]
    return {**document, "sensors": entries}


def calibration_effect(fault: Fault, rig: Rig) -> FaultEffect:
    """What a fault of calibration does, for the ground truth."""
    return FaultEffect(
        calibrated_sensor=fault.sensor or rig.reference,
        turn_deg=_by_name(fault.turn_deg),
        shift_cm=_by_name(fault.shift_cm),
        lens_factors=_by_name(fault.lens),
    )


def _by_name(amounts: Amounts | None) -> dict[str, float] | None:
    return None if amounts is None else dict(amounts)


def _changed(entry: dict[str, Any], rig: Rig, fault: Fault) -> dict[str, Any]:
    pose = entry["ego_SE3_sensor"]
    match fault.kind:
        case FaultKind.BAD_CALIBRATION:
            return {**entry, "ego_SE3_sensor": {**pose, "rotation_wxyz": [value / 2.0 for value in pose["rotation_wxyz"]]}}
        case FaultKind.ROTATE_EXTRINSIC:
            turned = _turned(rig, fault)
            return {**entry, "ego_SE3_sensor": {**pose, "rotation_wxyz": [float(value) for value in turned.wxyz]}}
        case FaultKind.SHIFT_EXTRINSIC:
            by_cm = dict(fault.shift_cm or ())
            moved = [at + by_cm.get(axis, 0.0) / CM_PER_M for axis, at in zip("xyz", pose["translation_m"], strict=True)]
            return {**entry, "ego_SE3_sensor": {**pose, "translation_m": moved}}
        case kind if kind in GROSS:
            wrong = _grossly_wrong(rig, fault)
            turn, place = ([float(value) for value in part] for part in (wrong.wxyz, wrong.translation_m))
            return {**entry, "ego_SE3_sensor": {**pose, "rotation_wxyz": turn, "translation_m": place}}
        case FaultKind.WRONG_INTRINSICS:
            return {**entry, "intrinsics": _lens(entry["intrinsics"], dict(fault.lens or ()))}
    return entry


def _turned(rig: Rig, fault: Fault) -> SE3:
    sensor = rig[fault.sensor or rig.reference]
    pose = _mounting(sensor)
    by_deg = dict(fault.turn_deg or ())
    turn = mounted((0.0, 0.0, 0.0), (by_deg.get("yaw", 0.0), by_deg.get("pitch", 0.0), by_deg.get("roll", 0.0)))
    if sensor.modality is Modality.CAMERA:
        turn = BODY_OF_CAMERA.inverse() @ turn @ BODY_OF_CAMERA
    return pose @ turn


def _grossly_wrong(rig: Rig, fault: Fault) -> SE3:
    sensor = rig[fault.sensor or rig.reference]
    pose = _mounting(sensor)
    if fault.kind is FaultKind.SWAP_QUATERNION:
        w, x, y, z = pose.wxyz
        return SE3.from_wxyz(pose.translation_m, (x, y, z, w))
    if fault.kind is FaultKind.INVERT_EXTRINSIC:
        return pose.inverse()
    body = pose @ BODY_OF_CAMERA.inverse() if sensor.modality is Modality.CAMERA else pose
    if fault.kind is FaultKind.BODY_AXES:
        return body
    w, *axis = body.wxyz
    half_rad = math.degrees(math.atan2(math.hypot(*axis), w))
    along = np.array(axis) / max(math.hypot(*axis), 1e-12)
    turned = SE3.from_wxyz(pose.translation_m, (math.cos(half_rad), *(math.sin(half_rad) * along)))
    return turned @ BODY_OF_CAMERA if sensor.modality is Modality.CAMERA else turned


def _mounting(sensor: Sensor) -> SE3:
    if sensor.ego_SE3_sensor is None:
        raise ValueError(f"{sensor.name} has no pose")
    return sensor.ego_SE3_sensor


def _lens(intrinsics: dict[str, Any], by: dict[str, float]) -> dict[str, Any]:
    focal, size = by.get("focal", 1.0), by.get("size", 1.0)
    return {
        **intrinsics,
        "fx_px": intrinsics["fx_px"] * focal,
        "fy_px": intrinsics["fy_px"] * focal,
        "cx_px": intrinsics["cx_px"] * by.get("centre_x", 1.0),
        "cy_px": intrinsics["cy_px"] * by.get("centre_y", 1.0),
        "width_px": int(np.ceil(intrinsics["width_px"] * size)),
        "height_px": int(np.ceil(intrinsics["height_px"] * size)),
    }
