"""The container scan against the writer of the `mcap` package, and against bytes assembled by hand."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType, Writer

from sensors.container.compression import decompress
from sensors.container.mcap import MESSAGES_AT_ONCE, scan
from sensors.container.recorded import ContainerFault, ContainerFaultKind, SizeLimits, StoredMessage
from tests.real_data import DATA
from tests.unit.sensors.container.short_reads import ShortFills, ShortReads

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, STATISTICS, DATA_END = 1, 2, 3, 4, 5, 6, 11, 15
EPOCH_NS = 1_700_000_000_123_456_789
PAYLOADS = [b"first", b"", b"a longer third message" * 3, b"\x00\xff" * 20, b"last"]
VARIANTS = [
    pytest.param(chunked, compression, id=f"{'chunked' if chunked else 'plain'}-{compression.name.lower()}")
    for chunked in (True, False)
    for compression in CompressionType
]


def write(
    payloads: list[bytes],
    chunked: bool = True,
    compression: CompressionType = CompressionType.ZSTD,
    chunk_size: int = 60,
    data_crc: bool = True,
) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream, chunk_size=chunk_size, compression=compression, use_chunking=chunked, enable_data_crcs=data_crc)
    writer.start(profile="ros2", library="test")
    schema = writer.register_schema("sensor_msgs/msg/Imu", "ros2msg", b"float64 x")
    channels = [writer.register_channel(topic, "cdr", schema, {"k": "v"}) for topic in ("/one", "/two")]
    for number, payload in enumerate(payloads):
        writer.add_message(channels[number % 2], EPOCH_NS + number, payload, EPOCH_NS)
    writer.add_metadata("notes", {"weather": "fog"})
    writer.finish()  # type: ignore[no-untyped-call]
    return stream.getvalue()


def split(data: bytes | BinaryIO, limits: SizeLimits | None = None) -> tuple[list[StoredMessage], list[ContainerFault]]:
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    messages, faults = [], []
    for item in scan(stream, limits):
        if isinstance(item, StoredMessage):
            messages.append(item)
        else:
            faults.append(item)
    return messages, faults


def record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode()


def schema(number: int = 1, name: str = "a/msg/B") -> bytes:
    return record(SCHEMA, struct.pack("<H", number) + text(name) + text("ros2msg") + struct.pack("<I", 0))


def channel(number: int = 1, schema_number: int = 1, topic: str = "/t") -> bytes:
    return record(CHANNEL, struct.pack("<HH", number, schema_number) + text(topic) + text("cdr") + struct.pack("<I", 0))


def message(data: bytes, channel_number: int = 1, log_ns: int = 5) -> bytes:
    return record(MESSAGE, struct.pack("<HIQQ", channel_number, 0, log_ns, 0) + data)


def chunk(stored: bytes, compression: str, raw_bytes: int, crc: int = 0) -> bytes:
    head = struct.pack("<QQQI", 0, 0, raw_bytes, crc) + text(compression)
    return record(CHUNK, head + struct.pack("<Q", len(stored)) + stored)


def container(*records: bytes, tail: bytes = b"", data_crc: bool = False) -> bytes:
    body = MAGIC + record(HEADER, text("ros2") + text("by hand")) + b"".join(records)
    crc = zlib.crc32(body) if data_crc else 0
    return body + record(DATA_END, struct.pack("<I", crc)) + tail + record(FOOTER, struct.pack("<QQI", 0, 0, 0)) + MAGIC


@pytest.mark.parametrize(("chunked", "compression"), VARIANTS)
def test_reads_what_the_writer_wrote(chunked: bool, compression: CompressionType) -> None:
    messages, faults = split(write(PAYLOADS, chunked, compression))
    assert faults == []
    assert [bytes(found.data) for found in messages] == PAYLOADS
    assert [found.log_ns for found in messages] == [EPOCH_NS + number for number in range(len(PAYLOADS))]
    assert [found.topic for found in messages] == ["/one", "/two", "/one", "/two", "/one"]
    assert {(found.message_type, found.message_encoding) for found in messages} == {("sensor_msgs/msg/Imu", "cdr")}
    assert all(found.data.readonly for found in messages)


@pytest.mark.parametrize(("chunked", "compression"), VARIANTS)
@pytest.mark.parametrize("summary", [True, False])
@pytest.mark.parametrize("crcs", [True, False])
def test_neither_index_nor_summary_nor_checksums_are_needed(
    chunked: bool, compression: CompressionType, summary: bool, crcs: bool
) -> None:
    stream = io.BytesIO()
    writer = Writer(
        stream,
        chunk_size=60,
        compression=compression,
        use_chunking=chunked,
        index_types=IndexType.ALL if summary else IndexType.NONE,
        repeat_channels=summary,
        repeat_schemas=summary,
        use_statistics=summary,
        use_summary_offsets=summary,
        enable_crcs=crcs,
        enable_data_crcs=crcs,
    )
    writer.start(profile="ros2", library="test")
    topic = writer.register_channel("/t", "cdr", writer.register_schema("a/msg/B", "ros2msg", b""))
    for number, payload in enumerate(PAYLOADS):
        writer.add_message(topic, EPOCH_NS + number, payload, EPOCH_NS)
    writer.finish()  # type: ignore[no-untyped-call]
    messages, faults = split(stream.getvalue())
    assert faults == []
    assert [(bytes(found.data), found.topic, found.message_type) for found in messages] == [
        (p, "/t", "a/msg/B") for p in PAYLOADS
    ]


@pytest.mark.parametrize(("chunked", "compression"), VARIANTS)
def test_references_lead_back_to_the_bytes_of_the_file(chunked: bool, compression: CompressionType) -> None:
    data = write(PAYLOADS, chunked, compression)
    messages, _ = split(data)
    assert len({found.chunk_offset for found in messages}) > 1
    for found, payload in zip(messages, PAYLOADS, strict=True):
        stored = data[found.chunk_offset : found.chunk_offset + found.chunk_bytes]
        raw = decompress(stored, found.compression, found.chunk_raw_bytes)
        assert raw[found.message_offset : found.message_offset + found.message_bytes] == payload
        if not chunked:
            assert (found.compression, found.message_offset, stored) == ("", 0, payload)


@pytest.mark.parametrize(("chunked", "compression"), VARIANTS)
def test_a_cut_anywhere_keeps_the_whole_messages_before_it(chunked: bool, compression: CompressionType) -> None:
    data = write(PAYLOADS, chunked, compression)
    whole, _ = split(data)
    for cut in range(len(data)):
        messages, faults = split(data[:cut])
        assert messages == [found for found in whole if found.chunk_offset + found.chunk_bytes <= cut], cut
        assert [fault.kind for fault in faults] == [ContainerFaultKind.TRUNCATED], cut
        assert 0 <= faults[0].offset <= cut


@pytest.mark.parametrize(("chunked", "compression"), VARIANTS)
def test_every_flipped_bit_is_noticed_and_none_is_fatal(chunked: bool, compression: CompressionType) -> None:
    """With all checksums on, a flip anywhere yields a fault; and without a fault there is no wrong message."""
    data = bytearray(write(PAYLOADS[:3], chunked, compression))
    for position in range(len(data)):
        for bit in (position % 8, (position + 3) % 8):
            data[position] ^= 1 << bit
            _, faults = split(bytes(data))
            assert faults, f"bit {bit} of byte {position}"
            data[position] ^= 1 << bit
    assert split(bytes(data))[1] == []


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_garbage_after_the_magic_ends_in_faults(garbage: bytes) -> None:
    _, faults = split(MAGIC + garbage)
    assert faults


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_random_damage_yields_no_message_that_was_not_there(data: st.DataObject) -> None:
    original = write(PAYLOADS, compression=data.draw(st.sampled_from(list(CompressionType))))
    at = data.draw(st.integers(0, len(original)))
    damaged = original[:at] + data.draw(st.binary(max_size=40)) + original[at + data.draw(st.integers(0, 40)) :]
    messages, faults = split(damaged)
    assert {bytes(found.data) for found in messages} <= set(PAYLOADS) or faults


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_short_reads_change_nothing(most: int) -> None:
    data = write(PAYLOADS)
    assert split(ShortReads(data, most)) == split(ShortFills(data, most)) == split(data)  # type: ignore[arg-type]


def test_errors_of_the_stream_pass_through() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ConnectionResetError("peer is gone")

    with pytest.raises(ConnectionResetError, match="peer is gone"):
        list(scan(Broken()))  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"PK\x03\x04 a zip", b"\x80\x03}q\x00.", b"#ROSBAG V2.0\n", b"\x89MCAP1\r\n"])
def test_a_file_that_is_not_mcap_is_reported(data: bytes) -> None:
    messages, faults = split(data)
    assert messages == []
    assert [(fault.offset, fault.kind) for fault in faults] == [(0, ContainerFaultKind.NOT_MCAP)]


def test_records_of_no_interest_and_unknown_opcodes_are_passed_over() -> None:
    private = record(0x90, b"private") + record(0x42, b"from the future")
    messages, faults = split(container(private, schema(), private, channel(), message(b"m"), private))
    assert (faults, [bytes(found.data) for found in messages]) == ([], [b"m"])


def test_fields_added_by_a_later_version_are_ignored() -> None:
    longer_schema = record(SCHEMA, schema()[9:] + b"new")
    raw = longer_schema + channel() + message(b"m")
    longer_chunk = record(CHUNK, chunk(raw, "", len(raw), zlib.crc32(raw))[9:] + b"new")
    messages, faults = split(container(longer_chunk))
    assert (faults, [bytes(found.data) for found in messages]) == ([], [b"m"])


def test_the_checksum_of_the_data_section_is_of_every_byte_of_its_chunks() -> None:
    raw = schema() + channel() + message(b"m")
    stored, packed = chunk(raw, "", len(raw), zlib.crc32(raw)), chunk(zstandard.compress(raw), "zstd", len(raw), zlib.crc32(raw))
    longer = record(CHUNK, stored[9:] + b"new")
    headless = record(CHUNK, stored[9:30])
    file = container(longer, packed, headless, stored, data_crc=True)
    messages, faults = split(file)
    assert [bytes(found.data) for found in messages] == [b"m"] * 3
    assert [(fault.kind, fault.offset) for fault in faults] == [(ContainerFaultKind.CORRUPT, file.index(headless))]
    for piece in (longer, packed, headless, stored):
        at = file.index(piece) + len(piece) - 1
        _, faults = split(file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :])
        assert "the data section says CRC" in faults[-1].message


def test_a_channel_without_schema_has_no_message_type() -> None:
    messages, faults = split(container(channel(schema_number=0), message(b"m")))
    assert (faults, messages[0].message_type, messages[0].topic) == ([], "", "/t")


def test_a_chunk_that_fails_its_checksum_is_dropped_and_the_next_is_read() -> None:
    definitions = schema() + channel()
    raw = message(b"bad")
    file = container(definitions, chunk(raw, "", len(raw), crc=1), chunk(raw, "", len(raw), zlib.crc32(raw)))
    messages, faults = split(file)
    assert [bytes(found.data) for found in messages] == [b"bad"]
    assert [fault.kind for fault in faults] == [ContainerFaultKind.CRC]
    assert file[faults[0].offset] == CHUNK
    assert f"{zlib.crc32(raw):#010x}" in faults[0].message


def test_what_a_dropped_chunk_lacks_in_the_statistics_is_not_a_second_fault() -> None:
    raw = message(b"bad")
    damaged = chunk(raw, "", len(raw), crc=1)
    _, faults = split(container(schema(), channel(), damaged, tail=record(STATISTICS, struct.pack("<Q", 1))))
    assert [fault.kind for fault in faults] == [ContainerFaultKind.CRC]


def test_messages_of_an_undefined_channel_are_kept_without_a_type_and_reported_once() -> None:
    messages, faults = split(container(message(b"1", channel_number=7), message(b"2", channel_number=7)))
    assert [(bytes(found.data), found.topic, found.message_type) for found in messages] == [(b"1", "", ""), (b"2", "", "")]
    assert [fault.kind for fault in faults] == [ContainerFaultKind.CORRUPT]
    assert "channel 7" in faults[0].message


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([schema(), schema(name="c/msg/D")], "both"),
        ([schema(), channel(), channel(topic="/other")], "both"),
        ([schema(number=0)], "id 0"),
        ([channel(schema_number=9), message(b"m")], "schema 9"),
        ([record(SCHEMA, b"\x01")], "does not parse"),
        ([record(CHANNEL, channel()[9:-1])], "does not parse"),
        ([record(MESSAGE, b"short")], "shorter than its fields"),
        ([schema(), channel(), message(b"m", log_ns=2**63)], "logged at 9223372036854775808 ns"),
        ([chunk(b"", "brotli", 0)], "brotli"),
        ([chunk(b"x" * 5, "", 6)], "declares 6 bytes"),
        ([chunk(b"not zstd", "zstd", 8)], "does not decompress"),
        ([chunk(b"not lz4", "lz4", 8)], "does not decompress"),
        ([chunk(zstandard.compress(b"x" * 50), "zstd", 49)], "holds 50"),
        ([chunk(lz4.frame.compress(b"x" * 50), "lz4", 51)], "holds 50"),
        ([chunk(struct.pack("<BQ", MESSAGE, 99) + b"x" * 20, "", 29)], "leaves its chunk"),
        ([chunk(b"\x05\x00", "", 2)], "shorter than its fields"),
        ([record(CHUNK, b"\x00" * 12)], "shorter than its fields"),
        ([record(CHUNK, struct.pack("<QQQII", 0, 0, 0, 0, 2**31))], "compression name"),
        ([record(CHUNK, struct.pack("<QQQII", 0, 0, 0, 0, 0) + struct.pack("<Q", 2**60))], "announces 1152921504606846976"),
        ([record(CHUNK, struct.pack("<QQQII", 0, 0, 0, 0, 1) + b"\xff" + struct.pack("<Q", 0))], "UTF-8"),
    ],
)
def test_corruption_is_named_and_the_rest_is_read(records: list[bytes], expected: str) -> None:
    after = [schema(number=40), channel(number=40, schema_number=40), message(b"after", channel_number=40)]
    messages, faults = split(container(*records, *after))
    assert [fault.kind for fault in faults] == [ContainerFaultKind.CORRUPT]
    assert expected in faults[0].message
    assert bytes(messages[-1].data) == b"after"


@pytest.mark.parametrize(
    ("records", "limits", "expected"),
    [
        (
            [chunk(zstandard.compress(b"\0" * 5000), "zstd", 5000)],
            SizeLimits(chunk_raw_bytes=4999),
            "5000 bytes uncompressed, the limit is 4999",
        ),
        ([message(b"x" * 100)], SizeLimits(record_bytes=99), "takes 122 bytes, the limit is 99"),
        ([schema(name="n" * 80)], SizeLimits(definition_bytes=60), "the limit is 60"),
        ([schema(name="n" * 80)], SizeLimits(name_bytes=79), "takes 80 bytes, the limit is 79"),
        ([channel(topic="n" * 80)], SizeLimits(name_bytes=79), "takes 83 bytes, the limit is 79"),
        ([schema(1), schema(2), schema(3)], SizeLimits(definitions=2), "more than 2 schemas"),
        ([chunk(schema(name="n" * 80), "", len(schema(name="n" * 80)))], SizeLimits(definition_bytes=60), "the limit is 60"),
    ],
)
def test_limits_are_kept_and_the_rest_is_read(records: list[bytes], limits: SizeLimits, expected: str) -> None:
    messages, faults = split(container(*records, record(MESSAGE, message(b"after", channel_number=9)[9:])), limits)
    assert faults[0].kind is ContainerFaultKind.LIMIT
    assert expected in faults[0].message
    assert bytes(messages[-1].data) == b"after"


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(struct.pack("<BQ", CHUNK, 2**63), id="record-beyond-limit"),
        pytest.param(struct.pack("<BQ", MESSAGE, 200 * 2**20), id="record-within-limit-but-absent"),
        pytest.param(struct.pack("<BQ", 9, 2**62), id="attachment"),
        pytest.param(record(CHUNK, struct.pack("<QQQII", 0, 0, 2**62, 0, 4) + b"zstd" + struct.pack("<Q", 0)), id="raw-size"),
        pytest.param(chunk(zstandard.compress(b"\0" * (200 * 2**20)), "zstd", 10), id="zstd-bomb"),
        pytest.param(chunk(lz4.frame.compress(b"\0" * (200 * 2**20)), "lz4", 10), id="lz4-bomb"),
        pytest.param(record(SCHEMA, struct.pack("<HI", 1, 2**32 - 1)), id="string"),
    ],
)
def test_a_claimed_size_allocates_nothing(hostile: bytes) -> None:
    file = container(hostile)
    tracemalloc.start()
    try:
        _, faults = split(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert faults
    assert peak < 4 * 2**20 + 3 * len(hostile)


def test_memory_is_bounded_by_one_chunk() -> None:
    chunk_bytes = 256 * 1024
    data = write([os.urandom(chunk_bytes)] * 40, chunk_size=chunk_bytes, compression=CompressionType.NONE)
    stream = io.BytesIO(data)
    tracemalloc.start()
    try:
        count = sum(isinstance(item, StoredMessage) for item in scan(stream))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 40
    assert peak < 8 * chunk_bytes < len(data)


def test_frames_of_several_zstd_or_lz4_frames_are_one_chunk() -> None:
    definitions, body = schema() + channel(), message(b"m")
    raw_bytes = len(definitions) + len(body)
    for name, compress in (("zstd", zstandard.compress), ("lz4", lz4.frame.compress)):
        messages, faults = split(container(chunk(compress(definitions) + compress(body), name, raw_bytes)))
        assert (faults, [bytes(found.data) for found in messages]) == ([], [b"m"])


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [
        (write(PAYLOADS) + b"x", ContainerFaultKind.CORRUPT, "goes on after"),
        (write(PAYLOADS)[:-1] + b"x", ContainerFaultKind.CORRUPT, "ends with"),
        (
            container(tail=record(STATISTICS, struct.pack("<Q", 3))),
            ContainerFaultKind.CORRUPT,
            "count 3 messages, the file holds 0",
        ),
        (container(tail=message(b"m")), ContainerFaultKind.CORRUPT, "summary section"),
        (container(tail=chunk(b"", "", 0)), ContainerFaultKind.CORRUPT, "summary section"),
        (MAGIC + record(HEADER, b"") + record(FOOTER, b"\0" * 20) + MAGIC, ContainerFaultKind.CORRUPT, "no data end"),
        (MAGIC + container()[8 + 9 + 19 :], ContainerFaultKind.CORRUPT, "no header"),
        (MAGIC + record(HEADER, b"") + b"\0" * 100, ContainerFaultKind.CORRUPT, "framing is lost"),
    ],
)
def test_the_frame_of_the_file_is_checked(data: bytes, kind: ContainerFaultKind, expected: str) -> None:
    _, faults = split(data)
    assert [fault.kind for fault in faults] == [kind]
    assert expected in faults[0].message


def test_checksums_of_zero_mean_that_there_is_none() -> None:
    assert split(write(PAYLOADS, data_crc=False))[1] == []


def real_files() -> Iterator[Path]:
    root = DATA
    yield from sorted((root / "mcap_ros1_ouster").glob("*.mcap"))


@pytest.mark.skipif(not list(real_files()), reason="needs SCENELAKE_TEST_DATA (real recordings, not part of the repository)")
def test_a_real_recording_reads_as_the_reference_reader_reads_it() -> None:
    (path,) = real_files()
    with path.open("rb") as stream:
        expected = [
            (channel.topic, schema.name if schema else "", message.log_time, message.data)
            for schema, channel, message in make_reader(stream).iter_messages(log_time_order=False)
        ]
    with path.open("rb") as stream:
        messages, faults = split(stream)
    assert faults == []
    assert [(found.topic, found.message_type, found.log_ns, bytes(found.data)) for found in messages] == expected


def test_a_chunk_of_thousands_of_messages_comes_whole_and_in_order() -> None:
    """More than are read at once, with definitions among them."""
    count = 2 * MESSAGES_AT_ONCE + 7
    numbered = [message(struct.pack("<I", number)) for number in range(count)]
    last = [channel(2, topic="/u"), message(struct.pack("<I", count), 2), message(struct.pack("<I", count + 1))]
    raw = b"".join([schema(), channel(), *numbered, *last])
    file = container(chunk(raw, "", len(raw), zlib.crc32(raw)))
    messages, faults = split(file)
    assert faults == []
    assert [(one.topic, struct.unpack("<I", one.data)[0]) for one in messages] == [
        *(("/t", number) for number in range(count)),
        ("/u", count),
        ("/t", count + 1),
    ]
    for one in messages:
        place = one.chunk_offset + one.message_offset
        assert file[place : place + one.message_bytes] == one.data
