"""Precision and recall of every rule against faults of known size, and the smallest size that is found.

    python -m bench.quality_score.run [--seeds 4] [--only CAM,LID003] [--processes 2]

Prints the table, and writes `docs/quality.md` (between its markers) and `build/quality-score.json`. With `--only`, rows of
other rules stay as they were. Exits 1 if a rule misses its promise.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import track

from bench.figures import PROJECT, write_sections
from bench.quality_score.calibration_drives import CalibrationScorer
from bench.quality_score.case import RuleScore, Scorer, Tally, Tried
from bench.quality_score.drives import DriveScorer
from bench.quality_score.real_drives import RealDrives
from bench.quality_score.tables import alarm_table, score_table

# A scorer tries its rules and reports the alarms; rules of all scorers are tallied together.
SCORERS: tuple[Scorer, ...] = (DriveScorer(), CalibrationScorer(), RealDrives())
RESULTS = PROJECT / "build" / "quality-score.json"
DOCUMENT = PROJECT / "docs" / "quality.md"
SEEDS = 4
CERTAIN, LIKELY = 0.99, 0.95
CERTAIN_GROUPS = ("KEY", "CMP", "DEC", "CLK")


def promised(rule: str) -> float:
    """Precision and recall that the project promises for a rule at its stated sizes."""
    return CERTAIN if rule.startswith(CERTAIN_GROUPS) else LIKELY


def tally(tried: Iterable[Tried], units: Mapping[str, str]) -> dict[str, Tally]:
    """Counts by rule. An alarm that no fault explains counts against its rule, in any drive."""
    found = {rule: Tally(rule, unit) for rule, unit in units.items()}
    for one in tried:
        for rule, _ in one.alarms:
            found.setdefault(rule, Tally(rule, "")).alarms += 1
        case = one.case
        if not case.rule:
            continue
        entry = found.setdefault(case.rule, Tally(case.rule, ""))
        hits, tries = entry.sizes.get(case.size, (0, 0))
        entry.sizes[case.size] = (hits + one.hit, tries + 1)
        entry.hits += one.hit
        entry.missed += case.stated and not one.hit
    return found


def attempt(job: tuple[int, Any, int]) -> Tried:
    """One trial, in a process of the pool."""
    scorer, trial, seed = job
    return SCORERS[scorer].attempt(trial, seed)


def try_all(seeds: Sequence[int], only: Sequence[str], processes: int, console: Console) -> list[Tried]:
    """Every trial of every scorer whose rule begins with one of `only` (all if empty), in a fixed order."""
    jobs = [
        (number, trial, seed)
        for number, scorer in enumerate(SCORERS)
        for trial, seed in scorer.trials(seeds)
        if not only or _selected(trial.rule, scorer, tuple(only))
    ]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return list(track(pool.map(attempt, jobs), "quality score", len(jobs), console=console))


def _selected(rule: str, scorer: Scorer, only: tuple[str, ...]) -> bool:
    """Whether a trial belongs to the selected rules: a drive without a fault does if its scorer's rules do."""
    return rule.startswith(only) if rule else any(one.startswith(only) for one in scorer.units)


def merged(scores: Sequence[RuleScore], path: Path) -> list[RuleScore]:
    """`scores`, and those of other rules that the file holds; by rule."""
    before = msgspec.json.decode(path.read_bytes(), type=list[RuleScore]) if path.is_file() else []
    by_rule = {score.rule: score for score in (*before, *scores)}
    return [by_rule[rule] for rule in sorted(by_rule)]


def below(score: RuleScore) -> bool:
    """Whether a rule misses its promise."""
    limit = promised(score.rule)
    return any(share is not None and share < limit for share in (score.precision, score.recall))


def main() -> int:
    """Score, print, write; 1 if a rule misses its promise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"drives of each case; default {SEEDS}")
    parser.add_argument("--first-seed", type=int, default=0, help="seeds count from this one")
    parser.add_argument("--only", default="", help="beginnings of rule codes, with commas")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.seeds < 1 or arguments.processes < 1:
        parser.error("there must be at least one seed and one process")
    only = [code for code in arguments.only.split(",") if code]
    console, started = Console(), time.monotonic()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    tried = try_all(seeds, only, arguments.processes, console)
    units = {rule: unit for scorer in SCORERS for rule, unit in scorer.units.items()}
    chosen = {rule: unit for rule, unit in units.items() if not only or rule.startswith(tuple(only))}
    counts = tally(tried, chosen)
    scores = [counts[rule].score(arguments.seeds) for rule in sorted(chosen if only else counts)]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    every = merged(scores, RESULTS) if only else scores
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(every), indent=1) + b"\n")
    alarms = {} if only else {"quality-alarms": alarm_table(tried)}  # of some rules alone, they are not those of a drive
    write_sections({"quality-score": score_table(every, promised), **alarms}, DOCUMENT)
    console.print(score_table(scores, promised), markup=False)
    console.print(alarm_table(tried), markup=False)
    console.print(f"{len(tried)} drives in {time.monotonic() - started:.0f} s; written: {RESULTS}, {DOCUMENT}")
    missed = [score.rule for score in scores if below(score)]
    for rule in missed:
        console.print(f"{rule}: less than promised", style="red")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
