"""LZF streams: hand-made ones against their meaning, compressed ones back to what they were, broken ones refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.decode.lzf import decompress
from sensors.errors import DecodeError
from tests.unit.sensors.decode.lzf_writer import compress


@pytest.mark.parametrize(
    ("stream", "raw"),
    [
        (b"", b""),
        (b"\x02abc", b"abc"),
        (b"\x1f" + bytes(range(32)), bytes(range(32))),
        (b"\x02abc\x20\x02", b"abcabc"),  # length 1 + 2, distance 2 + 1
        (b"\x02abc\xc0\x02", b"abcabcabcab"),  # length 6 + 2, longer than its distance
        (b"\x00a\xe0\x05\x00", b"a" * 15),  # length 7 + 5 + 2, distance 1
        (b"\x00a\xe0\xff\x00", b"a" * 265),
        (b"\x01ab\x00c\x20\x00", b"abcccc"),
    ],
)
def test_a_stream_means_what_the_format_says(stream: bytes, raw: bytes) -> None:
    assert decompress(stream, len(raw)) == raw
    assert decompress(memoryview(stream), len(raw)) == raw


def test_a_reference_reaches_8192_bytes_back() -> None:
    start = bytes(n % 251 for n in range(8192))
    literals = b"".join(b"\x1f" + start[at : at + 32] for at in range(0, 8192, 32))
    assert decompress(literals + b"\x3f\xff", 8195) == start + start[:3]


@given(st.lists(st.sampled_from([b"abc", b"\0\0\0\0\0\0\0\0", b"x", bytes(range(40)), b"ab" * 200])).map(b"".join) | st.binary())
def test_what_was_compressed_comes_back(raw: bytes) -> None:
    assert decompress(compress(raw), len(raw)) == raw


@pytest.mark.parametrize(
    ("stream", "raw_bytes", "message"),
    [
        (b"\x05abc", 6, "ends within a run of 6 literals"),
        (b"\x00", 1, "ends within a run of 1 literals"),
        (b"\x00a\xe0", 9, "ends within a reference"),
        (b"\x00a\xe0\x05", 9, "ends within a reference"),
        (b"\x00a\x20", 9, "ends within a reference"),
        (b"\x00a\x20\x01", 9, "refers 2 bytes back after 1 bytes"),
        (b"\x20\x00", 9, "refers 1 bytes back after 0 bytes"),
        (b"\x02abc", 2, "yields 3 bytes or more, 2 were declared"),
        (b"\x02abc", 4, "yields 3 bytes, 4 were declared"),
    ],
)
def test_a_broken_stream_is_refused(stream: bytes, raw_bytes: int, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decompress(stream, raw_bytes)


def test_a_stream_that_claims_little_never_yields_much() -> None:
    """A megabyte of references would make 88 MB; the decoder stops one reference behind what was declared."""
    bomb = b"\x00a" + b"\xe0\xff\x00" * 350_000
    with pytest.raises(DecodeError, match=r"yields \d{3} bytes or more, 100 were declared"):
        decompress(bomb, 100)


@given(st.binary(max_size=200), st.integers(0, 2000))
def test_arbitrary_bytes_decode_to_the_declared_size_or_not_at_all(stream: bytes, raw_bytes: int) -> None:
    try:
        assert len(decompress(stream, raw_bytes)) == raw_bytes
    except DecodeError:
        pass
