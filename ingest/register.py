"""The landing use case: registers objects, and sends exactly one message per revision once a drive is complete.

Level-triggered: an event only names a key. The ledger gets the state that S3 reports now, so duplicate, reordered and late
events have the same effect. A handler that is killed leaves one of these states, each of which is found:

| killed after | found by |
| --- | --- |
| nothing | the event's redelivery; without one, reconciliation |
| the object registered, which marks its drive in the same transaction | the event's redelivery, or the sweep of settling drives |
| the revision queued, not sent (or sent, mark not cleared) | the outbox sweep, which may send a second, equal message |
| the message sent, and then lost by the queue | the sweep of drives whose message is missing |

What kills a handler may be the drive that it evaluates, time and again. So an evaluation is marked before it reads anything of
the drive, and where two did not end, a handler leaves the drive to the sweep, which takes it behind all others: neither the
other messages of its batch nor the other drives of the fleet wait for it.

An event whose object S3 does not have is skipped: emulators announce a multipart upload before there is an object, and the
completing event, or reconciliation, follows. A deleted object keeps its registered version.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import replace

from ingest.assess import Assessment, assess
from ingest.errors import ContentionError, GoneError, UnknownDriveError, UnversionedError
from ingest.ledger.records import NO_VERSION, DriveRecord, ObjectHead, ObjectRecord, RefusedRecord, Requeue
from ingest.ledger.states import DriveState
from ingest.ledger.work_message import DriveWork, WorkReason
from ingest.ports import Clock, LandingObjects, LandingStore, WorkSender
from ingest.retries import Sleep, on_contention
from lake.documents import MAX_DOCUMENT_BYTES, Manifest
from lake.drive_input import input_key
from lake.errors import LandingError
from lake.landing import DriveId, drive_of_prefix, parse_raw_key
from sensors.time_units import NS_PER_S

MAX_MESSAGE_CHARACTERS = 500
REFUSED_RULE = "KEY001"
_MANIFESTS_KEPT = 4
_TRIES = 2  # of a drive by handlers, where none ends
_TRIES_AT_ONCE = 4
_TRY_S = 20.0  # an evaluation that began less than this ago may be under way

_log = logging.getLogger(__name__)


class Registrar:
    """Registers objects and queues drives."""

    def __init__(
        self,
        objects: LandingObjects,
        ledger: LandingStore,
        queue: WorkSender,
        clock: Clock = time.time_ns,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._objects = objects
        self._ledger = ledger
        self._queue = queue
        self._clock = clock
        self._retry = on_contention(sleep)
        self._manifests: OrderedDict[tuple[str, str, str], Manifest | str] = OrderedDict()

    def register(self, key: str) -> DriveId | None:
        """Write the current version of `key` to the ledger and return its drive, which must then be evaluated.

        None if there is nothing to evaluate: no such object, or one that is refused, because of its key or because its drive was
        forgotten.

        Raises:
            ContentionError: Other writers kept registering versions of the same object.
            UnversionedError: The object has no version id.
        """
        try:
            drive = parse_raw_key(key).drive
        except LandingError as error:
            self._refuse(key, str(error))
            return None
        return self._retry(self._try_to_register, drive, key)

    def _try_to_register(self, drive: DriveId, key: str) -> DriveId | None:
        previous = self._ledger.object_of(drive, key)
        head = self._head(key)
        if head is None:
            _log.info("object_absent", extra={"key": key})
            return None
        known = previous is not None and (previous.version_id, previous.head.etag) == (head.version_id, head.etag)
        if not known and not self._ledger.put_object(drive, head, previous):
            if self._ledger.forgotten(drive) is not None:
                self._refuse_late(drive, head)
                return None
            raise ContentionError(f"{key!r} kept changing while it was being registered")
        if known:
            self._ledger.touch(drive)
        _log.info("object_registered", extra={"key": key, "version_id": head.version_id, "known": known})
        return drive

    def evaluate(self, drive: DriveId, *, overdue: bool = False, swept: bool = False) -> DriveRecord:
        """Queue the drive if it is complete or `overdue`, and return its record.

        A drive that seems to kill whoever evaluates it stays as it is, unless it is `swept`.

        Every registration is followed by an evaluation, and a snapshot that is out of date cannot be queued, so the last one
        to register sees everything.

        Raises:
            UnknownDriveError: Nothing of the drive has landed.
            ContentionError: Other writers kept changing the drive.
            StoreError: The manifest cannot be read.
        """
        return self._retry(self._try_to_evaluate, drive, overdue, swept)

    def _try_to_evaluate(self, drive: DriveId, overdue: bool, swept: bool) -> DriveRecord:
        record = self._ledger.drive(drive)  # before its objects: see `queue`
        if record is None:
            raise UnknownDriveError(f"the ledger has no drive {drive}; nothing of it has landed")
        if record.state is DriveState.FORGOTTEN:
            return record
        if not overdue and self._ledger.object_of(drive, drive.manifest_key) is None:
            if swept:
                self._ledger.pass_over(drive)
            return record  # the common case, an object before its manifest, must not read all the others
        if self._seems_deadly(record) and not swept:
            return record
        self._ledger.begin_evaluation(drive)
        try:
            return self._queue_or_wait(record, overdue)
        except Exception:
            self._ledger.end_evaluation(drive)
            raise

    def _seems_deadly(self, record: DriveRecord) -> bool:
        under_way = record.tries < _TRIES_AT_ONCE and self._clock() - record.tried_ns < round(_TRY_S * NS_PER_S)
        if record.tries < _TRIES or under_way:
            return False
        _log.warning("evaluations_did_not_end", extra={"drive": record.drive, "tries": record.tries})
        return True

    def _queue_or_wait(self, record: DriveRecord, overdue: bool) -> DriveRecord:
        found = self.assess(record, overdue=overdue)
        unchanged = found.input.revision == record.revision
        if found.reason is None and not unchanged:
            first = [lack.key for lack in found.missing[:1]]
            _log.info("drive_waits", extra={"drive": record.drive, "missing": len(found.missing), "first": first})
            self._ledger.end_evaluation(record.drive)
            return record
        if found.reason is None or unchanged:
            if self._ledger.settle(record):
                return record
            raise _contention(record.drive)
        pinned = self.with_newest_baseline(found) if record.generation == 0 else found
        queued = self._ledger.queue(record, self.prepare(pinned, found.reason))
        if queued is None:
            raise _contention(record.drive)
        self.deliver(queued)
        return queued

    def with_newest_baseline(self, found: Assessment) -> Assessment:
        """An assessment whose input pins the current version of the vehicle's baseline.

        Raises:
            StoreError: It exceeds its size limit.
        """
        newest = self._objects.baseline(found.input.drive.vehicle_id)
        return replace(found, input=replace(found.input, baseline=newest))

    def deliver(self, queued: DriveRecord) -> None:
        """Send the work message of a queued revision, then clear its outbox mark."""
        if queued.revision is None or queued.reason is None:
            raise UnknownDriveError(f"{queued.drive} has no revision to send")
        self._queue.send(DriveWork(queued.drive, queued.revision, queued.reason))
        self._ledger.sent(queued)
        facts = {"revision": queued.revision, "reason": queued.reason, "generation": queued.generation}
        _log.info("work_sent", extra={"drive": queued.drive, **facts})

    def prepare(self, found: Assessment, reason: WorkReason) -> Requeue:
        """Store the input document of an assessment, so that its revision can be queued."""
        self._objects.keep_input(input_key(found.input.drive, found.input.revision), found.input.to_bytes())
        manifest_version = None if found.input.manifest is None else found.input.manifest.version_id
        return Requeue(
            found.input.revision, reason, manifest_version, found.manifest_fault, found.input.overrides, found.input.baseline
        )

    def assess(self, record: DriveRecord, *, overdue: bool = False) -> Assessment:
        """Assess a drive from its record and its registered objects.

        Raises:
            StoreError: The manifest cannot be read.
        """
        objects = {known.key: known for known in self._ledger.objects(record.drive)}
        read = self._manifest(record.drive, objects.get(record.drive.manifest_key))
        manifest = read if isinstance(read, Manifest) else None
        fault = read if isinstance(read, str) else None
        taken = self._ledger.decisions(record.drive) if record.decisions else ()
        decisions = [text for decision in taken for text in decision.overrides]
        return assess(record, objects, manifest, fault, overdue=overdue, decisions=decisions)

    def _manifest(self, drive: DriveId, known: ObjectRecord | None) -> Manifest | str | None:
        """The parsed manifest, why it cannot be used, or None if there is none. Versions never change, so they are cached."""
        if known is None:
            return None
        if known.head.size_bytes > MAX_DOCUMENT_BYTES:
            return f"manifest of {known.head.size_bytes} bytes exceeds {MAX_DOCUMENT_BYTES}"
        identity = (known.key, known.version_id, known.head.etag)
        if identity not in self._manifests:
            try:
                self._manifests[identity] = Manifest.parse(self._objects.read(known.head, MAX_DOCUMENT_BYTES), drive)
            except GoneError as error:
                return str(error)
            except LandingError as error:
                _log.info("manifest_unusable", extra={"drive": drive, "version_id": known.version_id, "fault": error})
                self._manifests[identity] = str(error)
            if len(self._manifests) > _MANIFESTS_KEPT:
                self._manifests.popitem(last=False)
        return self._manifests[identity]

    def _head(self, key: str) -> ObjectHead | None:
        head = self._objects.head(key)
        if head is not None and head.version_id == NO_VERSION:
            raise UnversionedError(
                f"{key!r} has no version id: it was put while versioning of the raw bucket was not enabled",
                "see that versioning is enabled, then put the object again",
            )
        return head

    def _refuse(self, key: str, message: str) -> None:
        head = self._head(key)
        drive = drive_of_prefix(key)
        if head is not None and drive is not None and self._ledger.forgotten(drive) is not None:
            self._refuse_late(drive, head)
            return
        if head is None or any(seen.head.version_id == head.version_id for seen in self._ledger.refused_versions(key)):
            return
        uri = self._objects.keep_refused(head)
        self._ledger.refuse(RefusedRecord(head, REFUSED_RULE, message[-MAX_MESSAGE_CHARACTERS:], uri, self._clock()))
        facts = {"version_id": head.version_id, "rule_id": REFUSED_RULE, "payload_uri": uri}
        _log.info("object_refused", extra={"key": key, **facts})

    def _refuse_late(self, drive: DriveId, head: ObjectHead) -> None:
        """Count a version of a drive that was forgotten. No name and no copy of it is kept; it stays in the raw bucket until the
        drive is forgotten again, which the audit asks for."""
        self._ledger.refuse_late(drive, head)
        _log.warning("object_of_forgotten_drive", extra={"size_bytes": head.size_bytes})


def _contention(drive: DriveId) -> ContentionError:
    return ContentionError(f"{drive} kept changing while it was being evaluated")
