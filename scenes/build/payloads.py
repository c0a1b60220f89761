"""Fetch the frames of one window: each stored byte range once, neighbours in one request.

A compressed chunk is needed in full; of an uncompressed one only the frame's own bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from lake.storage import ObjectStore, ObjectVersion
from scenes.plan.window_table import FrameRef
from sensors.container.compression import decompress

MAX_REQUEST_BYTES = 16 * 1024 * 1024
# S3 delivers this much while a second request would wait for its first byte: reading across such a gap costs no time.
MAX_GAP_BYTES = 256 * 1024


class _Piece(NamedTuple):
    """Bytes [start, end) of an object, and the frames that are in them."""

    start: int
    end: int
    frames: Sequence[FrameRef]


def fetch(
    store: ObjectStore, raw_bucket: str, versions: Mapping[str, str], frames: Iterable[FrameRef]
) -> Iterator[tuple[FrameRef, memoryview]]:
    """The CDR bytes of each frame, in (key, chunk, message) order; a frame that is named twice comes once.

    A view keeps the response that it is part of alive (at most 16 MiB, or one frame or chunk, where that is larger).
    """
    once = {frame.frame_id: frame for frame in frames}.values()
    ordered = sorted(once, key=lambda frame: (frame.key, frame.chunk_offset, frame.message_offset))
    for key, of_key in groupby(ordered, key=lambda frame: frame.key):
        source = ObjectVersion(raw_bucket, key, versions[key])
        for request in _requests(_pieces(of_key)):
            start = request[0].start
            body = memoryview(store.read(source, start, request[-1].end - start))
            for piece in request:
                yield from _messages(piece, body[piece.start - start : piece.end - start])


def _pieces(frames: Iterable[FrameRef]) -> Iterator[_Piece]:
    for _, of_chunk in groupby(frames, key=lambda frame: frame.chunk_offset):
        chunk = list(of_chunk)
        first = chunk[0]
        if first.compression:
            yield _Piece(first.chunk_offset, first.chunk_offset + first.chunk_bytes, chunk)
            continue
        for frame in chunk:
            start = frame.chunk_offset + frame.message_offset
            yield _Piece(start, start + frame.message_bytes, [frame])


def _requests(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces so close together that one ranged read serves them."""
    request: list[_Piece] = []
    for piece in pieces:
        too_large = request and piece.end - request[0].start > MAX_REQUEST_BYTES
        if request and (too_large or piece.start - request[-1].end > MAX_GAP_BYTES):
            yield request
            request = []
        request.append(piece)
    if request:
        yield request


def _messages(piece: _Piece, stored: memoryview) -> Iterator[tuple[FrameRef, memoryview]]:
    first = piece.frames[0]
    if not first.compression:
        yield first, stored
        return
    records = memoryview(decompress(stored, first.compression, first.chunk_raw_bytes))
    for frame in piece.frames:
        yield frame, records[frame.message_offset : frame.message_offset + frame.message_bytes]
