"""`audit` and `sync-report`: the two questions that anyone may ask."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli import console, deployment
from cli.deployment import DEFAULT_HOME, EndpointOption, HomeOption, JsonOption

if TYPE_CHECKING:
    from cli.audit import AuditReport, Check
    from cli.sync_report import SensorSync, SyncReport

PANEL = "Questions"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=PANEL, epilog="Example:  `scenelake audit && echo nothing is lost`")(audit)
    app.command(
        "sync-report",
        rich_help_panel=PANEL,
        epilog="Example:  `scenelake sync-report my-drive`  ·  `scenelake sync-report stamps.csv --reference lidar_top --json`",
    )(sync_report)


def audit(endpoint: EndpointOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Is anything lost, or there twice? Computes the accounting again from S3, the ledger and the tables.

    Objects landed = published + quarantined + refused + pending; frames read = gold + quarantined + unmatched, by drive
    and sensor; no scene and no batch twice; ledger and gold agree; every quarantined payload has its copy. Exits with 1
    where it does not balance.
    """
    from cli import audit_reader
    from cli.audit import audit as make

    settings = deployment.enter(endpoint, home)
    report = make(audit_reader.read(settings, deployment.s3(), deployment.ledger(settings), deployment.catalog(settings)))
    if as_json:
        console.print_json({"balanced": report.balanced, "checks": report.checks})
    else:
        print_audit(report)
    if not report.balanced:
        raise typer.Exit(1)


def print_audit(report: AuditReport) -> None:
    """The audit for a reader: a line for each kind of check, and each failure with its place."""
    groups: dict[str, list[Check]] = {}
    for check in report.checks:
        groups.setdefault(check.name, []).append(check)
    rows = [_group_row(name, checks) for name, checks in groups.items()]
    out = console.out()
    out.print(console.table("Audit", ("", "check", "left", "right", "places"), rows, ("left", "right", "places")))
    for check in report.failures:
        out.print(
            Text.assemble(("✗ ", "bold red"), f"{check.name}\n  in {check.scope}: {check.left} ≠ {check.right}. {check.detail}")
        )
    verdict = Text("balances", style="bold green") if report.balanced else Text("does not balance", style="bold red")
    out.print(
        Text.assemble(
            "The accounting ", verdict, f" ({len(report.checks) - len(report.failures)} of {len(report.checks)} checks hold)."
        )
    )


def sync_report(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A drive folder, an .mcap, or a .csv/.parquet with sensor,stamp_ns.")
    ],
    rig: Annotated[
        Path | None, typer.Option("--rig", metavar="FILE", help="A calibration.json with delays and tolerances.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="SENSOR", help="Match against this sensor's frames.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Are my sensors in sync? Offline, of a recording or of bare stamps: clocks, gaps, matches against the reference, and
    the residuals that remain.

    A match is the frame nearest to the reference's stamp plus the sensor's expected delay, within its tolerance. Without
    a rig the expected delay is zero and the tolerance half the sensor's median period; the estimated delay is the median
    offset of the matches.
    """
    from cli.sync_report import sync_report as make
    from cli.timeline import read_timeline, rig_for

    with console.progress() as bars:
        found = read_timeline(path, bars)
    report = make(found.streams, rig_for(found, rig), reference, found.notes)
    if as_json:
        console.print_json(report)
    else:
        _print_sync(report)


def _print_sync(report: SyncReport) -> None:
    out = console.out()
    clocks = [_clock_row(entry) for entry in report.sensors]
    columns = ("sensor", "frames", "rate Hz", "period ms", "jitter p95", "gaps", "longest ms", "duplicates", "backwards")
    out.print(console.table("Clocks", columns, clocks, columns[1:]))
    out.print()
    matches = [_match_row(s, report) for s in report.sensors]
    fields = (
        "sensor",
        "matched",
        "too far",
        "none",
        "delay: expected",
        "estimated",
        "tolerance",
        "residual p50",
        "p95",
        "max ms",
    )
    source = f"rig {report.rig_id}" if report.rig_id else "no rig: delay 0, tolerance half a period"
    out.print(
        console.table(f"Matches against {report.reference}, {report.anchors} anchors, {source}", fields, matches, fields[1:])
    )
    share = 100 * report.complete / report.anchors if report.anchors else 0.0
    out.print(f"{report.complete} of {report.anchors} anchors ({share:.1f} %) have a frame of every sensor.", highlight=False)
    for note in report.notes:
        console.say(f"note: {note}")


def _clock_row(entry: SensorSync) -> tuple[object, ...]:
    clock = entry.clock
    rate = "–" if clock.measured_rate_hz is None else f"{clock.measured_rate_hz:.2f}"
    times = (console.ms(clock.period_p50_ns), console.ms(clock.jitter_p95_ns), clock.gaps, console.ms(clock.max_gap_ns))
    return (entry.sensor, clock.frames, rate, *times, clock.duplicates, clock.regressions)


def _match_row(entry: SensorSync, report: SyncReport) -> tuple[object, ...]:
    residuals = entry.residuals
    figures = (residuals.p50_ns, residuals.p95_ns, residuals.max_ns) if residuals else (None, None, None)
    delays = (entry.expected_delay_ns, entry.estimated_delay_ns, entry.tolerance_ns)
    share = f"{entry.matched} ({100 * entry.matched / report.anchors:.0f} %)" if report.anchors else "0"
    return (
        entry.sensor,
        share,
        entry.outside_tolerance,
        entry.no_frame,
        *(console.ms(value) for value in delays),
        *(console.ms(value) for value in figures),
    )


def _group_row(name: str, checks: list[Check]) -> tuple[object, ...]:
    failed = any(not check.ok for check in checks)
    whole = [check for check in checks if check.scope == "the lake"] or checks
    mark = Text("✗", style="bold red") if failed else Text("✓", style="green")
    return mark, name, _sum(check.left for check in whole), _sum(check.right for check in whole), len(checks)


def _sum(values: Iterable[int]) -> int:
    return sum(values)
