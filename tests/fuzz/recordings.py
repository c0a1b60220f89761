"""Small valid recordings and messages, of every kind that a decoder knows, for a fuzzer to start from."""

from __future__ import annotations

import io
import sqlite3
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from mcap.writer import CompressionType, IndexType, Writer
from PIL import Image

from fleet.encode import (
    MCAP_PROFILE,
    MESSAGE_ENCODING,
    SCHEMA_ENCODING,
    encode_fix,
    encode_image,
    encode_imu,
    encode_points,
    encode_pose,
    message_definition,
)
from sensors.decode.messages import FIX, IMAGE, IMU, ODOMETRY, POINT_CLOUD
from sensors.decode.points import point_fields
from sensors.geometry import SE3
from tests.unit.sensors.decode import ros1_messages

STAMP_NS = 1_700_000_000_123_456_789
CLOUDS = (
    np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<u2"), ("t", "<u4")]),
    np.dtype([("x", "<f8"), ("y", "<f8"), ("z", "<f8"), ("timestamp", "<f8")]),
    np.dtype({"names": ["x", "y", "z", "time"], "formats": ["<f4"] * 4, "offsets": [0, 4, 8, 20], "itemsize": 32}),
    np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rcs", "<f4", (3,)), ("offset_time", "<i4")]),
    np.dtype([("range", "u1")]),
)


def point_messages() -> list[bytes]:
    """PointCloud2 with packed and padded points, every kind of time, one point, no point, big-endian."""
    found = []
    for dtype in CLOUDS:
        points = np.zeros(5, dtype=dtype)
        for number, name in enumerate(dtype.names or ()):
            points[name] = np.arange(5).reshape((5, *[1] * (points[name].ndim - 1))) * (number + 1) / 64
        if "timestamp" in (dtype.names or ()):
            points["timestamp"] += STAMP_NS / 1e9
        found += [encode_points(STAMP_NS, "lidar", point_fields(dtype), points[:count]) for count in (5, 1, 0)]
        found.append(encode_points(STAMP_NS, "lidar", point_fields(dtype), points, is_bigendian=True))
    return [*found, _organised()]


def _organised() -> bytes:
    """Two rows of two points with padding behind each row, which the encoder does not write."""
    flat = encode_points(STAMP_NS, "lidar", point_fields(np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4")])), bytes(48))
    head = flat.index(struct.pack("<II", 1, 4))
    step = flat.index(struct.pack("<IIIB", 12, 48, 48, 0)[:12])
    organised = flat[:head] + struct.pack("<II", 2, 2) + flat[head + 8 : step] + struct.pack("<III", 12, 28, 56)
    return organised + bytes(56) + b"\x01"


def image_messages() -> list[bytes]:
    return [encode_image(STAMP_NS, "camera", "png" if data[1:4] == b"PNG" else "jpeg", data) for data in images()[:4]]


def pose_messages() -> list[bytes]:
    return [
        encode_pose(STAMP_NS, SE3.from_wxyz((1.0, -2.0, 0.5), (1.0, 0.0, 0.0, 0.0))),
        encode_pose(0, SE3.from_wxyz((1e6, 0.0, 0.0), (0.5, 0.5, -0.5, 0.5)), "map", ""),
    ]


def imu_messages() -> list[bytes]:
    return [encode_imu(STAMP_NS, (0.1, 0.0, -0.1), (0.0, 0.0, 9.81)), encode_imu(1, (0, 0, 0), (0, 0, 0), "")]


def fix_messages() -> list[bytes]:
    return [encode_fix(STAMP_NS, 48.1, 11.5, 520.0), encode_fix(0, -90.0, 180.0, float("nan"), "")]


def images() -> list[bytes]:
    """JPEG (baseline, progressive, grey, subsampled) and PNG (8 and 16 bit, palette, alpha, grey, one pixel)."""
    rgb = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)
    colour, grey = Image.fromarray(rgb), Image.fromarray(rgb[:, :, 0].copy())
    deep = Image.fromarray((np.arange(24 * 32, dtype=np.uint16) * 80).reshape(24, 32))
    return [
        _encoded(colour, "JPEG", quality=80),
        _encoded(colour, "PNG"),
        _encoded(colour, "JPEG", progressive=True),
        _encoded(deep, "PNG"),
        _encoded(grey, "JPEG", quality=20),
        _encoded(colour, "JPEG", subsampling=2, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
        _encoded(colour.convert("CMYK"), "JPEG"),
        _encoded(colour.convert("P"), "PNG"),
        _encoded(colour.convert("RGBA"), "PNG"),
        _encoded(colour.resize((1, 1)), "PNG"),
    ]


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    with io.BytesIO() as stream:
        image.save(stream, format=kind, **options)
        return stream.getvalue()


def mcap_recordings() -> list[bytes]:
    """Every compression, chunked or not, with and without an index and checksums, and one with nothing in it."""
    found = [
        _mcap(compression, chunked=chunked, indexed=indexed)
        for compression, chunked, indexed in (
            (CompressionType.NONE, True, True),
            (CompressionType.LZ4, True, True),
            (CompressionType.ZSTD, True, False),
            (CompressionType.NONE, False, True),
            (CompressionType.NONE, False, False),
        )
    ]
    return [*found, _mcap(CompressionType.ZSTD, chunked=True, indexed=True, messages=False)]


def _mcap(compression: CompressionType, *, chunked: bool, indexed: bool, messages: bool = True) -> bytes:
    stream = io.BytesIO()
    writer = Writer(
        stream,
        chunk_size=600,
        compression=compression,
        use_chunking=chunked,
        index_types=IndexType.ALL if indexed else IndexType.NONE,
        use_statistics=indexed,
        enable_crcs=indexed,
        enable_data_crcs=indexed,
    )
    writer.start(profile=MCAP_PROFILE, library="fuzz")
    if messages:
        by_type = {IMU: imu_messages(), FIX: fix_messages(), POINT_CLOUD: point_messages()[:2]}
        for message_type, contents in by_type.items():
            definition = message_definition(message_type).encode()[:200]
            schema = writer.register_schema(message_type, SCHEMA_ENCODING, definition)
            channel = writer.register_channel(f"/{message_type[-3:]}", MESSAGE_ENCODING, schema)
            for number, content in enumerate(contents):
                writer.add_message(channel, STAMP_NS + number, content, STAMP_NS, number)
    writer.finish()  # type: ignore[no-untyped-call]
    return stream.getvalue()


def sqlite_bags() -> list[bytes]:
    """ROS 2 `.db3` bags with messages, without any, and with metadata tables beside them."""
    return [_sqlite_bag(count, extra) for count, extra in ((6, False), (0, False), (40, True))]


def _sqlite_bag(count: int, extra: bool) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bag.db3"
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA page_size = 512")
        connection.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT)")
        connection.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)")
        if extra:
            connection.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
            connection.execute("CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata TEXT)")
        contents = [*imu_messages(), *pose_messages(), *point_messages()[:2]]
        for number, message_type in enumerate((IMU, ODOMETRY, POINT_CLOUD, IMAGE), start=1):
            connection.execute("INSERT INTO topics VALUES (?, ?, ?, 'cdr')", (number, f"/t{number}", message_type))
        for number in range(count):
            content = contents[number % len(contents)]
            connection.execute("INSERT INTO messages VALUES (NULL, ?, ?, ?)", (1 + number % 3, STAMP_NS + number, content))
        connection.commit()
        connection.close()
        return path.read_bytes()


def ros1_bags() -> list[bytes]:
    """ROS 1 bags of several chunks, stored as they are, with bz2 and with lz4."""
    messages = [
        (f"/{number % 3}", (ros1_messages.cloud, ros1_messages.imu, ros1_messages.fix)[number % 3](STAMP_NS + number), STAMP_NS)
        for number in range(9)
    ]
    with TemporaryDirectory() as folder:
        return [
            ros1_messages.write_bag(Path(folder) / f"{kind}.bag", messages, kind, chunk_bytes=1000).read_bytes()
            for kind in ("none", "bz2", "lz4")
        ]
