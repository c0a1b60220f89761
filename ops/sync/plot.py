"""The plot of a sync report: each sensor's residuals over time, their distribution, and gaps.

One self-contained SVG; as HTML it also holds the answer and the findings as text. Colours follow the light or dark theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

from ops.errors import InputError
from ops.report import display
from ops.sync.answer import grouped
from ops.sync.report import Matched, SensorSync, SyncReport
from sensors.printable import printable
from sensors.stamps import Nanoseconds

MAX_SENSORS = 64
MAX_DOTS = 1500
MAX_MARKS = 500
BINS = 41  # odd: the middle one is centred on zero
_NAME, _PLOT, _BARS, _TEXT = 220, 500, 100, 250
_WIDTH = _NAME + _PLOT + 12 + _BARS + _TEXT
_PANEL, _PITCH, _TOP, _FOOT = 64, 92, 34, 30
_MIN_SPAN_NS = 50_000
_LONGEST_NAME = 22
_PAUSE = 20  # periods of the reference: with longer pauses the axis counts frames, not seconds

_STYLE = """
svg{--ink:#18202b;--soft:#5b6777;--track:#eef1f5;--accent:#2f6fed;--bad:#c0362c;--warn:#e0a92e;--page:#fff;
font:12px system-ui,"DejaVu Sans",sans-serif;background:var(--page)}
@media(prefers-color-scheme:dark){svg{--ink:#e7ecf2;--soft:#9aa7b6;--track:#222a34;--accent:#7aa7ff;--bad:#ff8d82;
--warn:#8a6a1d;--page:#10141a}}
.name{fill:var(--ink);font-weight:600}.value{fill:var(--ink)}.axis{fill:var(--soft);font-size:11px}.track{fill:var(--track)}
.dots{stroke:var(--accent);stroke-width:3;stroke-linecap:round;fill:none}
.band{stroke:var(--accent);stroke-width:1.2;fill:none}.bar{fill:var(--accent)}.gap{fill:var(--warn);opacity:.45}
.lost{stroke:var(--bad);stroke-width:1.4;fill:none}.zero{stroke:var(--soft);stroke-dasharray:2 3;opacity:.8}
.limit{stroke:var(--bad);stroke-dasharray:5 4;opacity:.7}
"""
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>body{{margin:0 auto;max-width:1040px;padding:24px;font:15px/1.5 system-ui,"DejaVu Sans",sans-serif}}
svg{{width:100%;height:auto}}li{{margin:2px 0}}code{{font-size:.9em}}</style></head>
<body><h1>{title}</h1><p><b>{sentence}</b></p>{svg}{findings}</body></html>
"""


def check_plot(path: Path) -> None:
    """Refuse a path that cannot be written, before the work is done.

    Raises:
        InputError: It ends in neither .html nor .svg, or its folder does not exist.
    """
    if path.suffix.lower() not in (".html", ".svg"):
        raise InputError(f"{path} is neither .html nor .svg", "use a name like --plot sync.html")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist", "create it first, or choose another path for the plot")


def write_plot(path: Path, title: str, report: SyncReport, matched: Sequence[Matched]) -> None:
    """Write the plot; `title` names the input."""
    svg = drawing(report, matched)
    if path.suffix.lower() == ".html":
        items = "".join(f"<li><code>{one.rule_id}</code> {escape(printable(one.text))}</li>" for one in grouped(report.findings))
        svg = _PAGE.format(
            title=escape(printable(f"Sync report: {title}")),
            sentence=escape(printable(report.answer.sentence)),
            svg=svg,
            findings=f"<h2>Findings</h2><ul>{items}</ul>" if items else "",
        )
    path.write_text(svg, encoding="utf-8")


def drawing(report: SyncReport, matched: Sequence[Matched]) -> str:
    """The SVG: one panel for each matched sensor, at most 64."""
    shown = matched[:MAX_SENSORS]
    height = _TOP + _PITCH * max(len(shown), 1) + _FOOT
    facts = {one.sensor: one for one in report.sensors}
    out = []
    out.append(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f"aria-label={quoteattr(printable(f'Residuals against {report.reference}'))}><style>{_STYLE}</style>"
    )
    out.append(_text(_NAME, 16, f"residual to {report.reference}, ms", "axis"))
    out.append(_text(_NAME + _PLOT, 16, "amber: gap or pause · red tick: no frame · dashed red: tolerance", "axis", "end"))
    out.append(_text(_NAME + _PLOT + 12, 16, "distribution", "axis"))
    for number, one in enumerate(shown):
        out.append(_panel(one, facts[one.sensor], _TOP + number * _PITCH))
    if not shown:
        out.append(_text(_NAME, _TOP + 30, f"no stream of frames besides {report.reference}", "value"))
    else:
        out.append(_time_axis(shown[0].anchors_ns, height - 12))
    if len(matched) > len(shown):
        out.append(_text(0, height - 12, f"and {len(matched) - len(shown)} more", "axis"))
    return "".join(out) + "</svg>"


def _panel(one: Matched, facts: SensorSync, top: int) -> str:
    held = one.held
    residuals = one.residuals_ns
    largest = int(np.abs(residuals).max()) if residuals.size else 0
    span_ns = max(_MIN_SPAN_NS, largest * 23 // 20)
    middle = top + _PANEL / 2
    x = _places(one.anchors_ns)
    parts = [
        _text(0, top + 16, one.sensor if len(one.sensor) <= _LONGEST_NAME else f"{one.sensor[: _LONGEST_NAME - 1]}…", "name"),
        f'<rect class="track" x="{_NAME}" y="{top}" width="{_PLOT}" height="{_PANEL}" rx="3"/>',
        *_gaps(one, x, top),
        f'<line class="zero" x1="{_NAME}" x2="{_NAME + _PLOT}" y1="{middle}" y2="{middle}"/>',
        *_limits(one.tolerance_ns, span_ns, top),
        _trace(x[held], middle - residuals / span_ns * (_PANEL / 2)),
        _lost(x[~held], top + _PANEL),
        *_bars(residuals, span_ns, top),
        _text(_NAME - 6, top + 10, f"+{display.ms(span_ns)}", "axis", "end"),
        _text(_NAME - 6, top + _PANEL, f"−{display.ms(span_ns)}", "axis", "end"),
    ]
    right = _NAME + _PLOT + 12 + _BARS + 10
    for number, line in enumerate(_summary(facts)):
        parts.append(_text(right, top + 12 + 16 * number, line, "value" if number == 0 else "axis"))
    return "".join(parts)


def _summary(facts: SensorSync) -> list[str]:
    delay, residuals = facts.delay, facts.residuals
    phase = delay.phase.value if delay else "no delay estimated"
    if delay is not None and delay.delay_ns is not None:
        phase = f"delay {delay.delay_ns / 1e6:.2f} ms, or {(delay.other_ns or 0) / 1e6:.2f}"
    lines = [phase]
    if facts.declared_delay_ns is not None:
        lines.append(f"declared {facts.declared_delay_ns / 1e6:.2f} ms")
    if residuals is not None:
        figures = " / ".join(display.ms(value) for value in (residuals.p50_ns, residuals.p95_ns, residuals.max_ns))
        lines.append(f"p50/p95/max {figures} ms")
    missing = (facts.no_frame or 0) + (facts.outside_tolerance or 0)
    lines.append(f"{missing} frames missing, {facts.clock.gaps} gaps")
    return lines


def _places(anchors_ns: Nanoseconds) -> npt.NDArray[np.float64]:
    """The position of each anchor (N,) on the axis, in pixels."""
    if anchors_ns.size < 2:
        return np.full(anchors_ns.size, _NAME + _PLOT / 2)
    if _has_pauses(anchors_ns):
        share = np.arange(anchors_ns.size) / (anchors_ns.size - 1)
    else:
        share = (anchors_ns - anchors_ns[0]) / float(anchors_ns[-1] - anchors_ns[0])
    return np.asarray(_NAME + share * _PLOT, dtype=np.float64)


def _has_pauses(anchors_ns: Nanoseconds) -> bool:
    steps = np.diff(anchors_ns)
    return bool(steps.size and steps.max() > _PAUSE * int(np.median(steps)))


def _trace(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> str:
    """Dots; for many, the range that they cover in each pixel column."""
    if x.size == 0:
        return ""
    if x.size <= MAX_DOTS:
        return f'<path class="dots" d="{"".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x.tolist(), y.tolist(), strict=True))}"/>'
    columns = np.floor(x).astype(np.int64)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(columns) != 0]))
    low, high = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    rows = zip(columns[starts].tolist(), low.tolist(), high.tolist(), strict=True)
    return f'<path class="band" d="{"".join(f"M{a} {b:.1f}V{max(c, b + 1):.1f}" for a, b, c in rows)}"/>'


def _gaps(one: Matched, x: npt.NDArray[np.float64], top: int) -> list[str]:
    """Gaps of more than 1.5 periods, between the first and the last anchor."""
    if x.size < 2:
        return []
    parts = []
    for begin_ns, end_ns in one.gaps_ns[:MAX_MARKS].tolist():
        left, right = np.interp([begin_ns, end_ns], one.anchors_ns.astype(np.float64), x)
        if right > left:
            parts.append(f'<rect class="gap" x="{left:.1f}" y="{top}" width="{max(right - left, 1):.1f}" height="{_PANEL}"/>')
    return parts


def _lost(x: npt.NDArray[np.float64], base: int) -> str:
    """A tick for each anchor without a frame; for many, one per pixel column."""
    columns = np.unique(np.round(x)).tolist()
    return f'<path class="lost" d="{"".join(f"M{a:.0f} {base + 2}v7" for a in columns)}"/>' if columns else ""


def _limits(tolerance_ns: int, span_ns: int, top: int) -> list[str]:
    if tolerance_ns > span_ns:
        return []
    half = _PANEL / 2
    return [
        f'<line class="limit" x1="{_NAME}" x2="{_NAME + _PLOT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        for y in (top + half - half * tolerance_ns / span_ns, top + half + half * tolerance_ns / span_ns)
    ]


def _bars(residuals_ns: Nanoseconds, span_ns: int, top: int) -> list[str]:
    left = _NAME + _PLOT + 12
    parts = [f'<rect class="track" x="{left}" y="{top}" width="{_BARS}" height="{_PANEL}" rx="3"/>']
    if residuals_ns.size:
        place = (span_ns - residuals_ns) * BINS // (2 * span_ns + 1)
        counts = np.bincount(np.clip(place, 0, BINS - 1), minlength=BINS)
        step = _PANEL / BINS
        for number in np.flatnonzero(counts).tolist():
            length = max(1.0, float(counts[number]) / float(counts.max()) * (_BARS - 4))
            parts.append(f'<rect class="bar" x="{left}" y="{top + number * step:.2f}" width="{length:.1f}" height="{step:.2f}"/>')
    return parts


def _time_axis(anchors_ns: Nanoseconds, y: int) -> str:
    first, last = (int(anchors_ns[0]), int(anchors_ns[-1])) if anchors_ns.size else (0, 0)
    if _has_pauses(anchors_ns):
        begin, end = "frame 0", f"frame {anchors_ns.size - 1} (the recording pauses)"
    else:
        begin, end = f"0 s · {display.utc(first)}", f"{(last - first) / 1e9:.1f} s"
    return _text(_NAME, y, begin, "axis") + _text(_NAME + _PLOT, y, end, "axis", "end")


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(printable(text))}</text>'
