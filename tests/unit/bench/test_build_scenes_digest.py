"""The outputs of contenders are compared independently of their layout."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.build_scenes.digest import LayoutError, digest, digest_of

WIDE = [
    {"anchor_ns": 20, "lidar_stamp_ns": 20, "lidar_payload": b"c", "radar_stamp_ns": None, "radar_payload": None},
    {"anchor_ns": 10, "lidar_stamp_ns": 10, "lidar_payload": b"a", "radar_stamp_ns": 11, "radar_payload": b"b"},
]
ENTRIES = [(10, "lidar", 10, zlib.crc32(b"a")), (10, "radar", 11, zlib.crc32(b"b")), (20, "lidar", 20, zlib.crc32(b"c"))]


def frame(sensor: str, stamp_ns: int, payload: bytes, name: str) -> dict[str, Any]:
    return {"sensor": sensor, "stamp_ns": stamp_ns, name: payload}


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "part.parquet")
    return folder


def test_three_layouts_of_the_same_scenes_are_equal(tmp_path: Path) -> None:
    lists = [
        {"anchor_ns": 10, "frames": [frame("radar", 11, b"b", "payload"), frame("lidar", 10, b"a", "payload")]},
        {"anchor_ns": 20, "frames": [frame("lidar", 20, b"c", "payload")]},
    ]
    gold = [
        {"anchor_ns": 10, "lidars": [frame("lidar", 10, b"a", "points")], "radars": [frame("radar", 11, b"b", "points")]},
        {"anchor_ns": 20, "lidars": [frame("lidar", 20, b"c", "points")], "radars": []},
    ]
    found = [digest(written(tmp_path / name, rows)) for name, rows in (("w", WIDE), ("l", lists), ("g", gold))]
    assert {entry.matches for entry in found} == {digest_of([entry[:3] for entry in ENTRIES])}
    assert {entry.payloads for entry in found} == {digest_of(ENTRIES)}
    assert [entry.scenes for entry in found] == [2, 2, 2]


def test_files_count_as_one_table_in_any_order(tmp_path: Path) -> None:
    written(tmp_path / "two" / "a", WIDE[:1])
    written(tmp_path / "two" / "b", WIDE[1:])
    found = digest(tmp_path / "two")
    assert (found.files, found.scenes, found.payloads) == (2, 2, digest_of(ENTRIES))


def test_another_stamp_and_another_byte_are_seen(tmp_path: Path) -> None:
    base = digest(written(tmp_path / "base", WIDE))
    moved = digest(written(tmp_path / "moved", [WIDE[0] | {"lidar_stamp_ns": 21}, WIDE[1]]))
    damaged = digest(written(tmp_path / "damaged", [WIDE[0] | {"lidar_payload": b"d"}, WIDE[1]]))
    assert moved.matches != base.matches
    assert (damaged.matches, damaged.payloads != base.payloads) == (base.matches, True)


def test_files_of_no_known_layout_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="anchor_ns, other"):
        digest(written(tmp_path / "x", [{"anchor_ns": 1, "other": 2}]))
