"""The cost of the local stack: its start, its memory, and the time of a drive through it.

    python -m bench.stack

Starts a stack of its own and ends it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from bench.figures import PROJECT, Measurement, Report, console_table
from cli.demo.drives import given_drives, own_drives
from cli.demo.run import run_demo
from cli.demo.stage import LocalStage
from fleet.importers.registry import IMPORTERS
from ops import stack
from ops.stack.airflow_api import AirflowApi

DATA = "SCENELAKE_TEST_DATA"
IDLE_S = 60


def measure(scratch: Path) -> Report:
    """All figures, on a stack whose state is in `scratch`."""
    home = scratch / "home"
    try:
        return Report(tuple(_life(home, scratch)))
    finally:
        stack.down(home)


def _life(home: Path, scratch: Path) -> Iterator[Measurement]:
    """All figures, in the order of a stack's life cycle."""
    yield Measurement("stack.first_start_s", _start(home), "s", False, 40)
    yield from _idle(home)
    yield from _demo(home, scratch)
    yield from _pandaset(home, scratch)
    stack.down(home)
    yield Measurement("stack.next_start_s", _start(home), "s", False, 40)


def _start(home: Path) -> float:
    began_s = time.monotonic()
    stack.up(home)
    return time.monotonic() - began_s


def _idle(home: Path) -> Iterator[Measurement]:
    highest = 0
    end_s = time.monotonic() + IDLE_S
    while time.monotonic() < end_s:
        highest = max(highest, stack.memory(home))
        time.sleep(1)  # a sampling interval
    status = stack.status(home)
    assert status.airflow_url is not None
    assert status.airflow_password is not None
    api = AirflowApi(status.airflow_url, status.airflow_password)
    yield Measurement("stack.idle_memory_gb", highest / 1e9, "GB", False, 1.2)
    runs = int(api.get("/api/v2/dags/process_drive/dagRuns?limit=1")["total_entries"])
    yield Measurement("stack.idle_dag_runs", runs, "runs", False, 0)
    api.close()


def _demo(home: Path, scratch: Path) -> Iterator[Measurement]:
    began_s = time.monotonic()
    found = run_demo(own_drives(scratch / "demo", "bench"), LocalStage(home), began_s)
    assert not any(result.failed for result in found.results)
    assert found.peak_memory_bytes is not None
    yield Measurement("demo.three_drives_s", time.monotonic() - began_s, "s", False, 300)
    yield Measurement("demo.peak_memory_gb", found.peak_memory_bytes / 1e9, "GB", False, 6)


def _pandaset(home: Path, scratch: Path) -> Iterator[Measurement]:
    source = Path(os.environ.get(DATA, PROJECT.parent / "shared" / "data")) / "pandaset_002"
    if not source.is_dir():
        print(f"pandaset: left out, {source} is not there (set {DATA})", file=sys.stderr)
        return
    IMPORTERS["pandaset"](source, scratch / "pandaset", "pandaset", "pandaset-002")
    (result,) = run_demo(given_drives([scratch / "pandaset"]), LocalStage(home), time.monotonic()).results
    assert result.put_to_final_s is not None
    yield Measurement("pandaset.last_put_to_published_s", result.put_to_final_s, "s", False, 90)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="scenelake-bench-") as folder:
        report = measure(Path(folder))
    Console().print(console_table(report.measurements))


if __name__ == "__main__":
    main()
