"""Findings of the rules on signals: by frame, each with the measured value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quality.measurements.frame_metrics import Series
from quality.rules.catalogue import Bound, Outcome
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from sensors.measure.baseline import RING, Repeats

LEAST_FRAMES = 8  # of a sensor in a drive: fewer do not make a baseline


def failed(rules: RuleBook, code: str, sensor: str, measured: float | None, message: str) -> list[Finding]:
    """The finding of one rule on one value; none if it passes. `message` has the fields `measured` and `threshold`."""
    outcome = rules.judge(code, measured)
    if outcome is Outcome.PASSED:
        return []
    if outcome is Outcome.UNKNOWN:
        return [unknown(rules, code, sensor)]
    text = message.format(measured=measured, threshold=rules[code].threshold)
    return [rules.finding(code, f"{sensor}: {text}", sensor=sensor, measured=measured)]


def passed(rules: RuleBook, code: str, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which values (N,) pass a rule, as in `Rule.judge`, but vectorised, because most pass. NaN does not."""
    entry = rules[code]
    if entry.threshold is None:
        return np.zeros(len(values), dtype=np.bool_)
    return np.asarray(values <= entry.threshold if entry.bound is Bound.AT_MOST else values >= entry.threshold)


def unknown(rules: RuleBook, code: str, sensor: str) -> Finding:
    """The finding that a rule could not be evaluated for a sensor."""
    entry = rules[code]
    return rules.finding(code, f"{sensor}: {entry.name} could not be evaluated: {entry.unknown}", sensor=sensor)


@dataclass(slots=True)
class Found:
    """Collects findings by frame id from a sensor's rules."""

    sensor: str
    rules: RuleBook
    by_frame: dict[int, list[Finding]] = field(default_factory=dict)

    def judge(self, code: str, frame_ids: npt.NDArray[np.int64], measured: npt.NDArray[np.generic], message: str) -> None:
        """One rule on a value for each frame (F,); NaN is unknown, and None cannot occur."""
        values = measured.astype(np.float64)
        for position in np.flatnonzero(~passed(self.rules, code, values)).tolist():
            value = float(values[position])
            found = failed(self.rules, code, self.sensor, None if math.isnan(value) else value, message)
            self.by_frame.setdefault(int(frame_ids[position]), []).extend(found)

    def repeated(self, code: str, frame_ids: npt.NDArray[np.int64], found: Repeats, what: str) -> None:
        """The rule on frames (F,) that have the content of one before them; `what`: what the content is called."""
        for ago in range(1, RING + 1):
            message = f"{what} of {'the frame before it' if ago == 1 else f'{ago} frames earlier'} (repeat {{measured:.0f}})"
            self.judge(code, frame_ids, np.where(found.ago == ago, found.times, 0), message)

    def enough(self, frames: Series, codes: Sequence[str]) -> bool:
        """Whether the drive has enough frames for a baseline; if not, these rules are unknown for each frame."""
        if len(frames.table) >= LEAST_FRAMES:
            return True
        for frame_id in frames.frame_ids.tolist():
            self.by_frame.setdefault(frame_id, []).extend(unknown(self.rules, code, self.sensor) for code in codes)
        return False
