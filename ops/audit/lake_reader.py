"""Reads the lake's tables: counts and match columns without payload, and single rows with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.errors import LandingError
from lake.landing import DriveId
from lake.tables import drives
from lake.tables.drive_rows import of_drive
from lake.tables.drives import DRIVES_TABLE
from lake.tables.publish import FRAMES_TABLE, RECORDS_TABLE, SCENES_TABLE
from lake.tables.rows import DriveRow, RecordRow, SceneFields, SceneRow, row_of
from lake.tables.scene_key import SceneKey
from lake.tables.scene_reader import SceneReader
from lake.tables.schemas import PUBLISHED
from ops.audit.accounting import Frames, Line, account
from ops.audit.identity import ObjectFrames
from sensors.stamps import Nanoseconds

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table

LISTS = ("lidars", "cameras", "radars")
_IDENTITY = ("vehicle_id", "drive_id", "revision")
_MATCH = ("sensor", "stamp_ns", "offset_ns", "residual_ns")


class Tables(Protocol):
    """A catalog, or tables that were loaded before."""

    def load_table(self, identifier: str) -> Table:
        """The table of that name."""
        ...


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


def publications(catalog: Tables, drive: DriveId | None = None) -> tuple[DriveRow, ...]:
    """The publications of one drive, or of all, oldest first; whatever has expired, they are all of them."""
    table = _table(catalog, DRIVES_TABLE)
    return () if table is None else drives.publications(table, drive)


def frame_counts(catalog: Tables, drive: DriveId | None = None) -> tuple[Frames, ...]:
    """How many frames each sensor of each drive has, by fate and reason."""
    columns = (*_IDENTITY, "sensor", "modality", "fate", "reason")
    return tuple(
        Frames(f"{vehicle}/{drive_id}", revision, sensor, modality, fate, reason, count)
        for vehicle, drive_id, revision, sensor, modality, fate, reason, count in _counted(catalog, columns, drive)
    )


def object_counts(catalog: Tables, drive: DriveId | None = None) -> tuple[ObjectFrames, ...]:
    """How many frames were read from each raw object."""
    rows = _counted(catalog, ("vehicle_id", "drive_id", "key"), drive)
    return tuple(ObjectFrames(f"{vehicle}/{drive_id}", key, count) for vehicle, drive_id, key, count in rows)


def scene_facts(catalog: Tables, drive: DriveId | None = None) -> tuple[SceneFields, ...]:
    """The scenes without their payload and their matches, in anchor order."""
    table = _scan(catalog, SCENES_TABLE, SceneFields.__struct_fields__, drive)
    ordered = table.sort_by([("vehicle_id", "ascending"), ("drive_id", "ascending"), ("anchor_ns", "ascending")])
    return tuple(row_of(SceneFields, row) for row in ordered.to_pylist())


def matches(catalog: Tables, drive: DriveId | None = None) -> SceneMatches:
    """Every match of the scenes, read without payload."""
    columns = (*_IDENTITY, "scene_id", "anchor_ns", *(f"{name}.element.{field}" for name in LISTS for field in _MATCH))
    return flatten_matches(_scan(catalog, SCENES_TABLE, columns, drive))


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


def accounting(catalog: Tables, drive: DriveId | None = None) -> tuple[Line, ...]:
    """The accounting of one drive, or of all."""
    return account(frame_counts(catalog, drive), residuals(matches(catalog, drive)))


def scene(catalog: Tables, scene_id: str) -> SceneRow | None:
    """One scene with its payload; None where gold has no such scene."""
    try:
        key = SceneKey.parse(scene_id)
    except LandingError:
        return None
    table = _table(catalog, SCENES_TABLE)
    return None if table is None else SceneReader(table).scene(key)


def calibration(catalog: Tables, drive: DriveId) -> str | None:
    """The calibration document that the scenes of a drive hold; None where gold holds no scene of it."""
    table = _table(catalog, SCENES_TABLE)
    if table is None:
        return None
    scan = table.scan(row_filter=_of(drive), selected_fields=("calibration",), limit=1)
    found: list[str] = scan.to_arrow()["calibration"].to_pylist()
    return found[0] if found else None


def records(catalog: Tables, drive: DriveId | None = None) -> tuple[RecordRow, ...]:
    """The quarantine records, by drive, then level, sensor and time."""
    found = _scan(catalog, RECORDS_TABLE, ("*",), drive)
    return tuple(sorted((row_of(RecordRow, row) for row in found.to_pylist()), key=_record_order))


def _record_order(row: RecordRow) -> tuple[str, str, str, int, int, str]:
    return str(row.drive), row.level, row.sensor or "", row.stamp_ns or 0, row.anchor_ns or 0, row.record_id


def _scan(catalog: Tables, table: str, columns: tuple[str, ...], drive: DriveId | None) -> pa.Table:
    found = _table(catalog, table)
    if found is None:
        return PUBLISHED[table].empty_table()
    return found.scan(row_filter=_of(drive), selected_fields=columns).to_arrow()


def _table(catalog: Tables, name: str) -> Table | None:
    """A table; None in a lake to which nothing has been published, and which so has no tables yet."""
    from pyiceberg.exceptions import NoSuchTableError

    try:
        return catalog.load_table(name)
    except NoSuchTableError:
        return None


def _of(drive: DriveId | None) -> BooleanExpression:
    from pyiceberg.expressions import AlwaysTrue

    return AlwaysTrue() if drive is None else of_drive(drive)


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


def _counted(catalog: Tables, columns: tuple[str, ...], drive: DriveId | None) -> Iterator[tuple[Any, ...]]:
    """The distinct values of some columns of the frames, and how many frames have them."""
    counted = _scan(catalog, FRAMES_TABLE, columns, drive).group_by(list(columns)).aggregate([([], "count_all")])
    return zip(*(counted[name].to_pylist() for name in (*columns, "count_all")), strict=True)
