"""Motion compensation of the points of a scene (promise P4): all points of a frame, or none.

A frame with points that cannot be moved, because no poses bracket their time, is left as recorded: a mixture would be
neither. The recorded message can always be read from the raw object that `gold.frames` names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scenes.plan.pose_track import POSE_VALUES, PoseTrack
from sensors.decode.points import PointCloud, without_position
from sensors.errors import DecodeError
from sensors.motion.deskew import compensate
from sensors.motion.sweep_times import sweep_times_ns
from sensors.rig import Sensor

MOTION_VERSION = "slerp-2"  # part of the configuration hash
_AXES = ("x", "y", "z")
MARGIN_NS = 20_000_000_000  # the longest sweep that `PointCloud.time_offset_ns` accepts, and the widest bracket of a rig

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class PosesUsed(NamedTuple):
    """Consecutive pose samples: their raw objects, and the stamps of the first and the last."""

    keys: frozenset[str]
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class WindowPoses:
    """Samples of odom_SE3_ego: stamps (N,) ascending and distinct, poses (N, 7) x y z m, qw qx qy qz, and the raw object that
    each is from."""

    stamps_ns: Ints
    poses: Floats
    keys: Sequence[str]
    bracket_ns: int

    @classmethod
    def of(cls, samples: pa.Table, bracket_ns: int) -> WindowPoses:
        """From rows returned by `poses_around`."""
        poses = np.stack([samples[name].to_numpy() for name in POSE_VALUES], axis=1)
        return cls(samples["stamp_ns"].to_numpy(), poses, samples["key"].to_pylist(), bracket_ns)

    def used(self, first_ns: int, last_ns: int) -> PosesUsed:
        """All samples that a pose between these instants can be interpolated from; there is one on each side."""
        first = int(np.searchsorted(self.stamps_ns, first_ns, side="right")) - 1
        last = int(np.searchsorted(self.stamps_ns, last_ns, side="left"))
        return PosesUsed(frozenset(self.keys[first : last + 1]), int(self.stamps_ns[first]), int(self.stamps_ns[last]))


def poses_around(index: pa.Table, track: PoseTrack, rows: pa.Table) -> pa.Table:
    """The pose samples that points of a window's frames can need, with the key of the object that each is from.

    `rows` has the column `stamp_ns`, null where there is no frame.
    """
    span = pc.min_max(rows["stamp_ns"])
    stamps_ns = track.frames.stamps_ns
    first, last = 0, 0
    if span["min"].is_valid:
        first = int(np.searchsorted(stamps_ns, span["min"].as_py() - MARGIN_NS, side="left"))
        last = int(np.searchsorted(stamps_ns, span["max"].as_py() + MARGIN_NS, side="right"))
    columns = {"stamp_ns": pa.array(stamps_ns[first:last])}
    columns |= {name: pa.array(track.samples[first:last, value]) for value, name in enumerate(POSE_VALUES)}
    return pa.table(columns | {"key": index["key"].take(pa.array(track.frames.frame_ids[first:last]))})


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame's points and the time that they refer to; None: each to its own time, for the `reason` given.

    `poses`: the samples that moved them.
    """

    points: memoryview
    reference_ns: int | None
    reason: str | None
    poses: PosesUsed | None = None


def place(cloud: PointCloud, sensor: Sensor, reference_ns: int, track: WindowPoses | None) -> Placed:
    """The points of a lidar frame as seen at `reference_ns`; `track` None: the rig disables compensation."""
    own_ns = cloud.stamp_ns if sensor.sync.compensated else None
    if own_ns == reference_ns:
        return Placed(cloud.data, own_ns, None)
    if track is None:
        return Placed(cloud.data, own_ns, "the rig's policy switches it off")
    if sensor.ego_SE3_sensor is None:
        return Placed(cloud.data, own_ns, "the rig does not say where the sensor is")
    try:
        offsets_ns = sweep_times_ns(cloud, sensor)
    except DecodeError as error:
        return Placed(cloud.data, own_ns, str(error))
    if offsets_ns is None:
        return Placed(cloud.data, own_ns, "the points have no times of their own")
    if any(field.count != 1 or field.datatype.dtype.kind != "f" for field in cloud.fields if field.name in _AXES):
        return Placed(cloud.data, own_ns, "coordinates are not floating-point numbers")
    moved = compensate(
        cloud.xyz_m(),
        offsets_ns,
        cloud.stamp_ns,
        reference_ns,
        track.stamps_ns,
        track.poses,
        sensor.ego_SE3_sensor,
        track.bracket_ns,
    )
    if not moved.complete:
        left = int(np.count_nonzero(~moved.valid))
        return Placed(cloud.data, own_ns, f"no poses bracket {left} of {cloud.num_points} points, or the anchor")
    times_ns = np.append(cloud.stamp_ns + offsets_ns, reference_ns)
    used = track.used(int(times_ns.min()), int(times_ns.max()))
    return Placed(_with_positions(cloud, moved.xyz_m), reference_ns, None, used)


def _with_positions(cloud: PointCloud, xyz_m: npt.NDArray[np.float32]) -> memoryview:
    data = bytearray(cloud.data)
    chosen = ~without_position(xyz_m)
    for field in cloud.fields:
        if field.name in _AXES and cloud.num_points:
            stored = field.datatype.dtype.newbyteorder(">" if cloud.is_bigendian else "<")
            strides = (cloud.point_step,)
            view = np.ndarray((cloud.num_points,), dtype=stored, buffer=data, offset=field.offset, strides=strides)
            view[chosen] = xyz_m[chosen, _AXES.index(field.name)]
    return memoryview(data)
