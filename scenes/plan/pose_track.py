"""The ego's poses along a drive, and the samples that each is interpolated from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scenes.errors import WorkAreaError
from scenes.plan.drive_frames import Bools, DriveFrames, Ints, UsableFrames, first_of_each
from sensors.motion.poses import interpolate
from sensors.rig import Modality, Rig

Floats = npt.NDArray[np.float64]
NO_SAMPLE = -1
POSE_VALUES = ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")


@dataclass(frozen=True, slots=True, eq=False)
class TrackPoses:
    """Poses at N instants. `poses` (N, 7): odom_SE3_ego, x y z m, qw qx qy qz, NaN where not `valid` (N,).

    `frame_ids` (N, 2): the samples before and after, as rows of the frame index; the same one twice where the instant hits
    it, -1 where there is no pose.
    """

    poses: Floats
    valid: Bools
    frame_ids: Ints


@dataclass(frozen=True, slots=True, eq=False)
class PoseTrack:
    """The usable samples of the rig's pose sensor: `frames`, their `samples` (P, 7), and the widest bracket."""

    frames: UsableFrames
    samples: Floats
    bracket_ns: int

    @classmethod
    def of(cls, poses: pa.Table, frames: DriveFrames, rig: Rig) -> PoseTrack:
        """From the pose samples of sound objects, in the order of key and position.

        Raises:
            WorkAreaError: They are not those of the index.
        """
        name = pose_sensor(rig)
        rows = slice(0, 0) if name is None else frames.rows(name)
        sound = frames.sound[rows]
        indexed_ns, left_out = frames.stamps_ns[rows][sound], frames.left_out[rows][sound]
        usable = UsableFrames.none() if name is None else frames.usable(name)
        stamps_ns = poses["stamp_ns"].to_numpy()
        order = np.argsort(stamps_ns, kind="stable")
        if not np.array_equal(stamps_ns[order], indexed_ns):
            raise WorkAreaError(f"{len(order)} pose samples do not have the stamps of the {len(indexed_ns)} pose frames indexed")
        order = order[~left_out]
        order = order[first_of_each(stamps_ns[order])]
        samples = np.stack([poses[value].to_numpy()[order] for value in POSE_VALUES], axis=1)
        return cls(usable, samples, rig.policy.pose_bracket_ns)

    def at(self, stamps_ns: Ints) -> TrackPoses:
        """Poses at these instants (N,), interpolated, never extrapolated (promise P4)."""
        near = self._around(stamps_ns)
        samples_ns = self.frames.stamps_ns[near]
        found = interpolate(stamps_ns, samples_ns, self.samples[near], self.bracket_ns)
        frame_ids = np.full((len(stamps_ns), 2), NO_SAMPLE, dtype=np.int64)
        left = found.left[found.valid]
        right = left + (samples_ns[left] != stamps_ns[found.valid])
        frame_ids[found.valid] = self.frames.frame_ids[near][np.stack([left, right], axis=1)]
        return TrackPoses(found.poses, found.valid, frame_ids)

    def _around(self, stamps_ns: Ints) -> slice:
        """The samples that these instants can need: the cost is that of a window's time span, not of the drive's."""
        if len(stamps_ns) == 0:
            return slice(0, 0)
        first = np.searchsorted(self.frames.stamps_ns, stamps_ns.min(), side="right") - 1
        last = np.searchsorted(self.frames.stamps_ns, stamps_ns.max(), side="left")
        return slice(max(int(first), 0), int(last) + 1)


def pose_sensor(rig: Rig) -> str | None:
    """The sensor whose samples give the ego pose: the first pose sensor of the rig, None if it has none.

    Samples of two sources are never mixed: each has an odometry frame of its own.
    """
    return first_sensor(rig, Modality.POSE)


def first_sensor(rig: Rig, modality: Modality) -> str | None:
    """The first sensor of this kind in the rig, None if it has none."""
    return next((sensor.name for sensor in rig.sensors if sensor.modality is modality), None)
