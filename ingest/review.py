"""The use case of a review: release, reject, reprocess. Each has exactly one effect, or a clear answer and none.

A decision and what follows from it are one transaction on a drive that is at rest, on the data that the reviewer saw
(ADR 0016). Whoever loses a race looks again and is told what the other one did. A killed process leaves nothing, or a
queued revision whose message the outbox sweep sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ingest.assess import Assessment
from ingest.errors import ContentionError, DecidedError, DriveBusyError, ReviewError, StaleReviewError, UnknownDriveError
from ingest.journal import note
from ingest.ledger.records import DecisionRecord, DriveRecord
from ingest.ledger.states import FINAL, DriveState
from ingest.ledger.work import Reason
from ingest.ports import ReviewStore
from ingest.register import Registrar
from lake.landing import DriveId
from lake.overrides import MAX_OVERRIDE_BYTES, Override, Verdict

MAX_ATTEMPTS = 5
_DONE = {Verdict.RELEASE: "released", Verdict.REJECT: "rejected"}


class ReviewDesk:
    """Takes decisions about drives."""

    def __init__(self, registrar: Registrar, ledger: ReviewStore) -> None:
        self._registrar = registrar
        self._ledger = ledger

    def release(self, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord:
        """Let in what `overrides` name: record it, and queue the revision that holds it.

        Args:
            drive: The drive.
            revision: The revision whose records the reviewer saw.
            overrides: All of verdict `release`, about the data of that revision.

        Raises:
            UnknownDriveError: The ledger has no such drive.
            DriveBusyError: It is being processed, or its last run failed.
            StaleReviewError: It has another revision, or other objects, by now.
            DecidedError: A target was released or rejected before.
            ReviewError: The drive's decisions have no room for these.
            ContentionError: Others changed the drive all the time.
        """
        return self._decide(drive, revision, overrides, Verdict.RELEASE)

    def reject(self, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord:
        """Keep out for good what `overrides` name. Nothing is processed: it is out already. Raises as `release`."""
        return self._decide(drive, revision, overrides, Verdict.REJECT)

    def reprocess(self, drive: DriveId) -> DriveRecord:
        """Judge a drive again as it is, with every decision that was taken about it: a new generation of its data.

        Raises: as `release`, but for DecidedError.
        """
        for _ in range(MAX_ATTEMPTS):
            seen = self._at_rest(drive)
            queued = self._ledger.queue(seen, self._registrar.prepare(self._decided_input(seen, ()), Reason.REPROCESS))
            if queued is not None:
                self._registrar.deliver(queued)
                return queued
        raise ContentionError(f"{drive} changed {MAX_ATTEMPTS} times while it was being queued")

    def _decide(self, drive: DriveId, revision: str, overrides: Sequence[Override], verdict: Verdict) -> DriveRecord:
        if not overrides or any(override.verdict is not verdict for override in overrides):
            raise ReviewError(f"{drive}: nothing to {verdict}, or overrides of another verdict among them")
        for _ in range(MAX_ATTEMPTS):
            seen = self._at_rest(drive)
            if seen.revision != revision:
                raise StaleReviewError(f"{drive} has the revision {seen.revision}, not {revision}: look at its records again")
            _refuse_decided(drive, overrides, self._ledger.decisions(drive))
            found = self._decided_input(seen, overrides)
            # A rejection changes nothing that is published: it waits for the next revision, whatever brings that about.
            requeue = self._registrar.prepare(found, Reason.RELEASED) if verdict is Verdict.RELEASE else None
            written = self._ledger.decide(seen, frozenset(override.to_string() for override in overrides), requeue)
            if written is not None:
                note("decided", drive=drive, verdict=verdict, reviewer=overrides[0].reviewer, number=written.decisions)
                if verdict is Verdict.RELEASE:
                    self._registrar.deliver(written)
                return written
        raise ContentionError(f"{drive} changed {MAX_ATTEMPTS} times while a decision about it was being recorded")

    def _at_rest(self, drive: DriveId) -> DriveRecord:
        seen = self._ledger.drive(drive)
        if seen is None:
            raise UnknownDriveError(f"the ledger has no drive {drive}; nothing of it has landed")
        if seen.state is DriveState.FAILED:
            raise DriveBusyError(f"the last run of {drive} failed and will be tried again: decide when it is through")
        if seen.state not in FINAL:
            why = f", reason {seen.reason}" if seen.reason else ""
            raise DriveBusyError(f"{drive} is {seen.state} (generation {seen.generation}{why}): its records are judged again")
        return seen

    def _decided_input(self, seen: DriveRecord, more: Iterable[Override]) -> Assessment:
        """The drive's current data with all decisions about it, and `more`."""
        found = self._registrar.assess(seen)
        if found.input.revision != seen.revision:
            raise StaleReviewError(f"objects of {seen.drive} have landed that nothing was made of yet: wait for that first")
        base = found.input.base
        if any(override.input != base for override in more):
            raise StaleReviewError(f"{seen.drive} has other data by now than was looked at: look at its records again")
        texts = {text for decision in self._ledger.decisions(seen.drive) for text in decision.overrides}
        texts |= {override.to_string() for override in more}
        held = frozenset(text for text in texts if Override.parse(text).input == base)
        if (size := sum(len(text.encode()) for text in held)) > MAX_OVERRIDE_BYTES:
            raise ReviewError(
                f"{seen.drive}: its decisions would take {size} bytes, more than {MAX_OVERRIDE_BYTES}; where so much is "
                "concerned, mend the rule's threshold or the rig and replay the drive"
            )
        return replace(found, input=replace(found.input, overrides=held))


def _refuse_decided(drive: DriveId, wanted: Sequence[Override], log: Sequence[DecisionRecord]) -> None:
    targets = {target: override.input for override in wanted for target in override.targets}
    for decision in log:
        for override in map(Override.parse, decision.overrides):
            again = sorted(target for target in override.targets if targets.get(target) == override.input)
            if again:
                more = f" and {len(again) - 1} more" if len(again) > 1 else ""
                raise DecidedError(
                    f"{drive} {again[0]}{more}: {_DONE[override.verdict]} already by {override.reviewer}: {override.reason}"
                )
