"""Faults of images, clouds, poses, inertial samples and declarations, applied while a drive is recorded."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from fleet.errors import SpecError
from fleet.fault_kinds import FaultKind
from fleet.faults import Fault, FaultEffect
from fleet.mcap_writer import SensorStream
from fleet.synthetic.camera import JPEG_QUALITY
from fleet.synthetic.image_files import FILE_DAMAGE, damaged_file
from fleet.synthetic.miscalibration import MOUNTING_FAULTS, miscalibrated
from fleet.synthetic.schedule import Shot, seed_of
from fleet.synthetic.spec import DriveSpec, FaultPlan
from sensors.decode.point_times import time_column
from sensors.geometry import SE3
from sensors.measure.cloud import VALID_STATE
from sensors.measure.image import SCALE_PX
from sensors.rig import Modality, Rig

PLANE_DAMAGE = frozenset({FaultKind.LOSE_CHROMA, FaultKind.TINT, FaultKind.GREY_IMAGE, FaultKind.UNFILL_IMAGE})
IMAGE_DAMAGE = PLANE_DAMAGE | {
    FaultKind.BLANK_IMAGE,
    FaultKind.OVEREXPOSE,
    FaultKind.UNDEREXPOSE,
    FaultKind.BLUR,
    FaultKind.BLOCK_IMAGE,
}
MIDDLE = 127.5
GREY_CHROMA = 128
MUD_RGB = (58, 50, 42)
MUD_ASPECT = 1.6  # width over height

Pixels = npt.NDArray[np.uint8]


def damaged_image(jpeg: bytes, fault: Fault, rng: np.random.Generator) -> bytes:
    """The image after a fault of `IMAGE_DAMAGE`, encoded again."""
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    if fault.kind is FaultKind.BLUR:
        image = image.filter(ImageFilter.GaussianBlur((fault.size or 0.0) * image.width / SCALE_PX))
    elif fault.kind in PLANE_DAMAGE:
        image = Image.frombytes("YCbCr", image.size, _changed_planes(np.array(image.convert("YCbCr")), fault).tobytes())
    else:
        image = Image.fromarray(_changed_image(np.asarray(image), fault, rng))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _changed_planes(planes: Pixels, fault: Fault) -> Pixels:
    """Y, Cb and Cr (H, W, 3) after a fault of `PLANE_DAMAGE`."""
    match fault.kind:
        case FaultKind.LOSE_CHROMA:
            planes[:, :, 1:] = 0
        case FaultKind.GREY_IMAGE:
            planes[:, :, 1:] = GREY_CHROMA
        case FaultKind.TINT:
            shift = (fault.size or 0.0) / math.sqrt(2.0) * np.array([-1.0, 1.0])
            planes[:, :, 1:] = np.clip(planes[:, :, 1:] + np.round(shift), 0, 255).astype(np.uint8)
        case _:
            planes[round(len(planes) * (1.0 - (fault.share or 0.0))) :] = 0
    return planes


def _changed_image(pixels: Pixels, fault: Fault, rng: np.random.Generator) -> Pixels:
    share = fault.share or 0.0
    match fault.kind:
        case FaultKind.BLANK_IMAGE:
            damaged = MIDDLE + (pixels.astype(np.float32) / 255.0 - 0.5) * (fault.size or 0.0)
        case FaultKind.OVEREXPOSE:
            white = max(float(np.quantile(pixels.min(axis=2), 1.0 - share)), 1.0)
            damaged = pixels * np.float32(256.0 / white)
        case FaultKind.UNDEREXPOSE:
            black = float(np.quantile(pixels.max(axis=2), share))
            damaged = (pixels.astype(np.float32) - black) * 0.5
        case _:
            return _covered(pixels, share, rng)
    return np.clip(np.round(damaged), 0, 255).astype(np.uint8)


def _covered(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """A uniform ellipse over `share` of the lower third, as far inside as it fits."""
    height, width = pixels.shape[:2]
    third = height - height * 2 // 3
    radius_y = min(np.sqrt(share * third * width / (np.pi * MUD_ASPECT)), third / 2.0)
    radius_x = min(share * third * width / (np.pi * radius_y), width / 2.0)  # wider where it cannot be as high as it would be
    y = height - third + rng.uniform(radius_y, max(third - radius_y, radius_y))
    x = rng.uniform(radius_x, max(width - radius_x, radius_x))
    rows, columns = np.ogrid[:height, :width]
    covered = ((rows - y) / radius_y) ** 2 + ((columns - x) / radius_x) ** 2 <= 1.0
    changed = pixels.copy()
    changed[covered] = MUD_RGB
    return changed


CLOUD_DAMAGE = frozenset(
    {
        FaultKind.NAN_POINTS,
        FaultKind.DROP_POINTS,
        FaultKind.ZERO_POINTS,
        FaultKind.BLOCK_SECTOR,
        FaultKind.DROP_RINGS,
        FaultKind.FADE_INTENSITY,
        FaultKind.SCALE_TIMES,
        FaultKind.RENAME_X,
        FaultKind.EMPTY_SCAN,
        FaultKind.GHOSTS,
        FaultKind.FULL_LIST,
    }
)
INVALID_STATE = VALID_STATE + 4
CLUTTER_RANGE_M = (2.0, 80.0)
CLUTTER_HALF_FAN_RAD = 1.0
MAX_INT32 = 2**31 - 1

Cloud = npt.NDArray[np.void]


def damaged_cloud(points: Cloud, fault: Fault, rng: np.random.Generator, progress: float) -> Cloud:
    """The points (N,) after a fault of `CLOUD_DAMAGE`; `progress`: how much of the drive has passed, 0 to 1."""
    share = fault.share or 0.0
    match fault.kind:
        case FaultKind.NAN_POINTS:
            return _placed(points, _chosen(points, share, rng), np.nan)
        case FaultKind.ZERO_POINTS:
            return _placed(points, _chosen(points, share, rng), 0.0)
        case FaultKind.DROP_POINTS:
            return np.delete(points, _chosen(points, share, rng))
        case FaultKind.BLOCK_SECTOR:
            middle = rng.uniform(-np.pi, np.pi)
            off = np.angle(np.exp(1j * (np.arctan2(points["y"], points["x"]) - middle)))
            return np.asarray(points[np.abs(off) > np.radians(fault.size or 0.0) / 2.0])
        case FaultKind.DROP_RINGS:
            lowest = points["ring"].max(initial=1) // 2  # rings that look down always have returns
            lost = rng.choice(max(int(lowest), 1), size=min(int(fault.size or 0), max(int(lowest), 1)), replace=False)
            return np.asarray(points[~np.isin(points["ring"], lost)])
        case FaultKind.FADE_INTENSITY:
            faded = points.copy()
            left = points["intensity"] * (1.0 - share * min(max(progress, 0.0), 1.0))
            faded["intensity"] = left.astype(points.dtype["intensity"])  # in a recording it may be an integer
            return faded
        case FaultKind.SCALE_TIMES:
            return _retimed(points, fault.size or 0.0)
        case FaultKind.RENAME_X:
            return points.astype(_dtype(points, "x", name="X"))
        case FaultKind.EMPTY_SCAN:
            return points[:0]
        case FaultKind.GHOSTS:
            haunted = points.copy()
            haunted["invalid_state"][_chosen(points, share, rng)] = INVALID_STATE
            return haunted
    return _filled(points, int(fault.size or 0), rng)


def _chosen(points: Cloud, share: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    return np.asarray(rng.choice(len(points), size=round(share * len(points)), replace=False))


def _placed(points: Cloud, chosen: npt.NDArray[np.int64], value: float) -> Cloud:
    points = points.copy()
    for name in ("x", "y", "z"):
        points[name][chosen] = value
    return points


def _retimed(points: Cloud, times: float) -> Cloud:
    """The points with their times multiplied; integers as int32, which holds a sign, floats from the first of them."""
    names = points.dtype.names or ()
    column = time_column(names, [points.dtype[name].kind for name in names])
    if column is None:
        return points
    name = names[column]
    if points.dtype[name].kind == "f":
        scaled = points.copy()
        scaled[name] = points[name][:1] + (points[name] - points[name][:1]) * times
        return scaled
    changed = points.astype(_dtype(points, name, kind="<i4"))
    changed[name] = np.clip(np.rint(points[name] * times), -MAX_INT32, MAX_INT32)
    return changed


def _dtype(points: Cloud, field: str, *, name: str | None = None, kind: str | None = None) -> np.dtype[np.void]:
    """The points' dtype with one field renamed, or of another type; packed."""
    fields = [(one, points.dtype[one]) for one in points.dtype.names or ()]
    return np.dtype([(name or field, np.dtype(kind) if kind else of) if one == field else (one, of) for one, of in fields])


def _filled(detections: Cloud, capacity: int, rng: np.random.Generator) -> Cloud:
    """Clutter after the detections up to the end of the list; the excess is lost."""
    clutter: Any = np.zeros(max(capacity - len(detections), 0), dtype=detections.dtype)
    range_m = rng.uniform(*CLUTTER_RANGE_M, len(clutter))
    azimuth = rng.uniform(-CLUTTER_HALF_FAN_RAD, CLUTTER_HALF_FAN_RAD, len(clutter))
    clutter["x"], clutter["y"] = range_m * np.cos(azimuth), range_m * np.sin(azimuth)
    if "ambig_state" in (detections.dtype.names or ()) and len(detections):
        clutter["ambig_state"] = detections["ambig_state"][0]
    return np.asarray(np.concatenate([detections, clutter])[:capacity])


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


OTHER_TOPIC = "/another_device"
UNKNOWN_TYPE = "acme_msgs/msg/OpaqueScan"
UNKNOWN_DEFINITION = "builtin_interfaces/Time stamp\nstring frame_id\nuint8[] data\n"
FRAME_LENGTH_AT, FRAME_AT = 12, 16  # of a CDR message, behind encapsulation and stamp

_CLOUDS = (Modality.LIDAR, Modality.RADAR)
_NEEDED_MODALITY = {
    **dict.fromkeys((*FILE_DAMAGE, *IMAGE_DAMAGE), (Modality.CAMERA,)),
    **dict.fromkeys((FaultKind.NAN_POINTS, FaultKind.DROP_POINTS, FaultKind.ZERO_POINTS), _CLOUDS),
    **dict.fromkeys((FaultKind.BLOCK_SECTOR, FaultKind.DROP_RINGS, FaultKind.FADE_INTENSITY), (Modality.LIDAR,)),
    **dict.fromkeys((FaultKind.SCALE_TIMES, FaultKind.RENAME_X), (Modality.LIDAR,)),
    **dict.fromkeys((FaultKind.EMPTY_SCAN, FaultKind.GHOSTS, FaultKind.FULL_LIST), (Modality.RADAR,)),
    FaultKind.REPEAT_CONTENT: (Modality.CAMERA, *_CLOUDS),
    **dict.fromkeys((FaultKind.POSE_JUMP, FaultKind.POSE_SCALE, FaultKind.POSE_SHAKE), (Modality.POSE,)),
    **dict.fromkeys((FaultKind.GYRO_BIAS, FaultKind.ACCELERATION_BIAS), (Modality.IMU,)),
    **dict.fromkeys(MOUNTING_FAULTS, (Modality.LIDAR, Modality.CAMERA, Modality.RADAR)),
    **dict.fromkeys((FaultKind.WRONG_INTRINSICS, FaultKind.BODY_AXES), (Modality.CAMERA,)),
}


def check_faults(spec: DriveSpec, rig: Rig) -> None:
    """Check that every fault can be applied to this rig.

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
            raise SpecError(f"fault {fault}: {fault.sensor} is not a {' or '.join(needed)}")
        if fault.kind is FaultKind.GHOSTS and not spec.rig.radar_states:
            raise SpecError(f"fault {fault}: detections have no states; set the rig option radar_states")


def damaged(payload: Any, shot: Shot, sensor: str, spec: FaultPlan, before: Any = None) -> Any:
    """The payload of a shot after the drive's payload faults; other faults leave it unchanged. `before`: the previous payload."""
    for index in shot.faults:
        fault = spec.faults[index]
        if fault.kind is FaultKind.REPEAT_CONTENT:
            payload = payload if before is None else before
            continue
        # The cover of a lens or a sector does not move: its position depends on the fault alone.
        steady = fault.kind in (FaultKind.BLOCK_IMAGE, FaultKind.BLOCK_SECTOR, FaultKind.DROP_RINGS)
        rng = np.random.default_rng(seed_of(spec.seed, sensor, 2, index, 0 if steady else shot.index))
        since_ns = shot.true_ns - spec.start_ns
        if fault.kind in FILE_DAMAGE:
            payload = damaged_file(payload, fault, rng)
        elif fault.kind in IMAGE_DAMAGE:
            payload = damaged_image(payload, fault, rng)
        elif fault.kind in CLOUD_DAMAGE:
            payload = damaged_cloud(payload, fault, rng, since_ns / spec.duration_ns)
        elif fault.kind in MOTION_DAMAGE:
            payload = damaged_motion(payload, fault, since_ns)
    return payload


def renamed(cdr: bytes, shot: Shot, spec: FaultPlan) -> bytes:
    """The message of a shot after the drive's faults of its header: it names a frame of another device, equally long."""
    if not any(spec.faults[index].kind is FaultKind.WRONG_FRAME for index in shot.faults):
        return cdr
    length = int.from_bytes(cdr[FRAME_LENGTH_AT:FRAME_AT], "little") - 1  # without the zero that ends it
    return cdr[:FRAME_AT] + b"x" * length + cdr[FRAME_AT + length :]


def topic_of(shot: Shot, spec: FaultPlan) -> str | None:
    """The topic that the shot's message is recorded under; None for the sensor's own."""
    return OTHER_TOPIC if any(spec.faults[index].kind is FaultKind.SECOND_TOPIC for index in shot.faults) else None


def declared(stream: SensorStream, spec: FaultPlan) -> SensorStream:
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


def effect_of(index: int, shots: tuple[Shot, ...]) -> FaultEffect:
    """What the fault with this index did to the shots of its sensor, for the ground truth."""
    touched = [shot for shot in shots if index in shot.faults]
    return FaultEffect(frames=tuple(shot.index for shot in touched), stamps_ns=tuple(shot.stamp_ns for shot in touched))
