"""The ledger's half that a run of a drive writes: begin, finish, fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from ingest.errors import LedgerError, SupersededWorkError, TransitionError, UnknownDriveError
from ingest.ledger.items import DRIVE, drive_record, object_sort_key
from ingest.ledger.records import DriveRecord, Json, ObjectOutcome
from ingest.ledger.states import FINAL, DriveState, sources_of
from ingest.ledger.table import LedgerTable, Value
from lake.documents import canonical_json
from lake.landing import DriveId

MAX_DETAIL_BYTES = 64 * 1024  # an item holds 400 KB
_WRITERS = 8


class RunLedger:
    """What runs do to drives. Every step names its revision and is refused once the drive has another one."""

    def __init__(self, table: LedgerTable, clock: Callable[[], int]) -> None:
        self._table = table
        self._clock = clock

    def begin(self, drive: DriveId, revision: str) -> DriveRecord:
        """Take a queued revision into work, again if need be.

        Returns:
            The drive as `processing`; as `published` or `quarantined` if this revision is finished already, and then
            nothing was written: only its message is left to delete.

        Raises:
            SupersededWorkError: The drive has another revision by now.
            UnknownDriveError: The ledger has no such drive.
        """
        change = "SET #drive_state = :to, #updated_ns = :now ADD #attempts :one"
        begun = self._step(drive, revision, DriveState.PROCESSING, change, {"one": 1})
        if begun is not None:
            return begun
        record = self._current(drive, revision)
        if record.state in FINAL:
            return record
        raise TransitionError(f"{drive} is {record.state}, which cannot be begun")

    def finish(
        self,
        drive: DriveId,
        revision: str,
        state: DriveState,
        outcomes: Iterable[ObjectOutcome],
        detail: Mapping[str, Json],
        *,
        generation: int | None = None,
    ) -> DriveRecord:
        """Record what a revision came to: its objects first, then the drive. Doing it twice changes nothing more.

        An outcome is written only to the version it names: a newer version that has landed stays pending. With `generation`,
        a run that outlived its drive's reprocessing cannot end it, although the revision is the same.

        Raises:
            SupersededWorkError: The drive has another revision, or generation, by now.
            UnknownDriveError: The ledger has no such drive.
            TransitionError: `state` is not final, or this revision already came to the other end.
            LedgerError: `detail` exceeds 64 KiB of JSON.
        """
        if state not in FINAL:
            raise TransitionError(f"a run ends as {' or '.join(sorted(FINAL))}, not as {state}; use fail() for a failed one")
        said = _bounded(detail)
        self._current(drive, revision, generation)
        with ThreadPoolExecutor(max_workers=_WRITERS) as writers:
            for _ in writers.map(lambda outcome: self._settle_object(drive, revision, outcome), outcomes):
                pass
        change = "SET #drive_state = :to, #updated_ns = :now, #detail = :detail"
        ended = self._step(drive, revision, state, change, {"detail": said}, generation)
        if ended is not None:
            return ended
        record = self._current(drive, revision, generation)
        if record.state is state:
            return record
        raise TransitionError(f"{drive} is {record.state} and cannot become {state}")

    def fail(self, drive: DriveId, revision: str, detail: Mapping[str, Json], *, generation: int | None = None) -> DriveRecord:
        """Record that a run failed; its message comes back and may begin it again.

        A revision that is finished already stays finished. `generation` as at `finish`.

        Raises:
            SupersededWorkError: The drive has another revision, or generation, by now.
            UnknownDriveError: The ledger has no such drive.
            LedgerError: `detail` exceeds 64 KiB of JSON.
        """
        change = "SET #drive_state = :to, #updated_ns = :now, #detail = :detail"
        failed = self._step(drive, revision, DriveState.FAILED, change, {"detail": _bounded(detail)}, generation)
        return self._current(drive, revision, generation) if failed is None else failed

    def _step(
        self,
        drive: DriveId,
        revision: str,
        state: DriveState,
        change: str,
        more: Mapping[str, Value],
        generation: int | None = None,
    ) -> DriveRecord | None:
        allowed = {f"from{place}": source.value for place, source in enumerate(sources_of(state))}
        values: dict[str, Value] = {"to": state.value, "now": self._clock(), "revision": revision, **more, **allowed}
        condition = f"#revision = :revision AND #drive_state IN ({', '.join(':' + name for name in allowed)})"
        if generation is not None:
            condition += " AND #generation = :generation"
            values["generation"] = generation
        item = self._table.update(str(drive), DRIVE, change, values, condition)
        return None if item is None else drive_record(item)

    def _current(self, drive: DriveId, revision: str, generation: int | None = None) -> DriveRecord:
        item = self._table.get(str(drive), DRIVE)
        if item is None:
            raise UnknownDriveError(f"the ledger has no drive {drive}; `scenelake status` shows what is known")
        record = drive_record(item)
        if record.revision != revision or generation not in (None, record.generation):
            current = f"{record.revision} (generation {record.generation})"
            wanted = revision if generation is None else f"{revision} (generation {generation})"
            raise SupersededWorkError(f"{drive} has the revision {current}, not {wanted}")
        return record

    def _settle_object(self, drive: DriveId, revision: str, outcome: ObjectOutcome) -> bool:
        return (
            self._table.update(
                str(drive),
                object_sort_key(outcome.key),
                "SET #object_state = :state, #revision = :revision",
                {"state": outcome.state.value, "revision": revision, "version": outcome.version_id},
                "#version_id = :version",
            )
            is not None
        )


def _bounded(detail: Mapping[str, Json]) -> str:
    body = canonical_json(detail)
    if len(body) > MAX_DETAIL_BYTES:
        raise LedgerError(f"detail of {len(body)} bytes exceeds {MAX_DETAIL_BYTES}; keep long lists in the tables")
    return body.decode()
