"""Finds what a fault touched.

Drives are found in `gold.drives` alone: a row a publication, some 100,000 a year, whose files are pruned by vehicle. Scenes are
read only of drives that were found, from the partitions that their rows name, without payload, and so are the sources of one.
What a row does not say (an older lake) excludes nothing: the drive is found, and `unknown` says what is not known of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThanOrEqual,
    Or,
    Reference,
)
from pyiceberg.expressions.literals import literal

from lake.iceberg.snapshots import scan_at
from lake.landing import DriveId
from lake.tables.drive_rows import equal, of_drive, on_days
from lake.tables.drives import DRIVES_TABLE, FORGOTTEN, columns_without_files
from lake.tables.names import RECORDS_TABLE, SCENES_TABLE
from lake.tables.rows import DriveRow, row_of
from lake.versions.tags import tags
from ops.recall.criteria import Criteria
from sensors.time_units import NS_PER_S

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from lake.iceberg.publisher import Publisher

MOST_DRIVES = 200  # in one filter, too
MOST_VEHICLES = 200  # in one filter; the rows of more vehicles are filtered after they were read
LISTS = ("lidars", "cameras", "radars")
DriveName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class FoundDrive:
    """A drive as it is published now: its newest publication, how many there were, and which conditions it could not be tested
    against. `tags`: versions that hold it, each with the generation that it holds."""

    row: DriveRow
    publications: int
    unknown: tuple[str, ...]
    tags: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class FoundScene:
    """A scene that the conditions apply to."""

    scene_id: str
    drive: DriveId
    anchor_ns: int


@dataclass(frozen=True, slots=True)
class RecallResult:
    """What was found. `read`: what was read for it, in words."""

    criteria: Criteria
    drives: tuple[FoundDrive, ...]
    read: tuple[str, ...]

    @property
    def scenes(self) -> int:
        """The number of scenes of the drives; how many of them the conditions apply to is known when they are read."""
        return sum(found.row.scenes for found in self.drives)


def find(catalog: Publisher, criteria: Criteria) -> RecallResult:
    """The drives that the conditions apply to, by vehicle and drive."""
    rows, read = _rows(catalog.load_table(DRIVES_TABLE), criteria)
    newest, counts = _newest(rows)
    kept = newest.filter(_mask(newest, criteria))
    if criteria.rule is not None:
        kept, more = _with_rule(catalog, kept, criteria.rule)
        read.append(more)
    found = [row_of(DriveRow, row) for row in kept.to_pylist()]
    pinned, looked = _tags(catalog, [(row.vehicle_id, row.drive_id) for row in found])
    read += looked
    drives = (
        FoundDrive(row, counts[name], _unknown(row, criteria), tuple(sorted(pinned.get(name, {}).items())))
        for row in sorted(found, key=lambda row: row.drive)
        for name in [(row.vehicle_id, row.drive_id)]
    )
    return RecallResult(criteria, tuple(drives), tuple(read))


def scenes(catalog: Publisher, found: RecallResult) -> Iterator[FoundScene]:
    """The scenes that the conditions apply to, drive by drive in anchor order; the scenes of one drive are in memory at once."""
    table = catalog.load_table(SCENES_TABLE)
    for one in found.drives:
        if one.row.scenes:
            yield from _scenes_of(table, one.row, found.criteria)


def _rows(table: Table, criteria: Criteria) -> tuple[pa.Table, list[str]]:
    """All publications of the drives of which at least one may be meant, and what was read for them.

    A file holds few rows, so a time or a calibration spares reading most files. But what a drive's newest publication says
    decides, so all of a drive that was found are read.
    """
    vehicle, drive = criteria.names()
    named: BooleanExpression = equal("vehicle_id", vehicle) if vehicle else AlwaysTrue()
    if vehicle and drive:
        named = of_drive(DriveId(vehicle, drive))
    wanted = _pushed_down(criteria)
    rows = _scan(table, And(named, wanted))
    read = [f"{len(rows)} rows of {DRIVES_TABLE}"]
    if isinstance(wanted, AlwaysTrue) or not len(rows):
        return rows, read
    drives = {literal(one) for one in rows["drive_id"].unique().to_pylist()}
    vehicles = _of_vehicles([(one, "") for one in rows["vehicle_id"].unique().to_pylist()])
    again = And(vehicles, In(term=Reference("drive_id"), values=drives)) if len(drives) <= MOST_DRIVES else vehicles
    rows = _scan(table, And(named, again))
    return rows, [*read, f"then {len(rows)} rows, of all publications of those drives"]


def _scan(table: Table, row_filter: BooleanExpression) -> pa.Table:
    return table.scan(row_filter=row_filter, selected_fields=columns_without_files(table)).to_arrow()


def _pushed_down(criteria: Criteria) -> BooleanExpression:
    """The conditions on columns whose bounds prune files. What a row does not say keeps it."""
    wanted: BooleanExpression = AlwaysTrue()
    if criteria.from_ns is not None:
        last = Reference("last_anchor_ns")
        wanted = And(wanted, Or(GreaterThanOrEqual(term=last, value=literal(criteria.from_ns)), IsNull(term=last)))
    if criteria.to_ns is not None:
        first = Reference("first_anchor_ns")
        wanted = And(wanted, Or(LessThanOrEqual(term=first, value=literal(criteria.to_ns)), IsNull(term=first)))
    if criteria.calibration is not None:
        wanted = And(wanted, Or(equal("calibration_hash", criteria.calibration), IsNull(term=Reference("calibration_hash"))))
    return wanted


def _newest(rows: pa.Table) -> tuple[pa.Table, Mapping[DriveName, int]]:
    """The newest publication of each drive, and how many each had."""
    rows = rows.filter(pc.not_equal(rows["vehicle_id"], FORGOTTEN)).sort_by(
        [("vehicle_id", "ascending"), ("drive_id", "ascending"), ("generation", "ascending")]
    )
    names = list(zip(rows["vehicle_id"].to_pylist(), rows["drive_id"].to_pylist(), strict=True))
    counts: dict[DriveName, int] = {}
    last: dict[DriveName, int] = {}
    for position, name in enumerate(names):
        counts[name] = counts.get(name, 0) + 1
        last[name] = position
    return rows.take(pa.array(sorted(last.values()), pa.int64())), counts


def _mask(rows: pa.Table, criteria: Criteria) -> pa.Array:
    """Which rows the conditions may apply to; a value that is not known keeps its row."""
    kept = pa.chunked_array([pa.array([True] * len(rows), pa.bool_())])
    if criteria.sensor is not None:
        sensors = rows["sensors"].to_pylist()
        named = pa.array([one is None or criteria.sensor in one for one in sensors], pa.bool_())
        kept = pc.and_(kept, named)
    if criteria.calibration is not None:
        kept = pc.and_(kept, pc.fill_null(pc.equal(rows["calibration_hash"], criteria.calibration), True))
    if criteria.from_ns is not None or criteria.to_ns is not None:
        kept = pc.and_(kept, pa.array(_overlaps(rows, criteria), pa.bool_()))
    return kept


def _overlaps(rows: pa.Table, criteria: Criteria) -> list[bool]:
    first_ns = criteria.from_ns if criteria.from_ns is not None else -(2**63)
    last_ns = criteria.to_ns if criteria.to_ns is not None else 2**63 - 1
    answers = []
    for begin_ns, end_ns, days in zip(
        rows["first_anchor_ns"].to_pylist(), rows["last_anchor_ns"].to_pylist(), rows["days"].to_pylist(), strict=True
    ):
        if begin_ns is not None and end_ns is not None:
            answers.append(begin_ns <= last_ns and end_ns >= first_ns)
        elif days:
            starts = [round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * NS_PER_S for day in days]
            answers.append(any(start <= last_ns and start + 86_400 * NS_PER_S > first_ns for start in starts))
        else:
            answers.append(True)
    return answers


def _with_rule(catalog: Publisher, rows: pa.Table, rule: str) -> tuple[pa.Table, str]:
    """The rows of drives that a rule flagged, or of which it keeps data in quarantine."""
    flagged = [rule in (one or ()) for one in rows["warnings"].to_pylist()]
    names = list(zip(rows["vehicle_id"].to_pylist(), rows["drive_id"].to_pylist(), strict=True))
    asked = [
        name
        for name, warned, records in zip(names, flagged, rows["records"].to_pylist(), strict=True)
        if not warned and records != 0
    ]
    columns = ("vehicle_id", "drive_id", "rule_ids")
    scan = catalog.load_table(RECORDS_TABLE).scan(row_filter=_of_vehicles(asked), selected_fields=columns)
    quarantined: set[DriveName] = set()
    count = 0
    for batch in scan.to_arrow_batch_reader() if asked else ():
        count += len(batch)
        quarantined |= {(row["vehicle_id"], row["drive_id"]) for row in batch.to_pylist() if rule in row["rule_ids"]}
    kept = pa.array([warned or name in quarantined for name, warned in zip(names, flagged, strict=True)], pa.bool_())
    vehicles = len({vehicle for vehicle, _ in asked})
    return rows.filter(kept), f"{count} rows of {RECORDS_TABLE}, of {vehicles} vehicles"


def _of_vehicles(names: Sequence[DriveName]) -> BooleanExpression:
    vehicles = sorted({vehicle for vehicle, _ in names})
    if not vehicles or len(vehicles) > MOST_VEHICLES:
        return AlwaysTrue()
    return In(term=Reference("vehicle_id"), values={literal(vehicle) for vehicle in vehicles})


def _tags(catalog: Publisher, names: Sequence[DriveName]) -> tuple[dict[DriveName, dict[str, int]], list[str]]:
    """For each drive, the tags that hold it and the generation that they hold."""
    wanted, found, looked = set(names), dict[DriveName, dict[str, int]](), 0
    table = catalog.load_table(DRIVES_TABLE)
    known: dict[int, dict[DriveName, int]] = {}
    for tag in tags(catalog) if names else ():
        snapshot_id = tag.snapshots.get(DRIVES_TABLE)
        if snapshot_id is None:
            continue
        if snapshot_id not in known:
            known[snapshot_id] = _generations(table, snapshot_id, names)
            looked += 1
        for name, generation in known[snapshot_id].items():
            if name in wanted:
                found.setdefault(name, {})[tag.name] = generation
    return found, [f"{DRIVES_TABLE} at {looked} pinned snapshots"] if looked else []


def _generations(table: Table, snapshot_id: int, names: Sequence[DriveName]) -> dict[DriveName, int]:
    columns = ("vehicle_id", "drive_id", "generation")
    rows = scan_at(table, snapshot_id, _of_vehicles(names), columns).to_arrow()
    newest = rows.group_by(["vehicle_id", "drive_id"]).aggregate([("generation", "max")])
    listed = zip(*(newest[name].to_pylist() for name in ("vehicle_id", "drive_id", "generation_max")), strict=True)
    return {(vehicle, drive): generation for vehicle, drive, generation in listed}


def _unknown(row: DriveRow, criteria: Criteria) -> tuple[str, ...]:
    asked = {
        "sensors": criteria.sensor is not None and row.sensors is None,
        "calibration": criteria.calibration is not None and row.calibration_hash is None,
        "interval": (criteria.from_ns, criteria.to_ns) != (None, None) and row.first_anchor_ns is None,
    }
    return tuple(name for name, unknown in asked.items() if unknown)


def _scenes_of(table: Table, row: DriveRow, criteria: Criteria) -> Iterator[FoundScene]:
    row_filter: BooleanExpression = of_drive(row.drive)
    if row.days is not None:
        row_filter = And(row_filter, on_days(row.days))
    if criteria.from_ns is not None:
        row_filter = And(row_filter, GreaterThanOrEqual(term=Reference("anchor_ns"), value=literal(criteria.from_ns)))
    if criteria.to_ns is not None:
        row_filter = And(row_filter, LessThanOrEqual(term=Reference("anchor_ns"), value=literal(criteria.to_ns)))
    columns = ["scene_id", "vehicle_id", "drive_id", "day", "anchor_ns"]
    if criteria.sensor is not None:
        columns += [f"{name}.element.sensor" for name in LISTS]
    if criteria.key is not None:
        columns += ["sources"]
    rows = table.scan(row_filter=row_filter, selected_fields=tuple(columns)).to_arrow().sort_by("anchor_ns")
    for batch in rows.to_batches(max_chunksize=1024):
        for scene in batch.to_pylist():
            if _applies(scene, criteria):
                yield FoundScene(scene["scene_id"], row.drive, scene["anchor_ns"])


def _applies(scene: Mapping[str, object], criteria: Criteria) -> bool:
    if criteria.sensor is not None and not any(_holds(scene[name], "sensor", criteria.sensor) for name in LISTS):
        return False
    if criteria.key is None:
        return True
    wanted = {"key": criteria.key} if criteria.version_id is None else {"key": criteria.key, "version_id": criteria.version_id}
    sources = scene["sources"]
    assert isinstance(sources, list)
    return any(wanted.items() <= source.items() for source in sources)


def _holds(entries: object, name: str, value: str) -> bool:
    assert isinstance(entries, list)
    return any(entry[name] == value for entry in entries)
