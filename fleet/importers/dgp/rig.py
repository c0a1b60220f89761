"""The rig of a DGP scene, from its calibration and its data; and the vehicle's poses, from those of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from fleet.errors import SourceError
from fleet.importers.clock_findings import declared_delay_ns, half_period_ns, mean_hz, rate_hz, within
from fleet.importers.dgp.scene import MAX_CHANNELS, DgpScene, number, pose_of
from fleet.importers.source import RowFaults, median_ns, read_json
from sensors.geometry import SE3
from sensors.policy import Policy
from sensors.rig import DEFAULT_WARN_RESIDUAL_NS, Intrinsics, Modality, Rig, Sensor, Stamp, Sync

POSE = "pose"
DOCUMENTED_HZ = 10.0  # DDAD, "Dataset details": cameras and lidar synchronised at 10 Hz
POSE_BRACKET_NS = 150_000_000  # poses come with the data, up to 100 ms apart
RADIAL_AND_TANGENTIAL = ("k1", "k2", "p1", "p2", "k3")
UNSUPPORTED_TERMS = (  # members of dgp.proto.CameraIntrinsics that a pinhole with plumb-bob distortion does not have
    *("skew", "fov", "fisheye", "k4", "k5", "k6", "s1", "s2", "s3", "s4", "taux", "tauy"),
    *("alpha", "beta", "w", "xi", "equirectangular"),
)


@dataclass(frozen=True, slots=True)
class Shots:
    """One sensor of a scene: its stamps in the order of the scene, and the size of its images, for a camera."""

    name: str
    sensor: str
    modality: Modality
    stamps_ns: tuple[int, ...]
    size_px: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class CalibrationFile:
    """`ego_SE3_sensor` and the entry of intrinsics, by the source's name of a sensor."""

    path: Path
    mountings: Mapping[str, SE3]
    lenses: Mapping[str, Mapping[str, Any]]


def read_calibration(scene: DgpScene, faults: RowFaults, findings: list[str]) -> CalibrationFile:
    """The calibration that all samples of the scene share; extrinsics that are not a pose are noted in `faults`.

    Raises:
        SourceError: It is missing or malformed, or samples have different ones.

    """
    if not scene.calibrations:
        findings.append("calibration: no sample of the scene names one, so nothing is known of where the sensors sit")
        return CalibrationFile(scene.path, MappingProxyType({}), MappingProxyType({}))
    documents = [read_json(path) for path in scene.calibrations[:MAX_CHANNELS]]
    if len(scene.calibrations) > MAX_CHANNELS or any(document != documents[0] for document in documents):
        raise SourceError(
            f"{scene.path}: its samples have {len(scene.calibrations)} calibrations; a drive has one: split the scene"
        )
    path, document = scene.calibrations[0], documents[0]
    names, extrinsics, intrinsics = (_entries(path, document, part) for part in ("names", "extrinsics", "intrinsics"))
    if not len(names) == len(extrinsics) == len(intrinsics) == len({str(name) for name in names}):
        raise SourceError(f"{path} has {len(names)} names, {len(extrinsics)} extrinsics and {len(intrinsics)} intrinsics")
    if not all(isinstance(name, str) for name in names) or not all(isinstance(lens, dict) for lens in intrinsics):
        raise SourceError(f"{path} holds a name that is not text, or intrinsics that are not an object")
    placed = [
        (name, faults.attempt(pose_of, f"{path}: extrinsics of {name[:64]}", entry))
        for name, entry in zip(names, extrinsics, strict=True)
    ]
    mountings = {name: mounting for name, mounting in placed if mounting is not None}
    return CalibrationFile(path, MappingProxyType(mountings), MappingProxyType(dict(zip(names, intrinsics, strict=True))))


def _entries(path: Path, document: Any, part: str) -> list[Any]:
    entries = document.get(part) if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_CHANNELS:
        raise SourceError(f"{path} does not hold {part} as a list of at most {MAX_CHANNELS}; is it a DGP calibration?")
    return entries


def reference_of(sensors: Sequence[Shots]) -> Shots:
    """The sensor that scenes are built around: the first lidar, else the first sensor."""
    return next((shots for shots in sensors if shots.modality is Modality.LIDAR), sensors[0])


def build_rig(
    sensors: Sequence[Shots],
    delays_ns: Mapping[str, int],
    calibration: CalibrationFile,
    poses: Sequence[tuple[int, SE3]],
    findings: list[str],
) -> Rig:
    """The rig: all sensors required, with their delays as measured; `poses` as `ego_poses` gives them.

    Raises:
        SourceError: The intrinsics of a camera are impossible.

    """
    built, faults = [], RowFaults()
    for shots in sensors:
        hz = rate_hz(shots.stamps_ns, DOCUMENTED_HZ)
        stamp = Stamp.END if shots.modality is Modality.LIDAR else Stamp.MIDDLE
        terms = Sync(
            stamp, declared_delay_ns(delays_ns.get(shots.sensor, 0)), half_period_ns(hz), DEFAULT_WARN_RESIDUAL_NS, required=True
        )
        mounting = calibration.mountings.get(shots.name)
        if mounting is None:
            findings.append(f"{shots.name}: it is not in the calibration, so its mounting is unknown")
        lens = faults.attempt(_lens, shots, calibration, findings) if shots.modality is Modality.CAMERA else None
        built.append(Sensor(shots.sensor, shots.modality, hz, terms, mounting, lens))
    faults.refuse()
    if poses:
        pose_hz = within(mean_hz([stamp_ns for stamp_ns, _ in poses]) or 0.0, DOCUMENTED_HZ)
        terms = Sync(Stamp.MIDDLE, 0, half_period_ns(pose_hz), DEFAULT_WARN_RESIDUAL_NS, required=False)
        built.append(Sensor(POSE, Modality.POSE, pose_hz, terms, SE3.identity()))
    return Rig("dgp", reference_of(sensors).sensor, tuple(built), Policy(pose_bracket_ns=POSE_BRACKET_NS))


def median_delays_ns(groups: Sequence[Mapping[str, int]], reference: str) -> dict[str, int]:
    """Per sensor the median of its stamp minus the reference's, over samples (sensor to stamp) that have both."""
    offsets: dict[str, list[int]] = {}
    for stamps_ns in groups:
        for sensor, stamp_ns in stamps_ns.items():
            if reference in stamps_ns and sensor != reference:
                offsets.setdefault(sensor, []).append(stamp_ns - stamps_ns[reference])
    return {sensor: median_ns(values) for sensor, values in offsets.items()}


def ego_poses(
    scene: DgpScene, stamps_ns: Sequence[int], calibration: CalibrationFile, findings: list[str]
) -> list[tuple[int, SE3]]:
    """Stamps and world_SE3_ego, ascending, one for each stamp: `world_SE3_sensor @ sensor_SE3_ego` of the first datum with it.

    `stamps_ns` belongs to the scene's data. Data of sensors without a mounting are ignored.
    """
    kept: dict[int, SE3] = {}
    apart_m = 0.0
    shared = 0
    for datum, stamp_ns in zip(scene.data, stamps_ns, strict=True):
        if datum.name in calibration.mountings:
            world_SE3_ego = datum.world_SE3_sensor @ calibration.mountings[datum.name].inverse()
            first = kept.setdefault(stamp_ns, world_SE3_ego)
            shared += first is not world_SE3_ego
            apart_m = max(apart_m, math.dist(first.translation_m, world_SE3_ego.translation_m))
    if kept:
        moved_m = np.ptp([pose.translation_m for pose in kept.values()], axis=0)
        findings.append(
            f"pose: each datum has the pose of its own sensor in the world; with the calibration they give the vehicle's at "
            f"{len(kept)} times, over which it moves {float(np.linalg.norm(moved_m)):.3f} m. {shared} data share a time with "
            f"another; their vehicles lie up to {apart_m * 1e3:.4f} mm apart, the first is kept"
        )
    else:
        findings.append("pose: no datum's sensor has a mounting in the calibration, so there is no pose of the vehicle")
    return sorted(kept.items())


def _lens(shots: Shots, calibration: CalibrationFile, findings: list[str]) -> Intrinsics | None:
    entry = calibration.lenses.get(shots.name)
    if entry is None or shots.size_px is None:
        findings.append(f"{shots.name}: its intrinsics or the size of its images are not known")
        return None
    place = f"{calibration.path}: intrinsics of {shots.name}"
    beyond = [key for key in UNSUPPORTED_TERMS if number(place, entry, key) != 0]
    if beyond:
        findings.append(
            f"{shots.name}: its camera model has {', '.join(beyond)}, which the rig cannot represent; no intrinsics declared"
        )
        return None
    fx_px, fy_px, cx_px, cy_px = (number(place, entry, key) for key in ("fx", "fy", "cx", "cy"))
    distortion = tuple(number(place, entry, key) for key in RADIAL_AND_TANGENTIAL)
    width_px, height_px = shots.size_px
    focused = 0 < fx_px < math.inf and 0 < fy_px < math.inf and all(math.isfinite(term) for term in distortion)
    if not (focused and 0 <= cx_px <= width_px and 0 <= cy_px <= height_px):
        raise SourceError(f"{calibration.path}: the intrinsics of {shots.name} do not fit a {width_px}x{height_px} px camera")
    return Intrinsics(width_px, height_px, fx_px, fy_px, cx_px, cy_px, distortion if any(distortion) else ())
