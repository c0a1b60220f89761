"""Expire snapshots: by age and count, never what a ref pins, through the compare-and-swap of `Publisher.commit_together`.

pyiceberg's own expiry loses a tag that is made meanwhile. Here a tag, a publication or anything else that is committed between
the plan and the commit makes the commit fail, and the plan is made anew. The fence of publications does not depend on snapshots
(ADR 0036). Files are left alone: `sweep` deletes them later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from pyiceberg.table.refs import MAIN_BRANCH
from pyiceberg.table.snapshots import ancestors_of

from lake.errors import MaintenanceError
from lake.iceberg.attempts import committed
from lake.iceberg.internals import begin, stage_updates
from lake.iceberg.refs import drop_partition_statistics, drop_ref, ref_is, remove_snapshots
from lake.versions.moments import load_tables
from lake.versions.names import TagKind, kind_of
from lake.versions.tags import deadline_ms, is_tag
from sensors.time_units import NS_PER_MS

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.update import TableUpdate

    from lake.iceberg.publisher import Publisher

MOST_AT_ONCE = 5_000  # of one table in one commit: pyiceberg's time grows with its square


@dataclass(frozen=True, slots=True)
class ExpirePolicy:
    """A snapshot stays while it is younger than `max_age_s` or among the newest `keep_last` of its table.

    Raises:
        MaintenanceError: Not even the newest would stay, or the age is negative.
    """

    max_age_s: float = 86400.0
    keep_last: int = 10

    def __post_init__(self) -> None:
        if self.keep_last < 1 or self.max_age_s < 0:
            raise MaintenanceError("the newest snapshot always stays: keep at least 1, and an age of 0 s or more")


@dataclass(frozen=True, slots=True)
class KeptSnapshots:
    """Snapshots of a table that stay for one reason; each pin is one entry, those that are young or newest are counted."""

    table: str
    snapshots: int
    reason: str


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What is to be removed from a table's metadata, and what stays."""

    table: str
    expired: tuple[int, ...]
    forgotten: tuple[str, ...]
    kept: tuple[KeptSnapshots, ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be removed."""
        return not self.expired and not self.forgotten


Clock = Callable[[], int]
Progress = Callable[[str, int, int], None]


def plan_expiry(tables: Sequence[tuple[str, Table]], policy: ExpirePolicy, now_ms: int) -> tuple[TablePlan, ...]:
    """What the policy removes from each of the tables, as they were loaded."""
    return tuple(_plan(name, table, policy, now_ms) for name, table in tables)


def expire(
    catalog: Publisher,
    policy: ExpirePolicy,
    *,
    apply: bool,
    clock: Clock = time.time_ns,
    progress: Progress | None = None,
) -> tuple[TablePlan, ...]:
    """Expire snapshots, and forget the tags of readers that did not renew them, of all tables together.

    Returns what was removed, or would be where `apply` is false, and what stays. Without anything to remove nothing is written.
    A commit removes up to `MOST_AT_ONCE` snapshots of a table; a run that is killed between two has removed the oldest.

    Raises:
        MaintenanceError: Other commits won every attempt; what the plan names is still there, and the next run removes it.
    """
    if not apply:
        return plan_expiry(list(load_tables(catalog).items()), policy, clock() // NS_PER_MS)
    total: dict[str, TablePlan] = {}
    while True:
        plans, remaining = committed(catalog, lambda: _attempt(catalog, policy, clock() // NS_PER_MS), "expire")
        for plan in plans:
            before = total.get(plan.table, TablePlan(plan.table, (), ()))
            total[plan.table] = TablePlan(plan.table, before.expired + plan.expired, before.forgotten + plan.forgotten, plan.kept)
        removed = sum(len(plan.expired) for plan in total.values())
        if progress is not None:
            progress("expire", removed, removed + remaining)
        if not remaining:
            return tuple(total.values())


def _attempt(
    catalog: Publisher, policy: ExpirePolicy, now_ms: int
) -> tuple[list[Transaction], tuple[tuple[TablePlan, ...], int]]:
    """The changes of one commit, what they remove, and how many snapshots are left to the next one."""
    tables = load_tables(catalog)
    whole = plan_expiry(list(tables.items()), policy, now_ms)
    plans = tuple(_at_once(plan) for plan in whole)
    remaining = sum(len(plan.expired) for plan in whole) - sum(len(plan.expired) for plan in plans)
    return [_stage(tables[plan.table], plan) for plan in plans if not plan.is_empty], (plans, remaining)


def _at_once(plan: TablePlan) -> TablePlan:
    return TablePlan(plan.table, plan.expired[:MOST_AT_ONCE], plan.forgotten, plan.kept)


def _plan(name: str, table: Table, policy: ExpirePolicy, now_ms: int) -> TablePlan:
    forgotten = tuple(ref for ref in sorted(table.metadata.refs) if _is_forgotten(table, ref, now_ms))
    pins: dict[int, list[str]] = {}
    for ref, target in sorted(table.metadata.refs.items()):
        if ref not in forgotten:
            pins.setdefault(target.snapshot_id, []).append(_pin(table, ref))
    history = ancestors_of(table.current_snapshot(), table.metadata)
    newest = {snapshot.snapshot_id for snapshot in islice(history, policy.keep_last)}
    oldest_ms = now_ms - int(policy.max_age_s * 1000)
    expired, young, counted = [], 0, 0
    for snapshot in sorted(table.snapshots(), key=lambda one: (one.sequence_number or 0, one.timestamp_ms)):
        if snapshot.snapshot_id in pins:
            continue
        if snapshot.timestamp_ms >= oldest_ms:
            young += 1
        elif snapshot.snapshot_id in newest:
            counted += 1
        else:
            expired.append(snapshot.snapshot_id)
    kept = [KeptSnapshots(name, 1, f"snapshot {pinned}: {', '.join(refs)}") for pinned, refs in sorted(pins.items())]
    if young:
        kept.append(KeptSnapshots(name, young, f"younger than {policy.max_age_s:g} s"))
    if counted:
        kept.append(KeptSnapshots(name, counted, f"among the newest {policy.keep_last}"))
    return TablePlan(name, tuple(expired), forgotten, tuple(kept))


def _pin(table: Table, ref: str) -> str:
    if ref == MAIN_BRANCH:
        return "the current state"
    return f"{kind_of(ref)} tag {ref}" if is_tag(table, ref) else f"branch {ref}"


def _is_forgotten(table: Table, ref: str, now_ms: int) -> bool:
    """Only a reader's tag has a deadline that counts: whatever another tool gave a run's tag, the run keeps it."""
    if not is_tag(table, ref) or kind_of(ref) is not TagKind.READER:
        return False
    deadline = deadline_ms(table, ref)
    return deadline is not None and deadline < now_ms


def _stage(table: Table, plan: TablePlan) -> Transaction:
    """Remove what the plan names if every ref is still where the plan saw it."""
    metadata, expired = table.metadata, set(plan.expired)
    updates: list[TableUpdate] = [drop_ref(name) for name in plan.forgotten]
    updates += [
        drop_partition_statistics(statistics.snapshot_id)
        for statistics in metadata.partition_statistics
        if statistics.snapshot_id in expired
    ]
    if expired:
        updates.append(remove_snapshots(plan.expired))
    refs = [ref_is(name, ref.snapshot_id) for name, ref in sorted(metadata.refs.items())]
    change = begin(table)
    stage_updates(change, updates, refs)
    return change
