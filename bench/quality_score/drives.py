"""Scores the rules on synthetic drives: each case is generated, examined by the real jobs, and compared with its truth."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.quality_score.case import Case, Tried
from bench.quality_score.drive_cases import UNITS, cases
from bench.quality_score.examine import examine
from bench.quality_score.inject import inject
from bench.quality_score.whole_drive_cases import whole_drive_cases
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions

CHEAP_RIG = RigOptions(
    cameras=("camera_front",), width_px=320, height_px=180, lidar_rings=16, lidar_columns=180, radar_states=True
)

CLEAN_DRIVES = 12  # rigs and durations of the cases of one seed


class DriveScorer:
    """All rules on drives, objects, frames and scenes."""

    units: Mapping[str, str] = UNITS

    def trials(self, seeds: Iterable[int]) -> list[tuple[Case, int]]:
        """Every case with every seed."""
        return [(case, seed) for seed in seeds for case in (*cases(), *whole_drive_cases())]

    def attempt(self, trial: Case, seed: int) -> Tried:
        """Put the faults into a clean drive, examine, compare."""
        spec = drive_spec(trial, seed)
        clean = Path(_clean(replace(spec, faults=())).name)
        with tempfile.TemporaryDirectory(prefix="quality-score-") as folder:
            inject(clean, Path(folder) / "drive", spec.drive, spec)
            found = examine(Path(folder) / "drive", spec.drive, Path(folder) / "store").alarms
        expected = (trial.rule, trial.sensor)
        alarms = frozenset(pair for pair in found if pair != expected and pair[0] not in trial.also)
        return Tried(trial, seed, expected in found, alarms)


@lru_cache(maxsize=CLEAN_DRIVES)
def _clean(spec: DriveSpec) -> tempfile.TemporaryDirectory[str]:
    """A folder with a clean drive, which all cases of the seed share; it is removed with the last reference to it."""
    folder = tempfile.TemporaryDirectory(prefix="quality-score-")
    generate(spec, Path(folder.name))
    return folder


def drive_spec(case: Case, seed: int) -> DriveSpec:
    """The drive of a case; no sensor is finer than the case needs."""
    options: dict[str, Any] = dict(case.rig)
    if case.rule and not case.rule.startswith("CAM"):
        options = {"width_px": 48, "height_px": 27} | options
    rig = replace(CHEAP_RIG, **options)
    faults = tuple(map(Fault.parse, case.faults))
    return DriveSpec("score", f"s-{seed}", seed=seed, duration_s=case.duration_s, rig=rig, faults=faults)
