"""`quarantine release`, `quarantine reject`: one record, several, or all that a filter takes."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.commands.arguments import (
    DriveFilter,
    LevelFilter,
    RuleFilter,
    SensorFilter,
    VehicleFilter,
    record_filter,
)
from cli.commands.record_table import listed, one_record, table
from cli.options import EndpointOption, HomeOption, JsonOption
from ops import deployment
from ops.deployment import DEFAULT_HOME
from ops.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from ops.deployment import Deployment
    from ops.review.listing import Filter, Row
    from ops.review.service import Plan, Result

Records = Annotated[
    list[str] | None, typer.Argument(metavar="[RECORD_ID]...", help="Ids, or the beginnings of them; else what the filters take.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept for good.")]
Reviewer = Annotated[str | None, typer.Option("--reviewer", metavar="NAME", help="Who decides; else the user who runs this.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


_COMMANDS = {
    "release": (
        "Let what was quarantined into gold after all. Each drive concerned, and no other, is processed again; gold then says "
        "who let the scene in, from which rules, and why. What does not decode, or is not there, cannot be released.",
        "Example:  `scenelake quarantine release 3f9a --reason 'rain on the lens'`  ·  "
        "`scenelake quarantine release --rule LID001 --drive veh-1/drive-b --reason 'dust' --dry-run`",
    ),
    "reject": (
        "Keep what was quarantined out of gold for good: final, whatever a later version of the rules says of the same data.",
        "Example:  `scenelake quarantine reject 3f9a --reason 'the mast was bent' --yes`",
    ),
}


def register(app: typer.Typer) -> None:
    """Add both commands; they differ in nothing but the verdict."""
    for verdict, (words, example) in _COMMANDS.items():
        app.command(verdict, help=words, epilog=example)(_command(verdict))


def _command(verdict: str) -> Callable[..., None]:
    def decide(
        reason: Reason,
        records: Records = None,
        vehicle: VehicleFilter = None,
        drive: DriveFilter = None,
        level: LevelFilter = None,
        rule: RuleFilter = None,
        sensor: SensorFilter = None,
        reviewer: Reviewer = None,
        dry_run: DryRun = False,
        yes: Yes = False,
        endpoint: EndpointOption = None,
        home: HomeOption = DEFAULT_HOME,
        as_json: JsonOption = False,
    ) -> None:
        chosen = record_filter(vehicle, drive, level, rule, sensor, None)
        target = deployment.enter(endpoint, home)
        rows = _chosen(listed(target, drive), records or [], chosen)
        _decide(target, verdict, rows, reviewer, reason, dry_run=dry_run, yes=yes, as_json=as_json)

    return decide


def _chosen(rows: Sequence[Row], ids: Sequence[str], chosen: Filter) -> list[Row]:
    if ids:
        named = {row["record_id"]: row for row in (one_record(rows, one) for one in ids)}
        return [row for row in named.values() if chosen.takes(row)]
    if not any((chosen.vehicle, chosen.drive, chosen.level, chosen.rule, chosen.sensor)):
        raise InputError("nothing is named: give record ids, or a filter", "`scenelake quarantine ls` lists the records")
    return [row for row in rows if chosen.takes(row) and row["status"] == "quarantined"]


def _decide(
    target: Deployment,
    verdict: str,
    rows: Sequence[Row],
    reviewer: str | None,
    reason: str,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    from lake.overrides import Verdict, check_person
    from ops.review import service

    who, why = reviewer or getpass.getuser(), reason.strip()
    check_person(who, why)
    if not rows:
        raise NotFoundError("no quarantined record is like that", "`scenelake quarantine ls` lists them")
    wanted = service.plan(rows, Verdict(verdict))
    if not as_json:
        _print_plan(wanted)
    results: list[Result] = []
    if wanted.drives and not dry_run:
        _confirm(wanted, yes)
        results = service.carry_out(service.open_desk(target.settings), wanted, who, why)
    _report(wanted, results, dry_run=dry_run, as_json=as_json)
    if not wanted.drives or any(result.problem for result in results):
        raise typer.Exit(1)


def _print_plan(wanted: Plan) -> None:
    out = console.out()
    for drive, rows in wanted.drives.items():
        out.print(f"{wanted.verdict} in {drive}:", highlight=False)
        out.print(table(rows))
    if wanted.refused:
        out.print("left as they are:", highlight=False)
        out.print(table([row for row, _ in wanted.refused], [why for _, why in wanted.refused]))


def _confirm(wanted: Plan, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("nobody is there to be asked", "add --yes, or look first with --dry-run")
    after = "processed again" if wanted.verdict == "release" else "left as they are; this is final"
    question = f"{wanted.verdict} {wanted.records} records; {len(wanted.drives)} drives are {after}. Go on?"
    typer.confirm(question, abort=True, err=True)


def _report(wanted: Plan, results: Sequence[Result], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        console.print_json(
            {
                "verdict": wanted.verdict,
                "dry_run": dry_run,
                "drives": {str(drive): [row["record_id"] for row in rows] for drive, rows in wanted.drives.items()},
                "refused": [{"record_id": row["record_id"], "why": why} for row, why in wanted.refused],
                "results": results,
            }
        )
    for result in results:
        if result.problem:
            console.complain(f"{result.drive}: nothing was done: {result.problem}", "`scenelake quarantine ls` shows what is now")
        elif result.generation:
            console.say(f"{result.drive}: {len(result.records)} records released, generation {result.generation} is queued")
        else:
            console.say(f"{result.drive}: {len(result.records)} records rejected")
    if dry_run:
        console.say(f"dry run: {wanted.records} records in {len(wanted.drives)} drives; nothing was done")
