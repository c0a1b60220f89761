"""Fetching and decoding: every byte range once, in few bounded requests, and damage as a finding."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import spark_jobs.payloads
from lake.storage import ObjectStore
from sensors.encode import encode_image
from sensors.messages import IMAGE, POINT_CLOUD
from spark_jobs.payloads import decode, fetch
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.spark_jobs.job_builders import T0, cloud, image, jpeg


class Stored:
    """Objects of chunks of messages, laid out by hand, and the rows that refer to them."""

    def __init__(self) -> None:
        self.s3 = FakeS3()
        self.rows: list[dict[str, Any]] = []
        self.messages: dict[int, bytes] = {}
        self.versions: dict[str, str] = {}

    def add(self, key: str, chunks: Sequence[tuple[int, Sequence[bytes], str]]) -> None:
        """Chunks as (bytes before it, messages, compression)."""
        body = b""
        for gap, messages, compression in chunks:
            body += b"\xee" * gap
            raw, places = b"", []
            for message in messages:
                raw += b"\xdd" * 3
                places.append(len(raw))
                raw += message
            stored = zstandard.compress(raw) if compression else raw
            for place, message in zip(places, messages, strict=True):
                frame_id = len(self.rows)
                self.messages[frame_id] = message
                row = {"frame_id": frame_id, "key": key, "chunk_offset": len(body), "chunk_bytes": len(stored)}
                row |= {"compression": compression, "chunk_raw_bytes": len(raw), "message_offset": place}
                self.rows.append(row | {"message_bytes": len(message)})
            body += stored
        self.versions[key] = self.s3.put_object(Bucket="raw", Key=key, Body=body + b"\xee" * 1000)["VersionId"]
        self.s3.put_object(Bucket="raw", Key=key, Body=b"overwritten since")

    def fetch(self, rows: Sequence[dict[str, Any]]) -> list[tuple[int, bytes]]:
        store = ObjectStore(self.s3)  # type: ignore[arg-type]
        return [(row["frame_id"], cdr) for row, cdr in fetch(store, "raw", self.versions, rows)]


MESSAGES = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4)
CHUNKS = st.lists(st.tuples(st.sampled_from((0, 0, 1, 30, 200)), MESSAGES, st.sampled_from(("", "zstd"))), min_size=1, max_size=6)
LIMIT = 150


@given(st.lists(CHUNKS, min_size=1, max_size=2), st.data())
def test_each_frame_comes_once_with_its_own_bytes_in_bounded_requests(objects: list[Any], data: st.DataObject) -> None:
    stored = Stored()
    for number, chunks in enumerate(objects):
        stored.add(f"object-{number}", chunks)
    wanted = data.draw(st.lists(st.sampled_from(stored.rows), max_size=12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark_jobs.payloads, "MAX_REQUEST_BYTES", LIMIT)
        found = stored.fetch(wanted)
    ids = sorted({row["frame_id"] for row in wanted})
    assert found == [(frame_id, stored.messages[frame_id]) for frame_id in ids], "in order of object, chunk and message"
    chunks = {(row["key"], row["chunk_offset"]): row["chunk_bytes"] for row in wanted}
    read: list[tuple[str, int, int]] = [(key, start, start + (length or 0)) for key, start, length in stored.s3.gets]
    for key, start, end in read:
        inside = [(offset, offset + size) for (owner, offset), size in chunks.items() if owner == key and start <= offset < end]
        assert min(first for first, _ in inside) == start, "a request begins and ends with a chunk"
        assert max(last for _, last in inside) == end
        assert end - start <= LIMIT or len(inside) == 1
    for (key, offset), size in chunks.items():
        assert sum(owner == key and start <= offset and offset + size <= end for owner, start, end in read) == 1


def test_neighbours_share_a_request_and_distant_chunks_do_not() -> None:
    stored = Stored()
    chunk = [b"x" * 50]
    stored.add("o", [(10, chunk, ""), (0, chunk, ""), (53, chunk, ""), (500, chunk, "")])
    assert [body for _, body in stored.fetch(stored.rows)] == [b"x" * 50] * 4
    assert stored.s3.gets == [("o", 10, 53 + 53 + 53 + 53), ("o", 10 + 4 * 53 + 500, 53)]


def test_a_request_ends_before_it_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Stored()
    stored.add("o", [(0, [b"x" * 50], "")] * 4 + [(0, [b"y" * 500], "")])
    monkeypatch.setattr(spark_jobs.payloads, "MAX_REQUEST_BYTES", 3 * 53)
    assert len(stored.fetch(stored.rows)) == 5
    assert stored.s3.gets == [("o", 0, 3 * 53), ("o", 3 * 53, 53), ("o", 4 * 53, 503)], "one chunk is read whole, however large"


def test_a_frame_that_two_scenes_ask_for_is_read_once() -> None:
    stored = Stored()
    stored.add("o", [(0, [b"one", b"two"], "zstd")])
    assert stored.fetch([stored.rows[1], stored.rows[0], stored.rows[1]]) == [(0, b"one"), (1, b"two")]
    assert len(stored.s3.gets) == 1


def test_nothing_is_read_for_nothing() -> None:
    stored = Stored()
    assert stored.fetch([]) == []
    assert stored.s3.gets == []


def row(modality: str, message_type: str = POINT_CLOUD) -> dict[str, Any]:
    return {"sensor": "s", "modality": modality, "message_type": message_type, "stamp_ns": T0}


def test_points_keep_their_bytes_and_are_counted() -> None:
    cdr = cloud(T0, points=4, not_finite=1)
    frame = decode(row("lidar"), cdr)
    assert not frame.bad
    assert [found.rule_id for found in frame.findings] == ["LID002"]
    columns = dict(frame.columns)
    assert columns.pop("points") in cdr
    names = [entry["name"] for entry in columns.pop("point_fields")]
    assert names == ["x", "y", "z", "intensity"]
    layout = {"point_layout": "rows", "reference_ns": None}
    assert columns == {"num_points": 4, "point_step": 13, "is_bigendian": False, "invalid_points": 1} | layout
    assert frame.raw == b"", "a good frame is not held twice"


def test_an_image_keeps_its_bytes() -> None:
    frame = decode(row("camera", IMAGE), image(T0))
    assert (frame.bad, frame.findings, frame.raw) == (False, (), b"")
    assert frame.columns == {"width_px": 24, "height_px": 16, "encoding": "jpeg", "image": jpeg(T0 // 1_000_000)}


@pytest.mark.parametrize(("message_type", "cdr", "has"), [(POINT_CLOUD, cloud(T0), "points"), (IMAGE, image(T0), "image")])
def test_a_radar_frame_has_the_columns_of_both_kinds(message_type: str, cdr: bytes, has: str) -> None:
    columns = decode(row("radar", message_type), cdr).columns
    assert {"points", "num_points", "image", "encoding", "width_px", "point_fields"} <= set(columns)
    assert {name for name in ("points", "image") if columns[name] is not None} == {has}


@pytest.mark.parametrize(
    ("modality", "message_type", "cdr", "rule_id"),
    [
        ("camera", IMAGE, image(T0, cut=True), "DEC005"),
        ("camera", IMAGE, image(T0)[:-200], "DEC005"),
        ("camera", IMAGE, encode_image(T0, "cam", "png", jpeg()), "DEC005"),
        ("camera", IMAGE, b"", "DEC005"),
        ("lidar", POINT_CLOUD, cloud(T0)[:-20], "DEC006"),
        ("lidar", POINT_CLOUD, b"\x00\x01\x00\x00", "DEC006"),
        ("lidar", POINT_CLOUD, cloud(T0, points=0), "LID001"),
        ("lidar", POINT_CLOUD, cloud(T0, points=4, not_finite=3), "LID001"),
    ],
)
def test_a_damaged_frame_is_bad_by_name_and_keeps_its_bytes(modality: str, message_type: str, cdr: bytes, rule_id: str) -> None:
    frame = decode(row(modality, message_type), cdr)
    assert frame.bad
    assert frame.findings[0].rule_id == rule_id
    assert frame.raw == cdr


def test_an_empty_cloud_with_an_absurd_point_size_does_not_end_the_job() -> None:
    cdr = bytearray(cloud(T0, points=0))
    at = cdr.index(struct.pack("<II", 13, 0))  # point_step, row_step
    cdr[at : at + 4] = struct.pack("<I", 2**32 - 1)
    frame = decode(row("radar"), bytes(cdr))
    assert [found.rule_id for found in frame.findings] == ["DEC006"]
    assert "a point takes 4294967295 bytes" in frame.findings[0].message


@given(st.binary(max_size=300), st.sampled_from(("lidar", "radar", "camera")))
def test_no_bytes_whatever_end_the_job(cdr: bytes, modality: str) -> None:
    for message_type in (POINT_CLOUD, IMAGE):
        decode(row(modality, message_type), cdr)
