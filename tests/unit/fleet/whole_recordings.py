"""The same small recording in each container: a lidar, a raw camera, an IMU, poses, and topics that nothing decodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mcap.writer import CompressionType, Writer

from tests.unit.sensors.container.sqlite_bags import write_rosbag2
from tests.unit.sensors.decode import ros1_messages as made

STAMPS_NS = 1_700_000_000_000_000_000
LOG_NS = STAMPS_NS + 107_000_000  # a sweep of 100 ms is logged after it has ended
PERIODS_NS = {"/lidar/top": 100_000_000, "/camera/front": 100_000_000, "/imu": 50_000_000, "/odom": 100_000_000}
COUNTS = {"/lidar/top": 4, "/camera/front": 4, "/imu": 8, "/odom": 4}
PIXELS = np.random.default_rng(5).integers(0, 65536, (6, 8), dtype=np.uint16)


def expected_stamps_ns(topic: str) -> list[int]:
    return [STAMPS_NS + number * PERIODS_NS[topic] for number in range(COUNTS[topic])]


def expected_log_ns(topic: str) -> list[int]:
    return [stamp_ns + LOG_NS - STAMPS_NS for stamp_ns in expected_stamps_ns(topic)]


def message(topic: str, stamp_ns: int) -> Any:
    if topic == "/lidar/top":
        return made.cloud(stamp_ns)
    if topic == "/camera/front":
        return made.raw_image(stamp_ns, "mono16", PIXELS)
    return (made.imu if topic == "/imu" else made.odometry)(stamp_ns)


def messages() -> list[tuple[str, Any, int]]:
    """(topic, message, log time), as they would be logged."""
    found = [
        (topic, message(topic, stamp_ns), log_ns)
        for topic in COUNTS
        for stamp_ns, log_ns in zip(expected_stamps_ns(topic), expected_log_ns(topic), strict=True)
    ]
    chatter = made.make(made.STRING, data="hello")
    return sorted([*found, ("/chatter", chatter, LOG_NS), ("/chatter", chatter, LOG_NS + 1)], key=lambda entry: entry[2])


def write_ros1_bag(folder: Path, compression: str = "lz4") -> Path:
    return made.write_bag(folder / "all.bag", messages(), compression, chunk_bytes=4000)


def write_mcap(folder: Path) -> Path:
    """Profile `ros1`, one uncompressed chunk."""
    path = folder / "all.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream, chunk_size=1 << 20, compression=CompressionType.NONE)
        writer.start(profile="ros1", library="test")
        channels: dict[str, int] = {}
        for topic, logged, log_ns in messages():
            if topic not in channels:
                name = logged.__msgtype__.replace("/msg/", "/")
                channels[topic] = writer.register_channel(topic, "ros1", writer.register_schema(name, "ros1msg", b""))
            writer.add_message(channels[topic], log_ns, made.serialized(logged), log_ns)
        writer.finish()  # type: ignore[no-untyped-call]
    return path


def write_sqlite(folder: Path, compressed: bool = True) -> Path:
    rows = [(topic, logged.__msgtype__, log_ns, made.as_cdr(logged)) for topic, logged, log_ns in messages()]
    return write_rosbag2(folder / "bag", rows, compressed)
