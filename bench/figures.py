"""The results of a benchmark, and their output: a table on stdout, `build/bench.json`, and `docs/performance.md`.

A group of figures is a module with `measure(scratch: Path) -> Report`, registered in `bench/run.py`. `scratch` is an empty
folder of its own, deleted afterwards. A part of the document that a run rewrites is between two markers:

    <!-- bench:NAME -->
    <!-- /bench -->

Each entry of `Report.sections` goes to the marker of its name; a group without an entry of its own name gets the table of
its measurements there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "build" / "bench.json"
DOCUMENT = PROJECT / "docs" / "performance.md"


class FiguresError(Exception):
    """A benchmark that did not run, or a document without a marker for its result."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure; `limit` is the project's promise for it on two cores."""

    name: str
    value: float
    unit: str
    higher_is_better: bool
    limit: float | None = None

    @property
    def kept(self) -> bool | None:
        """Whether the promise is kept; None where there is none."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.higher_is_better else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Report:
    """The measurements of a group, and Markdown for the document by the name of its marker."""

    measurements: tuple[Measurement, ...]
    sections: Mapping[str, str] = field(default_factory=dict)


def console_table(found: Iterable[Measurement]) -> Table:
    """The figures for a terminal."""
    table = Table("figure", "measured", "promised", "kept", title=f"{psutil.cpu_count()} cores")
    for entry in found:
        table.add_row(entry.name, *_cells(entry))
    return table


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every cell after the first of a row is aligned to the right."""
    lines = [f"| {' | '.join(header)} |", "|" + "|".join(["---", *["---:"] * (len(header) - 1)]) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def measurement_table(found: Iterable[Measurement]) -> str:
    """The figures as a Markdown table."""
    return markdown_table(("figure", "measured", "promised", "kept"), [(f"`{entry.name}`", *_cells(entry)) for entry in found])


def _cells(entry: Measurement) -> tuple[str, str, str]:
    sign = "≥" if entry.higher_is_better else "≤"
    promised = "" if entry.limit is None else f"{sign} {entry.limit:g} {entry.unit}"
    return f"{_shown(entry.value)} {entry.unit}", promised.strip(), {True: "yes", False: "**no**", None: ""}[entry.kept]


def _shown(value: float) -> str:
    """Three significant digits, with thousands separators."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_results(found: Sequence[Measurement], path: Path = RESULTS, *, keep_others: bool = False) -> None:
    """Write all figures as JSON; `keep_others` keeps figures in the file that were not measured now."""
    entries = {entry.name: asdict(entry) for entry in found}
    if keep_others and path.is_file():
        entries = {entry["name"]: entry for entry in json.loads(path.read_text())} | entries
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(entries.values()), indent=1) + "\n")


def write_sections(sections: Mapping[str, str], path: Path = DOCUMENT) -> tuple[str, ...]:
    """Replace the text between the markers of these names; returns the names without a marker in the document.

    Raises:
        FiguresError: A marker is opened twice, or never closed.
    """
    text = path.read_text() if path.is_file() else ""
    missing = []
    for name, body in sections.items():
        start, end = f"<!-- bench:{name} -->", "<!-- /bench -->"
        found = list(re.finditer(re.escape(start), text))
        if not found:
            missing.append(name)
            continue
        close = text.find(end, found[0].end())
        following = re.search(r"<!-- bench:[^>]* -->", text[found[0].end() :])
        if len(found) > 1 or close < 0 or (following and found[0].end() + following.start() < close):
            raise FiguresError(f"{path}: marker {start} must stand once, with {end} after it and before the next one")
        text = f"{text[: found[0].end()]}\n{body.strip()}\n{text[close:]}"
    if len(missing) < len(sections):
        path.write_text(text)
    return tuple(missing)
