"""Parts that a sensor repeats: parsed once while their bytes are the same, and never remembered beyond a bound."""

from __future__ import annotations

import struct

from sensors.decode.cdr import MAX_FORMS, MAX_REMEMBERED_BYTES, CdrReader, Repeated


def message(payload: bytes) -> bytes:
    return b"\0\1\0\0" + struct.pack("<I", len(payload)) + payload


def test_a_part_is_parsed_anew_only_where_its_bytes_are_new() -> None:
    parsed: list[bytes] = []

    def parse(reader: CdrReader) -> bytes:
        parsed.append(bytes(reader.byte_sequence("payload")))
        return parsed[-1]

    part = Repeated(parse)
    for payload in (b"a" * 40, b"a" * 40, b"a" * 39 + b"b", b"a" * 39 + b"b"):
        reader = CdrReader(message(payload) + b"\7")
        assert reader.repeated(part) == payload
        assert reader.u8("what follows") == 7
    assert parsed == [b"a" * 40, b"a" * 39 + b"b"]


def test_what_is_remembered_is_bounded_in_number_and_size() -> None:
    part = Repeated(lambda reader: bytes(reader.byte_sequence("payload")))
    large = b"x" * (MAX_REMEMBERED_BYTES + 1)
    assert CdrReader(message(large)).repeated(part) == large
    assert part._known == {}
    for number in range(3 * MAX_FORMS):
        CdrReader(message(struct.pack("<I", number) + b"y" * 20)).repeated(part)
    assert 0 < len(part._known) <= MAX_FORMS
