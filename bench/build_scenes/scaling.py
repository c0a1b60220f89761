"""Whether cost is linear in the input: Scenelake on drives of 1, 4 and 16 times the length.

Cost is the processor time of all processes, including the kernel's; elapsed time is shown beside it. Scenes are written to
memory where the machine has enough for them and the raw files: those of a long drive exceed the kernel's write-back buffer,
and elapsed time is then that of the disk.

    python -m bench.build_scenes.scaling [--seconds 24]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console

from bench.alternate import alternate, spread
from bench.build_scenes.contenders import CONTENDERS, attempt
from bench.build_scenes.contest import Outcome
from bench.build_scenes.drive import CACHE, DriveSpec, drive_bytes, drive_folder
from bench.build_scenes.run import OURS, PROCESSES, ROUNDS, WARM_UP_SIZE
from bench.figures import FiguresError, Measurement, Report, console_table, markdown_table, measurement_table

SIZES = (1, 4, 16)
SECONDS = 24.0  # 0.6 GB at size 1, 10 GB at size 16, and as much again is written
RAW_BYTES_PER_S = 26e6
NEEDED = 1.0 + 1.0 + 1.5  # drives (with the smaller ones), scenes, and room to breathe, in times of the largest drive
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
PROCESS_BYTES = 2e9
WORST_SPREAD = 0.15


def measure(scratch: Path) -> Report:
    """The linear cost of building scenes at every sweep."""
    return scale(scratch, SECONDS, ROUNDS)


def scale(scratch: Path, seconds: float, rounds: int, name: str = OURS) -> Report:
    """Measure all sizes alternately; the drives are deleted again.

    Raises:
        FiguresError: The disk has no room for them, or a run failed.
    """
    largest = seconds * max(SIZES) * RAW_BYTES_PER_S
    free = shutil.disk_usage(scratch).free
    if free < NEEDED * largest:
        raise FiguresError(
            f"{scratch} has {free / 1e9:.0f} GB free, {NEEDED * largest / 1e9:.0f} GB are needed; give --seconds or clean up"
        )
    drives = {size: drive_folder(DriveSpec(size, seconds), scratch / "drives", PROCESSES) for size in SIZES}
    warm_up = drive_folder(DriveSpec(WARM_UP_SIZE), scratch / "drives", PROCESSES)

    def once(folder: Path, size: int) -> Outcome:
        result = attempt(CONTENDERS[name], drives[size], warm_up, "sweep", folder, PROCESSES)
        if result.outcome is None:
            raise FiguresError(f"{name} at size {size}: {result.problem}")
        return result.outcome

    with tempfile.TemporaryDirectory(prefix="scenes-", dir=scenes_folder(largest, scratch)) as folder:
        found = alternate(SIZES, rounds, partial(once, Path(folder)))
        return report(found, {size: drive_bytes(drive) for size, drive in drives.items()}, folder)


def scenes_folder(largest: float, scratch: Path) -> Path:
    """Memory if it holds the raw files of the largest drive, its scenes and the processes, otherwise `scratch`."""
    if not SHARED_MEMORY.is_dir():
        return scratch
    free = min(shutil.disk_usage(SHARED_MEMORY).free, psutil.virtual_memory().available)
    return SHARED_MEMORY if free >= 2 * largest + PROCESS_BYTES else scratch


def report(found: Mapping[int, Sequence[Outcome]], raw_bytes: Mapping[int, int], folder: str) -> Report:
    """Medians of each size: the table, and how far they are from each other."""
    work_s = {size: median(outcome.work_s for outcome in outcomes) for size, outcomes in found.items()}
    cpu_s = {size: median(outcome.cpu_s for outcome in outcomes) for size, outcomes in found.items()}
    driver = {size: median(outcome.driver_rss_bytes for outcome in outcomes) for size, outcomes in found.items()}
    executors = {size: median(_executor_bytes(outcome) for outcome in outcomes) for size, outcomes in found.items()}
    speed = {size: raw_bytes[size] / 1e6 / cpu_s[size] for size in found}
    rows = [
        (
            f"{size}×",
            *(f"{raw_bytes[size] / 1e6:,.0f}", f"{work_s[size]:.2f}", f"{cpu_s[size]:.2f}", f"{speed[size]:,.0f}"),
            *(f"{executors[size] / 1e6:,.0f}", f"{driver[size] / 1e6:,.0f}"),
        )
        for size in found
    ]
    first, last = min(found), max(found)
    measurements = (
        Measurement("build_scenes.linear_spread", spread(list(speed.values())), "", False, WORST_SPREAD),
        Measurement("build_scenes.memory_16x_over_1x", executors[last] / executors[first], "x", False, 1.0 + WORST_SPREAD),
        Measurement("build_scenes.driver_memory_16x_over_1x", driver[last] / driver[first], "x", False),
    )
    columns = ("size", "raw, MB", "work, s", "CPU, s", "raw MB a second of that", "executors, MB", "driver, MB")
    where = "memory" if Path(folder).is_relative_to(SHARED_MEMORY) else "the disk"
    section = f"Scenes are written to {where}.\n\n{markdown_table(columns, rows)}\n\n{measurement_table(measurements)}"
    return Report(measurements, {"growth": section})


def _executor_bytes(outcome: Outcome) -> int:
    return outcome.peak_rss_bytes - outcome.driver_rss_bytes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the smallest drive")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--contender", choices=sorted(CONTENDERS), default=OURS)
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scaling-", dir=CACHE) as folder:
        found = scale(Path(folder), arguments.seconds, arguments.rounds, arguments.contender)
    print(found.sections["growth"])
    Console().print(console_table(found.measurements))


if __name__ == "__main__":
    main()
