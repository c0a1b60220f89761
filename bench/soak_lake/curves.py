"""The growth curves of a soak: what is sampled, and its table and plot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.figures import markdown_table

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 340, 150, 64, 30, 40
_COLUMNS = 2
_INK, _SOFT, _LINE = "#18202b", "#5b6777", "#2f6fed"


@dataclass(frozen=True, slots=True)
class Sample:
    """The costs on one day, when the lake had `drives` drives. CPU and memory are the client's; for a publication, its thread's.

    Attributes:
        drives: How many had been published.
        publish_cpu_ms: One publication, the median of the day.
        opened: Files of metadata that it read, the median of the day.
        commit_bytes: Metadata that it wrote, the mean of the day.
        written_bytes: All versions of metadata in the bucket before the day's maintenance.
        kept_bytes: The same after it.
        plan_cpu_ms: The files of one earlier drive, with a table that was loaded anew.
        maintenance_cpu_s: Expiry, merging, compaction and sweep.
        audit_s: The audit of the day, wall time, in a process of its own.
        audit_mb: Peak memory of that process.
        recall_s: The drives of one vehicle in a week: the command, its start included.
    """

    drives: int
    publish_cpu_ms: float
    opened: float
    commit_bytes: float
    written_bytes: int
    kept_bytes: int
    plan_cpu_ms: float
    maintenance_cpu_s: float
    audit_s: float
    audit_mb: float
    recall_s: float

    def line(self) -> str:
        """The sample in one line, for a terminal."""
        return f"{self.drives:,} drives: " + ", ".join(
            f"{curve.title} {_number(curve.value(self))} {curve.unit}" for curve in CURVES
        )


@dataclass(frozen=True, slots=True)
class Curve:
    """One value of the samples, and how it is called."""

    title: str
    unit: str
    value: Callable[[Sample], float]


CURVES = (
    Curve("publish a drive", "ms CPU", lambda sample: sample.publish_cpu_ms),
    Curve("metadata files read by it", "files", lambda sample: sample.opened),
    Curve("metadata written by it", "kB", lambda sample: sample.commit_bytes / 1e3),
    Curve("metadata before maintenance", "MB", lambda sample: sample.written_bytes / 1e6),
    Curve("metadata after maintenance", "MB", lambda sample: sample.kept_bytes / 1e6),
    Curve("plan one drive", "ms CPU", lambda sample: sample.plan_cpu_ms),
    Curve("maintain a day", "s CPU", lambda sample: sample.maintenance_cpu_s),
    Curve("audit a day", "s", lambda sample: sample.audit_s),
    Curve("memory of that audit", "MB", lambda sample: sample.audit_mb),
    Curve("recall", "s", lambda sample: sample.recall_s),
)


def table(samples: Sequence[Sample]) -> str:
    """The samples as a Markdown table, at most twelve of them, the first and the last included."""
    step = max(1, math.ceil((len(samples) - 1) / 11))
    shown = sorted({*range(0, len(samples), step), len(samples) - 1}) if samples else []
    header = ("drives", *(f"{curve.title}, {curve.unit}" for curve in CURVES))
    rows = [(f"{samples[at].drives:,}", *(_number(curve.value(samples[at])) for curve in CURVES)) for at in shown]
    return markdown_table(header, rows)


def plot(samples: Sequence[Sample]) -> str:
    """The curves as an SVG, one panel each, from zero, so that growth is seen as it is."""
    rows = math.ceil(len(CURVES) / _COLUMNS)
    width = _COLUMNS * (_LEFT + _WIDTH + _GAP)
    height = rows * (_TOP + _HEIGHT + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui,sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height}" fill="#fff"/>'
    ]
    for number, curve in enumerate(CURVES):
        left = number % _COLUMNS * (_LEFT + _WIDTH + _GAP) + _LEFT
        top = number // _COLUMNS * (_TOP + _HEIGHT + _GAP) + _TOP
        parts.append(_panel(curve, samples, left, top))
    return "\n".join([*parts, "</svg>", ""])


def _panel(curve: Curve, samples: Sequence[Sample], left: int, top: int) -> str:
    values = [curve.value(sample) for sample in samples]
    most, last = max(values, default=0) * 1.1 or 1, max((sample.drives for sample in samples), default=0) or 1
    points = " ".join(
        f"{left + _WIDTH * sample.drives / last:.1f},{top + _HEIGHT * (1 - value / most):.1f}"
        for sample, value in zip(samples, values, strict=True)
    )
    return (
        f'<text x="{left}" y="{top - 10}" fill="{_INK}" font-weight="600">{escape(f"{curve.title}, {curve.unit}")}</text>'
        f'<path d="M{left} {top}V{top + _HEIGHT}H{left + _WIDTH}" stroke="{_SOFT}" fill="none"/>'
        f'<text x="{left - 6}" y="{top + 10}" fill="{_SOFT}" text-anchor="end">{_number(most)}</text>'
        f'<text x="{left - 6}" y="{top + _HEIGHT}" fill="{_SOFT}" text-anchor="end">0</text>'
        f'<text x="{left + _WIDTH}" y="{top + _HEIGHT + 16}" fill="{_SOFT}" text-anchor="end">{last:,} drives</text>'
        f'<polyline points="{points}" stroke="{_LINE}" stroke-width="1.5" fill="none"/>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
