"""Targets of the sensor core: containers, compression, images, point clouds in files."""

from __future__ import annotations

import io
import re
import sqlite3
import struct
from collections.abc import Iterable
from pathlib import Path

import lz4.frame
import zstandard

from sensors.container.compression import MAX_ZSTD_WINDOW_BYTES, decompress, decompressed_prefix
from sensors.container.mcap import scan
from sensors.container.recorded import ContainerFault, SizeLimits, StoredMessage
from sensors.container.rosbag1 import scan_bag
from sensors.container.rosbag2_sqlite import scan_sqlite_bag
from sensors.decode import lzf
from sensors.decode.images import decode_pixels, inspect_image, read_header
from sensors.decode.pcd import read_pcd
from sensors.errors import ContainerError, DecodeError
from tests.fuzz import recordings
from tests.fuzz.mutation import with_tokens
from tests.fuzz.structures import line_mutation, mutate_image, mutate_mcap
from tests.fuzz.target import MIB, PYTHON_BYTES, Target, proportional

KIB = 1024
LIMITS = SizeLimits(record_bytes=256 * KIB, chunk_raw_bytes=256 * KIB, definition_bytes=16 * KIB, name_bytes=256, definitions=64)
# A scan's promise: two chunks as stored and one uncompressed, the definitions, and here the joined parts of one more.
SCAN_BYTES = 2 * LIMITS.record_bytes + 2 * LIMITS.chunk_raw_bytes + 2 * LIMITS.definition_bytes + PYTHON_BYTES
MAX_RAW_BYTES = 1 * MIB
WORDS_IN_LABEL = 8
BYTES_OF_A_PIXEL = 16
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|b'.*'|0x[0-9a-f]+|\d+")


def gist(message: str) -> str:
    """A message without the parts that vary with the input, so that equal causes look equal."""
    return _VARIABLE.sub("#", message)[:160]


def _summary(words: Iterable[str]) -> str:
    return " | ".join(sorted(set(words))[:WORDS_IN_LABEL])


# Containers


def _scan(data: bytes, _: Path) -> str:
    """No exception at all; fetching a message from its stated position gives the same bytes."""
    kinds = []
    for salvage in (False, True):
        for item in scan(io.BytesIO(data), LIMITS, salvage=salvage):
            if isinstance(item, ContainerFault):
                assert 0 <= item.offset <= len(data), item
                kinds.append(f"{item.kind}: {gist(item.message)}")
                continue
            assert len(item.data) == item.message_bytes
            assert item.data.readonly
            kinds.append(f"message of {item.message_type[:20]!r} in {item.compression!r}{' salvaged' * item.salvaged}")
            if not item.salvaged:
                _check_place(data, item)
    return _summary(kinds)


def _check_place(data: bytes, item: StoredMessage) -> None:
    stored = data[item.chunk_offset : item.chunk_offset + item.chunk_bytes]
    raw = decompress(stored, item.compression, item.chunk_raw_bytes)
    assert raw[item.message_offset : item.message_offset + item.message_bytes] == item.data


def _scan_bag(data: bytes, _: Path) -> str:
    kinds = []
    for item in scan_bag(io.BytesIO(data), LIMITS):
        kinds.append(f"{item.kind}: {gist(item.message)}" if isinstance(item, ContainerFault) else f"message {item.encoding}")
    return _summary(kinds)


def _scan_sqlite(data: bytes, folder: Path) -> str:
    path = folder / "bag.db3"
    path.write_bytes(data)
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        kinds = [
            f"{item.kind}: {gist(item.message)}" if isinstance(item, ContainerFault) else f"message {item.message_type[:20]}"
            for item in scan_sqlite_bag(connection, LIMITS)
        ]
    finally:
        connection.close()
    return _summary(kinds)


# Compression


def _compressed_seeds() -> list[bytes]:
    raw = bytes(range(256)) * 8
    stored = {0: raw, 1: zstandard.ZstdCompressor().compress(raw), 2: lz4.frame.compress(raw)}
    seeds = [struct.pack("<BI", kind, len(raw)) + content for kind, content in stored.items()]
    zeros = bytes(200_000)  # what expands most
    seeds.append(struct.pack("<BI", 1, len(zeros)) + zstandard.ZstdCompressor().compress(zeros))
    return [*seeds, struct.pack("<BI", 2, len(zeros)) + lz4.frame.compress(zeros), struct.pack("<BI", 3, 0)]


def _decompress(data: bytes, _: Path) -> str:
    """The first byte names the compression, the next four how many bytes are declared."""
    kind, declared = struct.unpack("<BI", data[:5].ljust(5, b"\0"))
    name = ("", "zstd", "lz4", "gzip")[kind % 4]
    prefix = decompressed_prefix(data[5:], name, declared, MAX_RAW_BYTES)
    assert len(prefix) <= min(declared, MAX_RAW_BYTES)
    raw = decompress(data[5:], name, declared, MAX_RAW_BYTES)
    assert len(raw) == declared <= MAX_RAW_BYTES
    assert raw.startswith(bytes(prefix))
    return f"{name} whole, prefix {len(prefix) == declared}"


def _lzf_seeds() -> list[bytes]:
    plain = bytes((31,)) + bytes(range(32))
    return [
        struct.pack("<I", size) + body for size, body in ((32, plain), (41, plain + b"\xe0\x00\x1f"), (36, plain + b"\x40\x03"))
    ]


def _lzf(data: bytes, _: Path) -> str:
    (declared,) = struct.unpack("<I", data[:4].ljust(4, b"\0"))
    raw = lzf.decompress(data[4:], declared % MAX_RAW_BYTES)
    assert len(raw) == declared % MAX_RAW_BYTES
    return "whole"


# Images and point clouds in files


def _image(data: bytes, _: Path) -> str:
    """Inspection and decoding agree on the size; every image that decodes passes the inspection's header check."""
    info = inspect_image(data)
    pixels = decode_pixels(data)
    assert pixels.shape == (info.height_px, info.width_px, 3)
    return info.encoding


def _image_bytes(data: bytes) -> int:
    """At most one float32 of four bands per pixel, and no allocation beyond the size in the header."""
    try:
        info = read_header(data)
    except DecodeError:
        return PYTHON_BYTES
    return info.width_px * info.height_px * BYTES_OF_A_PIXEL + 8 * len(data) + 4 * MIB


def _pcd_seeds() -> list[bytes]:
    head = b"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z id\nSIZE 4 4 4 2\nTYPE F F F U\nCOUNT 1 1 1 1\nWIDTH 3\nHEIGHT 1\n"
    head += b"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 3\nDATA "
    literals = bytes((31,)) + bytes(32) + bytes((9,)) + bytes(10)
    return [
        head + b"ascii\n1 2 3 4\n5 6 7 8\n-1.5 nan 1e3 9\n",
        head + b"binary\n" + bytes(range(42)) + b"padding",
        head + b"binary_compressed\n" + struct.pack("<II", len(literals), 42) + literals,
    ]


def _pcd(data: bytes, _: Path) -> str:
    found = read_pcd(data)
    cloud = found.cloud(recordings.STAMP_NS, "radar")
    assert len(found.data) == cloud.num_points * cloud.point_step
    assert all(len(cloud.column(name)) == cloud.num_points for name in cloud.names)
    return f"{found.header.body}, {len(cloud.fields)} fields, {min(cloud.num_points, 5)} points"


TARGETS = (
    Target(
        "container.scan",
        recordings.mcap_recordings,
        _scan,
        (),
        mutate_mcap,
        lambda _: SCAN_BYTES,
        MAX_ZSTD_WINDOW_BYTES + 32 * MIB,
        slice_inputs=1500,
    ),
    Target("bag.scan", recordings.ros1_bags, _scan_bag, (), with_tokens(b"op=\x02", b"op=\x05", b"conn="), lambda _: SCAN_BYTES),
    Target(
        "bag_sqlite.scan",
        recordings.sqlite_bags,
        _scan_sqlite,
        (),
        memory_bytes=lambda _: SCAN_BYTES,
        native_bytes=64 * MIB,
        slice_inputs=400,
    ),
    Target(
        "compression.decompress",
        _compressed_seeds,
        _decompress,
        (ContainerError,),
        with_tokens(b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"),
        lambda _: 4 * MAX_RAW_BYTES,
        MAX_ZSTD_WINDOW_BYTES + 32 * MIB,
    ),
    Target("lzf.decompress", _lzf_seeds, _lzf, (DecodeError,), memory_bytes=lambda _: 4 * MAX_RAW_BYTES),
    Target("images", recordings.images, _image, (DecodeError,), mutate_image, _image_bytes, 512 * MIB, slice_inputs=1000),
    Target(
        "pcd",
        _pcd_seeds,
        _pcd,
        (DecodeError,),
        line_mutation(b"FIELDS", b"SIZE", b"COUNT", b"binary", b"ascii", b"binary_compressed", b"8", b"F", b"x", b"_"),
        proportional(4096, 2 * MIB),
    ),
)
