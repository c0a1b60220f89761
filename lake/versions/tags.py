"""Tags: each pins one moment of all tables, in one commit, so that nothing of it expires.

Made and removed through `Publisher.commit_together` alone. pyiceberg's own calls move a tag that exists without a word, pin one
table at a time, and lose a tag that is made while another process expires its snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.table.refs import SnapshotRefType

from lake.errors import VersionError
from lake.iceberg.attempts import committed
from lake.iceberg.internals import begin, stage_updates
from lake.iceberg.refs import drop_ref, ref_is, set_tag
from lake.iceberg.snapshots import snapshot_of
from lake.tables.drives import DRIVES_TABLE
from lake.tables.names import DATA_TABLES, SCENES_TABLE
from lake.versions.moments import Tables, Version, load_tables, load_together, resolve
from lake.versions.names import MAIN, PROTECTED, TagKind, check_name, kind_of
from sensors.time_units import NS_PER_MS

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction

    from lake.iceberg.publisher import Publisher

MAX_READER_AGE_S = 7 * 86400
Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag: its snapshots by table, the time of its snapshot of `gold.scenes`, and when it is forgotten (None: never).

    Times are in ns since the Unix epoch. `missing`: tables that have snapshots and no such tag; another tool made it.
    """

    name: str
    kind: TagKind
    snapshots: Mapping[str, int]
    snapshot_ns: int | None
    deadline_ns: int | None
    missing: tuple[str, ...]


def create_tag(
    catalog: Publisher, name: str, at: str = MAIN, max_age_s: float | None = None, clock: Clock = time.time_ns
) -> Version:
    """Pin the version that `at` denotes (`lake.versions.moments.resolve`) in all tables, in one commit.

    `max_age_s`: only for a reader's tag, which needs one: how long it holds unless it is renewed.

    Raises:
        VersionError: The name is taken in one of the tables or may not be given, or the version is unknown or has expired.
        MaintenanceError: Other commits won every attempt; nothing was changed.
    """
    kind = check_name(name)
    if (kind is TagKind.READER) != (max_age_s is not None):
        raise VersionError(f"tag {name!r}: a reader's tag has a maximum age, and no other tag has one")
    if max_age_s is not None:
        _check_age(max_age_s)

    def attempt() -> tuple[Sequence[Transaction], Version]:
        tables = load_tables(catalog)
        if taken := sorted(table for table, loaded in tables.items() if name in loaded.metadata.refs):
            raise VersionError(
                f"tag {name!r} exists already, in {', '.join(taken)}: a tag is never moved",
                "choose another name, or remove it first with `scenelake gold untag`",
            )
        version = resolve(tables, at)
        if SCENES_TABLE not in version.snapshots:
            raise VersionError("gold is empty: there is nothing to pin")
        deadline_ms = None if max_age_s is None else clock() // NS_PER_MS + int(max_age_s * 1000)
        return _pin(tables, name, version.snapshots, deadline_ms, known=False), Version(name, version.snapshots)

    return committed(catalog, attempt, f"tag {name!r}")


def remove_tag(catalog: Publisher, name: str, *, even_protected: bool = False) -> None:
    """Remove a tag from all tables, in one commit; what only it kept may then expire.

    Raises:
        VersionError: There is no such tag; or it is a run's or a hold, and `even_protected` does not say that it may be.
        MaintenanceError: Other commits won every attempt; nothing was changed.
    """
    kind = kind_of(name)
    if kind in PROTECTED and not even_protected:
        raise VersionError(
            f"tag {name!r} is a {kind}: without it, what the {kind} rests on may expire",
            f"say so explicitly if the {kind} is to lose it",
        )

    def attempt() -> tuple[Sequence[Transaction], None]:
        changes = [_unpin(table, [name]) for table in load_tables(catalog).values() if _has(table, name)]
        if not changes:
            raise VersionError(f"there is no tag {name!r}", "`scenelake gold tags` lists the tags")
        return changes, None

    committed(catalog, attempt, f"tag {name!r}")


def renew_tag(catalog: Publisher, name: str, max_age_s: float, clock: Clock = time.time_ns) -> None:
    """Let a reader's tag hold for another `max_age_s` from now.

    Raises:
        VersionError: It is not a reader's, or it was forgotten: what it pinned may have expired, and the reader must begin anew.
        MaintenanceError: Other commits won every attempt; nothing was changed.
    """
    _check_age(max_age_s)
    if kind_of(name) is not TagKind.READER:
        raise VersionError(f"tag {name!r} is not a reader's: it holds until it is removed")

    def attempt() -> tuple[Sequence[Transaction], None]:
        tables = load_tables(catalog)
        held = {table: loaded.metadata.refs[name].snapshot_id for table, loaded in tables.items() if _has(loaded, name)}
        if SCENES_TABLE not in held:
            raise VersionError(f"tag {name!r} was forgotten at its deadline", "pin again, and start from the new version")
        return _pin(tables, name, held, clock() // NS_PER_MS + int(max_age_s * 1000), known=True), None

    committed(catalog, attempt, f"tag {name!r}")


def tags(catalog: Publisher) -> tuple[Tag, ...]:
    """Every tag, by name, those of other tools too."""
    return tags_of(load_together(catalog))


def tags_of(tables: Tables) -> tuple[Tag, ...]:
    """The tags of tables that were loaded, by name."""
    names = {name for table in tables.values() for name in table.metadata.refs if is_tag(table, name)}
    return tuple(_tag(tables, name) for name in sorted(names))


def is_tag(table: Table, name: str) -> bool:
    """Whether a ref of the table is a tag."""
    return table.metadata.refs[name].snapshot_ref_type is SnapshotRefType.TAG


def deadline_ms(table: Table, name: str) -> int | None:
    """When a ref of the table is forgotten, ms since the Unix epoch; None: never. Iceberg counts a ref's maximum age from the
    time of its snapshot (table spec, "Snapshot Retention Policy")."""
    ref = table.metadata.refs[name]
    return None if ref.max_ref_age_ms is None else snapshot_of(table, ref.snapshot_id).timestamp_ms + ref.max_ref_age_ms


def _tag(tables: Tables, name: str) -> Tag:
    held = {table: loaded for table, loaded in tables.items() if name in loaded.metadata.refs}
    deadlines = [found for loaded in held.values() if (found := deadline_ms(loaded, name)) is not None]
    snapshots = {table: loaded.metadata.refs[name].snapshot_id for table, loaded in held.items()}
    scenes = snapshots.get(SCENES_TABLE)
    return Tag(
        name,
        kind_of(name),
        snapshots,
        None if scenes is None else snapshot_of(tables[SCENES_TABLE], scenes).timestamp_ms * NS_PER_MS,
        min(deadlines) * NS_PER_MS if deadlines else None,
        # A table may have been empty when the tag was made; it had no snapshot to pin.
        tuple(sorted(table for table in (*DATA_TABLES, DRIVES_TABLE) if table in tables and table not in held)),
    )


def _pin(tables: Tables, name: str, snapshots: Mapping[str, int], deadline: int | None, *, known: bool) -> list[Transaction]:
    """Changes that set the tag in each table. A table that is not pinned has no snapshot, and is not changed."""
    changes = []
    for table, snapshot_id in snapshots.items():
        snapshot = snapshot_of(tables[table], snapshot_id)
        max_age_ms = None if deadline is None else max(deadline - snapshot.timestamp_ms, 1)
        change = begin(tables[table])
        stage_updates(change, [set_tag(name, snapshot_id, max_age_ms)], [ref_is(name, snapshot_id if known else None)])
        changes.append(change)
    return changes


def _unpin(table: Table, names: Sequence[str]) -> Transaction:
    change = begin(table)
    asserted = [ref_is(name, table.metadata.refs[name].snapshot_id) for name in names]
    stage_updates(change, [drop_ref(name) for name in names], asserted)
    return change


def _has(table: Table, name: str) -> bool:
    return name in table.metadata.refs and is_tag(table, name)


def _check_age(max_age_s: float) -> None:
    if not 0 < max_age_s <= MAX_READER_AGE_S:
        raise VersionError(f"a reader's tag holds for up to {MAX_READER_AGE_S} s before it is renewed, not for {max_age_s:g} s")
