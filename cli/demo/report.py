"""The results of a demo: measured figures against their limits, and the facts of the report."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import psutil

from cli.demo.run import DemoResult, DriveResult
from lineage.code_version import code_version
from ops.report import display
from ops.report.collect import drive_facts
from ops.report.facts import Figure, ReportFacts

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from scenes.accounting.identity import Check

HEALTHY_LIMIT_S, PUBLISHED_LIMIT_S = 40.0, 90.0
MEMORY_LIMIT_BYTES = 6_000_000_000
PACKAGES = (("spark", "pyspark"), ("airflow", "apache-airflow"), ("pyiceberg", "pyiceberg"), ("pyarrow", "pyarrow"))


def figures(found: DemoResult, total_s: float) -> tuple[Figure, ...]:
    """The measured figures. The time of a drive has a limit only if it had the machine to itself."""
    made = []
    if found.standing.healthy_s is not None:
        made.append(_seconds("stack healthy", found.standing.healthy_s, HEALTHY_LIMIT_S))
    alone = len(found.results) == 1
    for result in found.results:
        took_s = result.put_to_final_s
        if took_s is not None:
            made.append(
                _seconds(f"{result.drive}: last PUT to {result.sighting.state}", took_s, PUBLISHED_LIMIT_S if alone else None)
            )
    made.append(_seconds("demo, from command to report", total_s, found.standing.demo_limit_s))
    peak = found.peak_memory_bytes
    if peak is not None:
        limit = MEMORY_LIMIT_BYTES
        made.append(Figure("peak memory of all processes", display.size(peak), display.size(limit), peak < limit))
    return tuple(made)


def report_facts(found: DemoResult, checks: tuple[Check, ...], measured: tuple[Figure, ...], catalog: Catalog) -> ReportFacts:
    """Everything that the page shows."""
    store = found.deployment.store()
    return ReportFacts(
        title="Scenelake demo",
        run=run_facts(found),
        figures=measured,
        checks=checks,
        drives=tuple(
            drive_facts(catalog, store, entry.drive, entry.sighting.state, entry.sighting.revision, _note(entry))
            for entry in found.results
        ),
    )


def run_facts(found: DemoResult) -> tuple[tuple[str, str], ...]:
    """Time, machine, and versions of the code and its dependencies."""
    memory = display.size(psutil.virtual_memory().total)
    return (
        ("made", display.utc(time.time_ns())),
        ("code", _code(found.deployment.command.code_version)),
        ("machine", f"{os.cpu_count()} cores, {memory}, {platform.system()} {platform.machine()}"),
        ("stack", found.standing.words),
        ("endpoint", found.deployment.settings.aws.endpoint_url or "as set in the environment"),
        ("scenelake", version("scenelake")),
        ("python", platform.python_version()),
        *((name, version(package)) for name, package in PACKAGES),
    )


def _code(given: str | None) -> str:
    found = code_version(given)
    return "unknown" if found.commit is None else found.commit[:12] + (" with local changes" if found.dirty else "")


def _note(entry: DriveResult) -> str:
    return entry.note if not entry.sighting.problem else f"{entry.note} {entry.sighting.problem}"


def _seconds(name: str, measured_s: float, limit_s: float | None) -> Figure:
    if limit_s is None:
        return Figure(name, f"{measured_s:.1f} s")
    return Figure(name, f"{measured_s:.1f} s", f"{limit_s:.0f} s", measured_s < limit_s)
