"""The definition of a rule, and the judgement of one measured value by it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """What a rule judges; an object rule may also judge a single frame of the object."""

    OBJECT = "object"
    DRIVE = "drive"
    SCENE = "scene"


class Severity(StrEnum):
    """An error quarantines what its rule judges, a warning flags it."""

    ERROR = "error"
    WARNING = "warning"


class Outcome(StrEnum):
    """Three-valued: a rule that cannot be evaluated has neither passed nor failed, and is treated as if it had failed."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, value: bool | None) -> Outcome:
        """The outcome of a predicate under SQL logic: None is unknown."""
        if value is None:
            return cls.UNKNOWN
        return cls.PASSED if value else cls.FAILED


class Bound(StrEnum):
    """The side of the threshold on which a value passes; the threshold itself passes."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True, slots=True)
class Leeway:
    """A rig's leeway with a rule: the threshold from `low` to `high` (None: fixed), and the severity as one of `severities`,
    which then applies to every sensor, exceptions included."""

    low: float | None = None
    high: float | None = None
    severities: tuple[Severity, ...] = ()

    def __bool__(self) -> bool:
        return self.low is not None or bool(self.severities)

    def allows_threshold(self, threshold: float) -> bool:
        """Whether a rig may set this threshold; NaN never."""
        return self.low is not None and self.high is not None and self.low <= threshold <= self.high


NO_LEEWAY = Leeway()


@dataclass(frozen=True, slots=True)
class Rule:
    """One check.

    `severity` holds unless `exception` says otherwise. `threshold` is None where the rig sets the limit. `unknown` says when
    the rule cannot be evaluated; empty if it always can. `leeway` is what the rig's `policy.rules` may change: nothing where
    leniency would publish broken data. `rig_key` names the rig's own key for it, where there is one.
    """

    code: str
    name: str
    level: Level
    severity: Severity
    sentence: str
    threshold: float | None
    unit: str
    unknown: str
    bound: Bound = Bound.AT_MOST
    exception: str = ""
    leeway: Leeway = NO_LEEWAY
    rig_key: str = ""

    def judge(self, measured: float | None, threshold: float | None = None) -> Outcome:
        """Compare `measured` with `threshold`, or with the rule's own if that is None; equal passes.

        A value that is None or NaN, or a rule left without any threshold, is unknown.
        """
        limit = self.threshold if threshold is None else threshold
        if measured is None or limit is None or math.isnan(measured) or math.isnan(limit):
            return Outcome.UNKNOWN
        return Outcome.of(measured <= limit if self.bound is Bound.AT_MOST else measured >= limit)
