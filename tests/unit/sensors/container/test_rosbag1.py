"""The ROS 1 bag scan against the writer of `rosbags`, and against bytes assembled by hand."""

from __future__ import annotations

import bz2
import io
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any, BinaryIO

import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.container.recorded import ContainerFault, ContainerFaultKind, Recorded, SizeLimits
from sensors.container.rosbag1 import scan_bag
from tests.unit.sensors.decode import ros1_messages as made

MAGIC = b"#ROSBAG V2.0\n"
MESSAGE, BAG_HEADER, INDEX, CHUNK, CHUNK_INFO, CONNECTION = 2, 3, 4, 5, 6, 7
EPOCH_NS = 1_700_000_000_000_000_123
COMPRESSIONS = ("none", "bz2", "lz4")


def split(data: bytes | BinaryIO, limits: SizeLimits | None = None) -> tuple[list[Recorded], list[ContainerFault]]:
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    messages, faults = [], []
    for item in scan_bag(stream, limits):
        if isinstance(item, Recorded):
            messages.append(item)
        else:
            faults.append(item)
    return messages, faults


def fields(**values: bytes) -> bytes:
    return b"".join(
        struct.pack("<I", len(name) + 1 + len(value)) + name.encode() + b"=" + value for name, value in values.items()
    )


def record(op: int, data: bytes, **values: bytes) -> bytes:
    head = fields(op=bytes([op]), **values)
    return struct.pack("<I", len(head)) + head + struct.pack("<I", len(data)) + data


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def bag_header(index_pos: int, chunks: int, connections: int) -> bytes:
    values = {"index_pos": struct.pack("<Q", index_pos), "conn_count": u32(connections), "chunk_count": u32(chunks)}
    return record(BAG_HEADER, b" " * 10, **values)


def connection(number: int = 0, topic: str = "/t", kind: str = "a/B") -> bytes:
    return record(
        CONNECTION, fields(topic=topic.encode(), type=kind.encode(), md5sum=b"*"), conn=u32(number), topic=topic.encode()
    )


def message(data: bytes, number: int = 0, log_ns: int = EPOCH_NS) -> bytes:
    return record(MESSAGE, data, conn=u32(number), time=struct.pack("<II", *divmod(log_ns, 10**9)))


def chunk(raw: bytes, compression: str = "none", size: int | None = None) -> bytes:
    stored = {"none": bytes, "bz2": bz2.compress, "lz4": lz4.frame.compress}[compression](raw)
    return record(CHUNK, stored, compression=compression.encode(), size=u32(len(raw) if size is None else size))


def index(count: int, number: int = 0) -> bytes:
    return record(INDEX, b"\0" * 12 * count, ver=u32(1), conn=u32(number), count=u32(count))


def bag(*records: bytes, chunks: int = 1, index_pos: int = 1, connections: int = 0) -> bytes:
    infos = record(CHUNK_INFO, b"", ver=u32(1), chunk_pos=struct.pack("<Q", 1), count=u32(0)) * chunks
    return MAGIC + bag_header(index_pos, chunks, connections) + b"".join(records) + infos


def small_bag(tmp_path: Path, compression: str) -> bytes:
    messages: list[tuple[str, Any, int]] = [
        (f"/imu{number % 2}", made.imu(made.STAMP_NS + number), EPOCH_NS + number) for number in range(5)
    ]
    return made.write_bag(tmp_path / "a.bag", messages, compression, chunk_bytes=900).read_bytes()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_reads_what_the_writer_wrote(compression: str, tmp_path: Path) -> None:
    messages, faults = split(small_bag(tmp_path, compression))
    assert faults == []
    assert [bytes(found.data) for found in messages] == [made.serialized(made.imu(made.STAMP_NS + n)) for n in range(5)]
    assert [found.log_ns for found in messages] == [EPOCH_NS + number for number in range(5)]
    assert [found.topic for found in messages] == ["/imu0", "/imu1", "/imu0", "/imu1", "/imu0"]
    assert {(found.message_type, found.encoding, found.salvaged) for found in messages} == {(made.IMU, "ros1", False)}
    assert all(found.data.readonly for found in messages)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_cut_anywhere_keeps_whole_messages_and_says_so(compression: str, tmp_path: Path) -> None:
    data = small_bag(tmp_path, compression)
    whole = [bytes(found.data) for found in split(data)[0]]
    most = 0
    for cut in range(len(data)):
        messages, faults = split(data[:cut])
        found = [bytes(message.data) for message in messages]
        assert found == whole[: len(found)], cut
        assert len(found) >= most, cut  # a longer file never gives less
        most = len(found)
        assert faults, cut
        assert {fault.kind for fault in faults} <= {ContainerFaultKind.TRUNCATED, ContainerFaultKind.CORRUPT}
    assert most == len(whole)


def test_messages_of_a_cut_chunk_are_salvaged_and_marked() -> None:
    raw = connection() + message(b"first") + message(b"second")
    file = bag(chunk(raw), chunks=0)
    messages, faults = split(file[:-3])
    assert [(bytes(found.data), found.salvaged) for found in messages] == [(b"first", True)]
    assert [fault.kind for fault in faults] == [ContainerFaultKind.TRUNCATED]
    assert file[faults[0].offset + 4 : faults[0].offset + 12] == b"\x04\0\0\0op=\x05"


def test_the_decodable_start_of_a_cut_lz4_chunk_is_salvaged() -> None:
    noise = [os.urandom(30_000) for _ in range(20)]
    raw = connection() + b"".join(message(data) for data in noise)
    stored = lz4.frame.compress(raw, block_size=lz4.frame.BLOCKSIZE_MAX64KB, block_linked=False)
    cut = bag(record(CHUNK, stored, compression=b"lz4", size=u32(len(raw))), chunks=0)[: -len(stored) // 2]
    messages, faults = split(cut)
    assert 5 <= len(messages) < 20
    assert [bytes(found.data) for found in messages] == noise[: len(messages)]
    assert [fault.kind for fault in faults] == [ContainerFaultKind.TRUNCATED]


def test_a_bag_that_was_never_closed_gives_everything_and_says_so() -> None:
    raw = connection() + message(b"m")
    messages, faults = split(bag(chunk(raw), index_pos=0, chunks=0))
    assert [bytes(found.data) for found in messages] == [b"m"]
    assert [fault.kind for fault in faults] == [ContainerFaultKind.TRUNCATED]
    assert "never closed" in faults[0].message


def test_messages_outside_of_chunks_are_read() -> None:
    messages, faults = split(bag(connection(), message(b"m"), index(1), chunks=0, connections=1))
    assert ([bytes(found.data) for found in messages], faults) == ([b"m"], [])


def test_a_connection_may_be_repeated_but_not_changed() -> None:
    raw = connection() + message(b"m")
    assert split(bag(chunk(raw), index(1), connection(), connections=1))[1] == []
    messages, faults = split(bag(chunk(raw), index(1), connection(topic="/other"), chunk(message(b"n")), chunks=2))
    assert [found.topic for found in messages] == ["/t", "/t"]
    assert [fault.kind for fault in faults] == [ContainerFaultKind.CORRUPT]
    assert "connection 0 is both" in faults[0].message


def test_an_undefined_connection_is_reported_once_and_its_messages_are_kept() -> None:
    messages, faults = split(bag(chunk(message(b"1", number=9) + message(b"2", number=9))))
    assert [(bytes(found.data), found.topic, found.message_type) for found in messages] == [(b"1", "", ""), (b"2", "", "")]
    assert ["connection 9" in fault.message for fault in faults] == [True]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([chunk(b"x" * 20, size=21)], "declares 21 bytes"),
        ([chunk(message(b"m"), "bz2", size=5)], "holds 6"),
        ([chunk(message(b"m"), "lz4", size=500)], "declares 500 bytes"),
        ([record(CHUNK, b"no bz2", compression=b"bz2", size=u32(9))], "does not decompress"),
        ([record(CHUNK, b"no lz4 at all", compression=b"lz4", size=u32(9))], "does not decompress"),
        ([record(CHUNK, b"", compression=b"zstd", size=u32(0))], "only 'none', 'bz2' and 'lz4'"),
        ([record(CHUNK, b"", size=u32(0))], "lacks the field 'compression'"),
        ([record(CHUNK, b"", compression=b"none", size=b"\0")], "size takes 1 bytes instead of 4"),
        ([chunk(b"\x01")], "ends within a record"),
        ([chunk(u32(2**31))], "ends within a record"),
        ([chunk(message(b"m")[:-1])], "leaves it"),
        ([chunk(record(MESSAGE, b"m", conn=u32(0), time=struct.pack("<II", 1, 10**9)))], "1000000000 nanoseconds"),
        ([chunk(record(MESSAGE, b"m", conn=u32(0)))], "lacks the field 'time'"),
        ([chunk(connection() + message(b"m", log_ns=(2**32 - 1) * 10**9))], "after the year 2096"),
        ([record(CONNECTION, b"", conn=u32(1), topic=b"/x")], "lacks the field 'type'"),
        ([record(CONNECTION, fields(type=b"\xff"), conn=u32(1), topic=b"/x")], "no UTF-8"),
    ],
)
def test_corruption_is_named_and_the_rest_is_read(records: list[bytes], expected: str) -> None:
    messages, faults = split(bag(*records, chunk(connection(number=40) + message(b"after", number=40)), chunks=2))
    assert [fault.kind for fault in faults] == [ContainerFaultKind.CORRUPT]
    assert expected in faults[0].message
    assert bytes(messages[-1].data) == b"after"


@pytest.mark.parametrize(
    ("damaged", "expected"),
    [
        (u32(2) + b"ab" + u32(0), "takes 2 bytes instead of 4"),
        (u32(6) + u32(9) + b"ab" + u32(0), "does not parse"),
        (u32(7) + u32(3) + b"abc" + u32(0), "does not parse"),
        (u32(2**31), "header takes 2147483648 bytes, the limit is 1048576"),
        (u32(10) + u32(6) + b"op=abc" + u32(0), "op takes 3 bytes"),
    ],
)
def test_a_header_that_does_not_parse_ends_the_walk(damaged: bytes, expected: str) -> None:
    raw = connection() + message(b"m")
    messages, faults = split(bag(chunk(raw), damaged, chunk(raw)))
    assert [bytes(found.data) for found in messages] == [b"m"]
    assert [fault.kind for fault in faults] == [ContainerFaultKind.CORRUPT]
    assert expected in faults[0].message and "framing is lost" in faults[0].message


def test_counts_that_do_not_agree_are_faults() -> None:
    raw = connection() + message(b"m")
    lost = split(bag(chunk(raw), index(2)))[1]
    assert [(fault.kind, fault.message) for fault in lost] == [
        (ContainerFaultKind.TRUNCATED, "the bag's indexes count 2 messages, it holds 1")
    ]
    assert "header counts 3 chunks, it holds 1" in split(bag(chunk(raw), index(1), chunks=3))[1][0].message
    assert "list of connections, it holds 0" in split(bag(chunk(raw), index(1), connections=1))[1][0].message
    assert [fault.kind for fault in split(bag(chunk(raw), index(1), chunks=0))[1]] == [ContainerFaultKind.CORRUPT]


@pytest.mark.parametrize(
    ("records", "limits", "expected"),
    [
        ([chunk(b"\0" * 5000, "bz2")], SizeLimits(chunk_raw_bytes=4999), "5000 bytes uncompressed, the limit is 4999"),
        ([message(b"x" * 100)], SizeLimits(record_bytes=99), "takes 100 bytes, the limit is 99"),
        ([connection(topic="/" + "n" * 80)], SizeLimits(definition_bytes=60), "takes"),
        ([connection(topic="/" + "n" * 80)], SizeLimits(name_bytes=80), "topic takes 81 bytes, the limit is 80"),
        ([connection(1), connection(2), connection(3)], SizeLimits(definitions=2), "more than 2 connections"),
    ],
)
def test_limits_are_kept(records: list[bytes], limits: SizeLimits, expected: str) -> None:
    _, faults = split(bag(*records), limits)
    assert expected in faults[0].message


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(record(CHUNK, b"", compression=b"none", size=u32(5))[:-4] + u32(2**32 - 1), id="record-beyond-limit"),
        pytest.param(record(CHUNK, b"", compression=b"none", size=u32(5))[:-4] + u32(200 * 2**20), id="chunk-that-is-absent"),
        pytest.param(chunk(b"\0" * (100 * 2**20), "bz2", size=10), id="bz2-bomb"),
        pytest.param(chunk(b"\0" * (100 * 2**20), "lz4", size=10), id="lz4-bomb"),
    ],
)
def test_a_claimed_size_allocates_nothing(hostile: bytes) -> None:
    tracemalloc.start()
    try:
        _, faults = split(bag(hostile))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert faults
    assert peak < 8 * 2**20 + 3 * len(hostile)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_random_damage_never_raises_and_never_invents(draw: st.DataObject) -> None:
    payloads = [b"first", b"", b"third" * 9]
    original = bag(chunk(connection() + b"".join(message(data) for data in payloads)), index(3))
    at = draw.draw(st.integers(0, len(original)))
    damaged = original[:at] + draw.draw(st.binary(max_size=30)) + original[at + draw.draw(st.integers(0, 30)) :]
    messages, faults = split(damaged)
    assert [bytes(found.data) for found in messages] == payloads or faults or {bytes(m.data) for m in messages} <= set(payloads)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_garbage_after_the_magic_ends_in_faults(garbage: bytes) -> None:
    assert split(MAGIC + garbage)[1]


def test_a_file_that_is_not_a_bag_is_reported() -> None:
    assert [fault.kind for fault in split(b"\x89MCAP0\r\n")[1]] == [ContainerFaultKind.CORRUPT]
    assert [fault.kind for fault in split(b"")[1]] == [ContainerFaultKind.TRUNCATED]


@pytest.mark.parametrize("inner", [chunk(message(b"lost")), index(1), record(0x7F, b"x")], ids=["chunk", "index", "unknown"])
def test_a_record_in_a_chunk_that_must_not_be_there_is_a_fault_once(inner: bytes) -> None:
    raw = connection() + message(b"one") + inner * 3 + message(b"two")
    found = list(scan_bag(io.BytesIO(bag(chunk(raw), index(2)))))
    assert [bytes(one.data) for one in found if isinstance(one, Recorded)] == [b"one", b"two"]
    (fault,) = [one for one in found if isinstance(one, ContainerFault)]
    assert fault.kind is ContainerFaultKind.CORRUPT
    assert "neither a message nor a connection" in fault.message
