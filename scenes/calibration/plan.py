"""Which frames the calibration of a drive is checked with: a bounded number, chosen from metadata alone.

At most `SWEEPS` sweeps of the reference lidar, with an image of each camera, `OTHER_SWEEPS` of any other lidar, and `SCANS` of
each radar, however long the drive is. The same index and poses give the same choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scenes.plan.drive_frames import DriveFrames, UsableFrames
from scenes.plan.pose_track import PoseTrack
from scenes.plan.window_plan import FrameRef
from sensors.calibration.motion import Motion, motion_at, way_ahead
from sensors.calibration.sampling import candidates, choose, nearest, spread
from sensors.rig import Modality, Rig, Sensor

CALIBRATION_VERSION = "calibration-1"  # part of the configuration hash: other verdicts publish other drives
SWEEPS, OTHER_SWEEPS, SCANS = 20, 10, 40
SIZES_ONLY = 2  # images that are read where no lidar can be held against them
NO_SWEEP = -1
AROUND_NS = 400_000_000  # poses that the points of a sweep and an image beside it can need

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class ImageTime(NamedTuple):
    """A camera and the stamp of its image that a sweep is held against."""

    camera: str
    stamp_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class SweepTask:
    """A sweep to read: against the ground if `forward` is known, and against images. Poses: (N,) and (N, 7), those around it."""

    number: int
    frame: FrameRef
    forward: tuple[float, float] | None
    place: int
    images: tuple[ImageTime, ...]
    pose_stamps_ns: Ints
    poses: Floats

    def __str__(self) -> str:
        return f"{self.frame.key} (sweep at {self.frame.stamp_ns} ns)"


class ImageTask(NamedTuple):
    """An image to read, the number of its sweep (`NO_SWEEP`: for its size alone), and the stretch of road."""

    frame: FrameRef
    sweep: int
    place: int


class ScanTask(NamedTuple):
    """A radar scan to read, and the radar's own velocity (x, y) at its time, in the frame that the calibration declares."""

    frame: FrameRef
    own_m_s: tuple[float, float]


@dataclass(frozen=True, slots=True)
class CalibrationPlan:
    """All that is read: sweeps, images by camera, scans by radar; sensors without frames are absent."""

    sweeps: tuple[SweepTask, ...]
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
        {name: tasks for name, tasks in images.items() if tasks},
        {name: tasks for name, tasks in scans.items() if tasks},
    )


def reference_lidar(rig: Rig) -> Sensor | None:
    """The lidar that cameras are held against: the rig's reference if it is one, else the first; None if there is none."""
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
                    ImageTask(ref, numbers[row], int(motion.place[row])) for ref, row in zip(refs, rows, strict=True)
                )
        refs = self._refs(usable.frame_ids[at[chosen]])
        return [
            self._sweep(first_number + place, ref, forward, int(motion.place[row]), tuple(held[int(row)]))
            for place, (ref, row) in enumerate(zip(refs, chosen, strict=True))
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
        stamps_ns = self._track.frames.stamps_ns
        times = [ref.stamp_ns, *(image.stamp_ns for image in images)]
        margin_ns = AROUND_NS + self._track.bracket_ns
        low = int(np.searchsorted(stamps_ns, min(times) - margin_ns))
        high = int(np.searchsorted(stamps_ns, max(times) + margin_ns, side="right"))
        return SweepTask(number, ref, forward, place, images, stamps_ns[low:high], self._track.samples[low:high])

    def _matched(self, camera: Sensor, lidar: Sensor, sweeps_ns: Ints) -> tuple[Ints, Ints, Floats]:
        """For each sweep the image that is expected with it, its stamp, and how far off it is, in tolerances."""
        usable = self._usable(camera)
        wanted_ns = sweeps_ns + (camera.sync.expected_delay_ns - lidar.sync.expected_delay_ns)
        if len(usable.stamps_ns) == 0:
            return np.zeros_like(wanted_ns), wanted_ns, np.full(len(wanted_ns), np.inf)
        at = nearest(wanted_ns, usable.stamps_ns)
        residuals = np.abs(usable.stamps_ns[at] - wanted_ns) / max(camera.sync.tolerance_ns, 1)
        return usable.frame_ids[at], usable.stamps_ns[at], residuals

    def _motion(self, stamps_ns: Ints) -> Motion:
        return motion_at(stamps_ns, self._track.frames.stamps_ns, self._track.samples, self._track.bracket_ns)

    def _usable(self, sensor: Sensor) -> UsableFrames:
        return self._frames.usable(sensor.name)

    def _refs(self, frame_ids: Ints) -> list[FrameRef]:
        rows = self._index.select(FrameRef._fields).take(pa.array(frame_ids)).to_pylist()
        return [FrameRef(**row) for row in rows]


def _own_velocity(motion: Motion, row: int, radar: Sensor) -> tuple[float, float]:
    """Of the radar, from the vehicle's velocity and turn rate; zero where they or its mounting are not known."""
    if radar.ego_SE3_sensor is None or not motion.valid[row]:
        return 0.0, 0.0
    at_sensor = motion.velocity_m_s[row] + np.cross(motion.turn_rad_s[row], radar.ego_SE3_sensor.translation_m)
    seen = radar.ego_SE3_sensor.rotation.T @ at_sensor
    return float(seen[0]), float(seen[1])
