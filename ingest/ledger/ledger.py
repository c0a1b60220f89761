"""The ledger: the state of every object and drive, in one DynamoDB table.

| pk | sk | is | attributes |
| --- | --- | --- | --- |
| `vehicle/drive` | `drive` | a drive | `drive_state`, `revision`, `generation`, `reason`, `changes`, `created_ns`, `updated_ns`, `changed_ns`, `settling`?, `outbox`?, `outbox_ns`?, `attempts`?, `overrides`?, `decisions`?, `manifest_version`?, `manifest_fault`?, `detail`? |
| `vehicle/drive` | `object#<key>` | its newest version | `key`, `version_id`, `size_bytes`, `etag`, `last_modified_ns`, `object_state`, `observed_ns`, `revision`? |
| `vehicle/drive` | `decision#<number>` | a reviewer's decision, never changed | `overrides`, `decided_ns`, `revision`, `generation` |
| `_refused` | `object#<key>#<version>` | a refused version | as an object, and `rule_id`, `message`, `payload_uri` |
| `_sweep` | `reconcile` | the sweep's place in the raw bucket | `cursor` |

Indexes: `by-state` (`drive_state`, `updated_ns`), and two sparse ones that hold only drives with something left to do:
`by-outbox` (`outbox`, `outbox_ns`) and `by-settling` (`settling`, `changed_ns`).

Every write is one conditional call, on one item but for a decision, which comes with its drive's change; which steps may follow each other is drawn in `ingest.ledger.states`.
"""  # noqa: E501 - a table row is one line

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ingest.ledger.decisions import DecisionLedger
from ingest.ledger.items import DRIVE, drive_record
from ingest.ledger.landing import LandingLedger
from ingest.ledger.records import DriveRecord, ObjectOutcome, ObjectRecord, RefusedRecord
from ingest.ledger.runs import RunLedger
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.table import LedgerTable

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

    from lake.landing import DriveId

__all__ = ["DriveRecord", "DriveState", "Ledger", "ObjectOutcome", "ObjectRecord", "ObjectState", "RefusedRecord"]


class Ledger(LandingLedger, RunLedger, DecisionLedger):
    """The ledger in DynamoDB. `clock` gives wall time in nanoseconds since the epoch; it never orders anything."""

    def __init__(self, client: DynamoDBClient, table: str, clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__(LedgerTable(client, table), clock)

    def drive(self, drive: DriveId) -> DriveRecord | None:
        """A drive as it is now (strongly consistent); None if nothing of it has landed."""
        item = self._table.get(str(drive), DRIVE)
        return None if item is None else drive_record(item)

    def drives(self, state: DriveState | None = None, since_ns: int = 0) -> Iterator[DriveRecord]:
        """Drives in `state`, or all, by state and least recently changed first; with `since_ns` only those that came into
        their state at that time or later. Eventually consistent."""
        condition = "#drive_state = :state AND #updated_ns >= :since"
        for wanted in DriveState if state is None else (state,):
            found = self._table.query(condition, {"state": wanted.value, "since": since_ns}, index="by-state")
            yield from (drive_record(item) for item in found)
