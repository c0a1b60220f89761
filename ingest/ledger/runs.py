"""The part of the ledger that runs move: each step names its revision, and is refused once the drive has a newer one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from boto3.dynamodb.conditions import Attr

from ingest.errors import SupersededWorkError, TransitionError, UnknownDriveError
from ingest.ledger.changes import OUTBOX, in_one_of, mark
from ingest.ledger.detail import RunFailure, RunResult, encode_detail
from ingest.ledger.dynamodb_table import ItemChange, LedgerTable, Value
from ingest.ledger.items import DRIVE, drive_record, object_sort_key
from ingest.ledger.records import DriveRecord, ObjectOutcome
from ingest.ledger.states import FINAL, WAITING, DriveState, sources_of
from ingest.ledger.tombstones import Tombstones
from lake.landing import DriveId

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_WRITERS = 32  # a drive may have 100,000 objects, and a step has two minutes


class RunLedger:
    """The drives of a ledger, as runs begin and end them.

    `clock` gives wall time in nanoseconds since the epoch; it never orders anything.
    """

    def __init__(self, client: DynamoDBClient, table_name: str, clock: Callable[[], int] = time.time_ns) -> None:
        self._table = LedgerTable(client, table_name)
        self._clock = clock
        self.tombstones = Tombstones(self._table, clock)

    def drive(self, drive: DriveId) -> DriveRecord | None:
        """The current state of a drive (strongly consistent); None if nothing of it has landed."""
        item = self._table.get(str(drive), DRIVE)
        return None if item is None else drive_record(item)

    def begin(self, drive: DriveId, revision: str) -> DriveRecord:
        """Start, or start again, to process a queued revision.

        Returns:
            The drive as `processing`; as `published` or `quarantined` if this revision is finished already, and then
            nothing was written: only its message is left to delete.

        Raises:
            SupersededWorkError: The drive has a newer revision.
            UnknownDriveError: The ledger has no such drive.
        """
        # That it can begin shows that its message was sent.
        begun = self._enter(drive, revision, DriveState.PROCESSING, add={"attempts": 1}, remove=OUTBOX)
        if begun is not None:
            return begun
        record = self._current(drive, revision)
        if record.state in FINAL:
            return record
        raise TransitionError(f"{drive} is {record.state} and cannot be started")

    def finish(
        self,
        drive: DriveId,
        revision: str,
        state: DriveState,
        outcomes: Iterable[ObjectOutcome],
        result: RunResult,
        *,
        generation: int | None = None,
    ) -> DriveRecord:
        """Record the result of a revision: its objects first, then the drive. Idempotent.

        `result` becomes the drive's `detail`. An outcome is written only to the version it names, and never over that of a later
        generation: a newer version that has landed stays pending. With `generation`, a run that outlived its drive's
        reprocessing cannot end it, although the
        revision is the same.

        Raises:
            SupersededWorkError: The drive has a newer revision or generation.
            UnknownDriveError: The ledger has no such drive.
            TransitionError: `state` is not final, or this revision ended in another state.
            LedgerError: `result` exceeds 64 KiB of JSON.
        """
        if state not in FINAL:
            raise TransitionError(f"a run ends as {' or '.join(sorted(FINAL))}, not as {state}; use fail() for a failed one")
        detail = encode_detail(result)
        seen = self._current(drive, revision, generation)
        with ThreadPoolExecutor(max_workers=_WRITERS) as writers:
            for _ in writers.map(lambda outcome: self._finish_object(seen, outcome), outcomes):
                pass
        ended = self._enter(drive, revision, state, {"detail": detail}, generation=generation)
        if ended is not None:
            return ended
        record = self._current(drive, revision, generation)
        if record.state is state:
            return record
        raise TransitionError(f"{drive} is {record.state} and cannot become {state}")

    def fail(self, drive: DriveId, revision: str, failure: RunFailure, *, generation: int | None = None) -> DriveRecord:
        """Record that a run failed; when its message returns, it may start again.

        A revision that is already finished stays finished. `generation` as at `finish`.

        Raises:
            SupersededWorkError: The drive has a newer revision or generation.
            UnknownDriveError: The ledger has no such drive.
            LedgerError: `failure` exceeds 64 KiB of JSON.
        """
        failed = self._enter(drive, revision, DriveState.FAILED, {"detail": encode_detail(failure)}, generation=generation)
        return self._current(drive, revision, generation) if failed is None else failed

    def surpass(self, drive: DriveId, revision: str, generation: int, published: int) -> DriveRecord | None:
        """Queue a revision again as the generation after `published`: its own `generation` is not above that of the lake.

        A table that was restored from a backup counts generations from where the backup was made. None if the drive has
        another revision or generation by now.
        """
        now_ns = self._clock()
        assigned: dict[str, Value] = {
            "drive_state": DriveState.QUEUED.value,
            "generation": published + 1,
            "updated_ns": now_ns,
            **mark(now_ns),
            "attempts": 0,
        }
        condition = Attr("revision").eq(revision) & Attr("generation").eq(generation) & in_one_of(WAITING)
        item = self._table.update(str(drive), DRIVE, ItemChange(assigned, remove=("detail",)), condition)
        return None if item is None else drive_record(item)

    def _enter(
        self,
        drive: DriveId,
        revision: str,
        state: DriveState,
        assign: Mapping[str, Value] | None = None,
        *,
        add: Mapping[str, int] | None = None,
        remove: tuple[str, ...] = (),
        generation: int | None = None,
    ) -> DriveRecord | None:
        """Move a drive to `state`; None if its revision, generation or present state does not allow it."""
        condition = Attr("revision").eq(revision) & in_one_of(sources_of(state))
        if generation is not None:
            condition &= Attr("generation").eq(generation)
        assigned: dict[str, Value] = {"drive_state": state.value, "updated_ns": self._clock(), **(assign or {})}
        change = ItemChange(assigned, add=add or {}, remove=remove)
        item = self._table.update(str(drive), DRIVE, change, condition)
        return None if item is None else drive_record(item)

    def _current(self, drive: DriveId, revision: str, generation: int | None = None) -> DriveRecord:
        record = self.drive(drive)
        if record is None or record.state is DriveState.FORGOTTEN:
            self.tombstones.refuse_run(drive, generation)
        if record is None:
            raise UnknownDriveError(f"the ledger has no drive {drive}; `scenelake status` lists the known drives")
        if record.revision != revision or generation not in (None, record.generation):
            current = f"{record.revision} (generation {record.generation})"
            expected = revision if generation is None else f"{revision} (generation {generation})"
            raise SupersededWorkError(f"{drive} has the revision {current}, not {expected}")
        return record

    def _finish_object(self, seen: DriveRecord, outcome: ObjectOutcome) -> None:
        assigned: dict[str, Value] = {"object_state": outcome.state.value, "generation": seen.generation}
        if seen.revision is not None:
            assigned["revision"] = seen.revision
        not_later = Attr("generation").not_exists() | Attr("generation").lte(seen.generation)
        condition = Attr("version_id").eq(outcome.version_id) & not_later
        self._table.update(str(seen.drive), object_sort_key(outcome.key), ItemChange(assigned), condition)
