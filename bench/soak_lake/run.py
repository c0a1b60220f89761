"""A year of the lake in an hour: 10,000 drives through publication, revision, release, audit and recall, with daily maintenance.

    make soak-lake    or    python -m bench.soak_lake.run [--drives 2000]

The drives are tiny; their commits, the ledger, the buckets and the maintenance are those of production, on an emulator. Writes
the curves into docs/performance.md and docs/soak-lake.svg. Fails if the lake does not balance.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench.figures import PROJECT, console_table, write_results, write_sections
from bench.soak_lake.curves import plot
from bench.soak_lake.endpoint import SoakError, endpoint
from bench.soak_lake.fleet import DRIVES_PER_DAY
from bench.soak_lake.growth import publish_growth
from bench.soak_lake.report import SECTION, report
from bench.soak_lake.soak import Soak

PLOT = PROJECT / "docs" / "soak-lake.svg"


def main() -> int:
    """Soak, print and write; 1 if the lake does not balance, or a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drives", type=int, default=10_000)
    count = parser.parse_args().drives
    console = Console()
    with tempfile.TemporaryDirectory(prefix="scenelake-soak-") as folder, endpoint(Path(folder)) as environment:
        os.environ.update(environment)  # Arrow's S3 client reads it
        soak = Soak(environment)
        try:
            _run(soak, count, console)
            growth = publish_growth(environment, soak, count)
        except SoakError as error:
            console.print(str(error), style="red")
            return 1
    found = report(soak.samples, growth)
    write_results(found.measurements, keep_others=True)
    write_sections({SECTION: found.sections[SECTION]})
    PLOT.write_text(plot(soak.samples))
    console.print(console_table(found.measurements))
    return 1 if any(entry.kept is False for entry in found.measurements) else 0


def _run(soak: Soak, count: int, console: Console) -> None:
    with Progress(console=console) as progress:
        task = progress.add_task("drives", total=count)
        for first in range(0, count, DRIVES_PER_DAY):
            day = range(first, min(first + DRIVES_PER_DAY, count))
            for _ in soak.process_day(day):
                progress.advance(task)
            if len(day) == DRIVES_PER_DAY:
                progress.console.print(soak.end_day().line())
        soak.check_whole_lake()


if __name__ == "__main__":
    sys.exit(main())
