"""`sync report`: are my sensors in sync?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli import console
from cli.options import JsonOption, examples
from ops.report import display

if TYPE_CHECKING:
    from ops.sync.report import SensorSync, SyncReport

app = typer.Typer(no_args_is_help=True, help="Check whether the sensors of a recording are in sync.")
FAILED = 3
_STEPS = 10  # listed per sensor
_CLOCK_COLUMNS = (
    "sensor", "frames", "rate Hz", "period ms", "jitter p95", "gaps", "longest ms", "repeated", "backwards", "set", "drift ppm",
    "clock",
)  # fmt: skip
_MATCH_COLUMNS = (
    "", "sensor", "matched", "too far", "none", "phase", "declared ms", "estimated ms", "or", "tolerance", "residual p50", "p95",
    "max ms",
)  # fmt: skip
_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "bold red")}


class FailOn(StrEnum):
    """The least severe answer for which the exit status is 3."""

    WARNING = "warning"
    ERROR = "error"


class Unit(StrEnum):
    """Unit of a table's stamps."""

    NS = "ns"
    TICKS = "100ns"
    US = "us"
    MS = "ms"
    S = "s"


PathArgument = Annotated[
    Path, typer.Argument(metavar="PATH", help="A drive folder, a recording (.mcap, .bag, .db3), or a table (.csv, .parquet).")
]
RigOption = Annotated[
    Path | None, typer.Option("--rig", metavar="FILE", help="A calibration.json with delays, tolerances and topics.")
]
ReferenceOption = Annotated[
    str | None, typer.Option("--reference", metavar="SENSOR", help="Match against the frames of this sensor.")
]
ToleranceOption = Annotated[
    float | None, typer.Option("--tolerance-ms", min=0, max=10_000, help="Match within this tolerance; overrides the rig.")
]
EstimatedDelaysOption = Annotated[
    bool, typer.Option("--estimated-delays", help="Without a rig: expect each sensor at its estimated delay instead of 0.")
]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Plot residuals, gaps and delays to an .html or .svg.")
]
FailOnOption = Annotated[FailOn | None, typer.Option("--fail-on", help="Exit with 3 on findings of this severity or worse.")]
SensorColumnOption = Annotated[str, typer.Option("--sensor-column", metavar="NAME", help="Table: column of sensor names.")]
StampColumnOption = Annotated[str, typer.Option("--stamp-column", metavar="NAME", help="Table: column of stamps.")]
LogColumnOption = Annotated[
    str | None, typer.Option("--log-column", metavar="NAME", help="Table: column of log times; default: log_ns, if present.")
]
StampUnitOption = Annotated[Unit, typer.Option("--stamp-unit", help="Table: unit of the stamps.")]
AnyOrderOption = Annotated[bool, typer.Option("--any-order", help="Table: rows are in no particular order; sort them by stamp.")]


def register(root: typer.Typer) -> None:
    """Add `sync-report`, the former name of `sync report`, to the application."""
    root.command("sync-report", hidden=True, epilog=_examples("sync-report"))(sync_report)


def _examples(name: str) -> str:
    return examples(
        f"{name} my-drive --plot sync.html",
        f"{name} run.mcap --rig calibration.json",
        f"{name} stamps.csv --sensor-column channel --stamp-column timestamp_us --stamp-unit us",
    )


@app.command("report", epilog=_examples("sync report"))
def sync_report(
    path: PathArgument,
    rig: RigOption = None,
    reference: ReferenceOption = None,
    tolerance_ms: ToleranceOption = None,
    estimated_delays: EstimatedDelaysOption = False,
    plot: PlotOption = None,
    fail_on: FailOnOption = None,
    sensor_column: SensorColumnOption = "sensor",
    stamp_column: StampColumnOption = "stamp_ns",
    log_column: LogColumnOption = None,
    stamp_unit: StampUnitOption = Unit.NS,
    any_order: AnyOrderOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check whether sensors are in sync.

    Prints one answer first, then each sensor's clock, and how its frames match the reference's.

    A match is the frame nearest to the reference's stamp plus the sensor's expected delay, within its tolerance. Without a
    rig, the expected delay is zero and the tolerance half the sensor's median period.

    Delays are estimated without a rig. Frames at a delay d after the reference are also at d minus one period before the next
    reference frame, so both values are shown. A free-running sensor has no delay.

    With log times (recordings have them, tables in the column log_ns), clocks are compared with the recorder's: drift, clock
    steps, clock domains. Codes such as CLK008 are rules of the pipeline.
    """
    from ops.sync.answer import InSync
    from ops.sync.plot import check_plot, write_plot
    from ops.sync.report import Options
    from ops.sync.report import sync_report as make
    from ops.sync.timeline import TableLayout, read_rig, read_timeline

    if plot is not None:
        check_plot(plot)
    layout = TableLayout(sensor_column, stamp_column, log_column, stamp_unit.value, any_order)
    with console.progress() as bars:
        found = read_timeline(path, bars, None if rig is None else read_rig(rig), layout)
    tolerance_ns = None if tolerance_ms is None else round(tolerance_ms * 1_000_000)
    report, matched = make(found.streams, found.rig, Options(reference, tolerance_ns, estimated_delays), found.notes)
    if plot is not None:
        write_plot(plot, path.name, report, matched)
    if as_json:
        console.print_json(report)
    else:
        _print(report)
    bad = {FailOn.WARNING: (InSync.NO, InSync.WITH_WARNINGS), FailOn.ERROR: (InSync.NO,)}
    if fail_on is not None and report.answer.in_sync in bad[fail_on]:
        raise typer.Exit(FAILED)


def _print(report: SyncReport) -> None:
    out = console.out()
    style = {"yes": "bold green", "with warnings": "bold yellow", "no": "bold red"}[report.answer.in_sync]
    out.print(Text(report.answer.sentence, style=style), soft_wrap=True)
    out.print()
    clocks = [_clock_row(one) for one in report.sensors]
    compared = "compared with log times" if report.logged else "without log times to compare with"
    out.print(console.table(f"Clocks, {compared}", _CLOCK_COLUMNS, clocks, _CLOCK_COLUMNS[1:-1]))
    out.print()
    rows = [_match_row(one, report) for one in report.sensors if one.matched is not None]
    source = f"rig {report.rig_id}" if report.rig_id else "no rig"
    title = f"Matches with the {report.anchors} frames of {report.reference}, {source}"
    out.print(console.table(title, _MATCH_COLUMNS, rows, (*_MATCH_COLUMNS[2:5], *_MATCH_COLUMNS[6:])))
    share = 100 * report.complete / report.anchors if report.anchors else 0.0
    out.print(f"{report.complete} of {report.anchors} ({share:.1f} %) have a frame of every sensor.", highlight=False)
    _print_rest(report)


def _print_rest(report: SyncReport) -> None:
    from ops.sync.answer import grouped

    out = console.out()
    if any(one.delay is not None and one.delay.delay_ns is not None for one in report.sensors):
        note = "The estimates under `estimated ms` and `or` describe the same frames, relative to neighbouring frames of"
        out.print(f"{note} {report.reference}.", markup=False, highlight=False)
        if report.rig_id is None and not report.estimated_delays:
            out.print("No rig declares these delays, so they count as residuals; --estimated-delays removes them.")
    if report.pauses:
        out.print(f"All sensors pause together {report.pauses} times; these pauses do not count as gaps.", highlight=False)
    if len(report.domains) > 1:
        rows = [
            (_letter(number), ", ".join(one.sensors), f"{one.offset_ns / 1e9:+.3f}", one.epoch, one.reason or "–")
            for number, one in enumerate(report.domains)
        ]
        columns = ("clock", "sensors", "offset s", "counts from", "looks like")
        out.print()
        out.print(console.table("Clock domains", columns, rows, ("offset s",)))
    if report.findings:
        findings = [(Text(*_MARKS[one.severity.value]), one.rule_id, one.text) for one in grouped(report.findings)]
        out.print()
        out.print(console.table("Findings", ("", "rule", ""), findings))
    set_clocks = [
        (one.sensor, step.frame, display.ms(step.shift_ns), display.ms(step.step_ns))
        for one in report.sensors
        for step in one.clock_steps.first[:_STEPS]
    ]
    if set_clocks:
        fields = ("sensor", "before frame", "clock step ms", "stamp step ms")
        out.print()
        out.print(console.table("Clock steps", fields, set_clocks, fields[1:]))
    for note in report.notes:
        console.say(f"note: {note}")


def _clock_row(one: SensorSync) -> tuple[object, ...]:
    clock = one.clock
    rate = "–" if clock.measured_rate_hz is None else f"{clock.measured_rate_hz:.2f}"
    drift = "–" if one.drift_ppm is None else f"{one.drift_ppm:+.1f} ± {one.drift_uncertainty_ppm or 0:.1f}"
    domain = _letter(one.domain) + (f": {one.unit}" if one.unit else "")
    times = (display.ms(clock.period_p50_ns), display.ms(clock.jitter_p95_ns), clock.gaps, display.ms(clock.max_gap_ns))
    counts = (clock.duplicates, clock.regressions, one.clock_steps.count)
    return (one.sensor, clock.frames, rate, *times, *counts, drift, domain)


def _match_row(one: SensorSync, report: SyncReport) -> tuple[object, ...]:
    figures = (one.residuals.p50_ns, one.residuals.p95_ns, one.residuals.max_ns) if one.residuals else (None, None, None)
    delay = one.delay
    estimated, other = "–", "–"
    if delay is not None and delay.delay_ns is not None:
        estimated = f"{delay.delay_ns / 1e6:.2f} ± {(delay.uncertainty_ns or 0) / 1e6:.2f}"
        other = f"{(delay.other_ns or 0) / 1e6:.2f}"
    share = f"{one.matched} ({100 * (one.matched or 0) / report.anchors:.0f} %)" if report.anchors else "0"
    return (
        Text(*_MARKS[one.verdict]),
        one.sensor,
        share,
        one.outside_tolerance,
        one.no_frame,
        "reference" if one.sensor == report.reference else delay.phase.value if delay else "–",
        "–" if one.declared_delay_ns is None else f"{one.declared_delay_ns / 1e6:.2f}",
        estimated,
        other,
        display.ms(one.tolerance_ns),
        *(display.ms(value) for value in figures),
    )


def _letter(domain: int) -> str:
    return chr(ord("A") + domain) if domain < 26 else f"Z{domain}"
