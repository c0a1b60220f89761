"""PCD files built by hand: every body, every type, the padded tail, and the claims of damaged or hostile files."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.decode.pcd import MAX_BODY_BYTES, read_header, read_pcd
from sensors.decode.points import Datatype
from sensors.errors import DecodeError
from tests.unit.sensors.decode.lzf_writer import compress

# The radar of nuScenes: 18 fields in 43 bytes, written out here as its documentation has them.
RADAR_RECORD = struct.Struct("<fffbhfffffbbbbbbbb")
RADAR_HEADER = b"""# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z dyn_prop id rcs vx vy vx_comp vy_comp is_quality_valid ambig_state x_rms y_rms invalid_state pdh0 vx_rms vy_rms
SIZE 4 4 4 1 2 4 4 4 4 4 1 1 1 1 1 1 1 1
TYPE F F F I I F F F F F I I I I I I I I
COUNT 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1
WIDTH 2
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS 2
DATA binary
"""
RADAR_ROWS = (
    (10.5, -2.25, 0.0, 1, -300, 5.5, 1.5, -0.5, 9.25, -8.75, 1, 3, 19, -20, 0, 2, 15, 16),
    (60.0, 7.75, 0.0, 6, 32767, -4.0, 0.0, 2.5, 1.25, 3.5, 0, 4, 20, 21, 17, 1, 3, 16),
)


def header(fields: str, sizes: str, types: str, points: int, body: str, counts: str | None = None, extra: str = "") -> bytes:
    count_line = f"COUNT {counts}\n" if counts else ""
    return (
        f"VERSION .7\nFIELDS {fields}\nSIZE {sizes}\nTYPE {types}\n{count_line}"
        f"WIDTH {points}\nHEIGHT 1\n{extra}POINTS {points}\nDATA {body}\n"
    ).encode()


def test_a_radar_file_stops_at_its_points_not_at_its_end() -> None:
    body = b"".join(RADAR_RECORD.pack(*row) for row in RADAR_ROWS)
    file = RADAR_HEADER + body + b"\x01" * (4096 - len(RADAR_HEADER))
    assert len(file) == 4096 + 43 * 2
    found = read_pcd(file)
    assert (found.header.num_points, found.header.point_step, found.tail_bytes) == (2, 43, 4096 - len(RADAR_HEADER))
    assert bytes(found.data) == body and found.data.readonly
    cloud = found.cloud(123, "radar_front")
    for column, name in enumerate(RADAR_HEADER.splitlines()[2].decode().split()[1:]):
        assert cloud.column(name).tolist() == [row[column] for row in RADAR_ROWS], name
    assert (cloud.stamp_ns, cloud.frame_id, cloud.num_points) == (123, "radar_front", 2)


def test_golden_bytes_of_a_radar_record() -> None:
    assert RADAR_RECORD.pack(*RADAR_ROWS[0]).hex() == (
        "00002841000010c00000000001d4fe0000b0400000c03f000000bf0000144100000cc1010313ec00020f10"
    )


ALL_TYPES = np.dtype(
    [("a", "<i1"), ("b", "<u1"), ("c", "<i2"), ("d", "<u2"), ("e", "<i4"), ("f", "<u4"), ("g", "<f4"), ("h", "<f8", (3,))]
)
ALL_HEADER = ("a b c d e f g h", "1 1 2 2 4 4 4 8", "I U I U I U F F")
ROWS = np.zeros(4, dtype=ALL_TYPES)
for _name in ("a", "b", "c", "d", "e", "f"):
    ROWS[_name] = [0, 1, np.iinfo(ALL_TYPES[_name]).min, np.iinfo(ALL_TYPES[_name]).max]
ROWS["g"] = [0.0, -1.5, np.nan, 3.4e38]
ROWS["h"] = np.arange(12).reshape(4, 3) * 1e15 + 0.125


def text_of(rows: np.ndarray) -> bytes:  # type: ignore[type-arg]
    lines = []
    for row in rows:
        values = [value for name in rows.dtype.names or () for value in np.atleast_1d(row[name])]
        lines.append(" ".join(repr(value.item()) for value in values))
    return "\n".join(lines).encode()


@pytest.mark.parametrize("tail", [b"", b"\0" * 4096, b"\nPOINTS 9\n"])
@pytest.mark.parametrize("body", ["ascii", "binary", "binary_compressed"])
def test_every_type_comes_back_from_every_body(body: str, tail: bytes) -> None:
    columns = b"".join(np.ascontiguousarray(ROWS[name]).tobytes() for name in ALL_TYPES.names or ())
    packed = compress(columns)
    bodies = {
        "ascii": text_of(ROWS) + b"\n",
        "binary": ROWS.tobytes(),
        "binary_compressed": struct.pack("<II", len(packed), len(columns)) + packed,
    }
    found = read_pcd(header(*ALL_HEADER, 4, body, "1 1 1 1 1 1 1 3") + bodies[body] + tail)
    assert found.tail_bytes == len(tail) and found.header.body == body
    cloud = found.cloud(0, "")
    assert [field.datatype for field in cloud.fields] == list(Datatype)
    for name in ALL_TYPES.names or ():
        np.testing.assert_array_equal(cloud.column(name), ROWS[name])


def test_padding_keeps_its_place_and_has_no_name() -> None:
    record = struct.Struct("<f4xh2x")
    file = header("x _ n _", "4 1 2 1", "F U I U", 2, "binary", "1 4 1 2") + record.pack(1.5, 7) + record.pack(-2.5, -9)
    cloud = read_pcd(file).cloud(0, "")
    assert cloud.names == ("x", "n") and cloud.point_step == 12
    assert cloud.column("x").tolist() == [1.5, -2.5] and cloud.column("n").tolist() == [7, -9]


def test_the_viewpoint_and_the_organisation_are_read() -> None:
    file = (
        b"VERSION 0.7\nFIELDS x\nSIZE 4\nTYPE F\nWIDTH 3\nHEIGHT 2\nVIEWPOINT 1 2 3.5 0 1 0 0\nPOINTS 6\nDATA binary\n"
        + bytes(24)
    )
    found = read_header(file)
    assert (found.width, found.height, found.num_points) == (3, 2, 6)
    assert found.viewpoint == (1.0, 2.0, 3.5, 0.0, 1.0, 0.0, 0.0)
    assert read_header(header("x", "4", "F", 0, "binary")).viewpoint == (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("body", ["ascii", "binary", "binary_compressed"])
def test_no_points_are_a_cloud_too(body: str) -> None:
    found = read_pcd(header("x y", "4 4", "F F", 0, body) + (struct.pack("<II", 0, 0) if "_" in body else b""))
    assert found.header.num_points == 0 and len(found.data) == 0 and found.cloud(0, "").column("y").tolist() == []


def test_the_last_line_of_text_may_lack_its_end() -> None:
    found = read_pcd(header("x n", "4 2", "F U", 2, "ascii") + b"1.5 7\r\nnan 65535")
    assert found.cloud(0, "").column("n").tolist() == [7, 65535] and np.isnan(found.cloud(0, "").column("x")[1])


GOOD = ("x y", "4 4", "F F", 2, "binary")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"", "no line DATA"),
        (b"hello\n" * 3, "has 'hello' without a value"),
        (b"\xff\xfe x\nDATA binary\n", "no ASCII text"),
        (b"# only remarks\n" * 9000, "no line DATA within the first 65536 bytes"),
        (header(*GOOD).replace(b".7", b"0.6"), "version '0.6'"),
        (header(*GOOD).replace(b"VERSION .7\n", b""), "version ''"),
        (header(*GOOD).replace(b"POINTS 2", b"POINTS 3"), "has 3 points, but 2 x 1 are 2"),
        (header(*GOOD).replace(b"POINTS 2\n", b""), "has no POINTS"),
        (header(*GOOD).replace(b"WIDTH 2", b"WIDTH -2"), "'-2' where a whole number must be"),
        (header(*GOOD).replace(b"WIDTH 2", b"WIDTH 2\nWIDTH 2"), "has 'WIDTH' twice"),
        (header(*GOOD).replace(b"binary", b"zip"), "data is 'zip', none of ascii"),
        (header("x y", "4", "F F", 1, "binary"), "2 fields, 1 sizes, 2 types and 2 counts"),
        (header("x x", "4 4", "F F", 1, "binary"), "has the field 'x' twice"),
        (header("x", "3", "F", 1, "binary"), "type F3, which no PointField describes"),
        (header("x", "8", "U", 1, "binary"), "type U8, which no PointField describes"),
        (header("x", "9", "F", 1, "binary"), "has 1 values of 9 bytes"),
        (header("x", "4", "F", 1, "binary", "0"), "has 0 values"),
        (header("x", "4", "F", 1, "binary", "99999"), "has 99999 values"),
        (header("x", "4", "F", 1, "binary", extra="VIEWPOINT 1 2\n"), "viewpoint has 2 values"),
        (header("x", "4", "F", 1, "binary", extra="VIEWPOINT a b c d e f g\n"), "viewpoint is no row of numbers"),
        (header(" ".join(f"f{n}" for n in range(129)), "4 " * 129, "F " * 129, 1, "binary"), "129 fields, the limit is 128"),
        (header("x y", "4 4", "F F", 2, "binary") + bytes(15), "2 points take 16 bytes, 15 are there"),
        (header("x", "4", "F", 2, "ascii") + b"1", "2 points take as many lines, 0 are there"),
        (header("x", "4", "F", 2, "ascii") + b"1\n2 3\n", "no table of numbers"),
        (header("x", "4", "F", 2, "ascii") + b"1 2\n2 3\n", "instead of"),
        (header("x", "4", "F", 2, "ascii") + b"\n\n", "instead of"),
        (header("x", "4", "F", 1, "ascii") + b"one\n", "no table of numbers"),
        (header("n", "1", "U", 1, "ascii") + b"256\n", "values that no uint8 can hold"),
        (header("n", "1", "U", 1, "ascii") + b"1.5\n", "values that no uint8 can hold"),
        (header("n", "4", "I", 1, "ascii") + b"nan\n", "values that no int32 can hold"),
        (header("x _", "4 1", "F U", 1, "ascii") + b"1 2\n", "holds padding"),
        (header("x", "4", "F", 2, "binary_compressed") + b"\1\0\0", "ends 3 bytes into its compressed body"),
        (header("x", "4", "F", 2, "binary_compressed") + struct.pack("<II", 9, 8), "has 9 bytes, 0 are there"),
        (header("x", "4", "F", 2, "binary_compressed") + struct.pack("<II", 0, 9), "declares 9 bytes, 2 points have 8"),
        (header("x", "4", "F", 2, "binary_compressed") + struct.pack("<II", 2, 8) + b"\x00a", "yields 1 bytes"),
    ],
)
def test_a_damaged_file_is_explained(file: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        read_pcd(file)


@pytest.mark.parametrize("body", ["ascii", "binary", "binary_compressed"])
def test_a_claim_beyond_the_limit_is_refused_before_memory_is_taken(body: str) -> None:
    points = MAX_BODY_BYTES // 4 + 1
    with pytest.raises(DecodeError, match=f"claims {points} points of 4 bytes"):
        read_pcd(header("x", "4", "F", points, body))
    with pytest.raises(DecodeError, match="whole number"):
        read_pcd(header("x", "4", "F", 10**11, body))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_end_in_an_error_of_ours(data: bytes) -> None:
    for file in (
        data,
        header("x n", "4 2", "F I", 3, "ascii") + data,
        header("x n", "4 2", "F I", 3, "binary_compressed") + data,
    ):
        try:
            assert read_pcd(file).header.num_points >= 0
        except DecodeError:
            pass


@given(st.data())
def test_a_damaged_byte_of_the_header_ends_in_an_error_of_ours_or_a_cloud(data: st.DataObject) -> None:
    file = bytearray(RADAR_HEADER + b"".join(RADAR_RECORD.pack(*row) for row in RADAR_ROWS))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(RADAR_HEADER) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_pcd(bytes(file))
    except DecodeError:
        return
    assert len(found.data) == found.header.num_points * found.header.point_step
