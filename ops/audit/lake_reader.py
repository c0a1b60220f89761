"""Reads the lake's tables: counts and match columns without payload, and single rows with it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import And, BooleanExpression, GreaterThanOrEqual, LessThanOrEqual, Reference
from pyiceberg.expressions.literals import literal

from lake.errors import LandingError
from lake.iceberg.snapshots import EVERYTHING
from lake.landing import DriveId
from lake.tables import drives
from lake.tables.drive_rows import of_drive
from lake.tables.drive_walk import LoadsTables
from lake.tables.drives import DRIVES_TABLE
from lake.tables.names import FRAMES_TABLE, RECORDS_TABLE, SCENES_TABLE
from lake.tables.planned_files import Days, PlannedFiles, days_of
from lake.tables.rows import DriveRow, RecordRow, SceneFields, SceneRow, row_of
from lake.tables.scene_key import SceneKey
from lake.tables.scene_reader import SceneReader
from lake.tables.schemas import PUBLISHED
from scenes.accounting.account import Frames, Line, account
from sensors.stamps import Nanoseconds

if TYPE_CHECKING:
    from pyiceberg.table import Table

LISTS = ("lidars", "cameras", "radars")
_IDENTITY = ("vehicle_id", "drive_id", "revision")
_MATCH = ("sensor", "stamp_ns", "offset_ns", "residual_ns")
_ELEMENT = pa.struct([(name, pa.int64() if name.endswith("_ns") else pa.string()) for name in _MATCH])
_NO_MATCHES = pa.schema(
    [(name, pa.string()) for name in (*_IDENTITY, "scene_id")]
    + [("anchor_ns", pa.int64())]
    + [(name, pa.list_(pa.field("element", _ELEMENT))) for name in LISTS]
)


@dataclass(frozen=True, slots=True)
class SceneMatches:
    """Every match in the scenes of the selected drives, one row each, in scene order; arrays (N,)."""

    drive: tuple[str, ...]
    revision: tuple[str, ...]
    scene_id: tuple[str, ...]
    anchor_ns: Nanoseconds
    sensor: tuple[str, ...]
    stamp_ns: Nanoseconds
    offset_ns: Nanoseconds
    residual_ns: Nanoseconds


def publications(catalog: LoadsTables, drive: DriveId | None = None) -> tuple[DriveRow, ...]:
    """The publications of one drive, or of all, oldest first; whatever has expired, they are all of them."""
    table = table_or_none(catalog, DRIVES_TABLE)
    return () if table is None else drives.publications(table, drive)


def frame_counts(catalog: LoadsTables, drive: DriveId) -> tuple[Frames, ...]:
    """How many frames each sensor of a drive has, by fate and reason."""
    columns = (*_IDENTITY, "sensor", "modality", "fate", "reason")
    return tuple(
        Frames(f"{vehicle}/{drive_id}", revision, sensor, modality, fate, reason, count)
        for vehicle, drive_id, revision, sensor, modality, fate, reason, count in _counted(catalog, columns, drive)
    )


def scene_facts(catalog: LoadsTables, drive: DriveId) -> tuple[SceneFields, ...]:
    """The scenes of a drive without their payload and their matches, in anchor order."""
    table = _scan(catalog, SCENES_TABLE, SceneFields.__struct_fields__, drive)
    ordered = table.sort_by([("vehicle_id", "ascending"), ("drive_id", "ascending"), ("anchor_ns", "ascending")])
    return tuple(row_of(SceneFields, row) for row in ordered.to_pylist())


@dataclass(frozen=True, slots=True)
class ScenePage:
    """Some scenes of a drive in anchor order, and whether it has earlier and later ones."""

    scenes: tuple[SceneFields, ...]
    earlier: bool
    later: bool


def scene_page(
    catalog: LoadsTables, drive: DriveId, limit: int, *, before_ns: int | None = None, after_ns: int | None = None
) -> ScenePage:
    """The first `limit` scenes after an anchor; or the last ones before one; without either, the first. Of the other scenes, only
    the anchors are read."""
    anchors: list[int] = sorted(_scan(catalog, SCENES_TABLE, ("anchor_ns",), drive)["anchor_ns"].to_pylist())
    if before_ns is not None:
        end = bisect_left(anchors, before_ns)
        begin = max(0, end - limit)
    else:
        begin = 0 if after_ns is None else bisect_right(anchors, after_ns)
        end = min(len(anchors), begin + limit)
    if begin == end:
        return ScenePage((), earlier=begin > 0, later=end < len(anchors))
    between = And(_anchor(GreaterThanOrEqual, anchors[begin]), _anchor(LessThanOrEqual, anchors[end - 1]))
    found = _scan(catalog, SCENES_TABLE, SceneFields.__struct_fields__, drive, between).sort_by("anchor_ns")
    return ScenePage(tuple(row_of(SceneFields, row) for row in found.to_pylist()), earlier=begin > 0, later=end < len(anchors))


def _anchor(compares: Callable[..., BooleanExpression], anchor_ns: int) -> BooleanExpression:
    return compares(term=Reference("anchor_ns"), value=literal(anchor_ns))


def matches(catalog: LoadsTables, drive: DriveId) -> SceneMatches:
    """Every match of the scenes of a drive; of the files, the payload is not read."""
    table = table_or_none(catalog, SCENES_TABLE)
    files = None if table is None else PlannedFiles(table, [drive], _days(catalog, drive))
    found = () if files is None else files.batches(drive, (*_IDENTITY, "scene_id", "anchor_ns"), dict.fromkeys(LISTS, _MATCH))
    tables = [pa.Table.from_batches([batch]) for batch in found] or [_NO_MATCHES.empty_table()]
    return flatten_matches(pa.concat_tables(tables, promote_options="permissive"))


def flatten_matches(scenes: pa.Table) -> SceneMatches:
    """One row for each match of a table with the columns of `gold.scenes` (payload columns may be absent)."""
    joined = pa.concat_tables([_flatten(scenes, name) for name in LISTS]).sort_by(
        [("vehicle_id", "ascending"), ("drive_id", "ascending"), ("anchor_ns", "ascending"), ("sensor", "ascending")]
    )
    vehicles, drives = joined["vehicle_id"].to_pylist(), joined["drive_id"].to_pylist()
    return SceneMatches(
        drive=tuple(f"{vehicle}/{drive}" for vehicle, drive in zip(vehicles, drives, strict=True)),
        revision=tuple(joined["revision"].to_pylist()),
        scene_id=tuple(joined["scene_id"].to_pylist()),
        anchor_ns=_ns(joined["anchor_ns"]),
        sensor=tuple(joined["sensor"].to_pylist()),
        stamp_ns=_ns(joined["stamp_ns"]),
        offset_ns=_ns(joined["offset_ns"]),
        residual_ns=_ns(joined["residual_ns"]),
    )


def residuals(found: SceneMatches) -> dict[tuple[str, str], Nanoseconds]:
    """Signed residuals in anchor order, by (drive, sensor)."""
    positions: dict[tuple[str, str], list[int]] = {}
    for position, key in enumerate(zip(found.drive, found.sensor, strict=True)):
        positions.setdefault(key, []).append(position)
    return {key: found.residual_ns[np.asarray(where, dtype=np.int64)] for key, where in positions.items()}


def accounting(catalog: LoadsTables, drive: DriveId) -> tuple[Line, ...]:
    """The accounting of a drive."""
    return account(frame_counts(catalog, drive), residuals(matches(catalog, drive)))


def scene(catalog: LoadsTables, scene_id: str) -> SceneRow | None:
    """One scene with its payload; None where gold has no such scene."""
    try:
        key = SceneKey.parse(scene_id)
    except LandingError:
        return None
    table = table_or_none(catalog, SCENES_TABLE)
    return None if table is None else SceneReader(table).scene(key)


def calibration(catalog: LoadsTables, drive: DriveId) -> str | None:
    """The calibration document that the scenes of a drive hold; None where gold holds no scene of it."""
    table = table_or_none(catalog, SCENES_TABLE)
    if table is None:
        return None
    scan = table.scan(row_filter=of_drive(drive, _days(catalog, drive)), selected_fields=("calibration",), limit=1)
    found: list[str] = scan.to_arrow()["calibration"].to_pylist()
    return found[0] if found else None


def records(catalog: LoadsTables, drive: DriveId) -> tuple[RecordRow, ...]:
    """The quarantine records of a drive, by level, sensor and time."""
    found = _scan(catalog, RECORDS_TABLE, ("*",), drive)
    return tuple(sorted((row_of(RecordRow, row) for row in found.to_pylist()), key=_record_order))


def _record_order(row: RecordRow) -> tuple[str, str, str, int, int, str]:
    return str(row.drive), row.level, row.sensor or "", row.stamp_ns or 0, row.anchor_ns or 0, row.record_id


def _scan(
    catalog: LoadsTables, table: str, columns: tuple[str, ...], drive: DriveId, where: BooleanExpression = EVERYTHING
) -> pa.Table:
    found = table_or_none(catalog, table)
    if found is None:
        return PUBLISHED[table].empty_table()
    row_filter = And(of_drive(drive, _days(catalog, drive)), where)
    return found.scan(row_filter=row_filter, selected_fields=columns).to_arrow()


def _days(catalog: LoadsTables, drive: DriveId) -> Days | None:
    """The days that rows of a drive are filed under; None if that is not known. Without them, a plan opens the manifests of all
    days, and its cost grows with the age of the lake."""
    published = publications(catalog, drive)
    return days_of(published) if published else None


def table_or_none(catalog: LoadsTables, name: str) -> Table | None:
    """A table; None in a lake to which nothing has been published, and which so has no tables yet."""
    from pyiceberg.exceptions import NoSuchTableError

    try:
        return catalog.load_table(name)
    except NoSuchTableError:
        return None


def _flatten(scenes: pa.Table, name: str) -> pa.Table:
    column = scenes[name].combine_chunks()
    parents = pc.list_parent_indices(column)
    values = pc.list_flatten(column)
    rows = scenes.select([*_IDENTITY, "scene_id", "anchor_ns"]).take(parents)
    for field in _MATCH:
        rows = rows.append_column(field, pc.struct_field(values, field))
    return rows.cast(pa.schema([(field, pa.int64() if field.endswith("_ns") else pa.string()) for field in rows.column_names]))


def _ns(column: pa.ChunkedArray) -> Nanoseconds:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _counted(catalog: LoadsTables, columns: tuple[str, ...], drive: DriveId) -> Iterator[tuple[Any, ...]]:
    """The distinct values of some columns of the frames, and how many frames have them."""
    counted = _scan(catalog, FRAMES_TABLE, columns, drive).group_by(list(columns)).aggregate([([], "count_all")])
    return zip(*(counted[name].to_pylist() for name in (*columns, "count_all")), strict=True)
