"""The ledger's half that reviewers write: decisions, append-only, each with what it does to its drive in one transaction."""

from __future__ import annotations

from collections.abc import Callable

from ingest.ledger.items import DECISION, DRIVE, decision_item, decision_record, drive_record
from ingest.ledger.landing import Requeue, queue_change
from ingest.ledger.records import DecisionRecord, DriveRecord
from ingest.ledger.states import FINAL
from ingest.ledger.table import Change, LedgerTable, Put, Value
from lake.landing import DriveId


class DecisionLedger:
    """Who decided what about a drive, when and why."""

    def __init__(self, table: LedgerTable, clock: Callable[[], int]) -> None:
        self._table = table
        self._clock = clock

    def decisions(self, drive: DriveId) -> list[DecisionRecord]:
        """Every decision about a drive, oldest first (strongly consistent)."""
        values: dict[str, Value] = {"pk": str(drive), "prefix": DECISION}
        return [decision_record(item) for item in self._table.query("#pk = :pk AND begins_with(#sk, :prefix)", values)]

    def decide(self, seen: DriveRecord, overrides: frozenset[str], requeue: Requeue | None) -> DriveRecord | None:
        """Append a decision and, with `requeue`, make the revision that follows from it, all or nothing.

        None, and nothing is written, if anything was registered, queued or decided since `seen` was read, or if the drive is
        not at rest.
        """
        number = seen.decisions + 1
        decision = DecisionRecord(seen.drive, number, overrides, self._clock(), seen.revision or "", seen.generation)
        values: dict[str, Value]
        if requeue is None:
            change, condition = "SET #decisions = :number", "#generation = :generation AND #changes = :changes"
            values = {"generation": seen.generation, "changes": seen.changes}
        else:
            change, values, condition = queue_change(seen, requeue, self._clock())
            change = change.replace("SET ", "SET #decisions = :number, ", 1)
        states = {f"rest{place}": state.value for place, state in enumerate(sorted(FINAL))}
        condition += f" AND #drive_state IN ({', '.join(':' + name for name in states)})"
        condition += " AND attribute_not_exists(#decisions)" if number == 1 else " AND #decisions = :decided"
        values = {**values, **states, "number": number, **({} if number == 1 else {"decided": seen.decisions})}
        written = self._table.write_together(
            [Put(decision_item(decision), "attribute_not_exists(#pk)"), Change(str(seen.drive), DRIVE, change, values, condition)]
        )
        item = self._table.get(str(seen.drive), DRIVE) if written else None
        return None if item is None else drive_record(item)
