"""Charts as inline SVG. Colours come from the page's style sheet, so they follow its light or dark theme."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from ops.report import display
from ops.report.facts import Histogram, PresenceTimeline
from sensors.printable import printable
from sensors.stamps import Nanoseconds, percentile

BINS = 61  # odd: the middle bin is centred on zero
SEGMENTS = 120
_MIN_SPAN_NS = 1_000_000
_LABEL, _WIDTH, _FIGURES = 150, 420, 250
_ROW, _BAR = 30, 24


def histogram(sensor: str, residuals_ns: Nanoseconds, tolerance_ns: int | None) -> Histogram | None:
    """A histogram of signed residuals (N,) over ± the tolerance (else ± the largest); None if there are none."""
    if residuals_ns.size == 0:
        return None
    sizes = np.sort(np.abs(residuals_ns))
    span_ns = max(tolerance_ns or int(sizes[-1]), _MIN_SPAN_NS)
    place = (residuals_ns + span_ns) * BINS // (2 * span_ns + 1)
    counts = np.bincount(np.clip(place, 0, BINS - 1), minlength=BINS)
    return Histogram(sensor, span_ns, tuple(int(n) for n in counts), percentile(sizes, 50), percentile(sizes, 95), int(sizes[-1]))


def timeline(
    anchors_ns: Nanoseconds, held: Sequence[tuple[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]]
) -> PresenceTimeline | None:
    """The share of scenes that hold each sensor, in at most 120 segments with equally many scenes.

    Args:
        anchors_ns: Anchor of each scene (N,), ascending.
        held: For each sensor, whether each scene (N,) holds it.
    """
    if anchors_ns.size == 0:
        return None
    parts = min(SEGMENTS, anchors_ns.size)
    edges = [number * anchors_ns.size // parts for number in range(parts + 1)]
    segments = [slice(first, end) for first, end in pairwise(edges)]
    rows = tuple((sensor, tuple(float(mask[part].mean()) for part in segments)) for sensor, mask in held)
    return PresenceTimeline(int(anchors_ns[0]), int(anchors_ns[-1]), int(anchors_ns.size), rows)


def residual_chart(histograms: Sequence[Histogram]) -> str:
    """One row per sensor: bars over ± its tolerance, and its p50, p95 and max in ms."""
    height = _ROW * len(histograms) + 22
    parts = [_open(height, "Residuals per sensor")]
    parts.append(_text(_LABEL + _WIDTH + 16, 14, "|residual| ms  p50 / p95 / max  of tolerance", "axis"))
    for number, entry in enumerate(histograms):
        parts.append(_histogram_row(entry, 20 + number * _ROW))
    return "".join(parts) + "</svg>"


def timeline_chart(found: PresenceTimeline) -> str:
    """One row per sensor, one cell per segment of scenes: held by all, some or none."""
    height = _ROW * len(found.rows) + 26
    parts = [_open(height, "Sensors in the gold scenes")]
    for number, (sensor, shares) in enumerate(found.rows):
        top = number * _ROW
        parts.append(_text(0, top + 17, sensor, "name"))
        parts.append(_cells(shares, top))
        complete = sum(share == 1 for share in shares)
        summary = "every scene" if complete == len(shares) else f"{100 * sum(shares) / len(shares):.0f} % of scenes"
        parts.append(_text(_LABEL + _WIDTH + 16, top + 17, summary, "value"))
    end_s = (found.end_ns - found.start_ns) / 1e9
    bottom = len(found.rows) * _ROW + 14
    parts.append(_text(_LABEL, bottom, f"0 s · {display.utc(found.start_ns)}", "axis"))
    parts.append(_text(_LABEL + _WIDTH, bottom, f"{end_s:.1f} s", "axis", "end"))
    return "".join(parts) + "</svg>"


def _histogram_row(entry: Histogram, top: int) -> str:
    highest = max(entry.counts)
    step = _WIDTH / len(entry.counts)
    base = top + _BAR
    parts = [
        _text(0, top + 17, entry.sensor, "name"),
        f'<rect class="track" x="{_LABEL}" y="{top}" width="{_WIDTH}" height="{_BAR}" rx="3"/>',
        f'<line class="zero" x1="{_LABEL + _WIDTH / 2:.1f}" x2="{_LABEL + _WIDTH / 2:.1f}" y1="{top}" y2="{base}"/>',
    ]
    for number, count in enumerate(entry.counts):
        if count:
            bar = max(2.0, count / highest * (_BAR - 3))
            x = _LABEL + number * step
            parts.append(
                f'<rect class="bar" x="{x:.1f}" y="{base - bar:.1f}" width="{max(step - 1, 1):.1f}" height="{bar:.1f}"/>'
            )
    figures = " / ".join(display.ms(value) for value in (entry.p50_ns, entry.p95_ns, entry.max_ns))
    figures += f"   of ±{display.ms(entry.span_ns)}"
    return "".join(parts) + _text(_LABEL + _WIDTH + 16, top + 17, figures, "value")


def _cells(shares: Sequence[float], top: int) -> str:
    step = _WIDTH / len(shares)
    gap = 1 if step > 4 else 0
    cells = []
    for number, share in enumerate(shares):
        kind = "all" if share == 1 else "none" if share == 0 else "some"
        x = _LABEL + number * step
        cells.append(f'<rect class="{kind}" x="{x:.1f}" y="{top + 4}" width="{step - gap:.1f}" height="{_ROW - 10}"/>')
    return "".join(cells)


def _open(height: int, label: str) -> str:
    width = _LABEL + _WIDTH + _FIGURES
    return f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label={quoteattr(printable(label))}>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(printable(text))}</text>'
