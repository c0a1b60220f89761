"""What a name denotes: the snapshots of all tables at one moment, never a state in which one table is a commit ahead.

Tables are loaded one after another, while others commit. Two facts make a moment of them: tables that are loaded twice with the
same metadata files were in that state together between the two readings; and a commit of several tables succeeds only if none of
them has changed since it was loaded (`lake.iceberg.publisher`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.table.snapshots import ancestors_of

from lake.errors import LandingError, VersionError
from lake.iceberg.snapshots import snapshot_of
from lake.landing import DriveId
from lake.tables import drives, summaries
from lake.tables.drives import DRIVES_TABLE
from lake.tables.existing import existing_tables
from lake.tables.names import FRAMES_TABLE, RECORDS_TABLE, SCENES_TABLE
from lake.versions.names import MAIN, is_snapshot_id

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from lake.iceberg.publisher import Publisher
    from lake.tables.rows import DriveRow

ATTEMPTS = 5
Tables = Mapping[str, "Table"]


@dataclass(frozen=True, slots=True)
class Version:
    """The snapshots of the tables at one moment, by table; `name` is what it was asked for by. A table that had no snapshot
    then has none here."""

    name: str
    snapshots: Mapping[str, int]

    def of(self, table: str) -> int:
        """The snapshot of a table.

        Raises:
            VersionError: The table has none in this version.
        """
        found = self.snapshots.get(table)
        if found is None:
            raise VersionError(f"version {self.name!r} holds no snapshot of {table}")
        return found


def load_tables(catalog: Publisher) -> dict[str, Table]:
    """The published tables that exist, each as of now; for a commit, which fails if they are not of one moment.

    Raises:
        NoSuchTableError: There is no `gold.scenes`.
    """
    found = existing_tables(catalog)
    return found if SCENES_TABLE in found else {SCENES_TABLE: catalog.load_table(SCENES_TABLE)}


def load_together(catalog: Publisher) -> dict[str, Table]:
    """The published tables as they were at one moment.

    Raises:
        VersionError: Commits kept changing them.
    """
    before = load_tables(catalog)
    for _ in range(ATTEMPTS):
        after = load_tables(catalog)
        if {n: t.metadata_location for n, t in before.items()} == {n: t.metadata_location for n, t in after.items()}:
            return before
        before = after
    raise VersionError(f"the tables changed {ATTEMPTS} times while they were being loaded", "run it again")


def current(tables: Tables) -> Version:
    """The state of tables that were loaded, as they are."""
    found = {name: table.current_snapshot() for name, table in tables.items()}
    return Version(MAIN, {name: snapshot.snapshot_id for name, snapshot in found.items() if snapshot is not None})


def resolve(tables: Tables, name: str) -> Version:
    """The version that a name denotes: `main`, a tag, a snapshot of `gold.scenes` that a publication made, or the newest
    publication of a drive, VEHICLE/DRIVE, or one of its generations, VEHICLE/DRIVE@GENERATION.

    Raises:
        VersionError: There is no such version, or a part of it has expired.
    """
    if name == MAIN:
        return current(tables)
    if "/" in name:
        return _of_publication(tables, name, _publication(tables, name))
    if is_snapshot_id(name):
        return _of_snapshot(tables, name, int(name))
    return of_tag(tables, name)


def of_tag(tables: Tables, name: str) -> Version:
    """What a tag pins.

    Raises:
        VersionError: No table has such a tag, or some that it should pin lack it.
    """
    found = {table: loaded.metadata.refs[name].snapshot_id for table, loaded in tables.items() if name in loaded.metadata.refs}
    if not found:
        raise VersionError(f"there is no tag {name!r}", "`scenelake gold tags` lists the tags")
    if missing := {SCENES_TABLE, FRAMES_TABLE, RECORDS_TABLE, DRIVES_TABLE} - found.keys():
        raise VersionError(
            f"tag {name!r} pins {', '.join(sorted(found))}, but not {', '.join(sorted(missing))}: another tool made it, so "
            "it is not a version of the lake"
        )
    return Version(name, found)


def _publication(tables: Tables, name: str) -> DriveRow:
    drive_name, _, generation = name.partition("@")
    try:
        drive = DriveId(*drive_name.split("/", 1))
    except LandingError as error:
        raise VersionError(f"{name!r} is not VEHICLE/DRIVE@GENERATION: {error}") from error
    rows = drives.publications(tables[DRIVES_TABLE], drive)
    if generation:
        rows = tuple(row for row in rows if str(row.generation) == generation)
    if not rows:
        raise VersionError(f"{name} was never published", "`scenelake gold ls --vehicle VEHICLE` lists publications")
    return max(rows, key=lambda row: row.generation)


def _of_snapshot(tables: Tables, name: str, snapshot_id: int) -> Version:
    drive = _summary(snapshot_of(tables[SCENES_TABLE], snapshot_id)).get(summaries.DRIVE)
    rows = () if drive is None else drives.publications(tables[DRIVES_TABLE], DriveId(*drive.split("/", 1)))
    for row in rows:
        if row.scenes_snapshot_id == snapshot_id:
            return _of_publication(tables, name, row)
    raise VersionError(
        f"snapshot {snapshot_id} of {SCENES_TABLE} was not made by a publication: it is a state between two, or of maintenance",
        "`scenelake gold ls` lists the snapshots of publications",
    )


def _of_publication(tables: Tables, name: str, row: DriveRow) -> Version:
    """The snapshots that a publication made together; of a table that it does not change, the newest that is not younger."""
    made: dict[str, int | None] = {
        SCENES_TABLE: row.scenes_snapshot_id,
        FRAMES_TABLE: row.frames_snapshot_id,
        RECORDS_TABLE: row.records_snapshot_id,
        DRIVES_TABLE: _row_snapshot(tables[DRIVES_TABLE], row),
    }
    if unknown := [table for table, snapshot_id in made.items() if snapshot_id is None]:
        raise VersionError(f"the snapshot that {name} made of {', '.join(unknown)} is not known or has expired")
    found = {table: snapshot_of(tables[table], snapshot_id).snapshot_id for table, snapshot_id in made.items() if snapshot_id}
    committed_ms = snapshot_of(tables[SCENES_TABLE], row.scenes_snapshot_id).timestamp_ms
    for table in tables.keys() - found.keys():
        history = ancestors_of(tables[table].current_snapshot(), tables[table].metadata)
        older = next((snapshot for snapshot in history if snapshot.timestamp_ms <= committed_ms), None)
        if older is not None:
            found[table] = older.snapshot_id
    return Version(name, found)


def _row_snapshot(table: Table, row: DriveRow) -> int | None:
    """The snapshot of `gold.drives` that added a row: the row cannot name it, its summary names the row."""
    wanted = {
        summaries.DRIVE: str(row.drive),
        summaries.REVISION: row.revision,
        summaries.GENERATION: str(row.generation),
    }
    for snapshot in table.snapshots():
        if wanted.items() <= _summary(snapshot).items():
            return snapshot.snapshot_id
    return None


def _summary(snapshot: Snapshot) -> dict[str, str]:
    return {} if snapshot.summary is None else snapshot.summary.additional_properties
