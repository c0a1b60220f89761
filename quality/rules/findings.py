"""A finding: one rule that did not pass, on one subject, with the measured value."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable

import msgspec

from quality.errors import FindingError
from quality.rules.catalogue import Outcome, Severity, rule
from sensors.printable import printable

MAX_MESSAGE_CHARACTERS = 2000

SortKey = tuple[str, bool, str, bool, float, bool, float, str, str]


@functools.total_ordering
class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule that failed, or could not be evaluated (`measured` is None).

    `override` is the severity where the rig or the sensor's role changes the rule's own (None if it does not). The order is
    total: rule, sensor, measured, threshold, message, severity; an absent value comes before any other. It is part of the
    documents that one step leaves for another (`scenes.documents`). `message` quotes what files hold, and is shown in
    terminals, logs and pages: one printable line, of 2,000 characters at most.

    Raises:
        UnknownRuleError: `rule_id` is not in the catalogue.
        FindingError: `measured` or `threshold` is not finite; a value that cannot be measured is None.
    """

    rule_id: str
    sensor: str | None
    measured: int | float | None  # an integer stays an integer
    threshold: int | float | None
    message: str
    override: Severity | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "message", printable(self.message, MAX_MESSAGE_CHARACTERS))
        if self.override is rule(self.rule_id).severity:
            msgspec.structs.force_setattr(self, "override", None)
        for name, value in (("measured", self.measured), ("threshold", self.threshold)):
            if value is not None and not math.isfinite(value):
                raise FindingError(f"{self.rule_id}: {name} is {value}; give None for what cannot be evaluated")

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Finding):
            return NotImplemented
        return self.sort_key() < other.sort_key()

    def sort_key(self) -> SortKey:
        """The sort key; `sorted(…, key=Finding.sort_key)` computes it once per finding."""
        return (
            self.rule_id,
            self.sensor is not None,
            self.sensor or "",
            self.measured is not None,
            self.measured or 0.0,
            self.threshold is not None,
            self.threshold or 0.0,
            self.message,
            self.override or "",
        )

    @property
    def severity(self) -> Severity:
        """The override, else the rule's own."""
        return self.override or rule(self.rule_id).severity

    @property
    def outcome(self) -> Outcome:
        """Failed, or unknown where no value could be measured."""
        return Outcome.UNKNOWN if self.measured is None else Outcome.FAILED


def finding(
    rule_id: str,
    message: str,
    *,
    sensor: str | None = None,
    measured: float | None = None,
    threshold: float | None = None,
    severity: Severity | None = None,
) -> Finding:
    """A finding of `rule_id` with the catalogue's threshold unless one is given.

    An infinite or NaN `measured` becomes None.
    """
    entry = rule(rule_id)
    return Finding(
        rule_id=rule_id,
        sensor=sensor,
        measured=measured if measured is not None and math.isfinite(measured) else None,
        threshold=entry.threshold if threshold is None else threshold,
        message=message,
        override=severity,
    )


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any of the findings is an error."""
    return any(entry.severity is Severity.ERROR for entry in findings)


def rule_ids(findings: Iterable[Finding], severity: Severity | None = None) -> tuple[str, ...]:
    """The rule ids of the findings (of one severity), sorted, each once."""
    return tuple(sorted({entry.rule_id for entry in findings if severity in (None, entry.severity)}))
