"""Makes the rows of `gold.drives` for a lake that was filled before it had that table, from what its snapshots say.

A publication whose snapshot has expired leaves nothing to make a row from. It is not lost: publishing its drive again replaces
its rows, because rows are deleted by drive (`lake.tables.publish`). Only that an older generation comes too late is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table.snapshots import ancestors_of

from lake.errors import TableError
from lake.iceberg.attempts import commit
from lake.iceberg.internals import begin
from lake.landing import DriveId
from lake.tables import summaries
from lake.tables.drives import DRIVES_TABLE, FILLED, NEW_LAKE, OLDER_LAKE, add_rows, publications
from lake.tables.names import DATA_TABLES
from lake.tables.rows import DriveRow
from sensors.time_units import NS_PER_MS

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.snapshots import Snapshot

    from lake.iceberg.publisher import Publisher

Identity = tuple[str, str, int]  # drive, revision, generation
Properties = Mapping[str, str]


def fill_drives(catalog: Publisher) -> int:
    """Add the rows that `gold.drives` lacks, and return how many; running it again adds none.

    Stop publishers of a version without `gold.drives` first: what they commit afterwards has no row until this runs again.

    Raises:
        TableError: Other commits won every attempt; nothing was changed, and trying again is safe.
    """

    def attempt() -> tuple[list[Transaction], int]:
        table = catalog.load_table(DRIVES_TABLE)
        known = {_identity(row) for row in publications(table)}
        missing = [row for row in _published(catalog) if _identity(row) not in known]
        if not missing and FILLED in table.properties:
            return [], 0
        change = begin(table)
        if FILLED not in table.properties:
            change.set_properties({FILLED: OLDER_LAKE if _has_history(catalog) else NEW_LAKE})
        if missing:
            add_rows(change, table, missing, {})
        return [change], len(missing)

    try:
        return commit(catalog, attempt)
    except CommitFailedException as error:
        raise TableError(f"{DRIVES_TABLE} could not be filled: {error}", "run it again") from error


def _has_history(catalog: Publisher) -> bool:
    return any(catalog.load_table(name).current_snapshot() for name in DATA_TABLES)


def _published(catalog: Publisher) -> Iterable[DriveRow]:
    """The publications that the snapshots of `gold.scenes` name. What was rolled back is none of the current ancestors."""
    scenes, frames, records = (_named(catalog.load_table(name)) for name in DATA_TABLES)
    for identity, snapshot in scenes.items():
        yield _row(identity, snapshot, frames.get(identity), records.get(identity))


def _named(table: Table) -> dict[Identity, Snapshot]:
    found: dict[Identity, Snapshot] = {}
    for snapshot in ancestors_of(table.current_snapshot(), table.metadata):
        of = _properties(snapshot)
        if {summaries.DRIVE, summaries.REVISION, summaries.GENERATION} <= of.keys():
            identity = of[summaries.DRIVE], of[summaries.REVISION], int(of[summaries.GENERATION])
            found.setdefault(identity, snapshot)
    return found


def _row(identity: Identity, scenes: Snapshot, frames: Snapshot | None, records: Snapshot | None) -> DriveRow:
    drive, (revision, generation), of = DriveId(*identity[0].split("/")), identity[1:], _properties(scenes)
    baseline = of.get(summaries.BASELINE)
    return DriveRow(
        vehicle_id=drive.vehicle_id,
        drive_id=drive.drive_id,
        revision=revision,
        generation=generation,
        committed_ns=scenes.timestamp_ms * NS_PER_MS,
        verdict=of.get(summaries.VERDICT),
        scenes=_added(scenes),
        frames=None if frames is None else _added(frames),
        records=None if records is None else _added(records),
        code_version=of.get(summaries.CODE_VERSION),
        config_hash=of.get(summaries.CONFIG_HASH),
        baseline=None if baseline == summaries.NO_BASELINE else baseline,
        validations=of.get(summaries.VALIDATIONS),
        quarantined_objects=of.get(summaries.QUARANTINED_OBJECTS) or None,
        warnings=tuple(of[summaries.WARNINGS].split()) if summaries.WARNINGS in of else None,
        scenes_snapshot_id=scenes.snapshot_id,
        frames_snapshot_id=None if frames is None else frames.snapshot_id,
        records_snapshot_id=None if records is None else records.snapshot_id,
    )


def _added(snapshot: Snapshot) -> int:
    return int(_properties(snapshot).get("added-records", 0))


def _properties(snapshot: Snapshot) -> Properties:
    return {} if snapshot.summary is None else snapshot.summary.additional_properties


def _identity(row: DriveRow) -> Identity:
    return str(row.drive), row.revision, row.generation
