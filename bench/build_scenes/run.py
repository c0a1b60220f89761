"""Building scenes compared with the tools that a user would try instead, alternately, on one drive.

    python -m bench.build_scenes.run [--only limit,scenelake] [--mode sweep] [--size 0.05] [--rounds 1]

All of them read the same raw files, hash each, find the same matches, and write all matched payload as Parquet.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from rich.console import Console

from bench.alternate import alternate, ratio
from bench.build_scenes.contenders import CONTENDERS, Attempt, attempt
from bench.build_scenes.contest import MODES, Outcome
from bench.build_scenes.digest import digest_of
from bench.build_scenes.drive import CACHE, DriveSpec, drive_bytes, drive_folder
from bench.build_scenes.timing import expected_matches, timing
from bench.figures import FiguresError, Measurement, Report, console_table, markdown_table, measurement_table

ROUNDS = 3
WARM_UP_SIZE = 1 / 15  # of the drive: four seconds
PROCESSES = 2
KEYFRAME_HZ = 2
OURS, LIMIT = "scenelake", "limit"
SECTIONS = {"sweep": "build_scenes", "keyframe": "keyframes"}  # and groups of figures
SUFFIXES = {"sweep": "", "keyframe": "_keyframe"}
TITLES = {"sweep": "Every sweep", "keyframe": f"Keyframes at {KEYFRAME_HZ} Hz"}
PROMISES = {LIMIT: 0.7, "naive_spark": 10.0, "daft": 1.0, "ray": 1.0, "polars": 1.0, "pandas": 1.0}

Attempts = Mapping[str, Sequence[Attempt]]


def measure(scratch: Path) -> Report:
    """All contenders at every sweep, on the full drive."""
    return compare(scratch, DriveSpec(), list(CONTENDERS), "sweep", ROUNDS)


def compare(
    scratch: Path, spec: DriveSpec, names: Sequence[str], mode: str, rounds: int, near: Sequence[str] = (), further: int = 0
) -> Report:
    """Measure these contenders, and the close ones (`near`) in `further` rounds.

    Raises:
        FiguresError: A contender found other matches, or wrote other payload.
    """
    drive, warm_up = (drive_folder(one, CACHE, PROCESSES) for one in (spec, DriveSpec(WARM_UP_SIZE)))
    raw_bytes = drive_bytes(drive)
    once = partial(_once, drive, warm_up, mode, scratch)
    found = alternate(names, rounds, once)
    for name, attempts in alternate(near, further, once).items():
        found[name] += attempts
    stamps_ns = timing(spec.seconds, spec.seed).stamps_ns
    check_equal(found, digest_of(sorted(expected_matches(stamps_ns, KEYFRAME_HZ if mode == "keyframe" else None))))
    measurements = tuple(figures(found, raw_bytes, SUFFIXES[mode]))
    often = f"; {rounds + further} of {', '.join(near)}" if near else ""
    title = f"{raw_bytes / 1e9:.2f} GB raw, {spec.seconds:g} s, {PROCESSES} processes, medians of {rounds} rounds{often}."
    text = [f"{TITLES[mode]}: {title}", "", table(found, raw_bytes), "", measurement_table(measurements)]
    return Report(measurements, {SECTIONS[mode]: "\n".join(text)})


def _once(drive: Path, warm_up: Path, mode: str, scratch: Path, name: str) -> Attempt:
    return attempt(CONTENDERS[name], drive, warm_up, mode, scratch, PROCESSES)


def check_equal(found: Attempts, expected: str) -> None:
    """Refuse a comparison of different results.

    Raises:
        FiguresError: Matches differ from those of the drive's timing, or payloads differ between contenders.
    """
    outcomes = {name: outcome for name in found for outcome in _outcomes(found, name)}
    wrong = sorted(name for name, outcome in outcomes.items() if outcome.matches_digest != expected)
    if wrong:
        raise FiguresError(f"{', '.join(wrong)}: the matches that were written are not those of the drive")
    payloads: dict[str, list[str]] = {}
    for name, outcome in outcomes.items():
        payloads.setdefault(outcome.payload_digest, []).append(name)
    if len(payloads) > 1:
        parties = " | ".join(", ".join(names) for names in payloads.values())
        raise FiguresError(f"equal matches with different payload: {parties}")


def figures(found: Attempts, raw_bytes: int, suffix: str) -> Iterator[Measurement]:
    """Ratios to Scenelake; none for a contender without an outcome."""
    ours = [outcome.work_s for outcome in _outcomes(found, OURS)]
    if not ours:
        return
    for name in found:
        theirs = [outcome.work_s for outcome in _outcomes(found, name)]
        if name != OURS and theirs:
            yield Measurement(f"build_scenes.vs_{name}{suffix}", ratio(theirs, ours), "x", True, PROMISES.get(name))
    speed = raw_bytes / 1e6 / median(ours) / PROCESSES
    yield Measurement(f"build_scenes.mb_per_s_per_core{suffix}", speed, "MB/s", True)
    starts = [outcome.start_s for outcome in _outcomes(found, OURS)]
    yield Measurement(f"build_scenes.spark_start_s{suffix}", median(starts), "s", False)


def table(found: Attempts, raw_bytes: int) -> str:
    """Markdown: a row for each contender, fastest first; failed ones come last, with the reason."""
    ours = [outcome.work_s for outcome in _outcomes(found, OURS)]
    rows: list[tuple[float, tuple[str, ...]]] = []
    for name, attempts in found.items():
        outcomes = _outcomes(found, name)
        problems = sorted({entry.problem for entry in attempts if entry.outcome is None})
        note = f"{len(attempts) - len(outcomes)} of {len(attempts)} failed: {'; '.join(problems)}" if problems else ""
        if not outcomes:
            rows.append((float("inf"), (name, *[""] * 7, note)))
            continue
        times = [outcome.work_s for outcome in outcomes]
        cells = (
            f"{median(times):.2f} ({min(times):.2f}–{max(times):.2f})",
            f"{ratio(times, ours):.2f}" if ours else "",
            f"{raw_bytes / 1e6 / median(times) / PROCESSES:,.0f}",
            f"{median(outcome.cpu_s for outcome in outcomes):.2f}",
            f"{median(outcome.start_s for outcome in outcomes):.1f}",
            f"{median(outcome.peak_rss_bytes for outcome in outcomes) / 1e6:,.0f}",
            f"{outcomes[0].bytes / 1e6:,.0f}",
        )
        rows.append((median(times), (name, *cells, note)))
    header = ("", "work, s", "÷ ours", "raw MB/s/core", "CPU, s", "start, s", "peak memory, MB", "written, MB", "")
    return markdown_table(header, [row for _, row in sorted(rows, key=lambda entry: entry[0])])


def _outcomes(found: Attempts, name: str) -> list[Outcome]:
    return [entry.outcome for entry in found.get(name, ()) if entry.outcome is not None]


def main() -> None:
    """Measure as the arguments say, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, with commas")
    parser.add_argument("--mode", choices=MODES, action="append", help="default: both")
    parser.add_argument("--size", type=float, default=1.0, help="of the drive; 1 is 1.5 GB")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--scratch", type=Path, help="where contenders write (default: beside the drive)")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    unknown = sorted(set(names) - set(CONTENDERS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(CONTENDERS)}")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-scenes-", dir=arguments.scratch or CACHE) as folder:
        for mode in arguments.mode or MODES:
            report = compare(Path(folder), DriveSpec(arguments.size), names, mode, arguments.rounds)
            print(report.sections[SECTIONS[mode]])
            Console().print(console_table(report.measurements))


if __name__ == "__main__":
    main()
