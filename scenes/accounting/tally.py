"""The result of an audit in bounded memory: sums for each kind of check, and the first of those that do not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from scenes.accounting.drive_audit import DriveAudit
from scenes.accounting.identity import LANDED, Check
from scenes.errors import DocumentError

MOST_FAILURES = 1000  # named; the others are counted
MOST_OPEN = 1000  # drives named with objects that arrived during the audit
VERSION = 1


class CheckTotal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All checks of one kind: both sides summed, how many there were, and how many do not hold."""

    name: str
    left: int
    right: int
    scopes: int
    failed: int

    @property
    def ok(self) -> bool:
        """Whether all of them hold."""
        return not self.failed


class FailedCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A check that does not hold."""

    name: str
    scope: str
    left: int
    right: int
    detail: str


class AuditResultDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The result of an audit.

    `as_of_ns`: what landed at this time or later is not part of it. `failed` counts the checks that do not hold, `failures` names
    the first `MOST_FAILURES` of them. `arriving` counts objects that landed during the audit and were not in the ledger yet;
    `open_drives` are theirs, at most `MOST_OPEN`.
    """

    version: int = VERSION
    as_of_ns: int
    drives: int
    unbalanced_drives: int
    checks: int
    failed: int
    totals: tuple[CheckTotal, ...]
    failures: tuple[FailedCheck, ...]
    arriving: int
    open_drives: tuple[str, ...]

    @property
    def balanced(self) -> bool:
        """Whether every check holds."""
        return not self.failed

    @property
    def can_be_signed(self) -> bool:
        """Whether everything balances but for drives that are all named."""
        return self.balanced and len(self.open_drives) < MOST_OPEN


@dataclass(slots=True)
class AuditTally:
    """Adds up drives as they are audited. Its size depends on the kinds of checks, not on the drives.

    `each` is called with every check.
    """

    as_of_ns: int
    each: Callable[[Check], None] | None = None
    drives: int = 0
    unbalanced_drives: int = 0
    arriving: int = 0
    _totals: dict[str, list[int]] = field(default_factory=dict)
    _failures: list[FailedCheck] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def add(self, found: DriveAudit) -> None:
        """Count a drive."""
        self.drives += 1
        self.unbalanced_drives += not found.balanced
        self.arriving += found.arriving
        if found.arriving and len(self._open) < MOST_OPEN:
            self._open.append(str(found.drive))
        self.add_checks(found.checks)

    def add_checks(self, checks: Iterable[Check]) -> None:
        """Count checks that belong to no drive, or to one that is counted."""
        for check in checks:
            if self.each is not None:
                self.each(check)
            self._add_total(CheckTotal(check.name, check.left, check.right, 1, int(not check.ok)))
            if not check.ok and len(self._failures) < MOST_FAILURES:
                self._failures.append(FailedCheck(check.name, check.scope, check.left, check.right, check.detail))

    def add_result(self, part: AuditResultDocument) -> None:
        """Count drives that were audited elsewhere; parts come in the order of their drives."""
        self.drives += part.drives
        self.unbalanced_drives += part.unbalanced_drives
        self.arriving += part.arriving
        for total in part.totals:
            self._add_total(total)
        self._failures += part.failures[: MOST_FAILURES - len(self._failures)]
        self._open += part.open_drives[: MOST_OPEN - len(self._open)]

    def _add_total(self, one: CheckTotal) -> None:
        sums = self._totals.setdefault(one.name, [0, 0, 0, 0])
        for place, amount in enumerate((one.left, one.right, one.scopes, one.failed)):
            sums[place] += amount

    def result(self) -> AuditResultDocument:
        """The result so far."""
        totals = tuple(CheckTotal(name, *sums) for name, sums in sorted(self._totals.items(), key=lambda item: _rank(item[0])))
        return AuditResultDocument(
            as_of_ns=self.as_of_ns,
            drives=self.drives,
            unbalanced_drives=self.unbalanced_drives,
            checks=sum(total.scopes for total in totals),
            failed=sum(total.failed for total in totals),
            totals=totals,
            failures=tuple(sorted(self._failures, key=lambda failure: (failure.name, failure.scope))),
            arriving=self.arriving,
            open_drives=tuple(sorted(self._open)),
        )


def read_result(body: bytes) -> AuditResultDocument:
    """Read a result that was written as JSON.

    Raises:
        DocumentError: It is damaged, or of another version.
    """
    try:
        found = msgspec.json.decode(body, type=AuditResultDocument)
    except msgspec.DecodeError as error:
        raise DocumentError(f"the result of an audit is damaged: {error}") from error
    if found.version != VERSION:
        raise DocumentError(f"the result of an audit has the version {found.version}, this code reads {VERSION}")
    return found


def _rank(name: str) -> tuple[bool, str]:
    return name != LANDED, name
