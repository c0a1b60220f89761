"""The rig of a PandaSet sequence, from its poses, stamps and intrinsics."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fleet.errors import SourceError
from fleet.importers.clock_findings import clock_findings, declared_delay_ns, named
from fleet.importers.import_findings import ImportFindings
from fleet.importers.source import (
    MAX_FRAMES,
    MAX_IMAGE_BYTES,
    RowFaults,
    median_ns,
    number_in,
    pinhole,
    read_bounded,
    read_json,
    read_list,
    read_times,
    rigid,
)
from sensors.decode.images import read_header
from sensors.errors import DecodeError
from sensors.geometry import SE3
from sensors.match.nearest import match_nearest
from sensors.motion.poses import interpolate
from sensors.policy import Policy
from sensors.rig import DEFAULT_WARN_RESIDUAL_NS, Intrinsics, Modality, Rig, Sensor, Stamp, Sync
from sensors.stamps import MAX_DURATION_NS
from sensors.time_units import NS_PER_S

POSE_BRACKET_NS = 150_000_000  # poses come with the lidar frames, 100 ms apart
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LidarPoses:
    """Ego pose at each lidar stamp; stamps ascend."""

    stamps_ns: tuple[int, ...]
    world_SE3_ego: tuple[SE3, ...]

    def at(self, stamp_ns: int) -> SE3 | None:
        """The pose at a stamp, interpolated between the two around it; None outside of the track."""
        found = interpolate([stamp_ns], self.stamps_ns, self._samples(), POSE_BRACKET_NS)
        return SE3.from_wxyz(found.poses[0, :3], found.poses[0, 3:]) if found.valid[0] else None

    def _samples(self) -> Floats:
        return np.array([[*pose.translation_m, *pose.wxyz] for pose in self.world_SE3_ego])


NAME = "lidar"
RATE_HZ = 10.0


@dataclass(frozen=True, slots=True)
class CameraFolder:
    """One camera folder: its stamps, its pose at each, its lens."""

    name: str
    folder: Path
    stamps_ns: tuple[int, ...]
    world_SE3_camera: tuple[SE3, ...]
    intrinsics: Intrinsics

    def delay_ns(self, track: LidarPoses) -> int:
        """Median of this camera's stamp minus that of the lidar frame with the same number."""
        return median_ns([own - lidar for own, lidar in zip(self.stamps_ns, track.stamps_ns, strict=False)])

    def mispaired(self, track: LidarPoses, sweeps: Sequence[int]) -> int:
        """The number of these sweeps that matching by nearest stamp alone would pair with an image of another number."""
        order = np.argsort(self.stamps_ns, kind="stable")
        nearest = match_nearest(track.stamps_ns, sorted(self.stamps_ns), 0, MAX_DURATION_NS).index
        return sum(int(order[nearest[sweep]]) != sweep for sweep in sweeps)


def no_frame_of_a_stamp(folder: Path, stamps: int, files: Iterable[str]) -> str:
    """Why no file of a folder belongs to any of its stamps, whose numbers begin with 00."""
    names = sorted(files)
    return (
        f"{folder}: timestamps.json has stamps 00 to {stamps - 1:02d}, the {len(names)} files are {names[0]} to {names[-1]}, "
        "so none has a stamp; keep stamps and poses of the same frames, or number the files from 00"
    )


@dataclass(frozen=True, slots=True)
class Track:
    """The stamps of a folder's frames, and the pose of its sensor in the world at each."""

    stamps_ns: tuple[int, ...]
    world_SE3_sensor: tuple[SE3, ...]


def read_track(folder: Path, faults: RowFaults, *, ascends: bool = False) -> Track:
    """`timestamps.json` and `poses.json` of a folder; what is wrong with their rows is noted, and left out of the result.

    `ascends`: that a stamp is not later than the one before is wrong, too.
    """
    path = folder / "timestamps.json"
    times = read_times(path, faults)
    for number, (before, after) in enumerate(itertools.pairwise(times), start=1):
        if ascends and before is not None and after is not None and after <= before:
            faults.add(
                f"{path}: entry {number}: {after} ns is not later than the entry before, {before} ns: it does not ascend, so "
                "poses between its stamps are not defined"
            )
    return Track(tuple(time for time in times if time is not None), tuple(read_poses(folder / "poses.json", faults)))


def read_poses(path: Path, faults: RowFaults) -> list[SE3]:
    """A list of {position{x,y,z}, heading{w,x,y,z}} as transforms from the sensor to the world frame; less what is noted."""
    entries = faults.attempt(read_list, path) or []
    poses = [faults.attempt(_pose, entry, f"{path}: entry {number}") for number, entry in enumerate(entries)]
    return [pose for pose in poses if pose is not None]


def _pose(entry: object, place: str) -> SE3:
    try:
        return rigid(
            [number_in(entry, "position", axis) for axis in "xyz"], [number_in(entry, "heading", axis) for axis in "wxyz"]
        )
    except ValueError as error:
        raise SourceError(f"{place} is not a pose: {error}") from error


def read_camera(folder: Path, track: Track, findings: ImportFindings) -> CameraFolder:
    """Read the rest of a camera folder; images are opened for their size only. A missing image is a finding.

    Raises:
        SourceError: The numbers of stamps and poses differ, there is no image, or a file is invalid.

    """
    stamps_ns, poses = track.stamps_ns, track.world_SE3_sensor
    images = {path.stem for path in folder.glob("*.jpg")}
    if len(stamps_ns) != len(poses) or not images or not 0 < len(stamps_ns) <= MAX_FRAMES:
        raise SourceError(
            f"{folder} has {len(images)} images, {len(stamps_ns)} stamps and {len(poses)} poses; "
            "there must be one of each per frame"
        )
    name = f"camera_{folder.name.removesuffix('_camera')}"
    expected = [f"{index:02d}" for index in range(len(stamps_ns))]
    present = [stem for stem in expected if stem in images]
    if not present:
        raise SourceError(no_frame_of_a_stamp(folder, len(stamps_ns), images))
    if missing := [stem for stem in expected if stem not in images]:
        words = f"{name}: {len(missing)} of {len(expected)} stamps have no image and are left out: {named(missing)}"
        findings.lose(name, len(missing), words)
    if extra := sorted(images - set(expected)):
        findings.lose(name, len(extra), f"{name}: {len(extra)} images have no stamp and are left out: {named(extra)}")
    lens = read_json(folder / "intrinsics.json")
    try:
        image = read_header(read_bounded(folder / f"{present[0]}.jpg", MAX_IMAGE_BYTES))
        terms_px = [number_in(lens, term) for term in ("fx", "fy", "cx", "cy")]
        intrinsics = pinhole((image.width_px, image.height_px), terms_px)
    except (ValueError, DecodeError) as error:
        raise SourceError(f"{folder}: intrinsics.json or {present[0]}.jpg cannot be used: {error}") from error
    findings += clock_findings(name, stamps_ns)
    return CameraFolder(name, folder, stamps_ns, poses, intrinsics)


def build_rig(track: LidarPoses, cameras: list[CameraFolder], has_gnss: bool) -> Rig:
    """The rig: the merged lidar as reference, cameras required, each with its measured delay."""
    half_period_ns = round(NS_PER_S / RATE_HZ / 2)

    def sync(stamp: Stamp, delay_ns: int, required: bool) -> Sync:
        return Sync(stamp, delay_ns, half_period_ns, DEFAULT_WARN_RESIDUAL_NS, required)

    moved = replace(sync(Stamp.END, 0, True), compensated=True)
    sensors = [Sensor(NAME, Modality.LIDAR, RATE_HZ, moved, SE3.identity())]
    for camera in cameras:
        terms = sync(Stamp.MIDDLE, declared_delay_ns(camera.delay_ns(track)), True)
        mounting = mountings(track, camera)[0]
        sensors.append(Sensor(camera.name, Modality.CAMERA, RATE_HZ, terms, mounting, camera.intrinsics))
    sensors.append(Sensor("pose", Modality.POSE, RATE_HZ, sync(Stamp.END, 0, False), SE3.identity()))
    if has_gnss:
        sensors.append(Sensor("gnss", Modality.GNSS, RATE_HZ, sync(Stamp.END, 0, False)))
    return Rig("pandaset", NAME, tuple(sensors), Policy(pose_bracket_ns=POSE_BRACKET_NS))


def mountings(track: LidarPoses, camera: CameraFolder) -> list[SE3]:
    """`ego_SE3_camera` from every image that lies between two ego poses; from the first image, uninterpolated, if none does."""
    found = []
    for stamp_ns, world_SE3_camera in zip(camera.stamps_ns, camera.world_SE3_camera, strict=True):
        world_SE3_ego = track.at(stamp_ns)
        if world_SE3_ego is not None:
            found.append(world_SE3_ego.inverse() @ world_SE3_camera)
    return found or [track.world_SE3_ego[0].inverse() @ camera.world_SE3_camera[0]]


def mounting_spread_m(track: LidarPoses, camera: CameraFolder) -> float | None:
    """The spread of the camera's position on the vehicle over different frames; None for a single one."""
    positions = np.array([mounting.translation_m for mounting in mountings(track, camera)])
    return float(np.linalg.norm(np.ptp(positions, axis=0))) if len(positions) > 1 else None
