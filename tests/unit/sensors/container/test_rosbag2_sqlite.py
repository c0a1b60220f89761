"""The scan of ROS 2 SQLite bags against the writer of `rosbags`, and against hostile databases."""

from __future__ import annotations

import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.encode import encode_imu
from sensors.container.recorded import ContainerFault, ContainerFaultKind, Recorded, SizeLimits
from sensors.container.rosbag2_sqlite import cut_page_bytes, scan_sqlite_bag
from tests.unit.sensors.container.sqlite_bags import SCHEMA, write_db3, write_rosbag2

IMU = "sensor_msgs/msg/Imu"
EPOCH_NS = 1_700_000_000_000_000_123


def split(path: Path, limits: SizeLimits | None = None) -> tuple[list[Recorded], list[ContainerFault]]:
    with path.open("rb") as stream:
        cut = cut_page_bytes(stream.read(100), path.stat().st_size)
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        items = list(scan_sqlite_bag(connection, limits, cut))
    return [item for item in items if isinstance(item, Recorded)], [item for item in items if isinstance(item, ContainerFault)]


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.db3")
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_reads_what_rosbags_wrote(compressed: bool, tmp_path: Path) -> None:
    messages = [(f"/imu{n % 2}", IMU, EPOCH_NS + n, encode_imu(n, (n, 0, 0), (0, 0, 9.8))) for n in range(6)]
    found, faults = split(only_file(write_rosbag2(tmp_path / "bag", messages, compressed)))
    assert faults == []
    assert [(m.topic, m.message_type, m.log_ns, bytes(m.data)) for m in found] == messages
    assert {m.encoding for m in found} == {"cdr"}
    assert all(m.data.readonly and not m.salvaged for m in found)


def test_rows_come_in_the_order_of_writing_not_of_time(tmp_path: Path) -> None:
    rows = [(1, 1, 30, b"a"), (2, 1, 10, b"b"), (5, 1, 20, b"c")]
    found, faults = split(write_db3(tmp_path / "a.db3", rows))
    assert ([(m.log_ns, bytes(m.data)) for m in found], faults) == ([(30, b"a"), (10, b"b"), (20, b"c")], [])


def test_nothing_is_written_beside_the_file(tmp_path: Path) -> None:
    path = write_db3(tmp_path / "a.db3", [(1, 1, 1, b"a")])
    before = path.read_bytes()
    split(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.db3"]
    assert path.read_bytes() == before


@pytest.mark.parametrize("size", [50, 700])
def test_a_file_cut_anywhere_gives_the_rows_before_the_cut(size: int, tmp_path: Path) -> None:
    rows = [(n, 1, EPOCH_NS + n, bytes([n]) * size) for n in range(1, 40)]
    data = write_db3(tmp_path / "a.db3", rows).read_bytes()
    cut_path, most = tmp_path / "cut.db3", 0
    for cut in range(100, len(data), 97):
        cut_path.write_bytes(data[:cut])
        found, faults = split(cut_path)
        assert [bytes(m.data) for m in found] == [row[3] for row in rows[: len(found)]], cut
        assert all(m.salvaged for m in found)
        assert faults[0].kind is ContainerFaultKind.TRUNCATED, cut
        assert {fault.kind for fault in faults[1:]} <= {ContainerFaultKind.CORRUPT}
        most = max(most, len(found))
    assert most > 25


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_damage_never_raises_and_never_hangs(draw: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "a.db3"
    if not path.exists():
        write_db3(path, [(n, 1, EPOCH_NS + n, bytes([n]) * 300) for n in range(1, 20)])
    data = bytearray(path.read_bytes())
    for _ in range(draw.draw(st.integers(1, 6))):
        data[draw.draw(st.integers(16, len(data) - 1))] = draw.draw(st.integers(0, 255))
    damaged = tmp_path / "damaged.db3"
    damaged.write_bytes(data)
    found, _ = split(damaged)
    assert len(found) <= 20 * 512


def test_a_table_that_leads_back_to_itself_ends(tmp_path: Path) -> None:
    """An interior page whose children are all the same leaf would give its rows again and again."""
    path = write_db3(tmp_path / "a.db3", [(n, 1, n, bytes([n % 256]) * 200) for n in range(1, 200)])
    data = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()[0]
    at = (root - 1) * 512
    assert data[at] == 5  # an interior page
    first = at + int.from_bytes(data[at + 12 : at + 14], "big")
    data[at + 8 : at + 12] = data[first : first + 4]  # the right-most child is the left-most again
    path.write_bytes(data)
    found, faults = split(path)
    assert 0 < len(found) < 199
    assert ["follows row" in fault.message or "malformed" in fault.message for fault in faults] == [True]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("CREATE TABLE other(x)", "no plain table 'topics'"),
        (SCHEMA.replace("CREATE TABLE messages", "CREATE TABLE messages_"), "timestamp_idx"),
        (
            "CREATE TABLE topics(id, name, type, serialization_format);"
            "CREATE VIEW messages AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) "
            "SELECT id, 1 AS topic_id, 1 AS timestamp, x'00' AS data FROM n",
            "no plain table 'messages'",
        ),
        (
            "CREATE TABLE topics(id, name, type, serialization_format);"
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, data AS (zeroblob(1000000000)))",
            "lacks the columns data",
        ),
        ("CREATE TABLE topics(id, name, type); CREATE TABLE messages(id, topic_id, timestamp, data)", "serialization_format"),
    ],
)
def test_what_is_not_a_plain_bag_is_refused(schema: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db3"
    if "timestamp_idx" in message:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("CREATE TABLE topics(id, name, type, serialization_format)")
        message = "no plain table 'messages'"
    else:
        write_db3(path, topics=(), schema=schema)
    found, faults = split(path)
    assert found == []
    assert [fault.kind for fault in faults] == [ContainerFaultKind.CORRUPT]
    assert message in faults[0].message


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        ((1, 1, -5, b"x"), ContainerFaultKind.CORRUPT, "logged at -5"),
        ((1, 1, 2**62 + 2**61, b"x"), ContainerFaultKind.CORRUPT, "no time in ns until 2096"),
        ((1, 1, "now", b"x"), ContainerFaultKind.CORRUPT, "logged at b'now'"),
        ((1, 1, 5, 77), ContainerFaultKind.CORRUPT, "no bytes but int"),
        ((1, 1, 5, b"x" * 101), ContainerFaultKind.LIMIT, "takes 101 bytes, the limit is 100"),
        ((1, 1, 5, zstandard.compress(b"x" * 101)), ContainerFaultKind.LIMIT, "more than the limit of 100 bytes"),
        ((1, 1, 5, zstandard.compress(b"x" * 50)[:-4]), ContainerFaultKind.CORRUPT, "announces 50 bytes"),
        ((1, 1, 5, b"\x28\xb5\x2f\xfd broken"), ContainerFaultKind.CORRUPT, "does not decompress"),
    ],
)
def test_a_bad_row_is_a_fault_and_the_next_is_read(
    row: tuple[object, ...], kind: ContainerFaultKind, message: str, tmp_path: Path
) -> None:
    path = write_db3(tmp_path / "a.db3", [row, (2, 1, 6, b"after")])
    found, faults = split(path, SizeLimits(record_bytes=100))
    assert [bytes(m.data) for m in found] == [b"after"]
    assert [(fault.offset, fault.kind) for fault in faults] == [(1, kind)]
    assert message in faults[0].message


def test_rows_of_an_unknown_topic_are_kept_and_reported_once(tmp_path: Path) -> None:
    found, faults = split(write_db3(tmp_path / "a.db3", [(1, 9, 5, b"a"), (2, 9, 6, b"b")]))
    assert [(m.topic, m.message_type, bytes(m.data)) for m in found] == [("", "", b"a"), ("", "", b"b")]
    assert ["topic id 9" in fault.message for fault in faults] == [True]


@pytest.mark.parametrize(
    ("topics", "limits", "message"),
    [
        ([(1, "/" + "n" * 80, IMU, "cdr", "")], SizeLimits(name_bytes=80), "takes 81 bytes, the limit is 80"),
        ([(n, f"/{n}", IMU, "cdr", "") for n in range(1, 4)], SizeLimits(definitions=2), "more than 2 topics"),
        ([(1, b"\xff", IMU, "cdr", "")], SizeLimits(), "no UTF-8"),
        ([(1, 7, IMU, "cdr", "")], SizeLimits(), ""),
    ],
)
def test_topics_are_bounded(topics: list[tuple[object, ...]], limits: SizeLimits, message: str, tmp_path: Path) -> None:
    found, faults = split(write_db3(tmp_path / "a.db3", [(1, 1, 5, b"a")], topics), limits)
    assert [bytes(m.data) for m in found] == [b"a"]
    assert message in " ".join(fault.message for fault in faults)


def test_a_huge_blob_is_not_fetched(tmp_path: Path) -> None:
    path = write_db3(tmp_path / "a.db3", page_size=4096)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO messages VALUES (1, 1, 5, zeroblob(50000000))")
        connection.commit()
    tracemalloc.start()
    try:
        found, faults = split(path, SizeLimits(record_bytes=1_000_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found, [fault.kind for fault in faults]) == ([], [ContainerFaultKind.LIMIT])
    assert peak < 2_000_000


def test_what_is_not_a_database_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.db3").write_bytes(b"SQLite format 3\0" + b"\x07" * 2000)
    found, faults = split(tmp_path / "a.db3")
    assert (found, faults[-1].kind) == ([], ContainerFaultKind.CORRUPT)
    assert "not a database" in faults[-1].message
