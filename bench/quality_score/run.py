"""Precision and recall of every rule against faults of known size, and the smallest size that is found.

    python -m bench.quality_score.run [--seeds 10] [--only CAM,LID003] [--processes 2]

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

from bench.figures import PROJECT, write_sections
from bench.quality_score.calibration_drives import CalibrationScorer
from bench.quality_score.case import SYNTHETIC, FaultScore, RuleScore, Scorer, Tally, Tried
from bench.quality_score.drives import DriveScorer
from bench.quality_score.real_drives import RealDrives
from bench.quality_score.tables import alarm_table, real_table, score_table, whole_table

# A scorer tries its rules and reports the alarms; rules of all scorers are tallied together.
SCORERS: tuple[Scorer, ...] = (DriveScorer(), CalibrationScorer(), RealDrives())
RESULTS = PROJECT / "build" / "quality-score.json"
FAULTS = PROJECT / "build" / "quality-faults.json"
REPORT_S = 20.0
DOCUMENT = PROJECT / "docs" / "quality.md"
SEEDS = 10
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
        if not case.counts:
            continue
        entry = found.setdefault(case.rule, Tally(case.rule, ""))
        if not case.whole:  # sizes mean something beside sound frames
            hits, tries = entry.sizes.get(case.size, (0, 0))
            entry.sizes[case.size] = (hits + one.hit, tries + 1)
        entry.hits += one.hit
        entry.missed += case.stated and not one.hit
    return found


def attempt(job: tuple[int, Any, int]) -> Tried:
    """One trial, in a process of the pool."""
    scorer, trial, seed = job
    try:
        return SCORERS[scorer].attempt(trial, seed)
    except Exception as error:
        error.add_note(f"of {trial} with seed {seed}")
        raise


def try_all(seeds: Sequence[int], only: Sequence[str], processes: int, console: Console) -> list[Tried]:
    """Every trial of every scorer whose rule begins with one of `only` (all if empty), in a fixed order."""
    jobs = [
        (number, trial, seed)
        for number, scorer in enumerate(SCORERS)
        for trial, seed in scorer.trials(seeds)
        if not only or _selected(trial.rule, scorer, tuple(only))
    ]
    done: list[Tried] = []
    started = told = time.monotonic()
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for one in pool.map(attempt, jobs):
            done.append(one)
            now = time.monotonic()
            if now - told > REPORT_S:
                told, rest_s = now, (now - started) / len(done) * (len(jobs) - len(done))
                console.print(f"{len(done)} of {len(jobs)} drives; {rest_s / 60:.0f} minutes to go", highlight=False)
    return done


def _selected(rule: str, scorer: Scorer, only: tuple[str, ...]) -> bool:
    """Whether a trial belongs to the selected rules: a drive without a fault does if its scorer's rules do."""
    return rule.startswith(only) if rule else any(one.startswith(only) for one in scorer.units)


def merged(scores: Sequence[RuleScore], path: Path) -> list[RuleScore]:
    """`scores`, and those of other rules that the file holds; by rule."""
    before = msgspec.json.decode(path.read_bytes(), type=list[RuleScore]) if path.is_file() else []
    by_rule = {score.rule: score for score in (*before, *scores)}
    return [by_rule[rule] for rule in sorted(by_rule)]


def by_fault(tried: Iterable[Tried]) -> list[FaultScore]:
    """How often each fault was found, in the order of the cases."""
    counts: dict[Any, tuple[int, int]] = {}
    for one in tried:
        if one.case.rule:
            found, tries = counts.get(one.case, (0, 0))
            counts[one.case] = (found + one.hit, tries + 1)
    return [
        FaultScore(
            source=case.source,
            rule=case.rule,
            fault=",".join(case.faults),
            size=case.size,
            stated=case.stated,
            whole=case.whole,
            found=found,
            tries=tries,
        )
        for case, (found, tries) in counts.items()
    ]


def with_other_faults(scores: Sequence[FaultScore], path: Path, only: Sequence[str]) -> list[FaultScore]:
    """`scores`, and those of rules that were not tried now, which the file holds."""
    before = msgspec.json.decode(path.read_bytes(), type=list[FaultScore]) if only and path.is_file() else []
    return [*(score for score in before if not score.rule.startswith(tuple(only))), *scores]


def below(score: RuleScore) -> bool:
    """Whether a rule misses its promise."""
    limit = promised(score.rule)
    return any(share is not None and share < limit for share in (score.precision, score.recall))


def to_look_at(tried: Iterable[Tried]) -> list[str]:
    """A line for each false alarm and each miss of a stated size, with the fault and the seed that show it."""
    lines = []
    for one in tried:
        where = f"in {one.case.source}, {', '.join(one.case.faults) or 'no fault'}, seed {one.seed}"
        lines += [f"false alarm: {rule} {sensor or ''} {where}" for rule, sensor in sorted(one.alarms, key=str)]
        if one.case.rule and one.case.stated and not one.hit:
            lines.append(f"missed: {one.case.rule} {one.case.sensor or ''} {where}")
    return lines


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
    faults = with_other_faults(by_fault(tried), FAULTS, only)
    FAULTS.write_bytes(msgspec.json.format(msgspec.json.encode(faults), indent=1) + b"\n")
    every = merged(scores, RESULTS) if only else scores
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(every), indent=1) + b"\n")
    alarms = {} if only else {"quality-alarms": alarm_table(tried)}  # of some rules alone, they are not those of a drive
    # Without the recordings, what is known of them stays.
    real = {"quality-real": real_table(faults)} if any(not score.source.startswith(SYNTHETIC) for score in faults) else {}
    tables = {
        "quality-score": score_table(every, promised),
        "quality-whole": whole_table(faults),
    }
    write_sections(tables | real | alarms, DOCUMENT)
    for table in (score_table(scores, promised), *real.values(), alarm_table(tried)):
        console.print(table, markup=False)
    for line in to_look_at(tried):
        console.print(line, highlight=False, markup=False)
    console.print(f"{len(tried)} drives in {time.monotonic() - started:.0f} s; written: {RESULTS}, {DOCUMENT}")
    missed = [score.rule for score in scores if below(score)]
    for rule in missed:
        console.print(f"{rule}: less than promised", style="red")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
