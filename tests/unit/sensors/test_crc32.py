"""Joined checksums against zlib's own, over any cut."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.crc32 import joined


@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_two_joined_are_that_of_the_whole(first: bytes, second: bytes) -> None:
    assert joined(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@pytest.mark.parametrize("size", [0, 1, 255, 65536, 1 << 20, (1 << 22) + 7])
def test_long_ones_too(size: int) -> None:
    first, second = b"head", bytes(size)
    assert joined(zlib.crc32(first), zlib.crc32(second), size) == zlib.crc32(first + second)
