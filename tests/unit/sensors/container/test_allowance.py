"""What a file may make of its bytes: exact at the limit, one fault beyond it, and nothing read after that."""

from __future__ import annotations

import io

import pytest

from sensors.container.allowance import RATIO, RECORDS_PER_MESSAGE, Allowance
from sensors.container.mcap import MESSAGES_AT_ONCE, scan
from sensors.container.recorded import ContainerFault, ContainerFaultKind, SizeLimits, StoredMessage
from tests.unit.sensors.container.bombs import (
    ATTACHMENT,
    CHUNK,
    HEADER,
    chunk,
    definitions,
    mcap,
    message,
    record,
)

AMPLE = Allowance(messages=10**9, raw_bytes=10**12)


def split(body: bytes, allowance: Allowance | None, *, salvage: bool = False) -> tuple[list[StoredMessage], list[ContainerFault]]:
    found = list(scan(io.BytesIO(body), SizeLimits(allowance=allowance), salvage=salvage))
    return [one for one in found if isinstance(one, StoredMessage)], [one for one in found if isinstance(one, ContainerFault)]


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("count", [1, 7, MESSAGES_AT_ONCE, MESSAGES_AT_ONCE + 1, 3 * MESSAGES_AT_ONCE])
def test_messages_are_counted_exactly(count: int, chunked: bool) -> None:
    records = b"".join(message(number) for number in range(count))
    body = mcap(definitions(), chunk(records) if chunked else records)
    exact, one_less = Allowance(count, 10**9), Allowance(count - 1, 10**9)
    assert [len(part) for part in split(body, exact)] == [count, 0]
    messages, faults = split(body, one_less)
    assert len(messages) == count - 1
    assert [(fault.kind, fault.message) for fault in faults] == [
        (ContainerFaultKind.LIMIT, f"more than {count - 1} messages; those from here on were not read")
    ]


def test_messages_of_all_chunks_count_together() -> None:
    body = mcap(definitions(), *(chunk(message(number) * 10) for number in range(5)))
    messages, faults = split(body, Allowance(25, 10**9))
    assert ([one.log_ns % 10 for one in messages], len(faults)) == ([0] * 10 + [1] * 10 + [2] * 5, 1)


def test_where_the_number_is_not_known_stored_bytes_allow_more() -> None:
    body = mcap(definitions(), *[chunk(message() * 100, "")] * 10)
    assert [len(part) for part in split(body, Allowance(0, 10**9, stored_bytes_per_message=30))] == [1000, 0]
    messages, faults = split(body, Allowance(0, 10**9, stored_bytes_per_message=300))
    assert (14 <= len(messages) <= 16, len(faults)) == (True, 1), "of the first chunk, what its bytes allow"


def test_decompressed_bytes_are_bounded_before_they_are_decompressed() -> None:
    raw = message(payload=bytes(1_000_000))
    packed = chunk(raw)
    body = mcap(definitions(), packed, packed)
    spent = 2 * len(raw) - RATIO * (len(body) - 100)  # all but the end of the file is read by then
    assert [len(part) for part in split(body, Allowance(10, 2 * len(raw)))] == [2, 0]
    messages, faults = split(body, Allowance(10, spent - RATIO * 200))
    assert (len(messages), [fault.kind for fault in faults]) == (1, [ContainerFaultKind.LIMIT])
    assert "nothing behind them was read" in faults[0].message


def test_a_chunk_that_claims_more_than_any_may_is_refused_for_itself_and_the_file_read_on() -> None:
    huge = bytearray(chunk(message(1)))
    huge[9 + 16 : 9 + 24] = (2**40).to_bytes(8, "little")
    messages, faults = split(mcap(definitions(), bytes(huge), chunk(message(2))), AMPLE)
    assert ([one.log_ns % 10 for one in messages], len(faults)) == ([2], 1)
    assert "a chunk declares 1099511627776 bytes" in faults[0].message


def test_definitions_and_strange_records_do_not_escape_the_count() -> None:
    body = mcap(chunk(definitions() * 500))
    assert split(body, Allowance(1000 // RECORDS_PER_MESSAGE, 10**9)) == ([], [])
    _, faults = split(body, Allowance(1000 // RECORDS_PER_MESSAGE - 1, 10**9))
    assert ["more than 996 records" in fault.message for fault in faults] == [True]
    _, faults = split(mcap(chunk(record(ATTACHMENT, b"") * 100_000)), Allowance(10, 10**9))
    assert ["more than 40 records" in fault.message for fault in faults] == [True]


@pytest.mark.parametrize("opcode", [HEADER, 2, CHUNK, 7, 8, ATTACHMENT, 0x0F, 0x10, 0x7F, 0x80, 0xFF])
def test_any_record_in_a_chunk_but_definitions_and_messages_is_a_fault(opcode: int) -> None:
    inner = chunk(message(7))[9:] if opcode == CHUNK else b"x" * 40
    raw = definitions() + message(1) + record(opcode, inner) * 3 + message(2)
    for allowance in (None, AMPLE):
        messages, faults = split(mcap(chunk(raw)), allowance)
        assert [one.log_ns % 10 for one in messages] == [1, 2]
        assert [(fault.kind, fault.message) for fault in faults] == [
            (
                ContainerFaultKind.CORRUPT,
                f"a chunk holds 3 records of opcode {opcode:#04x}; only schemas, channels and messages may be in one",
            )
        ]


def test_strange_records_of_a_cut_chunk_are_told_too() -> None:
    whole = mcap(chunk(definitions() + message(1) + record(ATTACHMENT, b"x") + message(2) * 50, ""))
    messages, faults = split(whole[: len(whole) - 200], None, salvage=True)
    assert messages[0].salvaged
    assert [fault.kind for fault in faults] == [ContainerFaultKind.CORRUPT, ContainerFaultKind.TRUNCATED]


def test_a_message_outside_of_any_chunk_without_a_channel_is_a_fault() -> None:
    messages, faults = split(mcap(definitions(), message(1, channel=9), message(2)), AMPLE)
    assert [(one.topic, one.log_ns % 10) for one in messages] == [("", 1), ("/c", 2)]
    assert [fault.kind for fault in faults] == [ContainerFaultKind.CORRUPT]
