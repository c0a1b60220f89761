"""A pose read at the remembered position equals the pose that the full reader finds."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.decode.cdr import MAX_FORMS
from sensors.decode.messages import MessageMemory, PosePlaces, pose_values
from sensors.errors import DecodeError

NAMES = st.sampled_from(["", "odom", "oDom", "odometry", "x" * 20])
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3)


def odometry(frame: str, child: str, xyz: list[float], order: str = "<", stamp: tuple[int, int] = (5, 6)) -> bytes:
    body = bytearray(struct.pack(f"{order}iI", *stamp))
    for name in (frame, child):
        body += bytes(-len(body) % 4)
        text = name.encode() + b"\0"
        body += struct.pack(f"{order}I", len(text)) + text
    body += bytes(-len(body) % 8)
    body += struct.pack(f"{order}7d", *xyz, 0.0, 0.0, 0.6, 0.8) + bytes(8 * (36 + 6 + 36))
    return (b"\0\1\0\0" if order == "<" else b"\0\0\0\0") + bytes(body)


def alone(cdr: bytes) -> object:
    """The result without any earlier message."""
    try:
        return pose_values(cdr)
    except DecodeError as error:
        return str(error)


MESSAGES = st.builds(odometry, NAMES, NAMES, VALUES, st.sampled_from("<>"), st.tuples(st.integers(0, 9), st.just(7)))


@given(st.lists(MESSAGES, min_size=1, max_size=12), st.data())
def test_what_came_before_changes_nothing(cdrs: list[bytes], data: st.DataObject) -> None:
    memory = MessageMemory()
    for cdr in cdrs:
        damaged = bytearray(cdr)
        place = data.draw(st.integers(0, len(cdr) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
        for variant in (cdr, memoryview(cdr), bytes(damaged), cdr[:place]):
            try:
                found: object = pose_values(variant, memory)
            except DecodeError as error:
                found = str(error)
            assert repr(found) == repr(alone(bytes(variant)))


def test_the_second_message_of_a_sensor_is_read_in_place() -> None:
    places = PosePlaces()
    first = odometry("odom", "base", [1.0, 2.0, 3.0])
    assert places.values(first) is None
    places.remember(first, first.index(struct.pack("<d", 1.0)), "<")
    assert places.values(odometry("odom", "base", [4.0, 5.0, 6.0], stamp=(9, 9))) == (4.0, 5.0, 6.0, 0.0, 0.0, 0.6, 0.8)
    assert places.values(odometry("mdom", "base", [4.0, 5.0, 6.0])) is None, "another frame may be another layout"
    assert places.values(odometry("odom", "base", [4.0, 5.0, 6.0], ">")) is None
    assert places.values(odometry("odom", "base_link", [4.0, 5.0, 6.0])) is None


def test_a_stamp_that_is_none_is_refused_in_place_too() -> None:
    memory = MessageMemory()
    pose_values(odometry("odom", "base", [1.0, 2.0, 3.0]), memory)
    with pytest.raises(DecodeError, match="nanoseconds"):
        pose_values(odometry("odom", "base", [1.0, 2.0, 3.0], stamp=(5, 2 * 10**9)), memory)


def test_what_is_remembered_is_bounded() -> None:
    places = PosePlaces()
    for size in range(3 * MAX_FORMS):
        places.remember(bytes(900 + size), 44, "<")
    assert 0 < len(places._known) <= MAX_FORMS
    places.remember(bytes(20_000), 10_000, "<")
    assert 20_000 not in places._known
