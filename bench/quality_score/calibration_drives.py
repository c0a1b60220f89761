"""The rules on calibration, against calibrations that are wrong by a known amount (`bench.calibration_score`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from bench.calibration_score import CASES, Recorded, record
from bench.quality_score.case import Case, Tried
from sensors.calibration.result import Quantity

SOURCE = "synthetic, calibration"
FIRST_SEED = 1000  # other worlds than those that the thresholds were tuned on
# The quantity that represents each rule; `python -m bench.calibration_score` has the others, too.
_CHOSEN = (
    Quantity.GROUND_PITCH,
    Quantity.GROUND_HEIGHT,
    Quantity.CAMERA_YAW,
    Quantity.RADAR_YAW,
    Quantity.LIDAR_YAW,
    Quantity.CAMERA_TIME,
    None,
)
_BY_RULE = MappingProxyType({case.rule: case for case in CASES if case.quantity in _CHOSEN})


class CalibrationScorer:
    """Drives of twenty seconds, of which only the frames that a check reads are made."""

    units: Mapping[str, str] = MappingProxyType({rule: case.unit for rule, case in _BY_RULE.items()})

    def trials(self, seeds: Iterable[int]) -> list[tuple[Any, int]]:
        """All sizes of one drive together: its frames are the same."""
        tried = [
            Case(rule, (case.fault(size),), size=size, stated=size >= case.stated, source=SOURCE)
            for rule, case in _BY_RULE.items()
            for size in case.sizes
        ]
        return [(case, FIRST_SEED + seed) for seed in seeds for case in (*tried, Case("", source=SOURCE))]

    def attempt(self, trial: Any, seed: int) -> Tried:
        """One declared calibration; on a clean drive, whether any of the rules raises an alarm."""
        drive = _recorded(seed)
        if not trial.rule:
            alarms = {rule for rule, case in _BY_RULE.items() if drive.raises_alarm(case)}
            return Tried(trial, seed, False, frozenset((rule, None) for rule in alarms))
        return Tried(trial, seed, drive.with_fault(trial.faults[0]).raises_alarm(_BY_RULE[trial.rule]), frozenset())


@lru_cache(maxsize=1)
def _recorded(seed: int) -> Recorded:
    return record(seed)
