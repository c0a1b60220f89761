"""Decompression of MCAP chunks, never to more than the chunk declares."""

from __future__ import annotations

from collections.abc import Iterator

import lz4.frame
import zstandard

from sensors.errors import ContainerError, LimitError

Bytes = bytes | memoryview

MAX_RAW_BYTES = 256 * 1024 * 1024
PIECE_BYTES = 128 * 1024
MAX_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024  # what the reference decoder accepts by default


def decompress(chunk: Bytes, compression: str, raw_bytes: int, max_raw_bytes: int = MAX_RAW_BYTES) -> bytes:
    """As `uncompressed`, always as bytes: a copy of what is stored uncompressed in anything else."""
    return bytes(uncompressed(chunk, compression, raw_bytes, max_raw_bytes))


def uncompressed(chunk: Bytes, compression: str, raw_bytes: int, max_raw_bytes: int = MAX_RAW_BYTES) -> Bytes:
    """The `records` of a chunk: exactly `raw_bytes` bytes, from what is stored under `compression` ('', lz4 or zstd).

    What is stored uncompressed is returned as it is, without a copy. The sizes that the compressed frames claim are
    ignored: only `raw_bytes` bounds the output.

    Raises:
        LimitError: `raw_bytes` is negative or above `max_raw_bytes`.
        ContainerError: The data does not decompress, yields another size, or the compression is unknown.
    """
    if not 0 <= raw_bytes <= max_raw_bytes:
        raise LimitError(f"a chunk declares {raw_bytes} bytes uncompressed, the limit is {max_raw_bytes}")
    if compression == "":
        raw: Bytes = chunk
        found = len(raw)
    elif compression == "zstd":
        raw = _zstd(chunk, raw_bytes)
        found = len(raw)
    elif compression == "lz4":
        raw = _lz4(chunk, raw_bytes)
        found = len(raw)
    else:
        raise ContainerError(f"a chunk is compressed with {compression!r}; only '', 'lz4' and 'zstd' are MCAP compressions")
    if found != raw_bytes:
        more = " or more" if found > raw_bytes and compression else ""
        raise ContainerError(
            f"a chunk ({compression or 'stored'}) declares {raw_bytes} bytes uncompressed but holds {found}{more}"
        )
    return raw


def decompressed_prefix(chunk: Bytes, compression: str, raw_bytes: int, max_raw_bytes: int = MAX_RAW_BYTES) -> Bytes:
    """What can be recovered of the first `raw_bytes` bytes of a chunk whose end is missing; possibly nothing.

    zstd and lz4 yield whole blocks of theirs (128 KiB and 64 KiB to 4 MiB), so up to one block more than the end is lost.
    """
    room = min(raw_bytes, max_raw_bytes)
    if room <= 0:
        return b""
    if compression == "":
        return chunk[:room]
    if compression == "zstd":
        return b"".join(_zstd_pieces(chunk, room))
    if compression == "lz4":
        try:
            return _lz4(chunk, room - 1)
        except ContainerError:
            return b""  # the caller knows already that the chunk is damaged
    return b""


def _zstd_pieces(chunk: Bytes, room: int) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)
    with decompressor.stream_reader(chunk, read_across_frames=True) as reader:
        while room > 0:
            try:
                piece = reader.read(min(room, PIECE_BYTES))
            except zstandard.ZstdError:
                return  # the end of what can be read: the caller knows already that the chunk is damaged
            if not piece:
                return
            room -= len(piece)
            yield piece


def _zstd(chunk: Bytes, raw_bytes: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES)
    try:
        # One byte more than declared tells a chunk that holds more from one that holds exactly this much.
        with decompressor.stream_reader(chunk, read_across_frames=True) as reader:
            return reader.read(raw_bytes + 1)
    except zstandard.ZstdError as error:
        raise ContainerError(f"a zstd chunk of {len(chunk)} bytes does not decompress: {error}") from error


def _lz4(chunk: Bytes, raw_bytes: int) -> bytes:
    parts: list[bytes] = []
    room = raw_bytes + 1
    rest: Bytes | None = chunk
    try:
        while rest and room > 0:
            decompressor = lz4.frame.LZ4FrameDecompressor()
            part = decompressor.decompress(rest, max_length=room)
            parts.append(part)
            room -= len(part)
            rest = decompressor.unused_data if decompressor.eof else None
    except (RuntimeError, EOFError, ValueError) as error:
        raise ContainerError(f"an lz4 chunk of {len(chunk)} bytes does not decompress: {error}") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)
