"""The use cases of a review: release, reject, reprocess, requeue. Each has exactly one effect, or none and a clear error.

A decision and its effect are one transaction on a drive in a final state, on the data that the reviewer saw (ADR 0016). The
loser of a race reads again, and its error names the other decision. A killed process leaves nothing, or a queued revision
whose message the outbox sweep sends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ingest.assess import Assessment
from ingest.errors import (
    AtRestError,
    ContentionError,
    DecidedError,
    DriveBusyError,
    ReviewError,
    StaleReviewError,
    UnknownDriveError,
)
from ingest.ledger.records import DecisionRecord, DriveRecord
from ingest.ledger.states import FINAL, WAITING, DriveState
from ingest.ledger.work_message import WorkReason
from ingest.ports import ReviewStore
from ingest.register import Registrar
from ingest.retries import Sleep, on_contention
from lake.landing import DriveId
from lake.overrides import MAX_OVERRIDE_BYTES, Override, Verdict, subject

_NOT_WAITING = {
    DriveState.LANDING: "it is queued once every object in its manifest has landed, or once it is overdue",
    DriveState.PUBLISHED: "`scenelake drive reprocess` processes it again",
    DriveState.QUARANTINED: "`scenelake drive reprocess` processes it again",
    DriveState.FORGOTTEN: "it is being forgotten",
}
_DONE = {Verdict.RELEASE: "released", Verdict.REJECT: "rejected"}

_log = logging.getLogger(__name__)


class ReviewDesk:
    """Records decisions about drives."""

    def __init__(self, registrar: Registrar, ledger: ReviewStore, sleep: Sleep = time.sleep) -> None:
        self._registrar = registrar
        self._ledger = ledger
        self._retry = on_contention(sleep)

    def release(self, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord:
        """Admit the targets of `overrides`: record the decision, and queue the revision that includes it.

        Args:
            drive: The drive.
            revision: The revision whose records the reviewer saw.
            overrides: All have the verdict `release` and are about the data of that revision.

        Raises:
            UnknownDriveError: The ledger has no such drive.
            DriveBusyError: It is being processed, or its last run failed.
            StaleReviewError: Its revision or its objects have changed in the meantime.
            DecidedError: A target was released or rejected before.
            ReviewError: The drive's decisions would exceed their size limit.
            ContentionError: Other writers kept changing the drive.
        """
        return self._retry(self._try_to_decide, drive, revision, overrides, Verdict.RELEASE)

    def reject(self, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord:
        """Keep the targets of `overrides` out for good. Nothing is processed: they are out already. Raises as `release`."""
        return self._retry(self._try_to_decide, drive, revision, overrides, Verdict.REJECT)

    def reprocess(self, drive: DriveId) -> DriveRecord:
        """Process the current data of a drive again, with every decision about it and the newest baseline: a new generation.

        A drive whose last run failed may be reprocessed too: the message of that run is for an older generation then.

        Raises: as `release`, but for DecidedError.
        """
        return self._retry(self._try_to_reprocess, drive)

    def requeue(self, drive: DriveId) -> DriveRecord:
        """Send the work message of a drive again that has not finished: the same revision and generation.

        One message too many does no harm; whoever receives it finds the work done or under way.

        Raises:
            UnknownDriveError: The ledger has no such drive.
            AtRestError: It has finished, or was never queued.
            ContentionError: Others kept changing the drive.
        """
        return self._retry(self._try_to_requeue, drive)

    def _try_to_requeue(self, drive: DriveId) -> DriveRecord:
        seen = self._known(drive)
        if seen.state not in WAITING:
            raise AtRestError(f"{drive} is {seen.state}: it has no work message", _NOT_WAITING[seen.state])
        marked = self._ledger.resend(seen)
        if marked is None:
            raise ContentionError(f"{drive} kept changing while its work message was being sent again")
        self._registrar.deliver(marked)
        return marked

    def _try_to_reprocess(self, drive: DriveId) -> DriveRecord:
        seen = self._known(drive)
        if seen.state is not DriveState.FAILED:
            self._check_at_rest(seen)
        found = self._registrar.with_newest_baseline(self._decided_input(seen, ()))
        self._check_size(found)
        queued = self._ledger.queue(seen, self._registrar.prepare(found, WorkReason.REPROCESS))
        if queued is None:
            raise ContentionError(f"{drive} kept changing while it was being queued")
        self._registrar.deliver(queued)
        return queued

    def _try_to_decide(self, drive: DriveId, revision: str, overrides: Sequence[Override], verdict: Verdict) -> DriveRecord:
        if not overrides or any(override.verdict is not verdict for override in overrides):
            raise ReviewError(f"{drive}: nothing to {verdict}, or an override with another verdict")
        seen = self._known(drive)
        self._check_at_rest(seen)
        if seen.revision != revision:
            raise StaleReviewError(f"{drive} has the revision {seen.revision}, not {revision}: review its records again")
        found = self._decided_input(seen, overrides)
        _refuse_decided(drive, overrides, self._ledger.decisions(drive), found.input.bases)
        self._check_size(found)
        # A rejection does not change published data: it takes effect with the next revision, whatever its reason.
        requeue = self._registrar.prepare(found, WorkReason.RELEASED) if verdict is Verdict.RELEASE else None
        written = self._ledger.decide(seen, frozenset(override.to_string() for override in overrides), requeue)
        if written is None:
            raise ContentionError(f"{drive} kept changing while a decision about it was being recorded")
        facts = {"verdict": verdict, "reviewer": overrides[0].reviewer, "number": written.decisions}
        _log.info("decided", extra={"drive": drive, **facts})
        if verdict is Verdict.RELEASE:
            self._registrar.deliver(written)
        return written

    def _known(self, drive: DriveId) -> DriveRecord:
        seen = self._ledger.drive(drive)
        if seen is None:
            raise UnknownDriveError(f"the ledger has no drive {drive}; nothing of it has landed")
        return seen

    @staticmethod
    def _check_at_rest(seen: DriveRecord) -> None:
        again = "`scenelake drive requeue` sends its message again, should that be lost"
        if seen.state is DriveState.FAILED:
            raise DriveBusyError(f"the last run of {seen.drive} failed and will be retried: decide once it has finished", again)
        if seen.state in WAITING:
            why = f", reason {seen.reason}" if seen.reason else ""
            raise DriveBusyError(
                f"{seen.drive} is {seen.state} (generation {seen.generation}{why}): its records are being judged again", again
            )
        if seen.state not in FINAL:
            why = "nothing of it is kept" if seen.state is DriveState.FORGOTTEN else "not everything of it has landed"
            raise DriveBusyError(f"{seen.drive} is {seen.state}: {why}", _NOT_WAITING[seen.state])

    def _decided_input(self, seen: DriveRecord, more: Iterable[Override]) -> Assessment:
        """The drive's current data with all decisions about it, including `more`."""
        found = self._registrar.assess(seen)
        if found.input.revision != seen.revision:
            raise StaleReviewError(f"objects of {seen.drive} have landed that are not processed yet: wait until they are")
        bases = found.input.bases
        if any(override.input not in bases for override in more):
            raise StaleReviewError(f"the data of {seen.drive} has changed since the reviewer saw it: review its records again")
        texts = {text for decision in self._ledger.decisions(seen.drive) for text in decision.overrides}
        texts |= {override.to_string() for override in more}
        held = frozenset(text for text in texts if Override.parse(text).input in bases)
        return replace(found, input=replace(found.input, overrides=held))

    @staticmethod
    def _check_size(found: Assessment) -> None:
        if (size := sum(len(text.encode()) for text in found.input.overrides)) > MAX_OVERRIDE_BYTES:
            raise ReviewError(
                f"{found.input.drive}: its decisions would take {size} bytes, more than {MAX_OVERRIDE_BYTES}; with so many "
                "records, correct the rule's threshold or the rig instead and replay the drive"
            )


def _refuse_decided(drive: DriveId, overrides: Sequence[Override], log: Sequence[DecisionRecord], bases: frozenset[str]) -> None:
    targets = {subject(target) for override in overrides for target in override.targets}
    for decision in log:
        for override in map(Override.parse, decision.overrides):
            again = sorted(targets & set(map(subject, override.targets)))
            if again and override.input in bases:
                more = f" and {len(again) - 1} more" if len(again) > 1 else ""
                raise DecidedError(
                    f"{drive} {again[0]}{more}: {_DONE[override.verdict]} already by {override.reviewer}: {override.reason}"
                )
