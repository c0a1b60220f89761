"""Reads one scene of a table of any size: the catalog gives the file, its footer the row group, two ranged reads fetch it.

Iceberg prunes by partition (day, vehicle) and by the bounds of `drive_id`; files of a drive are distinguished by the bounds
of `anchor_ns`, row groups by their statistics. Plans and footers are cached, so that reading many scenes of a drive costs
the row groups alone.
"""

from __future__ import annotations

import datetime
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import And, EqualTo, Reference
from pyiceberg.expressions.literals import DateLiteral
from pyiceberg.types import LongType

from lake.errors import LakeError
from lake.iceberg.snapshots import scan_at, snapshot_of, tagged_snapshot
from lake.landing import DriveId
from lake.parquet.row_group import RangeRead, read_footer, read_row_group
from lake.tables.drive_rows import of_drive
from lake.tables.rows import CloudFrame, SceneRow, row_of
from lake.tables.scene_key import SceneKey
from lake.tables.schemas import SCENES
from sensors.decode.planes import PLANES, ROWS, from_planes
from sensors.decode.points import Datatype, PointCloud, PointField
from sensors.errors import DecodeError

if TYPE_CHECKING:
    from pyiceberg.table import Table

PAYLOAD_COLUMNS = ("lidars", "cameras", "radars")
KEPT_PLANS = 256
KEPT_FOOTERS = 256
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class ScenesFile:
    """A data file of `gold.scenes`; anchors are within [first_ns, last_ns]."""

    uri: str
    size: int
    first_ns: int
    last_ns: int


class SceneReader:
    """Reads scenes of one snapshot (`snapshot_id`; None: the table's current one when it was loaded).

    `read` fetches byte ranges; without it the table's own file access is used, which requests the size of a file each time
    it opens one. Not thread-safe.

    Raises:
        VersionError: The table has no such snapshot, or it has expired.
    """

    def __init__(self, table: Table, read: RangeRead | None = None, snapshot_id: int | None = None) -> None:
        self._table = table
        self._snapshot_id = None if snapshot_id is None else snapshot_of(table, snapshot_id).snapshot_id
        self._read = read or _through_table(table)
        self._plans: OrderedDict[tuple[DriveId, datetime.date], tuple[ScenesFile, ...]] = OrderedDict()
        self._footers: OrderedDict[str, pq.FileMetaData] = OrderedDict()

    @classmethod
    def at_tag(cls, table: Table, tag: str, read: RangeRead | None = None) -> Self:
        """A reader of the snapshot that a tag pins.

        Raises:
            VersionError: The table has no such tag.
        """
        return cls(table, read, tagged_snapshot(table, tag))

    def scene(self, key: SceneKey, modalities: Iterable[str] = PAYLOAD_COLUMNS) -> SceneRow | None:
        """A scene; None where the snapshot has none.

        `modalities`: which of `lidars`, `cameras`, `radars` to read; the others are empty. Their bytes are not read, unless
        they are between two that are and are the smaller gap.

        Raises:
            LakeError: A modality is unknown, or a file cannot be read.
            TableError: The row is not one of `gold.scenes`.
        """
        columns = _columns(modalities)
        for file in self.files(key.drive, key.day):
            if file.first_ns <= key.anchor_ns <= file.last_ns:
                found = self._find(file, key, columns)
                if found is not None:
                    return found
        return None

    def files(self, drive: DriveId, day: datetime.date) -> tuple[ScenesFile, ...]:
        """The files that may hold scenes of a drive on one UTC day, in time order.

        Raises:
            LakeError: A file has rows that were deleted without rewriting it.
        """
        return _kept(self._plans, (drive, day), KEPT_PLANS, lambda: self._plan(drive, day))

    def _find(self, file: ScenesFile, key: SceneKey, columns: Sequence[str]) -> SceneRow | None:
        metadata = _kept(self._footers, file.uri, KEPT_FOOTERS, lambda: read_footer(self._read, file.uri, file.size))
        is_it = (
            (pc.field("anchor_ns") == key.anchor_ns)
            & (pc.field("drive_id") == key.drive.drive_id)
            & (pc.field("vehicle_id") == key.drive.vehicle_id)
        )
        for number in _row_groups(metadata, key):
            found = read_row_group(self._read, file.uri, metadata, number, columns).filter(is_it)
            if found.num_rows:
                return row_of(SceneRow, dict.fromkeys(PAYLOAD_COLUMNS, ()) | found.slice(0, 1).to_pylist()[0])
        return None

    def _plan(self, drive: DriveId, day: datetime.date) -> tuple[ScenesFile, ...]:
        of_day = EqualTo(term=Reference("day"), value=DateLiteral((day - datetime.date(1970, 1, 1)).days))
        scan = scan_at(self._table, self._snapshot_id, And(of_drive(drive), of_day))
        anchor_id = self._table.schema().find_field("anchor_ns").field_id
        files = []
        for task in scan.plan_files():
            if task.delete_files:
                raise LakeError(f"{task.file.file_path} has delete files, which this reader does not apply")
            first_ns = _bound(task.file.lower_bounds, anchor_id, -(2**63))
            last_ns = _bound(task.file.upper_bounds, anchor_id, 2**63 - 1)
            files.append(ScenesFile(task.file.file_path, task.file.file_size_in_bytes, first_ns, last_ns))
        return tuple(sorted(files, key=lambda file: (file.first_ns, file.uri)))


def _through_table(table: Table) -> RangeRead:
    def read(uri: str, start: int, length: int) -> bytes:
        with table.io.new_input(uri).open() as stream:
            stream.seek(start)
            body = stream.read(length)
        if len(body) != length:
            raise LakeError(f"{uri} ends at byte {start + len(body)}, but bytes up to {start + length} are needed")
        return bytes(body)

    return read


def _columns(modalities: Iterable[str]) -> list[str]:
    chosen = set(modalities)
    if unknown := chosen - set(PAYLOAD_COLUMNS):
        raise LakeError(f"no such modality: {', '.join(sorted(unknown))}; there are {', '.join(PAYLOAD_COLUMNS)}")
    return [name for name in SCENES.names if name not in PAYLOAD_COLUMNS or name in chosen]


def _row_groups(metadata: pq.FileMetaData, key: SceneKey) -> Iterable[int]:
    """The row groups whose statistics do not rule the scene out."""
    identity: dict[str, Any] = {"anchor_ns": key.anchor_ns, "drive_id": key.drive.drive_id}
    positions = {metadata.schema.column(position).path: position for position in range(metadata.num_columns)}
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        held = [(value, group.column(positions[name]).statistics) for name, value in identity.items() if name in positions]
        if all(found is None or not found.has_min_max or found.min <= value <= found.max for value, found in held):
            yield number


def _bound(bounds: dict[int, bytes] | None, field_id: int, without: int) -> int:
    body = (bounds or {}).get(field_id)
    return without if body is None else int(from_bytes(LongType(), body))


Key = TypeVar("Key", bound=Hashable)


def _kept(kept: OrderedDict[Key, Made], key: Key, most: int, make: Callable[[], Made]) -> Made:
    """The value of `key`, computed where it is not cached; the least recently used value is evicted."""
    if key not in kept:
        kept[key] = make()
        if len(kept) > most:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]


def scene_cloud(frame: CloudFrame) -> PointCloud | None:
    """The cloud of an element, whatever its `point_layout` (none: rows); None for a radar that delivers an image.

    Raises:
        DecodeError: The element contradicts itself, or has a layout unknown to this version.
    """
    if frame.points is None or frame.num_points is None:
        return None
    step = frame.point_step or 0
    if len(frame.points) != frame.num_points * step:
        raise DecodeError(f"{frame.sensor}: declares {frame.num_points} points of {step} bytes, holds {len(frame.points)} bytes")
    return PointCloud(
        stamp_ns=frame.stamp_ns,
        frame_id=frame.sensor,
        num_points=frame.num_points,
        fields=_fields(frame, step),
        point_step=step,
        is_bigendian=bool(frame.is_bigendian),
        data=_rows(frame, frame.points, step),
    )


def _rows(frame: CloudFrame, points: bytes, step: int) -> memoryview:
    layout = frame.point_layout or ROWS
    if layout == ROWS:
        return memoryview(points)
    if layout == PLANES:
        return from_planes(points, step).data.toreadonly()
    raise DecodeError(f"{frame.sensor}: point layout {layout!r} is unknown, only {ROWS} and {PLANES} are read")


def _fields(frame: CloudFrame, step: int) -> tuple[PointField, ...]:
    fields = []
    for field in frame.point_fields or ():
        try:
            made = PointField(field.name, field.offset, Datatype(field.datatype), field.count)
        except ValueError as error:
            raise DecodeError(f"{frame.sensor}: field {field.name!r}: {error}") from error
        if made.offset < 0 or made.count < 0 or made.offset + made.size > step:
            raise DecodeError(f"{frame.sensor}: field {made.name!r} extends beyond a point of {step} bytes")
        fields.append(made)
    return tuple(fields)
