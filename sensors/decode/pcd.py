"""PCD v0.7, the point cloud file of PCL: ascii, binary and binary_compressed.

The body ends after POINTS points, whatever the file's size: PCL may pad a file, and a reader that goes on to its end finds
points that were never measured (a nuScenes radar file of N points has 4096 + 43 N bytes).

Format: https://pointclouds.org/documentation/tutorials/pcd_file_format.html. In `binary_compressed`, two uint32 (sizes of
the compressed and of the raw data) precede an LZF stream in which the columns follow one another.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from sensors.decode.lzf import decompress
from sensors.decode.points import Datatype, PointCloud, PointField
from sensors.errors import DecodeError

MAX_HEADER_BYTES = 64 * 1024
MAX_FIELDS = 128
MAX_VALUES_OF_A_FIELD = 4096
MAX_BODY_BYTES = 256 * 1024 * 1024
MAX_TEXT_BYTES = 64 * 1024 * 1024
VERSIONS = ("0.7", ".7")
BODIES = ("ascii", "binary", "binary_compressed")
PADDING = "_"  # PCL's name for bytes that belong to no field
NO_VIEWPOINT = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)

_SIZES = struct.Struct("<II")
_DATATYPES = {
    ("I", 1): Datatype.INT8,
    ("U", 1): Datatype.UINT8,
    ("I", 2): Datatype.INT16,
    ("U", 2): Datatype.UINT16,
    ("I", 4): Datatype.INT32,
    ("U", 4): Datatype.UINT32,
    ("F", 4): Datatype.FLOAT32,
    ("F", 8): Datatype.FLOAT64,
}


@dataclass(frozen=True, slots=True)
class PcdHeader:
    """The contents of the header.

    `fields` leave out padding; `point_step` counts it. `body` is one of `BODIES` and begins at byte `body_at`. `viewpoint`:
    x y z in metres and qw qx qy qz of the sensor in the cloud's frame.
    """

    width: int
    height: int
    num_points: int
    fields: tuple[PointField, ...]
    point_step: int
    viewpoint: tuple[float, ...]
    body: str
    body_at: int


@dataclass(frozen=True, slots=True, eq=False)
class Pcd:
    """A decoded file: `data` (read-only) holds the points row by row, little-endian, `point_step` bytes each.

    `tail_bytes`: how many bytes follow the body.
    """

    header: PcdHeader
    data: memoryview
    tail_bytes: int

    def cloud(self, stamp_ns: int, frame_id: str) -> PointCloud:
        """The points as a cloud; file and cloud share their memory."""
        head = self.header
        return PointCloud(stamp_ns, frame_id, head.num_points, head.fields, head.point_step, False, self.data)


def read_pcd(data: bytes | memoryview) -> Pcd:
    """Decode a PCD file. A binary body is not copied.

    Raises:
        DecodeError: The header is malformed or claims more than the limits of this module, the body is cut short, does
            not decompress, or holds something that is no number.
    """
    view = memoryview(data).toreadonly()
    header = read_header(view)
    body = view[header.body_at :]
    need = header.num_points * header.point_step
    if header.body == "binary":
        if len(body) < need:
            raise DecodeError(f"the pcd is cut short: {header.num_points} points take {need} bytes, {len(body)} are there")
        return Pcd(header, body[:need], len(body) - need)
    if header.body == "binary_compressed":
        return _compressed(header, body)
    return _ascii(header, body)


def read_header(data: bytes | memoryview) -> PcdHeader:
    """Read the header alone, up to its line `DATA`.

    Raises:
        DecodeError: It is malformed, or claims more than the limits of this module.
    """
    lines, body_at = _lines(bytes(data[:MAX_HEADER_BYTES]))
    version = lines.get("VERSION", [""])[0]
    if version not in VERSIONS:
        raise DecodeError(f"the pcd has version {version!r}; {VERSIONS[0]} is read")
    fields, point_step = _fields(lines)
    width, height = _count(lines, "WIDTH"), _count(lines, "HEIGHT")
    num_points = _count(lines, "POINTS")
    if width * height != num_points:
        raise DecodeError(f"the pcd has {num_points} points, but {width} x {height} are {width * height}")
    if num_points * point_step > MAX_BODY_BYTES:
        raise DecodeError(
            f"the pcd claims {num_points} points of {point_step} bytes, {num_points * point_step} in all; "
            f"the limit is {MAX_BODY_BYTES}"
        )
    body = lines["DATA"][0]
    if body not in BODIES:
        raise DecodeError(f"the pcd's data is {body[:40]!r}, none of {', '.join(BODIES)}")
    return PcdHeader(width, height, num_points, fields, point_step, _viewpoint(lines), body, body_at)


def _lines(head: bytes) -> tuple[dict[str, list[str]], int]:
    """The header's entries, each with at least one value, and where the body begins."""
    entries: dict[str, list[str]] = {}
    at = 0
    while (end := head.find(b"\n", at)) >= 0:
        line, at = head[at:end].strip(), end + 1
        if not line or line.startswith(b"#"):
            continue
        try:
            name, *values = line.decode("ascii").split()
        except UnicodeDecodeError as error:
            raise DecodeError(f"the pcd's header holds {line[:40]!r}, which is no ASCII text") from error
        if not values or name in entries:
            raise DecodeError(f"the pcd's header has {name[:40]!r} {'twice' if values else 'without a value'}")
        entries[name] = values
        if name == "DATA":
            return entries, at
    raise DecodeError(f"no line DATA within the first {len(head)} bytes: this is no pcd, or it is cut short")


def _fields(lines: dict[str, list[str]]) -> tuple[tuple[PointField, ...], int]:
    names = lines.get("FIELDS", [])
    sizes, kinds = lines.get("SIZE", []), lines.get("TYPE", [])
    counts = lines.get("COUNT", ["1"] * len(names))
    if not names or not len(names) == len(sizes) == len(kinds) == len(counts):
        raise DecodeError(f"the pcd has {len(names)} fields, {len(sizes)} sizes, {len(kinds)} types and {len(counts)} counts")
    if len(names) > MAX_FIELDS:
        raise DecodeError(f"the pcd has {len(names)} fields, the limit is {MAX_FIELDS}")
    fields: list[PointField] = []
    offset = 0
    for name, kind, size, count_text in zip(names, kinds, map(_whole, sizes), counts, strict=True):
        count = _whole(count_text)
        if not 0 < count <= MAX_VALUES_OF_A_FIELD or not 0 < size <= 8:
            raise DecodeError(f"the pcd's field {name[:40]!r} has {count} values of {size} bytes")
        if name != PADDING:
            datatype = _DATATYPES.get((kind, size))
            if datatype is None:
                raise DecodeError(f"the pcd's field {name[:40]!r} has type {kind[:8]}{size}, which no PointField describes")
            if any(field.name == name for field in fields):
                raise DecodeError(f"the pcd has the field {name[:40]!r} twice")
            fields.append(PointField(name, offset, datatype, count))
        offset += size * count
    return tuple(fields), offset


def _count(lines: dict[str, list[str]], name: str) -> int:
    if name not in lines:
        raise DecodeError(f"the pcd's header has no {name}")
    return _whole(lines[name][0])


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise DecodeError(f"the pcd's header has {text[:40]!r} where a whole number must be")
    return int(text)


def _viewpoint(lines: dict[str, list[str]]) -> tuple[float, ...]:
    values = lines.get("VIEWPOINT")
    if values is None:
        return NO_VIEWPOINT
    try:
        viewpoint = tuple(float(value) for value in values)
    except ValueError as error:
        raise DecodeError(f"the pcd's viewpoint is no row of numbers: {error}") from error
    if len(viewpoint) != len(NO_VIEWPOINT):
        raise DecodeError(f"the pcd's viewpoint has {len(viewpoint)} values instead of {len(NO_VIEWPOINT)}")
    return viewpoint


def _dtype(header: PcdHeader) -> np.dtype[Any]:
    """The numpy type of a point; padding members are left out, offsets are kept."""
    return np.dtype(
        {
            "names": [field.name for field in header.fields],
            "formats": [(field.datatype.dtype.newbyteorder("<"), (field.count,)) for field in header.fields],
            "offsets": [field.offset for field in header.fields],
            "itemsize": header.point_step,
        }
    )


def _compressed(header: PcdHeader, body: memoryview) -> Pcd:
    if len(body) < _SIZES.size:
        raise DecodeError(f"the pcd ends {len(body)} bytes into its compressed body, before the sizes")
    packed, raw = _SIZES.unpack_from(body)
    stored = sum(field.size for field in header.fields) * header.num_points  # PCL does not store padding
    if raw != stored:
        raise DecodeError(f"the pcd's compressed body declares {raw} bytes, {header.num_points} points have {stored}")
    stream = body[_SIZES.size : _SIZES.size + packed]
    if len(stream) < packed:
        raise DecodeError(f"the pcd is cut short: its compressed body has {packed} bytes, {len(stream)} are there")
    columns = decompress(stream, raw)
    points = np.zeros(header.num_points, dtype=_dtype(header))
    at = 0
    for field in header.fields:
        column = np.frombuffer(columns, dtype=field.datatype.dtype.newbyteorder("<"), count=field.count * len(points), offset=at)
        points[field.name] = column.reshape(len(points), field.count)
        at += field.size * len(points)
    return Pcd(header, memoryview(points.tobytes()), len(body) - _SIZES.size - packed)


def _ascii(header: PcdHeader, body: memoryview) -> Pcd:
    if len(body) > MAX_TEXT_BYTES:
        raise DecodeError(f"the pcd has {len(body)} bytes of text, the limit is {MAX_TEXT_BYTES}")
    width = sum(field.count for field in header.fields)
    if header.point_step != sum(field.size for field in header.fields):
        raise DecodeError("the pcd's text holds padding, which is not read; write it without '_' fields")
    end = _end_of_lines(body, header.num_points)
    table = np.empty((0, width))
    if bytes(body[:end]).strip():
        try:
            table = np.loadtxt(BytesIO(body[:end]), dtype=np.float64, ndmin=2, comments=None)
        except ValueError as error:
            raise DecodeError(f"the pcd's text is no table of numbers: {error}") from error
    if table.shape != (header.num_points, width):
        raise DecodeError(f"the pcd's text has {table.shape} values instead of {(header.num_points, width)}")
    points = np.zeros(header.num_points, dtype=_dtype(header))
    at = 0
    for field in header.fields:
        points[field.name] = _fitting(field, table[:, at : at + field.count])
        at += field.count
    return Pcd(header, memoryview(points.tobytes()), len(body) - end)


def _end_of_lines(body: memoryview, count: int) -> int:
    """The position after the first `count` lines."""
    if count == 0:
        return 0
    ends = np.flatnonzero(np.frombuffer(body, dtype=np.uint8) == ord("\n"))
    if ends.size >= count:
        return int(ends[count - 1]) + 1
    if ends.size == count - 1:  # the last line may lack its newline
        return len(body)
    raise DecodeError(f"the pcd is cut short: {count} points take as many lines, {ends.size} are there")


def _fitting(field: PointField, values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    dtype = field.datatype.dtype
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    limits = np.iinfo(dtype)
    if not ((values >= limits.min) & (values <= limits.max) & (values == np.floor(values))).all():
        raise DecodeError(f"the pcd's field {field.name[:40]!r} holds values that no {dtype} can hold")
    return values.astype(dtype)
