"""A recording means the same in whatever order its messages stand: they are taken by log time, ties by position."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from mcap.writer import CompressionType, Writer

import fleet.importers.recording.log_order
from fleet.encode import encode_image, encode_imu, encode_points
from fleet.errors import DriveFolderError
from fleet.importers.recording.importer import SEGMENT_NS, import_drive
from fleet.importers.recording.log_order import UNORDERED, put_in_log_order
from fleet.importers.source import ImportResult
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from fleet.recordings.stamp_streams import stamp_streams
from sensors.decode.messages import IMAGE, IMU, POINT_CLOUD
from sensors.decode.points import Datatype, PointField
from sensors.rig import Modality
from tests.unit.fleet.landed_drives import messages
from tests.unit.sensors.container.sqlite_bags import write_db3

STAMPS_NS = 1_700_000_000_000_000_000
MS = 1_000_000
Row = tuple[str, str, int, bytes]
XYZ = tuple(PointField(name, 4 * number, Datatype.FLOAT32, 1) for number, name in enumerate("xyz"))


def rows(count: int = 30) -> list[Row]:
    """(topic, type, log time, CDR) of a lidar, a camera and an IMU, in the order of logging."""
    found: list[Row] = []
    for number in range(count):
        ns = STAMPS_NS + number * 100 * MS
        found += [
            ("/lidar", POINT_CLOUD, ns + 110 * MS, encode_points(ns, "lidar", XYZ, bytes(24))),
            ("/camera", IMAGE, ns + 20 * MS, encode_image(ns, "cam", "jpeg", b"\xff\xd8\xff" + bytes([number]) * 3000)),
            *(("/imu", IMU, ns + k * 10 * MS + MS, encode_imu(ns + k * 10 * MS, (0, 0, 0), (0, 0, 9))) for k in range(10)),
        ]
    return sorted(found, key=lambda row: row[2])


def mcap(path: Path, taken: Sequence[Row], chunk_bytes: int = 4000) -> Path:
    with path.open("wb") as stream:
        writer = Writer(stream, chunk_size=chunk_bytes, compression=CompressionType.LZ4)
        writer.start(profile="ros2", library="test")
        channels: dict[str, int] = {}
        for topic, kind, log_ns, cdr in taken:
            if topic not in channels:
                channels[topic] = writer.register_channel(topic, "cdr", writer.register_schema(kind, "ros2msg", b""))
            writer.add_message(channels[topic], log_ns, cdr, log_ns)
        writer.finish()  # type: ignore[no-untyped-call]
    return path


def db3(path: Path, taken: Sequence[Row]) -> Path:
    topics = list(dict.fromkeys((topic, kind) for topic, kind, _, _ in taken))
    return write_db3(
        path,
        [(n, topics.index((topic, kind)) + 1, log_ns, cdr) for n, (topic, kind, log_ns, cdr) in enumerate(taken, start=1)],
        [(n, topic, kind, "cdr", "") for n, (topic, kind) in enumerate(topics, start=1)],
        page_size=4096,
    )


def halves(taken: list[Row]) -> list[Row]:
    return taken[len(taken) // 2 :] + taken[: len(taken) // 2]


def shuffled(taken: list[Row]) -> list[Row]:
    return random.Random(3).sample(taken, len(taken))


def reversed_(taken: list[Row]) -> list[Row]:
    return taken[::-1]


def imported(src: Path, out: Path) -> ImportResult:
    return import_drive(src, out, "car-1", "drive-1")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("disorder", [halves, shuffled, reversed_])
@pytest.mark.parametrize("write", [mcap, db3])
def test_the_order_of_a_file_changes_nothing(
    write: Callable[[Path, Sequence[Row]], Path], disorder: Callable[[list[Row]], list[Row]], tmp_path: Path
) -> None:
    expected = imported(write(tmp_path / "sorted", rows()), tmp_path / "out")
    mixed = write(tmp_path / "mixed", disorder(rows()))
    result = imported(mixed, tmp_path / "out2")
    assert contents(result.folder.path) == contents(expected.folder.path)
    assert not [word for word in result.findings if "step back" in word or "repeat" in word]
    assert [word for word in result.findings if word.startswith("lidar: ") and "stand behind one that was logged later" in word]
    assert not [word for word in expected.findings if "logged later" in word]
    streams, notes = stamp_streams(mixed, None)
    for stream, other in zip(streams, stamp_streams(tmp_path / "sorted", None)[0], strict=True):
        assert stream.sensor == other.sensor
        assert stream.stamps_ns.tolist() == other.stamps_ns.tolist()
        assert stream.log_ns.tolist() == other.log_ns.tolist()
    assert notes == ()


def test_files_of_a_split_bag_that_overlap_or_stand_in_another_order_are_one_recording(tmp_path: Path) -> None:
    taken = rows()
    parts = (taken[150:], taken[:150:2], taken[1:150:2])
    bag = tmp_path / "bag"
    bag.mkdir()
    for number, part in enumerate(parts):
        mcap(bag / f"bag_{number}.mcap", part)
    names = [f"bag_{number}.mcap" for number in range(len(parts))]
    (bag / "metadata.yaml").write_text(f"rosbag2_bagfile_information:\n  relative_file_paths: {names}\n")
    expected = imported(mcap(tmp_path / "sorted", taken), tmp_path / "out")
    assert contents(imported(bag, tmp_path / "out2").folder.path) == contents(expected.folder.path)


def test_messages_logged_at_one_instant_keep_their_order(tmp_path: Path) -> None:
    taken = [("/imu", IMU, STAMPS_NS + n // 4, encode_imu(STAMPS_NS + (-n % 4) * MS, (n, 0, 0), (0, 0, 9))) for n in range(12)]
    front = [*taken, ("/lidar", POINT_CLOUD, STAMPS_NS - 1, encode_points(STAMPS_NS, "lidar", XYZ, bytes(12)))]
    for name, mixed in (("a", front), ("b", front[4:] + front[:4])):
        result = imported(mcap(tmp_path / name, mixed), tmp_path / f"out-{name}")
        assert [bytes(found.data) for found in messages(result.folder, "imu")] == [row[3] for row in taken]


def test_segments_are_cut_in_the_order_of_logging(tmp_path: Path) -> None:
    frames = [(n, encode_imu(STAMPS_NS + n * 20 * 10**9, (0, 0, 0), (0, 0, 9))) for n in range(9)]
    taken = [("/imu", IMU, STAMPS_NS + n, cdr) for n, cdr in frames]
    taken.append(("/lidar", POINT_CLOUD, STAMPS_NS, encode_points(STAMPS_NS, "lidar", XYZ, bytes(12))))
    result = imported(mcap(tmp_path / "mixed", taken[4:] + taken[:4]), tmp_path / "out")
    assert result.folder.manifest is not None
    found = [(entry.start_ns, entry.frame_count) for entry in result.folder.manifest.objects if entry.sensor == "imu"]
    assert found == [(STAMPS_NS + n * SEGMENT_NS, 3) for n in range(3)]


def test_memory_does_not_grow_with_a_recording_out_of_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet.importers.recording.log_order, "KEPT_BYTES", 2 * 2**20)
    stream = SensorStream("cam", Modality.CAMERA, IMAGE)
    frames = [RecordedFrame(STAMPS_NS + n, STAMPS_NS + (n * 37) % 150, b"") for n in range(150)]
    write_stream(
        tmp_path,
        stream,
        (
            RecordedFrame(one.stamp_ns, one.log_ns, encode_image(one.stamp_ns, "cam", "jpeg", b"\xff\xd8\xff" + bytes(250_000)))
            for one in frames
        ),
    )
    tracemalloc.start()
    try:
        put_in_log_order(tmp_path, stream, SEGMENT_NS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 14 * 2**20  # of 37 MB
    assert [found.log_ns for found in messages(tmp_path, "cam")] == [STAMPS_NS + n for n in range(150)]
    assert not (tmp_path / UNORDERED).exists()


def test_files_that_cannot_be_read_back_are_an_error(tmp_path: Path) -> None:
    stream = SensorStream("cam", Modality.CAMERA, IMAGE)
    (path,) = write_stream(
        tmp_path, stream, [RecordedFrame(STAMPS_NS, STAMPS_NS, encode_image(STAMPS_NS, "c", "jpeg", b"\xff\xd8"))]
    )
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DriveFolderError, match="import the recording again"):
        put_in_log_order(tmp_path, stream, SEGMENT_NS)
