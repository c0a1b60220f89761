"""Fetching: every byte range once, in few bounded requests."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import scenes.build.payloads
from lake.storage import ObjectStore
from scenes.build.payloads import fetch
from scenes.plan.window_table import FrameRef
from tests.unit.lake.fake_s3 import FakeS3


class Stored:
    """Objects of chunks of messages, laid out by hand, and the rows that refer to them."""

    def __init__(self) -> None:
        self.s3 = FakeS3()
        self.frames: list[FrameRef] = []
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
                frame_id = len(self.frames)
                self.messages[frame_id] = message
                at = (key, len(body), len(stored), compression, len(raw), place, len(message))
                self.frames.append(FrameRef(frame_id, "s", "lidar", 0, "type", *at))
            body += stored
        self.versions[key] = self.s3.put_object(Bucket="raw", Key=key, Body=body + b"\xee" * 1000)["VersionId"]
        self.s3.put_object(Bucket="raw", Key=key, Body=b"overwritten since")

    def fetch(self, frames: Sequence[FrameRef]) -> list[tuple[int, bytes]]:
        store = ObjectStore(self.s3)  # type: ignore[arg-type]
        return [(frame.frame_id, bytes(cdr)) for frame, cdr in fetch(store, "raw", self.versions, frames)]

    def needed(self, frame: FrameRef) -> tuple[str, int, int]:
        """The bytes of the object that are needed to read the frame."""
        if frame.compression:
            return frame.key, frame.chunk_offset, frame.chunk_offset + frame.chunk_bytes
        start = frame.chunk_offset + frame.message_offset
        return frame.key, start, start + frame.message_bytes


MESSAGES = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4)
CHUNKS = st.lists(st.tuples(st.sampled_from((0, 0, 1, 30, 200)), MESSAGES, st.sampled_from(("", "zstd"))), min_size=1, max_size=6)
LIMIT, GAP = 150, 20


@given(st.lists(CHUNKS, min_size=1, max_size=2), st.data())
def test_each_frame_comes_once_with_its_own_bytes_in_bounded_requests(objects: list[Any], data: st.DataObject) -> None:
    stored = Stored()
    for number, chunks in enumerate(objects):
        stored.add(f"object-{number}", chunks)
    wanted = data.draw(st.lists(st.sampled_from(stored.frames), max_size=12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes.build.payloads, "MAX_REQUEST_BYTES", LIMIT)
        patch.setattr(scenes.build.payloads, "MAX_GAP_BYTES", GAP)
        found = stored.fetch(wanted)
    ids = sorted({frame.frame_id for frame in wanted})
    assert found == [(frame_id, stored.messages[frame_id]) for frame_id in ids], "in order of object, chunk and message"
    needed = {stored.needed(frame) for frame in wanted}
    read: list[tuple[str, int, int]] = [(key, start, start + (length or 0)) for key, start, length in stored.s3.gets]
    for key, start, end in read:
        inside = sorted((first, last) for owner, first, last in needed if owner == key and start <= first < end)
        assert (inside[0][0], inside[-1][1]) == (start, end), "a request begins and ends with bytes that are needed"
        assert all(after[0] - before[1] <= GAP for before, after in itertools.pairwise(inside))
        assert end - start <= LIMIT or len(inside) == 1
    for key, first, last in needed:
        assert sum(owner == key and start <= first and last <= end for owner, start, end in read) == 1


def test_neighbours_share_a_request_and_distant_chunks_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes.build.payloads, "MAX_GAP_BYTES", 100)
    stored = Stored()
    chunk = [b"x" * 50]
    stored.add("o", [(10, chunk, ""), (0, chunk, ""), (97, chunk, ""), (98, chunk, "")])
    assert [body for _, body in stored.fetch(stored.frames)] == [b"x" * 50] * 4
    assert stored.s3.gets == [("o", 13, 50 + 3 + 50 + 100 + 50), ("o", 13 + 253 + 101, 50)]


def test_a_request_ends_before_it_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Stored()
    stored.add("o", [(0, [b"x" * 50], "")] * 4 + [(0, [b"y" * 500], "")])
    monkeypatch.setattr(scenes.build.payloads, "MAX_REQUEST_BYTES", 3 * 53)
    assert len(stored.fetch(stored.frames)) == 5
    assert stored.s3.gets == [("o", 3, 2 * 53 + 50), ("o", 3 * 53 + 3, 50), ("o", 4 * 53 + 3, 500)], "a frame is read whole"


def test_of_a_chunk_that_is_not_compressed_a_frame_is_read_alone() -> None:
    stored = Stored()
    stored.add("plain", [(0, [b"one", b"two", b"three"], "")])
    stored.add("packed", [(0, [b"one", b"two", b"three"], "zstd")])
    assert [body for _, body in stored.fetch([stored.frames[1], stored.frames[4]])] == [b"two", b"two"]
    assert stored.s3.gets == [("packed", 0, stored.frames[4].chunk_bytes), ("plain", 3 + 3 + 3, 3)]


def test_a_frame_that_two_scenes_ask_for_is_read_once() -> None:
    stored = Stored()
    stored.add("o", [(0, [b"one", b"two"], "zstd")])
    assert stored.fetch([stored.frames[1], stored.frames[0], stored.frames[1]]) == [(0, b"one"), (1, b"two")]
    assert len(stored.s3.gets) == 1


def test_nothing_is_read_for_nothing() -> None:
    stored = Stored()
    assert stored.fetch([]) == []
    assert stored.s3.gets == []
