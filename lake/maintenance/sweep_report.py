"""What a sweep did, or would do, and what it keeps and why."""

from __future__ import annotations

from dataclasses import dataclass, field

from lake.maintenance.candidates import Candidate
from lake.maintenance.judgement import REFERENCED, KeptObject

MOST_LINES = 1_000  # of kept objects that are named; all of them are counted


@dataclass(slots=True)
class ObjectAmount:
    """Objects and their bytes, old versions included."""

    objects: int = 0
    bytes: int = 0

    def add(self, size: int, objects: int = 1) -> None:
        """Count objects."""
        self.objects += objects
        self.bytes += size


@dataclass(slots=True)
class LakeSweepReport:
    """Filled while a sweep runs.

    Attributes:
        applied: Whether anything was deleted and listed, or only would be.
        due: What an earlier sweep listed, too.
        deleted: What of it was deleted.
        candidates: What this sweep listed for the next one.
        kept_by: Kept objects by reason.
        lines: Kept objects that nothing references, up to `MOST_LINES`.
        hidden: Objects that a table needs and that a delete marker hides, up to `MOST_LINES`.
        aborted, kept_uploads: Multipart uploads.
        notes: What else there is to say.
    """

    applied: bool
    due: ObjectAmount = field(default_factory=ObjectAmount)
    deleted: ObjectAmount = field(default_factory=ObjectAmount)
    candidates: ObjectAmount = field(default_factory=ObjectAmount)
    kept_by: dict[str, ObjectAmount] = field(default_factory=dict)
    lines: list[KeptObject] = field(default_factory=list)
    hidden: list[KeptObject] = field(default_factory=list)
    aborted: int = 0
    kept_uploads: int = 0
    notes: list[str] = field(default_factory=list)

    def would_delete(self, candidate: Candidate) -> None:
        """Count an object that both sweeps listed."""
        self.due.add(candidate.bytes)

    def was_deleted(self, candidate: Candidate) -> None:
        """Count an object that is gone."""
        self.deleted.add(candidate.bytes)

    def listed(self, candidate: Candidate) -> None:
        """Count an object for the next sweep."""
        self.candidates.add(candidate.bytes)

    def kept(self, one: KeptObject) -> None:
        """Count an object that stays, and name it unless it is referenced."""
        self.kept_by.setdefault(one.reason, ObjectAmount()).add(one.bytes)
        if one.hidden and len(self.hidden) < MOST_LINES:
            self.hidden.append(one)
        elif one.reason != REFERENCED and len(self.lines) < MOST_LINES:
            self.lines.append(one)

    def upload(self, *, aborted: bool) -> None:
        """Count a multipart upload."""
        self.aborted += aborted
        self.kept_uploads += not aborted

    def note(self, text: str) -> None:
        """Add a sentence."""
        self.notes.append(text)

    def so_far(self) -> str:
        """What was deleted until the sweep stopped."""
        return f"{self.deleted.objects} objects ({self.deleted.bytes} bytes) were deleted, the rest remains as it was"
