"""Faults of payload and of declaration, applied while a drive is recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fleet.errors import SpecError
from fleet.fault_kinds import FaultKind
from fleet.recording import Stream
from fleet.synthetic.cloud_damage import CLOUD_DAMAGE, damaged_cloud
from fleet.synthetic.image_damage import IMAGE_DAMAGE, damaged_image
from fleet.synthetic.miscalibration import miscalibrated
from fleet.synthetic.motion_damage import MOTION_DAMAGE, damaged_motion
from fleet.synthetic.schedule import Shot, seed_of
from fleet.synthetic.spec import DriveSpec
from sensors.rig import Modality, Rig

UNKNOWN_TYPE = "acme_msgs/msg/OpaqueScan"
UNKNOWN_DEFINITION = "builtin_interfaces/Time stamp\nstring frame_id\nuint8[] data\n"
CUT_SPAN = (0.3, 0.8)  # of the file: the header stays whole, the picture does not

_CLOUDS = (Modality.LIDAR, Modality.RADAR)
_NEEDED_MODALITY = {
    **dict.fromkeys((FaultKind.CUT_JPEG, *IMAGE_DAMAGE), (Modality.CAMERA,)),
    **dict.fromkeys((FaultKind.NAN_POINTS, FaultKind.DROP_POINTS, FaultKind.ZERO_POINTS), _CLOUDS),
    **dict.fromkeys((FaultKind.BLOCK_SECTOR, FaultKind.DROP_RINGS, FaultKind.FADE_INTENSITY), (Modality.LIDAR,)),
    **dict.fromkeys((FaultKind.EMPTY_SCAN, FaultKind.GHOSTS, FaultKind.FULL_LIST), (Modality.RADAR,)),
    FaultKind.REPEAT_CONTENT: (Modality.CAMERA, *_CLOUDS),
    **dict.fromkeys((FaultKind.POSE_JUMP, FaultKind.POSE_SCALE, FaultKind.POSE_SHAKE), (Modality.POSE,)),
    **dict.fromkeys((FaultKind.GYRO_BIAS, FaultKind.ACCELERATION_BIAS), (Modality.IMU,)),
    **dict.fromkeys((FaultKind.ROTATE_EXTRINSIC, FaultKind.SHIFT_EXTRINSIC), (Modality.LIDAR, Modality.CAMERA, Modality.RADAR)),
    FaultKind.WRONG_INTRINSICS: (Modality.CAMERA,),
}


def check_faults(spec: DriveSpec, rig: Rig) -> None:
    """Make sure that every fault can be applied to this rig.

    Raises:
        SpecError: A fault names a sensor that the rig lacks, or one of the wrong kind.

    """
    for fault in spec.faults:
        if fault.sensor is None:
            continue
        if fault.sensor not in rig:
            names = ", ".join(sensor.name for sensor in rig.sensors)
            raise SpecError(f"fault {fault}: the rig has no sensor {fault.sensor!r}, only {names}")
        needed = _NEEDED_MODALITY.get(fault.kind)
        if needed is not None and rig[fault.sensor].modality not in needed:
            raise SpecError(f"fault {fault}: {fault.sensor} is no {' or '.join(needed)}")
        if fault.kind is FaultKind.GHOSTS and not spec.rig.radar_states:
            raise SpecError(f"fault {fault}: detections have no states; set the rig option radar_states")


def damaged(payload: Any, shot: Shot, sensor: str, spec: DriveSpec, before: Any = None) -> Any:
    """The payload of a shot after the drive's payload faults; others leave it as it is. `before`: what was recorded before it."""
    for index in shot.faults:
        fault = spec.faults[index]
        if fault.kind is FaultKind.REPEAT_CONTENT:
            payload = payload if before is None else before
            continue
        # What covers a lens or a sector stays where it is: its place depends on the fault alone.
        steady = fault.kind in (FaultKind.BLOCK_IMAGE, FaultKind.BLOCK_SECTOR, FaultKind.DROP_RINGS)
        rng = np.random.default_rng(seed_of(spec.seed, sensor, 2, index, 0 if steady else shot.index))
        since_ns = shot.true_ns - spec.start_ns
        if fault.kind is FaultKind.CUT_JPEG:
            payload = _cut(payload, rng)
        elif fault.kind in IMAGE_DAMAGE:
            payload = damaged_image(payload, fault, rng)
        elif fault.kind in CLOUD_DAMAGE:
            payload = damaged_cloud(payload, fault, rng, since_ns / spec.duration_ns)
        elif fault.kind in MOTION_DAMAGE:
            payload = damaged_motion(payload, fault, since_ns)
    return payload


def declared(stream: Stream, spec: DriveSpec) -> Stream:
    """The stream as its recording declares it."""
    if any(fault.kind is FaultKind.UNKNOWN_MESSAGE_TYPE and fault.sensor == stream.sensor for fault in spec.faults):
        return replace(stream, message_type=UNKNOWN_TYPE, definition=UNKNOWN_DEFINITION)
    return stream


def calibration_document(rig: Rig, spec: DriveSpec) -> dict[str, Any]:
    """The rig's document after the drive's faults of calibration."""
    document = rig.to_dict()
    for fault in spec.faults:
        document = miscalibrated(document, rig, fault)
    return document


def effect_of(index: int, shots: tuple[Shot, ...]) -> dict[str, Any]:
    """What the fault with this index did to the shots of its sensor, for the ground truth."""
    touched = [shot for shot in shots if index in shot.faults]
    return {"frames": [shot.index for shot in touched], "stamps_ns": [shot.stamp_ns for shot in touched]}


def _cut(jpeg: bytes, rng: np.random.Generator) -> bytes:
    return jpeg[: int(len(jpeg) * rng.uniform(*CUT_SPAN))]
