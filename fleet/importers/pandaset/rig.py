"""The rig of a PandaSet sequence, from its poses, stamps and intrinsics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fleet.errors import SourceError
from fleet.importers.clock_findings import clock_findings, named
from fleet.importers.source import MAX_FRAMES, exact_ns, median_ns, read_json, read_list
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

    def seen_from_ego(self, world_m: Floats, at_ns: npt.NDArray[np.int64], frame: int) -> tuple[Floats, int]:
        """World points (N, 3), each in the ego frame at its own time `at_ns` (N,), and the number of exceptions.

        Where no two poses bracket a point's time, it is placed in the ego frame at the stamp of `frame`.
        """
        times_ns, time_of_point = np.unique(at_ns, return_inverse=True)
        found = interpolate(times_ns, self.stamps_ns, self._samples(), POSE_BRACKET_NS)
        poses = np.where(found.valid[:, None], found.poses, self._samples()[frame])[time_of_point]
        turned = _rotate_back(poses[:, 3:], world_m - poses[:, :3])
        return turned, int((~found.valid[time_of_point]).sum())

    def _samples(self) -> Floats:
        return np.array([[*pose.translation_m, *pose.wxyz] for pose in self.world_SE3_ego])


def _rotate_back(wxyz: Floats, vectors: Floats) -> Floats:
    """Rotate vectors (N, 3) by the inverse of unit quaternions (N, 4)."""
    axis = -wxyz[:, 1:]
    twice = 2.0 * np.cross(axis, vectors)
    return np.asarray(vectors + wxyz[:, :1] * twice + np.cross(axis, twice))


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

    def mispaired(self, track: LidarPoses) -> int:
        """The number of sweeps that matching by nearest stamp alone would pair with an image of another number."""
        nearest = match_nearest(track.stamps_ns, sorted(self.stamps_ns), 0, MAX_DURATION_NS).index
        return sum(int(image) != sweep for sweep, image in enumerate(nearest))


def read_poses(path: Path) -> list[SE3]:
    """A list of {position{x,y,z}, heading{w,x,y,z}} as transforms from the sensor to the world frame.

    Raises:
        SourceError: An entry lacks a number or is not a pose.

    """
    poses = []
    for index, entry in enumerate(read_list(path)):
        try:
            position = [float(entry["position"][axis]) for axis in "xyz"]
            poses.append(SE3.from_wxyz(position, [float(entry["heading"][part]) for part in "wxyz"]))
        except (LookupError, TypeError, ValueError) as error:
            raise SourceError(f"{path}: entry {index} is not a pose: {error}") from error
    return poses


def read_camera(folder: Path, findings: list[str]) -> CameraFolder:
    """Read a camera folder; images are opened for their size only. A missing image is a finding.

    Raises:
        SourceError: The numbers of stamps and poses differ, there is no image, or a file is invalid.

    """
    stamps_ns = [exact_ns(value) for value in read_list(folder / "timestamps.json")]
    poses = read_poses(folder / "poses.json")
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
        raise SourceError(f"{folder} holds no image such as 00.jpg")
    if missing := [stem for stem in expected if stem not in images]:
        findings.append(f"{name}: {len(missing)} of {len(expected)} stamps have no image and are left out: {named(missing)}")
    if extra := sorted(images - set(expected)):
        findings.append(f"{name}: {len(extra)} images have no stamp and are left out: {named(extra)}")
    lens = read_json(folder / "intrinsics.json")
    try:
        with Image.open(folder / f"{present[0]}.jpg", formats=("JPEG",)) as image:
            width_px, height_px = image.size
        fx_px, fy_px, cx_px, cy_px = (float(lens[name]) for name in ("fx", "fy", "cx", "cy"))
        intrinsics = Intrinsics(width_px, height_px, fx_px, fy_px, cx_px, cy_px)
    except (LookupError, TypeError, ValueError, OSError) as error:
        raise SourceError(f"{folder}: intrinsics.json or {present[0]}.jpg cannot be used: {error}") from error
    findings += clock_findings(name, stamps_ns)
    return CameraFolder(name, folder, tuple(stamps_ns), tuple(poses), intrinsics)


def build_rig(track: LidarPoses, cameras: list[CameraFolder], has_gnss: bool) -> Rig:
    """The rig: the merged lidar as reference, cameras required, each with its measured delay."""
    half_period_ns = round(NS_PER_S / RATE_HZ / 2)

    def sync(stamp: Stamp, delay_ns: int, required: bool) -> Sync:
        return Sync(stamp, delay_ns, half_period_ns, DEFAULT_WARN_RESIDUAL_NS, required)

    sensors = [Sensor(NAME, Modality.LIDAR, RATE_HZ, sync(Stamp.END, 0, True), SE3.identity())]
    for camera in cameras:
        terms = sync(Stamp.MIDDLE, camera.delay_ns(track), True)
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
