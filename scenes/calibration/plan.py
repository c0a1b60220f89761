"""The frames that a drive's calibration is checked with: a bounded number, chosen from metadata alone.

At most `SWEEPS` sweeps of the reference lidar, with an image of each camera, `OTHER_SWEEPS` of any other lidar, `PAIRS` of
sweeps of each lidar, and `SCANS` of each radar, however long the drive is. The same index and poses give the same choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scenes.plan.drive_frames import DriveFrames, UsableFrames
from scenes.plan.pose_track import PoseTrack
from scenes.plan.window_table import FrameRef
from sensors.calibration.motion import VehicleMotion, motion_at, way_ahead
from sensors.calibration.sampling import CANDIDATES, candidates, choose, nearest, spread
from sensors.rig import Modality, Rig, Sensor
from sensors.time_units import NS_PER_S

CALIBRATION_VERSION = "calibration-2"  # part of the configuration hash: other verdicts publish other drives
SWEEPS, OTHER_SWEEPS, SCANS = 20, 10, 40
PAIRS = 8  # of sweeps of each lidar, some metres apart
PAIR_APART_M = (5.0, 15.0)
PAIR_APART_NS = 3 * NS_PER_S
SIZES_ONLY = 2  # images that are read where no lidar can be compared with them
NO_SWEEP = -1
AROUND_NS = 400_000_000  # poses that the points of a sweep and an image beside it can need

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Vector: TypeAlias = tuple[float, float, float]


class ImageTime(NamedTuple):
    """A camera and the stamp of its image that a sweep is compared with."""

    camera: str
    stamp_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class SweepTask:
    """A sweep to compare with the ground, if `forward` is known, and with images. Poses around it: (N,) and (N, 7)."""

    number: int
    frame: FrameRef
    forward: tuple[float, float] | None
    place: int
    images: tuple[ImageTime, ...]
    pose_stamps_ns: Ints
    poses: Floats


@dataclass(frozen=True, slots=True, eq=False)
class PairTask:
    """Two sweeps of one lidar to read, between which the vehicle has moved on. Poses as in `SweepTask`."""

    first: FrameRef
    second: FrameRef
    pose_stamps_ns: Ints
    poses: Floats


class ImageTask(NamedTuple):
    """An image to read, the number of its sweep (`NO_SWEEP`: for its size alone), and the stretch of road.

    `velocity_m_s`, `turn_rad_s`: of the camera, in its declared frame.
    """

    frame: FrameRef
    sweep: int
    place: int
    velocity_m_s: Vector = (0.0, 0.0, 0.0)
    turn_rad_s: Vector = (0.0, 0.0, 0.0)


class ScanTask(NamedTuple):
    """A radar scan to read, and the radar's own velocity (x, y) at its time, in the frame that the calibration declares."""

    frame: FrameRef
    own_m_s: tuple[float, float]


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """Everything that is read: sweeps, pairs of them, images by camera, scans by radar; sensors without frames are absent."""

    sweeps: tuple[SweepTask, ...]
    pairs: tuple[PairTask, ...]
    images: Mapping[str, tuple[ImageTask, ...]]
    scans: Mapping[str, tuple[ScanTask, ...]]


def plan_calibration(index: pa.Table, frames: DriveFrames, track: PoseTrack, rig: Rig) -> CalibrationPlan:
    """Choose the frames of a drive."""
    planner = _Planner(index, frames, track, rig)
    lidar = reference_lidar(rig)
    sweeps: list[SweepTask] = []
    images = {sensor.name: planner.sizes_only(sensor) for sensor in _of(rig, Modality.CAMERA)}
    for sensor in _of(rig, Modality.LIDAR):
        if sensor is lidar:
            sweeps += planner.sweeps(sensor, SWEEPS, _of(rig, Modality.CAMERA), images)
        else:
            sweeps += planner.sweeps(sensor, OTHER_SWEEPS, (), images, first_number=len(sweeps))
    scans = {sensor.name: planner.scans(sensor) for sensor in _of(rig, Modality.RADAR)}
    return CalibrationPlan(
        tuple(sweeps),
        tuple(pair for sensor in _of(rig, Modality.LIDAR) for pair in planner.pairs(sensor)),
        {name: tasks for name, tasks in images.items() if tasks},
        {name: tasks for name, tasks in scans.items() if tasks},
    )


def reference_lidar(rig: Rig) -> Sensor | None:
    """The lidar that cameras are compared with: the rig's reference if it is a lidar, else the first; None without one."""
    lidars = _of(rig, Modality.LIDAR)
    return next((sensor for sensor in lidars if sensor.name == rig.reference), lidars[0] if lidars else None)


def _of(rig: Rig, modality: Modality) -> tuple[Sensor, ...]:
    return tuple(sensor for sensor in rig.sensors if sensor.modality is modality)


class _Planner:
    def __init__(self, index: pa.Table, frames: DriveFrames, track: PoseTrack, rig: Rig) -> None:
        self._index, self._frames, self._track, self._rig = index, frames, track, rig

    def sizes_only(self, camera: Sensor) -> tuple[ImageTask, ...]:
        usable = self._usable(camera)
        refs = self._refs(usable.frame_ids[spread(len(usable.frame_ids), SIZES_ONLY)])
        return tuple(ImageTask(ref, NO_SWEEP, 0) for ref in refs)

    def sweeps(
        self,
        lidar: Sensor,
        most: int,
        cameras: Sequence[Sensor],
        images: dict[str, tuple[ImageTask, ...]],
        first_number: int = 0,
    ) -> list[SweepTask]:
        """The sweeps of a lidar, and in `images` those of the cameras that belong to them."""
        usable = self._usable(lidar)
        at, stretch = candidates(len(usable.stamps_ns), most)
        stamps_ns = usable.stamps_ns[at]
        motion = self._motion(stamps_ns)
        matched = {camera.name: self._matched(camera, lidar, stamps_ns) for camera in cameras}
        chosen = choose(stretch, motion, [residuals for _, _, residuals in matched.values()])
        forward = way_ahead(motion)
        held: dict[int, list[ImageTime]] = {int(row): [] for row in chosen}
        for camera in cameras:
            frame_ids, image_ns, residuals = matched[camera.name]
            rows = [int(row) for row in chosen if residuals[row] <= 1.0 and motion.valid[row]]
            for row in rows:
                held[row].append(ImageTime(camera.name, int(image_ns[row])))
            if rows:
                numbers = {int(row): first_number + place for place, row in enumerate(chosen)}
                refs = self._refs(frame_ids[rows])
                images[camera.name] = tuple(
                    ImageTask(ref, numbers[row], int(motion.place[row]), *_motion_of(motion, row, camera))
                    for ref, row in zip(refs, rows, strict=True)
                )
        refs = self._refs(usable.frame_ids[at[chosen]])
        return [
            self._sweep(first_number + place, ref, forward, int(motion.place[row]), tuple(held[int(row)]))
            for place, (ref, row) in enumerate(zip(refs, chosen, strict=True))
        ]

    def pairs(self, lidar: Sensor) -> list[PairTask]:
        """Sweeps spread over the drive, each with the next one that was taken some metres further along."""
        usable = self._usable(lidar)
        if lidar.ego_SE3_sensor is None or not len(usable.stamps_ns):
            return []
        poses = self._track.at(usable.stamps_ns)
        known = np.flatnonzero(poses.valid)
        place_m, at_ns = poses.poses[known, :3], usable.stamps_ns[known]
        found = []
        for first in spread(len(known), PAIRS * CANDIDATES).tolist():
            last = int(np.searchsorted(at_ns, at_ns[first] + PAIR_APART_NS, side="right"))
            away_m = np.linalg.norm(place_m[first:last] - place_m[first], axis=1)
            far = np.flatnonzero(away_m >= PAIR_APART_M[0])
            if far.size and away_m[far[0]] <= PAIR_APART_M[1]:
                found.append((first, first + int(far[0])))
        chosen = known[[found[at] for at in spread(len(found), PAIRS).tolist()]] if found else np.empty((0, 2), dtype=np.int64)
        refs = self._refs(usable.frame_ids[chosen.ravel()])
        return [
            PairTask(first, second, *self._poses([first.stamp_ns, second.stamp_ns]))
            for first, second in zip(refs[::2], refs[1::2], strict=True)
        ]

    def scans(self, radar: Sensor) -> tuple[ScanTask, ...]:
        usable = self._usable(radar)
        at, stretch = candidates(len(usable.stamps_ns), SCANS)
        motion = self._motion(usable.stamps_ns[at])
        chosen = choose(stretch, motion, ())
        refs = self._refs(usable.frame_ids[at[chosen]])
        own = [_own_velocity(motion, int(row), radar) for row in chosen]
        return tuple(ScanTask(ref, velocity) for ref, velocity in zip(refs, own, strict=True))

    def _sweep(
        self, number: int, ref: FrameRef, forward: tuple[float, float] | None, place: int, images: tuple[ImageTime, ...]
    ) -> SweepTask:
        times_ns = [ref.stamp_ns, *(image.stamp_ns for image in images)]
        return SweepTask(number, ref, forward, place, images, *self._poses(times_ns))

    def _poses(self, times_ns: Sequence[int]) -> tuple[Ints, Floats]:
        """The pose samples around these instants: stamps (N,), and poses (N, 7)."""
        stamps_ns = self._track.frames.stamps_ns
        margin_ns = AROUND_NS + self._track.bracket_ns
        low = int(np.searchsorted(stamps_ns, min(times_ns) - margin_ns))
        high = int(np.searchsorted(stamps_ns, max(times_ns) + margin_ns, side="right"))
        return stamps_ns[low:high], self._track.samples[low:high]

    def _matched(self, camera: Sensor, lidar: Sensor, sweeps_ns: Ints) -> tuple[Ints, Ints, Floats]:
        """For each sweep the image expected with it, its stamp, and its distance from the expected time in tolerances."""
        usable = self._usable(camera)
        target_ns = sweeps_ns + (camera.sync.expected_delay_ns - lidar.sync.expected_delay_ns)
        if len(usable.stamps_ns) == 0:
            return np.zeros_like(target_ns), target_ns, np.full(len(target_ns), np.inf)
        at = nearest(target_ns, usable.stamps_ns)
        residuals = np.abs(usable.stamps_ns[at] - target_ns) / max(camera.sync.tolerance_ns, 1)
        return usable.frame_ids[at], usable.stamps_ns[at], residuals

    def _motion(self, stamps_ns: Ints) -> VehicleMotion:
        return motion_at(stamps_ns, self._track.frames.stamps_ns, self._track.samples, self._track.bracket_ns)

    def _usable(self, sensor: Sensor) -> UsableFrames:
        return self._frames.usable(sensor.name)

    def _refs(self, frame_ids: Ints) -> list[FrameRef]:
        rows = self._index.select(FrameRef._fields).take(pa.array(frame_ids)).to_pylist()
        return [FrameRef(**row) for row in rows]


def _own_velocity(motion: VehicleMotion, row: int, radar: Sensor) -> tuple[float, float]:
    return _motion_of(motion, row, radar)[0][:2]


def _motion_of(motion: VehicleMotion, row: int, sensor: Sensor) -> tuple[Vector, Vector]:
    """Velocity and turn rate of a sensor in its own frame, from the vehicle's; zero where they or its mounting are not known."""
    if sensor.ego_SE3_sensor is None or not motion.valid[row]:
        return (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    velocity = motion.velocity_m_s[row] + np.cross(motion.turn_rad_s[row], sensor.ego_SE3_sensor.translation_m)
    seen = [(sensor.ego_SE3_sensor.rotation.T @ vector).tolist() for vector in (velocity, motion.turn_rad_s[row])]
    return (seen[0][0], seen[0][1], seen[0][2]), (seen[1][0], seen[1][1], seen[1][2])
