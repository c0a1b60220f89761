"""Cases for the rules: a drive with one fault, the rule that must report it, and the rules that may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class Case:
    """One fault at one size, in a small drive.

    `faults`: texts of `fleet.fault_kinds`, the first of them the one of interest; none in a clean drive. `sensor`: the one
    whose finding counts; None where the rule has no sensor. `also`: rules that the fault legitimately triggers, too: they
    are neither hits nor false alarms. `size`: of the fault, in the scorer's unit. `stated`: whether a miss counts; a fault
    below the smallest promised size is tried, but a miss of it does not count. `whole`: whether the fault lasts all drive
    long, so that the drive has no sound frames of the sensor to compare with. `source`: the kind of drive.
    """

    rule: str
    faults: tuple[str, ...] = ()
    sensor: str | None = None
    size: float = 1.0
    stated: bool = True
    whole: bool = False
    also: frozenset[str] = frozenset()
    duration_s: float = 3.0
    rig: tuple[tuple[str, Any], ...] = ()
    source: str = SYNTHETIC

    @property
    def counts(self) -> bool:
        """Whether it is a fault of a generated drive: only they are a sample of which precision and recall can be stated."""
        return bool(self.rule) and self.source.startswith(SYNTHETIC)


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of one case with one seed: whether its rule reported its sensor, and each false alarm as (rule, sensor).

    Of a recording as it is, `errors` are the rules that are errors or not known at that severity, and `true` those of its
    alarms that it is known to deserve.
    """

    case: Case
    seed: int
    hit: bool
    alarms: frozenset[tuple[str, str | None]]
    errors: frozenset[str] = frozenset()
    true: frozenset[str] = frozenset()


class FaultScore(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `build/quality-faults.json`: one fault at one size, in how many of the drives that had it it was found."""

    source: str
    rule: str
    fault: str
    size: float
    stated: bool
    whole: bool
    found: int
    tries: int


class RuleScore(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `build/quality-score.json`; `smallest_detected` is in `unit`, None where no size is always found."""

    rule: str
    seeds: int
    true_positives: int
    false_positives: int
    false_negatives: int
    precision: float | None
    recall: float | None
    smallest_detected: float | None
    unit: str


@dataclass(slots=True)
class Tally:
    """The counts of one rule. `missed`: of stated sizes. `sizes`: size to (hits, tries)."""

    rule: str
    unit: str
    hits: int = 0
    alarms: int = 0
    missed: int = 0
    sizes: dict[float, tuple[int, int]] = field(default_factory=dict)

    @property
    def precision(self) -> float | None:
        """The share of alarms that were right; None if there were none."""
        given = self.hits + self.alarms
        return self.hits / given if given else None

    @property
    def recall(self) -> float | None:
        """The share of faults of a stated size that were found; None if there were none."""
        due = self.hits + self.missed
        return self.hits / due if due else None

    @property
    def smallest_detected(self) -> float | None:
        """The smallest size from which on every size was found in at least 95 % of the drives."""
        found = None
        for size, (hits, tries) in sorted(self.sizes.items(), reverse=True):
            if hits < 0.95 * tries:
                break
            found = size
        return found

    def score(self, seeds: int) -> RuleScore:
        """The score of the rule, over so many seeds of each case."""
        return RuleScore(
            rule=self.rule,
            seeds=seeds,
            true_positives=self.hits,
            false_positives=self.alarms,
            false_negatives=self.missed,
            precision=self.precision,
            recall=self.recall,
            smallest_detected=self.smallest_detected,
            unit=self.unit,
        )


class Scorer(Protocol):
    """A group of rules that is scored together. `units`: the unit of each rule's fault sizes."""

    units: Mapping[str, str]

    def trials(self, seeds: Iterable[int]) -> list[tuple[Any, int]]:
        """All (trial, seed) that are to be tried; both are sent to another process."""

    def attempt(self, trial: Any, seed: int) -> Tried:
        """Try one, in any process."""
