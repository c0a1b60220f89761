"""Point clouds as the recorder wrote them: a table of fixed-size points whose columns the message itself describes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from sensors.decode.point_times import TIME_NAMES, float_times_ns, integer_times_ns, time_column
from sensors.errors import DecodeError
from sensors.stamps import Nanoseconds


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
        """When each point was measured (N,), relative to `stamp_ns`; None if the cloud has no such times.

        Read from the first field that `sensors.decode.point_times` knows. Points that have neither a position nor a usable time
        get 0.

        Raises:
            DecodeError: A point with a position has a time that is not finite, or more than 10 s from the stamp (as
                when it was taken from another clock), or the field cannot hold such a time.
        """
        field = self.time_field()
        if field is None:
            return None
        values = self._values(field)
        if values.dtype.kind in "iu":
            return integer_times_ns(field.name, values, ~self.invalid())
        return float_times_ns(field.name, values, ~self.invalid(), self.stamp_ns)

    def time_field(self) -> PointField | None:
        """The column of the points' measurement times; None if there is none."""
        single = [field for field in self.fields if field.count == 1]
        position = time_column([field.name for field in single], [field.datatype.dtype.kind for field in single])
        return None if position is None else single[position]

    def timeless(self) -> memoryview:
        """The points with zeros for when they were measured: a driver that sends a scan again gives its points new times."""
        times = [field for field in self.fields if field.name in TIME_NAMES]
        if not times or not self.num_points:
            return self.data
        points = np.array(np.frombuffer(self.data, dtype=np.uint8).reshape(self.num_points, self.point_step))
        for field in times:
            points[:, field.offset : field.offset + field.size] = 0
        return points.reshape(-1).data

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
    """Which points (N,) of `xyz_m` (N, 3) have no position: a coordinate is not finite, or all three are zero."""
    return np.asarray(~np.isfinite(xyz_m).all(axis=1) | (xyz_m == 0).all(axis=1), dtype=np.bool_)


def point_fields(dtype: np.dtype[Any]) -> tuple[PointField, ...]:
    """The fields of a structured numpy type, for `fleet.encode.encode_points`.

    Raises:
        ValueError: The type is not structured, or a PointField cannot describe one of its members.
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
