"""Whether cost grows with the input and with nothing else: ours on drives of 1, 4 and 16 times the length.

Cost is processor time outside of the kernel. The kernel's part depends on where it finds pages for the scenes, of which a long
drive has as many as the machine has memory, and elapsed time is then the disk's; both stand beside it.

    python -m bench.build_scenes.scaling [--seconds 20]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median

from rich.console import Console

from bench.alternate import alternate, spread
from bench.build_scenes.contenders import CONTENDERS, attempt
from bench.build_scenes.contest import Outcome
from bench.build_scenes.drive import CACHE, DriveSpec, drive_bytes, drive_folder
from bench.build_scenes.run import OURS, PROCESSES, ROUNDS, WARM_UP_SIZE
from bench.figures import FiguresError, Measurement, Report, console_table, markdown_table, measurement_table

SIZES = (1, 4, 16)
SECONDS = 20.0  # 0.5 GB at size 1, 8 GB at size 16, and as much again is written
RAW_BYTES_PER_S = 26e6
NEEDED = 1.0 + 1.0 + 1.5  # drives (with the smaller ones), scenes, and room to breathe, in times of the largest drive
WORST_SPREAD = 0.15


def measure(scratch: Path) -> Report:
    """The linear cost of building scenes at every sweep."""
    return scale(scratch, SECONDS, ROUNDS)


def scale(scratch: Path, seconds: float, rounds: int, name: str = OURS) -> Report:
    """Measure all sizes alternately; the drives are deleted again.

    Raises:
        FiguresError: The disk has no room for them, or a run failed.
    """
    needed = NEEDED * seconds * max(SIZES) * RAW_BYTES_PER_S
    free = shutil.disk_usage(scratch).free
    if free < needed:
        raise FiguresError(
            f"{scratch} has {free / 1e9:.0f} GB free, {needed / 1e9:.0f} GB are needed; give --seconds or clean up"
        )
    drives = {str(size): drive_folder(DriveSpec(size, seconds), scratch / "drives", PROCESSES) for size in SIZES}
    warm_up = drive_folder(DriveSpec(WARM_UP_SIZE), scratch / "drives", PROCESSES)
    raw_bytes = {size: drive_bytes(folder) for size, folder in drives.items()}

    def once(size: str) -> Outcome:
        result = attempt(CONTENDERS[name], drives[size], warm_up, "sweep", scratch / "out", PROCESSES)
        if result.outcome is None:
            raise FiguresError(f"{name} at size {size}: {result.problem}")
        return result.outcome

    found = alternate(list(drives), rounds, once)
    work_s = {size: median(outcome.work_s for outcome in outcomes) for size, outcomes in found.items()}
    cpu_s = {size: median(outcome.cpu_s for outcome in outcomes) for size, outcomes in found.items()}
    user_s = {size: median(outcome.user_s for outcome in outcomes) for size, outcomes in found.items()}
    speed = {size: raw_bytes[size] / 1e6 / user_s[size] for size in drives}
    memory = {size: median(outcome.peak_rss_bytes for outcome in outcomes) for size, outcomes in found.items()}
    rows = [
        (
            f"{size}×",
            *(f"{raw_bytes[size] / 1e6:,.0f}", f"{work_s[size]:.2f}", f"{cpu_s[size]:.2f}", f"{user_s[size]:.2f}"),
            *(f"{speed[size]:,.0f}", f"{memory[size] / 1e6:,.0f}"),
        )
        for size in drives
    ]
    first, last = str(SIZES[0]), str(SIZES[-1])
    each = further(raw_bytes, user_s)
    measurements = (
        Measurement("build_scenes.further_gb_spread", spread(each), "", False, WORST_SPREAD),
        Measurement("build_scenes.further_gb_s", each[-1], "s", False),
        Measurement("build_scenes.without_input_s", user_s[first] - raw_bytes[first] / 1e9 * each[0], "s", False),
        Measurement("build_scenes.linear_spread", spread(speed), "", False, WORST_SPREAD),
        Measurement("build_scenes.memory_16x_over_1x", memory[last] / memory[first], "x", False, 1.0 + WORST_SPREAD),
    )
    section = (
        markdown_table(
            ("size", "raw, MB", "work, s", "CPU, s", "outside of the kernel, s", "MB a second of that", "peak memory, MB"), rows
        )
        + "\n\n"
        + measurement_table(measurements)
    )
    return Report(measurements, {"growth": section})


def further(raw_bytes: Mapping[str, int], cost_s: Mapping[str, float]) -> list[float]:
    """Seconds that each further GB takes, from one size to the next: what is left of the cost without that of any drive."""
    pairs = pairwise(zip(raw_bytes.values(), cost_s.values(), strict=True))
    return [(after - before) / (larger - smaller) * 1e9 for (smaller, before), (larger, after) in pairs]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the smallest drive")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--contender", choices=sorted(CONTENDERS), default=OURS)
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scaling-", dir=CACHE) as folder:
        report = scale(Path(folder), arguments.seconds, arguments.rounds, arguments.contender)
    print(report.sections["growth"])
    Console().print(console_table(report.measurements))


if __name__ == "__main__":
    main()
