"""Sequential reader of ROS 2 SQLite bags (`.db3`) that keeps every intact message.

The caller opens the database read-only and immutable. The schema is not trusted: what should be a plain table may be a view,
or have a generated column that computes for ever, so anything else is refused before any row is fetched.

Tables: rosbag2_storage_sqlite3, `topics(id, name, type, serialization_format)`, `messages(id, topic_id, timestamp, data)`.
"""

from __future__ import annotations

import sqlite3
import struct
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace

import zstandard

from sensors.container.compression import MAX_ZSTD_WINDOW_BYTES, PIECE_BYTES
from sensors.container.recorded import ZSTD_MAGIC, ContainerFault, ContainerFaultKind, Recorded, SizeLimits, ros2_type
from sensors.errors import ContainerError, LimitError
from sensors.stamps import MAX_STAMP_NS

Found = Recorded | ContainerFault
Names = tuple[str, str, str]  # of a topic: name, message type, serialisation

TABLES = {
    "topics": ("id", "name", "type", "serialization_format"),
    "messages": ("id", "topic_id", "timestamp", "data"),
}
PLAIN_COLUMN = 0  # PRAGMA table_xinfo: 1 is hidden, 2 and 3 are generated
SLACK_BYTES = 4096  # of a row beside its data
HEAD_BYTES = 100
LARGEST_PAGE_BYTES = 65536
PAGE_BYTES = struct.Struct(">H")
U32 = struct.Struct(">I")
_EVERY_ROW = (
    "SELECT rowid, topic_id, timestamp, length(data), CASE WHEN length(data) <= ? THEN data END FROM messages ORDER BY rowid"
)


def cut_page_bytes(head: bytes, file_bytes: int) -> int:
    """The page size of a database that is shorter than its header says; 0 if the database is complete.

    `head`: its first `HEAD_BYTES` bytes. Format: https://www.sqlite.org/fileformat2.html, section 1.3.
    """
    if len(head) < HEAD_BYTES:
        return 0
    page_bytes = PAGE_BYTES.unpack_from(head, 16)[0]
    page_bytes = LARGEST_PAGE_BYTES if page_bytes == 1 else page_bytes
    (pages,) = U32.unpack_from(head, 28)
    counted = U32.unpack_from(head, 24) == U32.unpack_from(head, 92)  # else an old writer has left the count as it was
    return page_bytes if counted and file_bytes < page_bytes * pages else 0


def scan_sqlite_bag(connection: sqlite3.Connection, limits: SizeLimits | None = None, cut_page_bytes: int = 0) -> Iterator[Found]:
    """Every readable message in row order, and every flaw.

    Rows are read in the order of writing. A fault's offset is the id of the row, 0 where there is none. Data beyond
    `limits.record_bytes` is not fetched. Messages that were compressed one by one (zstd) are decompressed. A damaged page
    ends the scan with a fault. Never raises because of the database's content.

    Of a database that is cut (see `cut_page_bytes`) the rows before the cut are given, marked as salvaged. SQLite reads the
    missing part of the last page as zeros, so the last rows, which may lie in it, are left out.
    """
    limits = limits or SizeLimits()
    if not cut_page_bytes:
        yield from _rows(connection, limits)
        return
    yield ContainerFault(
        0, ContainerFaultKind.TRUNCATED, "the database is shorter than its header says; what is given lies before the cut"
    )
    held: deque[Recorded] = deque()
    held_bytes = 0
    for item in _rows(connection, limits, cut=True):
        if isinstance(item, ContainerFault):
            yield item
            continue
        held.append(replace(item, salvaged=True))
        held_bytes += len(item.data)
        while held and held_bytes - len(held[0].data) >= cut_page_bytes:
            held_bytes -= len(held[0].data)
            yield held.popleft()


def _rows(connection: sqlite3.Connection, limits: SizeLimits, *, cut: bool = False) -> Iterator[Found]:
    last_id = 0
    try:
        if cut:  # SQLite refuses a database that is shorter than its header says by default; nothing can write to it
            connection.execute("PRAGMA writable_schema = ON")
        _harden(connection, limits)
        topics = yield from _topics(connection, limits)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.record_bytes + SLACK_BYTES)
        undefined: set[int] = set()
        for row in connection.execute(_EVERY_ROW, (limits.record_bytes,)):
            if not isinstance(row[0], int) or row[0] <= last_id:
                yield ContainerFault(
                    last_id, ContainerFaultKind.CORRUPT, f"row {row[0]!r} follows row {last_id}: the table is damaged"
                )
                return
            last_id = row[0]
            if row[1] not in topics and row[1] not in undefined and len(undefined) < limits.definitions:
                undefined.add(row[1])
                problem = f"messages of topic id {row[1]!r}, which the bag does not define"
                yield ContainerFault(last_id, ContainerFaultKind.CORRUPT, problem)
            yield _recorded(row, topics.get(row[1], ("", "", "")), limits)
    except ContainerError as error:
        yield ContainerFault(0, ContainerFaultKind.CORRUPT, str(error))
    except (sqlite3.Error, UnicodeDecodeError, MemoryError) as error:
        # SQLite quotes damaged names in its messages, and is "out of memory" where a damaged length asks for too much.
        cause = str(error) or type(error).__name__
        yield ContainerFault(last_id, ContainerFaultKind.CORRUPT, f"the database cannot be read on after row {last_id}: {cause}")


def _harden(connection: sqlite3.Connection, limits: SizeLimits) -> None:
    """Refuse anything but plain tables, and bound the size of a value by that of a message."""
    connection.text_factory = bytes
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.definition_bytes)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    for table, columns in TABLES.items():
        found = connection.execute(
            "SELECT type = 'table' AND lower(sql) LIKE 'create table%' FROM sqlite_master WHERE lower(name) = ?", (table,)
        ).fetchall()
        if found != [(1,)]:
            raise ContainerError(f"the database has no plain table {table!r}: it is no ROS 2 bag")
        plain = {
            row[1].decode(errors="replace")
            for row in connection.execute(f"PRAGMA table_xinfo({table})")
            if row[6] == PLAIN_COLUMN
        }
        absent = [column for column in columns if column not in plain]
        if absent:
            raise ContainerError(f"the table {table!r} lacks the columns {', '.join(absent)}: it is no ROS 2 bag")


def _topics(connection: sqlite3.Connection, limits: SizeLimits) -> Generator[ContainerFault, None, dict[int, Names]]:
    topics: dict[int, Names] = {}
    for number, *names in connection.execute("SELECT id, name, type, serialization_format FROM topics ORDER BY id"):
        if len(topics) >= limits.definitions:
            yield ContainerFault(0, ContainerFaultKind.LIMIT, f"more than {limits.definitions} topics")
            break
        try:
            topic, message_type, encoding = (_name(value, limits.name_bytes) for value in names)
        except LimitError as error:
            yield ContainerFault(0, ContainerFaultKind.LIMIT, f"topic id {number!r}: {error}")
        except ContainerError as error:
            yield ContainerFault(0, ContainerFaultKind.CORRUPT, f"topic id {number!r}: {error}")
        else:
            topics[number] = topic, ros2_type(message_type), encoding
    return topics


def _name(value: object, max_bytes: int) -> str:
    if not isinstance(value, bytes):
        raise ContainerError(f"{value!r} is no text")
    if len(value) > max_bytes:
        raise LimitError(f"a name takes {len(value)} bytes, the limit is {max_bytes}")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ContainerError(f"{value[:20]!r} is no UTF-8: {error}") from error


def _recorded(row: tuple[int, int, object, object, object], names: Names, limits: SizeLimits) -> Found:
    number, _, log_ns, size, data = row
    if not isinstance(log_ns, int) or not 0 <= log_ns <= MAX_STAMP_NS:
        return ContainerFault(
            number, ContainerFaultKind.CORRUPT, f"row {number} was logged at {log_ns!r}, which is no time in ns until 2096"
        )
    if isinstance(size, int) and size > limits.record_bytes:
        return ContainerFault(
            number, ContainerFaultKind.LIMIT, f"row {number} takes {size} bytes, the limit is {limits.record_bytes}"
        )
    if not isinstance(data, bytes):
        return ContainerFault(number, ContainerFaultKind.CORRUPT, f"row {number} holds no bytes but {type(data).__name__}")
    if data.startswith(ZSTD_MAGIC):
        try:
            data = _zstd_message(data, limits.record_bytes)
        except LimitError as error:
            return ContainerFault(number, ContainerFaultKind.LIMIT, f"row {number}: {error}")
        except ContainerError as error:
            return ContainerFault(number, ContainerFaultKind.CORRUPT, f"row {number}: {error}")
    return Recorded(*names, log_ns, memoryview(data))


def _zstd_message(data: bytes, max_bytes: int) -> bytes:
    """A message that rosbag2 has compressed by itself. No CDR message begins as a zstd frame does."""
    parts: list[bytes] = []
    size = 0
    try:
        with zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW_BYTES).stream_reader(data) as reader:
            while piece := reader.read(PIECE_BYTES):
                size += len(piece)
                if size > max_bytes:
                    raise LimitError(f"a compressed message holds more than the limit of {max_bytes} bytes")
                parts.append(piece)
        announced = zstandard.frame_content_size(data)
    except zstandard.ZstdError as error:
        raise ContainerError(f"a zstd message of {len(data)} bytes does not decompress: {error}") from error
    if announced not in (-1, size):
        raise ContainerError(f"a zstd message announces {announced} bytes but holds {size}")
    return b"".join(parts)
