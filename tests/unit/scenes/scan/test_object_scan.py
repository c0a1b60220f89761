"""One object, read once: its checksum, its frames, its pose samples, and what is wrong with it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.writer import CompressionType

import scenes.scan.object_scan
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from lake.landing import SensorKey
from scenes.scan.frame_rows import OBJECT_INDEX
from scenes.scan.motion_samples import POSES
from scenes.scan.object_scan import MAX_FAULTS, MAX_TYPES, OTHER_TYPES, ObjectScan, scan_object
from sensors.container.compression import decompress
from sensors.container.source import Buffers
from sensors.decode.messages import IMAGE, ODOMETRY, POINT_CLOUD
from sensors.rig import Modality
from tests.unit.scenes.job_builders import DRIVE, MS, T0, cloud, image, index_of, pose, recording
from tests.unit.sensors.container.short_reads import ShortFills


def key(modality: str) -> SensorKey:
    return SensorKey(DRIVE, modality, "s", T0)


def scan(body: bytes, modality: str) -> ObjectScan:
    found = scan_object(ShortFills(body, 700), key(modality))
    assert found.sha256 == hashlib.sha256(body).hexdigest(), "the checksum is of the whole object, whatever it holds"
    assert found.size_bytes == len(body)
    assert index_of(key(modality), found).schema.equals(OBJECT_INDEX)
    assert found.samples.schema.equals(POSES)
    return found


@pytest.mark.parametrize("compression", list(CompressionType))
def test_every_frame_can_be_fetched_by_its_row(compression: CompressionType) -> None:
    frames = [(T0 + number * MS, cloud(T0 + number * MS, points=number + 1)) for number in range(12)]
    body = recording(POINT_CLOUD, frames, compression)
    found = scan(body, "lidar")
    assert (found.faults, found.unknown_types) == ((), {})
    rows = index_of(key("lidar"), found).to_pylist()
    assert [row["stamp_ns"] for row in rows] == [stamp_ns for stamp_ns, _ in frames]
    assert [row["log_ns"] - row["stamp_ns"] for row in rows] == [2 * MS] * 12
    assert {(row["sensor"], row["modality"], row["message_type"], row["key"]) for row in rows} == {
        ("s", "lidar", POINT_CLOUD, str(key("lidar")))
    }
    for row, (_, cdr) in zip(rows, frames, strict=True):
        stored = body[row["chunk_offset"] : row["chunk_offset"] + row["chunk_bytes"]]
        raw = decompress(stored, row["compression"], row["chunk_raw_bytes"])
        assert raw[row["message_offset"] : row["message_offset"] + row["message_bytes"]] == cdr


def test_what_the_fleet_records_is_read(tmp_path: Path) -> None:
    stream = SensorStream("cam", Modality.CAMERA, IMAGE)
    (path,) = write_stream(tmp_path, stream, [RecordedFrame(T0 + n, T0 + n + MS, image(T0 + n)) for n in range(5)])
    camera = SensorKey(DRIVE, "camera", "cam", T0)
    found = scan_object(io.BytesIO(path.read_bytes()), camera)
    assert found.faults == ()
    assert index_of(camera, found)["stamp_ns"].to_pylist() == [T0 + n for n in range(5)]
    assert set(index_of(camera, found)["compression"].to_pylist()) == {""}


def test_every_chunk_is_read_to_where_the_last_one_lay() -> None:
    """Two buffers that take turns do not fit a core's cache together: no message is held when the next is read."""
    frames = [(T0 + number * MS, cloud(T0 + number * MS, points=400)) for number in range(12)]
    buffers = Buffers()
    body = recording(POINT_CLOUD, frames, CompressionType.NONE, chunk_bytes=10_000)
    assert len(scan_object(io.BytesIO(body), key("lidar"), buffers).frames) == 12
    assert len(buffers._kept) == 1


def test_pose_samples_come_with_the_index() -> None:
    found = scan(recording(ODOMETRY, [(T0 + n * MS, pose(T0 + n * MS)) for n in range(4)]), "pose")
    assert found.samples["stamp_ns"].to_pylist() == index_of(key("pose"), found)["stamp_ns"].to_pylist()
    assert found.samples["x_m"].to_pylist() == pytest.approx([0, 0.001, 0.002, 0.003])
    assert found.samples["qw"].to_pylist() == [1.0] * 4


def test_a_pose_that_does_not_decode_is_a_frame_and_a_fault() -> None:
    broken = bytearray(pose(T0 + MS))
    frames = [(T0, pose(T0)), (T0 + MS, bytes(broken[:60])), (T0 + 2 * MS, b"\x00")]
    found = scan(recording(ODOMETRY, frames), "pose")
    assert index_of(key("pose"), found)["stamp_ns"].to_pylist() == [T0, T0 + MS, T0 + 4 * MS], (
        "log time stands in for an unreadable stamp"
    )
    assert found.samples["stamp_ns"].to_pylist() == [T0]
    assert len(found.faults) == 2
    assert all(fault.startswith("message at byte ") for fault in found.faults)


@given(st.integers(0, 3000))
def test_a_truncated_object_keeps_its_whole_frames_and_says_that_it_is_cut(end: int) -> None:
    whole = recording(POINT_CLOUD, [(T0 + n * MS, cloud(T0 + n * MS)) for n in range(20)])
    body = whole[: min(end, len(whole) - 1)]
    found = scan(body, "lidar")
    stamps = index_of(key("lidar"), found)["stamp_ns"].to_pylist()
    assert stamps == [T0 + n * MS for n in range(len(stamps))]
    assert found.faults


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04 this is a zip", b"\x80\x04\x95 a pickle", b"z" * 3_000_000], ids=len)
def test_something_else_has_no_frames_and_a_fault(body: bytes) -> None:
    found = scan(body, "camera")
    assert len(index_of(key("camera"), found)) == len(found.samples) == 0
    assert len(found.faults) == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (recording(POINT_CLOUD, [(T0, cloud(T0))] * 3), f"{POINT_CLOUD} (cdr)"),
        (recording("evil_msgs/msg/Pickle", [(T0, b"abc")] * 3), "evil_msgs/msg/Pickle (cdr)"),
        (recording(IMAGE, [(T0, image(T0))] * 3, encoding="json"), f"{IMAGE} (json)"),
    ],
)
def test_messages_that_the_modality_does_not_know_are_counted_and_kept_as_frames(body: bytes, kind: str) -> None:
    found = scan(body, "camera")
    assert found.unknown_types == {kind: 3}
    assert index_of(key("camera"), found)["stamp_ns"].to_pylist() == [T0 + 2 * MS] * 3


def test_the_report_on_an_object_is_bounded() -> None:
    found = scan(recording(POINT_CLOUD, [(T0 + n, b"\x00") for n in range(MAX_FAULTS + 50)]), "lidar")
    assert len(index_of(key("lidar"), found)) == MAX_FAULTS + 50
    assert len(found.faults) == MAX_FAULTS + 1
    assert found.faults[-1] == "and 50 more faults"


def test_kinds_beyond_the_first_are_counted_together() -> None:
    from scenes.scan.object_scan import _Rows

    rows = _Rows(key("lidar"))
    for number in range(MAX_TYPES + 5):
        rows._count_unknown(f"type-{number}")
        rows._count_unknown("type-0")
    assert len(rows.unknown_types) == MAX_TYPES + 1
    assert rows.unknown_types[OTHER_TYPES] == 5
    assert rows.unknown_types["type-0"] == MAX_TYPES + 6


def test_frames_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes.scan.object_scan, "MAX_FRAMES", 5)
    found = scan(recording(POINT_CLOUD, [(T0 + n, cloud(T0 + n)) for n in range(9)]), "lidar")
    assert len(index_of(key("lidar"), found)) == 5
    assert len(found.faults) == 1
    assert "more than 5 messages" in found.faults[0]
