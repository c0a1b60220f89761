"""Point clouds as the recorder wrote them: a table of fixed-size points whose columns the message itself describes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from sensors.errors import DecodeError
from sensors.rig import NS_PER_S
from sensors.stamps import Nanoseconds

TIME_FIELDS_NS = ("t", "time_stamp", "offset_time")  # integers: Ouster, Velodyne (nebula), Livox drivers
TIME_FIELDS_S = ("t", "time", "timestamp")  # floats: Velodyne (velodyne_pointcloud), Hesai, Robosense drivers
LONGEST_SWEEP_S = 10  # a larger time is not relative to the stamp but counted from the epoch
MAX_TIME_S = 2.0**32  # nanoseconds of it, less any ROS stamp, stay in int64


class Datatype(IntEnum):
    """`sensor_msgs/msg/PointField.datatype`."""

    INT8 = 1
    UINT8 = 2
    INT16 = 3
    UINT16 = 4
    INT32 = 5
    UINT32 = 6
    FLOAT32 = 7
    FLOAT64 = 8

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type, in native byte order."""
        return _DTYPES[self]


_DTYPES: dict[Datatype, np.dtype[Any]] = {
    Datatype.INT8: np.dtype(np.int8),
    Datatype.UINT8: np.dtype(np.uint8),
    Datatype.INT16: np.dtype(np.int16),
    Datatype.UINT16: np.dtype(np.uint16),
    Datatype.INT32: np.dtype(np.int32),
    Datatype.UINT32: np.dtype(np.uint32),
    Datatype.FLOAT32: np.dtype(np.float32),
    Datatype.FLOAT64: np.dtype(np.float64),
}


@dataclass(frozen=True, slots=True)
class PointField:
    """A column: `count` values of `datatype`, `offset` bytes from the start of a point."""

    name: str
    offset: int
    datatype: Datatype
    count: int = 1

    @property
    def size(self) -> int:
        """Bytes that the field takes in a point."""
        return self.datatype.dtype.itemsize * self.count


@dataclass(frozen=True, slots=True, eq=False)
class PointCloud:
    """A decoded cloud: `num_points` points of `point_step` bytes each, without gaps, in `data` (read-only).

    Coordinates are metres in the frame `frame_id`. The cloud is consistent: every field lies inside the point and
    `data` holds exactly the points.
    """

    stamp_ns: int
    frame_id: str
    num_points: int
    fields: tuple[PointField, ...]
    point_step: int
    is_bigendian: bool
    data: memoryview

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in the order of the message."""
        return tuple(field.name for field in self.fields)

    def column(self, name: str) -> npt.NDArray[Any]:
        """One column, (N,) or, for a field of several values, (N, count): native byte order, read-only.

        A view into `data` where the byte order allows, else a copy.

        Raises:
            DecodeError: The cloud has no such field.
        """
        for field in self.fields:
            if field.name == name:
                return self._values(field)
        raise DecodeError(f"the cloud has no field {name!r}, only {', '.join(self.names) or 'none at all'}")

    def xyz_m(self) -> npt.NDArray[np.float32]:
        """Positions (N, 3), a new array; in the sensor's frame.

        Raises:
            DecodeError: The cloud has no x, y or z.
        """
        xyz_m = np.empty((self.num_points, 3), dtype=np.float32)
        # A float64 beyond float32 becomes inf, which `invalid` reports like any other point without a position.
        with np.errstate(over="ignore", invalid="ignore"):
            for axis, name in enumerate(("x", "y", "z")):
                column = self.column(name)
                xyz_m[:, axis] = column if column.ndim == 1 else column[:, 0]
        return xyz_m

    def invalid(self) -> npt.NDArray[np.bool_]:
        """Which points (N,) have no position: a coordinate is NaN or infinite, or all three are zero (no return).

        Raises:
            DecodeError: The cloud has no x, y or z.
        """
        return without_position(self.xyz_m())

    def time_offset_ns(self) -> Nanoseconds | None:
        """When each point was measured (N,), relative to `stamp_ns`; None if the cloud does not say.

        Read from the first of: an integer field `t`, `time_stamp` or `offset_time` (nanoseconds), a float field `t`,
        `time` or `timestamp` (seconds). Float seconds that are mostly above 10 s are taken as counted from the epoch,
        and `stamp_ns` is subtracted. Points that have neither a position nor a usable time get 0.

        Raises:
            DecodeError: A point with a position has a time that is not finite, or more than 10 s from the stamp (as
                when it was taken from another clock).
        """
        for field in self._time_fields():
            values = self._values(field)
            if values.dtype.kind in "iu":
                return values.astype(np.int64)
            return self._from_seconds(field.name, values.astype(np.float64))
        return None

    def _time_fields(self) -> Iterator[PointField]:
        for names, kinds in ((TIME_FIELDS_NS, "iu"), (TIME_FIELDS_S, "f")):
            for name in names:
                yield from (f for f in self.fields if f.name == name and f.count == 1 and f.datatype.dtype.kind in kinds)

    def _from_seconds(self, name: str, seconds: npt.NDArray[np.float64]) -> Nanoseconds:
        placed = ~self.invalid()
        finite = np.where(np.abs(seconds) <= MAX_TIME_S, seconds, 0.0)  # NaN compares as False
        whole = np.floor(finite)
        # The whole seconds are split off first: at epoch scale a product in float64 would be wrong by up to 128 ns.
        offset_ns = whole.astype(np.int64) * NS_PER_S + np.rint((finite - whole) * NS_PER_S).astype(np.int64)
        if placed.any() and np.median(np.abs(finite[placed])) > LONGEST_SWEEP_S:
            offset_ns -= self.stamp_ns
        usable = (np.abs(seconds) <= MAX_TIME_S) & (np.abs(offset_ns) <= LONGEST_SWEEP_S * NS_PER_S)
        lost = placed & ~usable
        if lost.any():
            at, count = int(np.argmax(lost)), int(lost.sum())
            raise DecodeError(
                f"{count} of {self.num_points} points have a {name} more than {LONGEST_SWEEP_S} s from the stamp "
                f"{self.stamp_ns} ns: point {at} says {seconds[at]} s"
            )
        return np.where(usable, offset_ns, 0)

    def _values(self, field: PointField) -> npt.NDArray[Any]:
        native = field.datatype.dtype
        stored = native.newbyteorder(">" if self.is_bigendian else "<")
        shape: tuple[int, ...] = (self.num_points,)
        strides: tuple[int, ...] = (self.point_step,)
        if field.count != 1:
            shape, strides = (*shape, field.count), (*strides, native.itemsize)
        if self.num_points == 0:
            return np.empty(shape, dtype=native)
        view = np.ndarray(shape, dtype=stored, buffer=self.data, offset=field.offset, strides=strides)
        values = view.astype(native, copy=False)
        values.setflags(write=False)
        return values


def without_position(xyz_m: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Which points (N,) of `xyz_m` (N, 3) are no position: a coordinate is not finite, or all three are zero."""
    return np.asarray(~np.isfinite(xyz_m).all(axis=1) | (xyz_m == 0).all(axis=1), dtype=np.bool_)


def point_fields(dtype: np.dtype[Any]) -> tuple[PointField, ...]:
    """The fields of a structured numpy type, for `sensors.encode.encode_points`.

    Raises:
        ValueError: The type is not structured, or a member is nothing that a PointField can name.
    """
    if dtype.names is None or dtype.fields is None:
        raise ValueError(f"{dtype} is no structured type")
    fields = []
    for name in dtype.names:
        member, offset = dtype.fields[name][:2]
        base, shape = member.subdtype if member.subdtype is not None else (member, ())
        datatype = next((kind for kind, native in _DTYPES.items() if native == base.newbyteorder("=")), None)
        if datatype is None:
            raise ValueError(f"member {name} is {base}, which no PointField datatype describes")
        fields.append(PointField(name, int(offset), datatype, int(np.prod(shape, dtype=np.int64))))
    return tuple(fields)
