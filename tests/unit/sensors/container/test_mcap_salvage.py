"""The intact messages of a cut MCAP chunk."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import pytest
from mcap.writer import CompressionType, Writer

from sensors.container.mcap import recorded_mcap, scan
from sensors.container.recorded import ContainerFault, ContainerFaultKind, SizeLimits, StoredMessage

EPOCH_NS = 1_700_000_000_123_456_789
CHUNK = 6


def one_chunk(compression: CompressionType, payloads: list[bytes]) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream, chunk_size=1 << 30, compression=compression, enable_data_crcs=True)
    writer.start(profile="ros1", library="test")
    schema = writer.register_schema("sensor_msgs/Imu", "ros1msg", b"float64 x")
    channel = writer.register_channel("/imu", "ros1", schema)
    for number, payload in enumerate(payloads):
        writer.add_message(channel, EPOCH_NS + number, payload, EPOCH_NS)
    writer.finish()  # type: ignore[no-untyped-call]
    return stream.getvalue()


def chunk_end(data: bytes) -> int:
    at = 8
    while True:
        opcode, length = struct.unpack_from("<BQ", data, at)
        at += 9 + length
        if opcode == CHUNK:
            return at


def split(data: bytes, salvage: bool) -> tuple[list[StoredMessage], list[ContainerFault]]:
    items = list(scan(io.BytesIO(data), salvage=salvage))
    return [i for i in items if isinstance(i, StoredMessage)], [i for i in items if isinstance(i, ContainerFault)]


def test_every_cut_of_an_uncompressed_chunk_gives_what_is_whole() -> None:
    payloads = [bytes([number]) * (10 + number) for number in range(12)]
    data = one_chunk(CompressionType.NONE, payloads)
    end, most = chunk_end(data), 0
    for cut in range(8, end):
        found, faults = split(data[:cut], salvage=True)
        assert [bytes(m.data) for m in found] == payloads[: len(found)], cut
        assert all(m.salvaged for m in found)
        assert [fault.kind for fault in faults] == [ContainerFaultKind.TRUNCATED], cut
        assert len(found) >= most
        most = len(found)
    assert most == len(payloads) - 1
    assert not any(m.salvaged for m in split(data[:end], salvage=True)[0])


@pytest.mark.parametrize("compression", [CompressionType.ZSTD, CompressionType.LZ4])
def test_the_decodable_start_of_a_compressed_chunk_is_given(compression: CompressionType) -> None:
    payloads = [os.urandom(50_000) for _ in range(40)]
    data = one_chunk(compression, payloads)
    counts = []
    for share in (0.2, 0.5, 0.9):
        found, faults = split(data[: int(chunk_end(data) * share)], salvage=True)
        assert [bytes(m.data) for m in found] == payloads[: len(found)]
        assert {(m.topic, m.message_type) for m in found} <= {("/imu", "sensor_msgs/Imu")}
        assert [fault.kind for fault in faults] == [ContainerFaultKind.TRUNCATED]
        counts.append(len(found))
    assert counts[0] < counts[1] < counts[2] < 40
    assert counts[1] >= (15 if compression is CompressionType.ZSTD else 1)


@pytest.mark.parametrize("compression", list(CompressionType))
def test_nothing_is_salvaged_unless_asked(compression: CompressionType) -> None:
    data = one_chunk(compression, [os.urandom(200_000)] * 5)
    found, faults = split(data[: chunk_end(data) - 1], salvage=False)
    assert (found, [fault.kind for fault in faults]) == ([], [ContainerFaultKind.TRUNCATED])


def test_a_cut_that_leaves_broken_data_is_one_fault() -> None:
    data = bytearray(one_chunk(CompressionType.ZSTD, [os.urandom(200_000)] * 5))
    end = chunk_end(data)
    frame = data.index(b"\x28\xb5\x2f\xfd")
    data[frame : frame + 4] = b"\xff" * 4
    _, faults = split(bytes(data[: end - 1]), salvage=True)
    assert [fault.kind for fault in faults] == [ContainerFaultKind.TRUNCATED]


def test_recorded_messages_are_salvaged_and_spelt_as_in_ros2(tmp_path: Path) -> None:
    data = one_chunk(CompressionType.NONE, [b"first", b"second"])
    items = list(recorded_mcap(io.BytesIO(data[: chunk_end(data) - 1]), SizeLimits()))
    assert [(m.topic, m.message_type, m.encoding, m.log_ns, bytes(m.data), m.salvaged) for m in items[:-1]] == [  # type: ignore[union-attr]
        ("/imu", "sensor_msgs/msg/Imu", "ros1", EPOCH_NS, b"first", True)
    ]
    assert isinstance(items[-1], ContainerFault)
