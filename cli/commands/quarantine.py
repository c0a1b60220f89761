"""`quarantine ls`, `show`, `release`, `reject`: what was kept out of gold, why, and what is decided about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.commands import decide
from cli.commands.arguments import (
    DriveFilter,
    LevelFilter,
    RuleFilter,
    SensorFilter,
    StatusFilter,
    VehicleFilter,
    record_filter,
)
from cli.commands.record_table import listed, one_record, table
from cli.options import EndpointOption, HomeOption, JsonOption
from ops import deployment, display
from ops.deployment import DEFAULT_HOME

if TYPE_CHECKING:
    from ops.deployment import Deployment

app = typer.Typer(no_args_is_help=True, help="Look at what was kept out of gold, and why; let it in or reject it for good.")
decide.register(app)


@app.command(
    "ls",
    epilog="Example:  `scenelake quarantine ls --drive veh-1/drive-b`  ·  `scenelake quarantine ls --rule DEC005 --json`",
)
def ls(
    vehicle: VehicleFilter = None,
    drive: DriveFilter = None,
    level: LevelFilter = None,
    rule: RuleFilter = None,
    sensor: SensorFilter = None,
    status: StatusFilter = None,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the quarantine records: what each is about, the rules that it failed, how many frames it keeps out of gold, and
    what was decided about it.

    The status is `quarantined`, `releasing` (released, and the drive not through yet), `released`, `rejected`, or `refused`:
    objects with a key outside the landing layout were refused before anything of them was read.
    """
    chosen = record_filter(vehicle, drive, level, rule, sensor, status)
    rows = [row for row in listed(deployment.enter(endpoint, home), chosen.drive) if chosen.takes(row)]
    if as_json:
        console.print_json(rows)
        return
    console.out().print(table(rows))
    frames = sum(row["frames"] for row in rows)
    console.say(f"{len(rows)} records, {frames} frames kept out of gold" if rows else "no record")


@app.command(
    "show",
    epilog="Example:  `scenelake quarantine show 3f9a0c1d22ab`  ·  `scenelake quarantine show 3f9a --html why.html`",
)
def show(
    record_id: Annotated[str, typer.Argument(metavar="RECORD_ID", help="A record's id, or the beginning of it.")],
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Where to write the page with the pictures; else `quarantine-RECORD.html`."),
    ] = None,
    no_page: Annotated[bool, typer.Option("--no-page", help="Write no page.")] = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one quarantine record: every rule that it failed with the measured value and the threshold, where in the raw
    bucket the data lies, where its copy is kept, and what was decided about it. Write a page with the pictures that matter:
    the frame, its neighbours, the scene with the lidar in its images, and the measures beside their limits.
    """
    target = deployment.enter(endpoint, home)
    rows = listed(target, None)
    row = one_record(rows, record_id)
    if not no_page and (html is not None or not as_json):
        _write_page(target, row, rows, html or Path(f"quarantine-{row['record_id'][:12]}.html"))
    if as_json:
        console.print_json(row)
        return
    out = console.out()
    out.print(console.table(None, ("", ""), _facts(row)))
    out.print()
    findings = [
        (entry["rule_id"], _number(entry["measured"]), _number(entry["threshold"]), entry["message"]) for entry in row["findings"]
    ]
    out.print(console.table("Findings", ("rule", "measured", "threshold", "message"), findings, ("measured", "threshold")))


def _write_page(target: Deployment, row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    from ops.report.page import write
    from ops.review.evidence import gather
    from ops.review.page import record_page

    of_drive = [other for other in rows if (other["vehicle_id"], other["drive_id"]) == (row["vehicle_id"], row["drive_id"])]
    write(path, record_page(row, gather(target.catalog(), target.store(), row, of_drive)))
    console.say(f"pictures: {path}")


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    from ops.review.page import subject

    source, decision = row["source"], row["decision"]
    offset = "" if source["offset"] is None else f", byte {source['offset']}"
    lies = "no raw object of its own" if source["key"] is None else f"{source['key']} (version {source['version_id']}{offset})"
    facts = [
        ("record", row["record_id"]),
        ("level", row["level"]),
        ("about", subject(row)),
        ("sensor", row["sensor"] or "–"),
        ("status", row["status"]),
        ("keeps out", f"{row['frames']} frames"),
        ("lies in", lies),
        ("copy", row["payload_uri"] or "none"),
    ]
    if decision:
        word = "released" if decision["verdict"] == "release" else "rejected"
        facts.append((word, f"by {decision['reviewer']} at {display.utc(decision['decided_ns'])}: {decision['reason']}"))
    return facts


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"
