"""`recall`, `recall ls`, `recall lift`: what a fault touched, and what later readers must leave out."""

from __future__ import annotations

import getpass
import json
import secrets
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.options import EndpointOption, HomeOption, JsonOption, PersonOption, WithDefault, examples
from ops import DEFAULT_HOME, deployment
from ops.report import display

if TYPE_CHECKING:
    from lake.versions.recalls import RecallRow
    from ops.recall.criteria import Criteria
    from ops.recall.find import RecallResult

NS_PER_US = 1000
app = typer.Typer(
    cls=WithDefault,
    no_args_is_help=True,
    help="Find what a fault touched, and exclude it from what is read later.",
    epilog=examples("recall --vehicle veh-1 --sensor lidar_top --from 2026-05-01", "recall ls"),
)


@app.command(
    "find",
    epilog=examples(
        "recall --vehicle veh-1 --sensor lidar_top --from 2026-05-01 --to 2026-05-08T12:00",
        "recall --calibration 3f9c… --scenes",
        'recall --vehicle veh-1 --sensor lidar_top --exclude --reason "loose mount"',
    ),
)
def find(
    vehicle: Annotated[str | None, typer.Option("--vehicle", metavar="VEHICLE", help="Of this vehicle.")] = None,
    drive: Annotated[str | None, typer.Option("--drive", metavar="DRIVE", help="This drive of the vehicle.")] = None,
    sensor: Annotated[str | None, typer.Option("--sensor", metavar="SENSOR", help="With this sensor.")] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="With anchors from this time on (UTC).")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="With anchors up to this time (UTC).")] = None,
    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="SHA256", help="With this calibration.json.")
    ] = None,
    key: Annotated[str | None, typer.Option("--object", metavar="KEY", help="Made from this raw object.")] = None,
    version_id: Annotated[str | None, typer.Option("--version", metavar="ID", help="Made from this version of it.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", metavar="CODE", help="That this rule flagged or keeps in part.")] = None,
    scenes: Annotated[bool, typer.Option("--scenes", help="List the scenes, too.")] = False,
    exclude: Annotated[bool, typer.Option("--exclude", help="Record that what was found must not be used.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it is excluded.")] = "",
    person: PersonOption = None,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Find the drives, scenes and versions that a fault touched; all conditions must hold. `find` may be left out.

    Drives are found by their publications; `--scenes` reads the scenes of those that were found. What a publication of an older
    lake does not tell about is reported as unknown, and excludes nothing. With `--scenes --json`, one JSON document a line: what
    was found, then each scene. Data stays as it is; `forget` removes a drive.
    """
    from ops.recall.criteria import Criteria
    from ops.recall.find import find as found_by

    if exclude and not reason:
        raise typer.BadParameter("--exclude needs a --reason", param_hint="--reason")
    moments = (_moment(since, "--from"), _moment(until, "--to"))
    criteria = Criteria(vehicle, drive, sensor, *moments, calibration, key, version_id, rule)
    catalog = deployment.enter(endpoint, home).catalog()
    with console.progress() as bars:
        bars.say("reading publications")
        found = found_by(catalog, criteria)
    recall_id = _exclude(catalog, found, reason, person) if exclude else None
    if as_json:
        _print_json(catalog, found, recall_id, scenes=scenes)
        return
    _show(found)
    if scenes:
        _show_scenes(catalog, found)
    if recall_id is not None:
        console.say(f"recall {recall_id} excludes them; `scenelake recall lift {recall_id}` ends it")


@app.command("ls", epilog=examples("recall ls", "recall ls --all --json"))
def ls(
    every: Annotated[bool, typer.Option("--all", help="Also recalls that were lifted, and who lifted them.")] = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the recalls that are in force, by drive."""
    from lake.versions.recalls import in_force, recall_rows

    rows = recall_rows(deployment.enter(endpoint, home).catalog())
    if not every:
        rows = tuple(row for found in in_force(rows).by_drive.values() for row in found)
    if as_json:
        console.print_json(rows)
        return
    columns = ("recall", "kind", "drive", "sensors", "from", "to", "recorded", "by", "reason")
    console.out().print(console.table(None, columns, [_row(row) for row in rows]))


@app.command("lift", epilog=examples('recall lift 5f0c2a11 --reason "the mount was sound"'))
def lift(
    recall_id: Annotated[str, typer.Argument(metavar="RECALL", help="The recall's id.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")],
    person: PersonOption = None,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """End a recall: what it excluded may be used again. The recall stays on record."""
    from lake.versions.recalls import lift as lifted

    catalog = deployment.enter(endpoint, home).catalog()
    rows = lifted(catalog, recall_id, reason, person or getpass.getuser(), time.time_ns())
    if as_json:
        console.print_json(rows)
        return
    console.say(f"recall {recall_id} is lifted for {console.counted(len(rows), 'drive')}")


def _exclude(catalog: Any, found: RecallResult, reason: str, person: str | None) -> str:
    from lake.tables.creation import ensure_tables
    from lake.versions.recalls import exclude
    from ops.recall.record import rows_of

    recall_id = secrets.token_hex(4)
    rows = rows_of(found, recall_id, reason, person or getpass.getuser(), time.time_ns())
    if rows:
        ensure_tables(catalog)
    exclude(catalog, rows)
    return recall_id


def _moment(text: str | None, option: str) -> int | None:
    """A time as ns since the Unix epoch: digits are taken as that, anything else as ISO 8601, UTC unless it says otherwise."""
    if text is None or text.isdigit():
        return None if text is None else int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither a time of ISO 8601 nor nanoseconds", param_hint=option) from error
    utc = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    seconds, micros = divmod(round((utc - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000), 1_000_000)
    return (seconds * 1_000_000 + micros) * NS_PER_US


def _print_json(catalog: Any, found: RecallResult, recall_id: str | None, *, scenes: bool) -> None:
    from ops.recall.find import scenes as found_scenes

    drives = [
        {
            "drive": str(one.row.drive),
            "revision": one.row.revision,
            "generation": one.row.generation,
            "publications": one.publications,
            "scenes": one.row.scenes,
            "first_anchor_ns": one.row.first_anchor_ns,
            "last_anchor_ns": one.row.last_anchor_ns,
            "snapshot_id": one.row.scenes_snapshot_id,
            "tags": dict(one.tags),
            "unknown": one.unknown,
        }
        for one in found.drives
    ]
    document = {"criteria": _asked(found.criteria), "read": found.read, "drives": drives, "recall_id": recall_id}
    if not scenes:
        console.print_json(document)
        return
    sys.stdout.write(json.dumps(document) + "\n")
    for one in found_scenes(catalog, found):
        sys.stdout.write(json.dumps({"scene_id": one.scene_id, "anchor_ns": one.anchor_ns}) + "\n")


def _asked(criteria: Criteria) -> dict[str, Any]:
    return {name: value for name, value in asdict(criteria).items() if value is not None}


def _show(found: RecallResult) -> None:
    rows = [
        (
            str(one.row.drive),
            one.row.generation,
            one.row.scenes,
            display.utc(one.row.first_anchor_ns),
            display.utc(one.row.last_anchor_ns),
            ", ".join(f"{tag} ({generation})" for tag, generation in one.tags),
            ", ".join(one.unknown),
        )
        for one in found.drives
    ]
    columns = ("drive", "generation", "scenes", "first", "last", "tags (generation)", "unknown")
    console.out().print(console.table(None, columns, rows, ("generation", "scenes")))
    console.say(f"{console.counted(len(rows), 'drive')}, {console.counted(found.scenes, 'scene')}; read: {', '.join(found.read)}")


def _show_scenes(catalog: Any, found: RecallResult) -> None:
    from ops.recall.find import scenes

    out = console.out()
    for one in scenes(catalog, found):
        out.print(one.scene_id, markup=False, highlight=False, soft_wrap=True)


def _row(row: RecallRow) -> tuple[str, ...]:
    ends = (display.utc(row.from_ns) if row.from_ns else "", display.utc(row.to_ns) if row.to_ns else "")
    sensors = ", ".join(row.sensors) or "whole scenes"
    return row.recall_id, row.kind, str(row.drive), sensors, *ends, display.utc(row.recorded_ns), row.person, row.reason
