"""ROS 2 SQLite bags, by `rosbags` and by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer
from rosbags.typesys import Stores, get_typestore

SCHEMA = """
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, serialization_format TEXT NOT NULL,
  offered_qos_profiles TEXT NOT NULL);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX timestamp_idx ON messages (timestamp ASC);
"""
TOPICS = [(1, "/imu", "sensor_msgs/msg/Imu", "cdr", "")]


def write_rosbag2(folder: Path, messages: Iterable[tuple[str, str, int, bytes]], compressed: bool = False) -> Path:
    """A bag folder of (topic, type, log time, CDR); `compressed`: each message by itself, with zstd."""
    writer = Writer(folder, version=9)
    if compressed:
        writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    store = get_typestore(Stores.ROS2_HUMBLE)
    with writer:
        connections: dict[str, Any] = {}
        for topic, kind, log_ns, cdr in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], log_ns, cdr)
    return folder


def write_db3(
    path: Path,
    rows: Sequence[tuple[Any, ...]] = (),
    topics: Sequence[tuple[Any, ...]] = TOPICS,
    schema: str = SCHEMA,
    page_size: int = 512,
) -> Path:
    """A database of rows (id, topic id, time, data) and topics, with whatever schema."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.executescript(schema)
        if topics:
            connection.executemany("INSERT INTO topics VALUES (?, ?, ?, ?, ?)", topics)
        if rows:
            connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", rows)
        connection.commit()
    return path
