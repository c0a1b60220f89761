"""MCAP files as recorded: names, chunks, compression, and bytes that depend on nothing but the frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader

from fleet.encode import encode_image, encode_imu
from fleet.errors import FleetError
from fleet.mcap_writer import CHUNK_BYTES, RecordedFrame, SensorStream, write_stream
from sensors.decode.messages import IMAGE, IMU, decode_image
from sensors.rig import Modality
from tests.unit.fleet.landed_drives import messages

T0 = 1_700_000_000_000_000_000


def images(count: int, size: int = 100_000) -> list[RecordedFrame]:
    rng = np.random.default_rng(0)
    frames = []
    for index in range(count):
        stamp = T0 + index * 100_000_000
        data = b"\xff\xd8" + rng.bytes(size)
        frames.append(RecordedFrame(stamp, stamp + 5_000_000, encode_image(stamp, "camera_front", "jpeg", data)))
    return frames


CAMERA = SensorStream("camera_front", Modality.CAMERA, IMAGE)


def test_frames_come_back_with_their_stamps_times_and_bytes(tmp_path: Path) -> None:
    frames = images(30)
    (path,) = write_stream(tmp_path, CAMERA, frames)
    assert path == tmp_path / "camera" / "camera_front" / f"{T0}.mcap"
    found = messages(tmp_path, "camera_front")
    assert [bytes(message.data) for message in found] == [frame.cdr for frame in frames]
    assert [message.log_ns for message in found] == [frame.log_ns for frame in frames]
    declared = {(message.topic, message.message_type, message.message_encoding) for message in found}
    assert declared == {("/camera_front", IMAGE, "cdr")}


def test_an_image_can_be_fetched_by_a_byte_range_alone(tmp_path: Path) -> None:
    (path,) = write_stream(tmp_path, CAMERA, images(30))
    message = messages(tmp_path, "camera_front")[17]
    assert message.compression == ""
    start = message.chunk_offset + message.message_offset
    raw = path.read_bytes()[start : start + message.message_bytes]
    assert decode_image(raw).stamp_ns == T0 + 17 * 100_000_000


def test_chunks_hold_about_a_mebibyte(tmp_path: Path) -> None:
    write_stream(tmp_path, CAMERA, images(40))
    sizes = {message.chunk_offset: message.chunk_raw_bytes for message in messages(tmp_path, "camera_front")}
    whole = list(sizes.values())[:-1]
    assert len(whole) >= 3
    assert all(CHUNK_BYTES < size < CHUNK_BYTES + 110_000 for size in whole)


def test_everything_but_images_is_compressed(tmp_path: Path) -> None:
    frames = [RecordedFrame(T0 + i, T0 + i, encode_imu(T0 + i, (0, 0, 0.1), (0, 0, 9.8))) for i in range(100)]
    write_stream(tmp_path, SensorStream("imu", Modality.IMU, IMU), frames)
    found = messages(tmp_path, "imu")
    assert {message.compression for message in found} == {"zstd"}
    assert found[0].chunk_bytes < found[0].chunk_raw_bytes / 5


def test_the_reference_reader_finds_profile_schema_and_index(tmp_path: Path) -> None:
    (path,) = write_stream(tmp_path, CAMERA, images(25))
    with path.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        header, summary = reader.get_header(), reader.get_summary()
        assert (header.profile, header.library) == ("ros2", "scenelake-fleet")
        assert summary is not None and summary.statistics is not None
        assert summary.statistics.message_count == 25
        (schema,) = summary.schemas.values()
        assert (schema.name, schema.encoding) == (IMAGE, "ros2msg")
        assert b"std_msgs/Header" in schema.data
        assert len(list(reader.iter_messages())) == 25


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    (first,) = write_stream(tmp_path / "a", CAMERA, images(12))
    (second,) = write_stream(tmp_path / "b", CAMERA, images(12))
    assert first.read_bytes() == second.read_bytes()


def test_a_new_file_begins_after_each_segment(tmp_path: Path) -> None:
    paths = write_stream(tmp_path, CAMERA, images(12, size=10), segment_ns=500_000_000)
    assert [path.name for path in paths] == [f"{T0 + start}.mcap" for start in (0, 500_000_000, 1_000_000_000)]
    assert len(messages(tmp_path, "camera_front")) == 12


def test_no_frames_make_no_file(tmp_path: Path) -> None:
    assert write_stream(tmp_path, CAMERA, []) == ()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    write_stream(tmp_path, CAMERA, images(1))
    with pytest.raises(FleetError, match="exists already"):
        write_stream(tmp_path, CAMERA, images(1))


def test_a_source_that_fails_half_way_leaves_an_incomplete_recording(tmp_path: Path) -> None:
    def failing():  # type: ignore[no-untyped-def]
        yield from images(3)
        raise RuntimeError("sensor unplugged")

    with pytest.raises(RuntimeError, match="unplugged"):
        write_stream(tmp_path, CAMERA, failing())
    with pytest.raises(AssertionError, match="truncated"):
        messages(tmp_path, "camera_front")
