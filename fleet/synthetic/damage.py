"""Faults of payload and of declaration, applied while a drive is recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.errors import SpecError
from fleet.faults import FaultKind
from fleet.recording import Stream
from fleet.synthetic.miscalibration import miscalibrated
from fleet.synthetic.schedule import Shot, seed_of
from fleet.synthetic.spec import DriveSpec
from sensors.rig import Modality, Rig

UNKNOWN_TYPE = "acme_msgs/msg/OpaqueScan"
UNKNOWN_DEFINITION = "builtin_interfaces/Time stamp\nstring frame_id\nuint8[] data\n"
CUT_SPAN = (0.3, 0.8)  # of the file: the header stays whole, the picture does not

_NEEDED_MODALITY = {
    FaultKind.CUT_JPEG: (Modality.CAMERA,),
    FaultKind.NAN_POINTS: (Modality.LIDAR, Modality.RADAR),
    FaultKind.ROTATE_EXTRINSIC: (Modality.LIDAR, Modality.CAMERA, Modality.RADAR),
    FaultKind.SHIFT_EXTRINSIC: (Modality.LIDAR, Modality.CAMERA, Modality.RADAR),
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


def damaged(payload: Any, shot: Shot, sensor: str, spec: DriveSpec) -> Any:
    """The payload of a shot after the drive's payload faults; others leave it as it is."""
    for index in shot.faults:
        fault = spec.faults[index]
        rng = np.random.default_rng(seed_of(spec.seed, sensor, 2, index, shot.index))
        if fault.kind is FaultKind.CUT_JPEG:
            payload = _cut(payload, rng)
        elif fault.kind is FaultKind.NAN_POINTS:
            payload = _blinded(payload, fault.share or 0.0, rng)
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


def _blinded(points: npt.NDArray[np.void], share: float, rng: np.random.Generator) -> npt.NDArray[np.void]:
    lost = rng.choice(len(points), size=round(share * len(points)), replace=False)
    points = points.copy()
    for name in ("x", "y", "z"):
        points[name][lost] = np.nan
    return points
