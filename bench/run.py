"""The figures that the project promises, measured on this machine.

    python bench/run.py [--only build_scenes,match]

Prints them, writes `build/bench.json` and the tables of `docs/performance.md`. Nothing else should be running: all figures
share the machine's cores. With `--only`, the figures of the other groups stay as they were.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as Spark sets it for its Python workers; read when numpy is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, this file is not part of a package

from rich.console import Console

from bench.figures import (
    DOCUMENT,
    PROJECT,
    RESULTS,
    FiguresError,
    Measurement,
    Report,
    console_table,
    measurement_table,
    write_results,
    write_sections,
)

# A group's module is imported when it is measured, so that one that cannot run here does not stop the others.
GROUPS = {
    "build_scenes": "bench.build_scenes.run",
    "keyframes": "bench.build_scenes.keyframes",
    "payload_pages": "bench.payload_pages",
    "digests": "bench.gold_files.digests",
    "compaction": "bench.gold_files.compaction",
    "spark_tasks": "bench.spark_tasks",
    "growth": "bench.build_scenes.scaling",
    "match": "bench.match_planning",
    "lidar-encoding": "bench.lidar_encoding",
    "gold": "bench.gold_reading",
    "storage": "bench.storage_client",
    "quality": "bench.quality_metrics",
    "stack": "bench.stack",
}
CAPACITY = "capacity"
SCRATCH = PROJECT / "build" / "bench"


def measure(group: str) -> Report:
    """Measure one group, in a folder that is deleted afterwards."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{group}-", dir=SCRATCH) as folder:
        report: Report = importlib.import_module(GROUPS[group]).measure(Path(folder))
    return report


def sections_of(group: str, report: Report) -> Mapping[str, str]:
    """The report's sections; the table of its figures where it has none of the group's name."""
    return {group: measurement_table(report.measurements)} | dict(report.sections)


def main() -> int:
    """Measure, print, write; 1 if a group failed (the others are written) or a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"groups, with commas: {', '.join([*GROUPS, CAPACITY])}")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else [*GROUPS, CAPACITY]
    unknown = sorted(set(chosen) - {*GROUPS, CAPACITY})
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join([*GROUPS, CAPACITY])}")
    if not arguments.only:
        RESULTS.unlink(missing_ok=True)
    console = Console()
    found: list[Measurement] = []
    failed: list[str] = []
    for group in chosen:
        if group == CAPACITY:
            continue
        try:
            report = measure(group)
        except Exception:  # noqa: BLE001 - hours of other figures outlive it; it is shown, and the exit status tells
            console.print_exception()
            failed.append(group)
            continue
        found += report.measurements
        write_results(report.measurements, keep_others=True)
        for name in write_sections(sections_of(group, report)):
            console.print(f"{DOCUMENT.name} has no marker bench:{name}", style="yellow")
    if CAPACITY in chosen:
        failed += _capacity(console)
    console.print(console_table(found))
    console.print(f"written: {RESULTS}, {DOCUMENT}")
    for group in failed:
        console.print(f"failed: {group}", style="red")
    return 1 if failed or any(entry.kept is False for entry in found) else 0


def _capacity(console: Console) -> list[str]:
    """Rewrite the model from all figures; returns the group's name where that failed."""
    from bench.capacity.section import read_results, section

    try:
        write_sections({CAPACITY: section(read_results(RESULTS))})
    except FiguresError as error:
        console.print(str(error), style="red")
        return [CAPACITY]
    return []


if __name__ == "__main__":
    sys.exit(main())
