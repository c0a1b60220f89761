"""`quarantine ls`, `show`, `release`, `reject`: the data kept out of gold, the reasons, and the decisions about it."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli import console
from cli.options import (
    DriveFilter,
    EndpointOption,
    HomeOption,
    JsonOption,
    LevelFilter,
    RuleFilter,
    SensorFilter,
    StatusFilter,
    VehicleFilter,
    drive_filter,
    examples,
    record_filter,
)
from ops import DEFAULT_HOME, deployment
from ops.errors import InputError, NotFoundError
from ops.report import display

if TYPE_CHECKING:
    from ops.deployment import Deployment
    from ops.review.decisions import Plan, Result
    from ops.review.listing import Filter, RecordList, ReviewRecord

COLUMNS = ("record", "level", "what", "sensor", "rules", "frames", "status", "measured")
MOST_LISTED, MOST_DECIDED = 500, 10_000
_LIST_HINT = "`scenelake quarantine ls` lists the records"

Records = Annotated[
    list[str] | None,
    typer.Argument(metavar="RECORD_ID", help="Record ids or unique prefixes; without any, the filters select."),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason; it is kept permanently.")]
Reviewer = Annotated[str | None, typer.Option("--reviewer", metavar="NAME", help="Who decides; default: the current user.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

app = typer.Typer(no_args_is_help=True, help="Inspect what was kept out of gold, and release or reject it.")


@dataclass(frozen=True, slots=True)
class _Request:
    """A decision about records: the verdict, by whom and why, and how to carry it out. `confirmed`: do not prompt."""

    verdict: str
    reviewer: str
    reason: str
    dry_run: bool
    confirmed: bool
    as_json: bool


@app.command("ls", epilog=examples("quarantine ls --drive veh-1/drive-b", "quarantine ls --rule DEC005 --json"))
def ls(
    vehicle: VehicleFilter = None,
    drive: DriveFilter = None,
    level: LevelFilter = None,
    rule: RuleFilter = None,
    sensor: SensorFilter = None,
    status: StatusFilter = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_LISTED, help="Most records to list.")] = 100,
    after: Annotated[str | None, typer.Option("--after", metavar="PLACE", help="List the page behind this place.")] = None,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List quarantine records, a page at a time.

    Each record shows its subject, the failed rules, the number of frames that it keeps out of gold, and the decision.

    Statuses: `quarantined`; `releasing` (released, its drive is being processed again); `released`; `rejected`; `refused`
    (an object whose key is outside the landing layout, never read).
    """
    chosen = record_filter(vehicle, drive, level, rule, sensor, status)
    page = listed(deployment.enter(endpoint, home)).page(chosen, after, limit)
    rows = page.rows
    if as_json:
        console.print_json(rows)
    else:
        console.out().print(table(rows))
    frames = sum(row.frames for row in rows)
    if rows:
        console.say(f"{console.counted(len(rows), 'record')}, {console.counted(frames, 'frame')} kept out of gold")
    elif page.following is None:
        console.say("no records")
    if page.following is not None:
        console.say(f"there may be more: add --after {page.following}")


@app.command("show", epilog=examples("quarantine show 3f9a0c1d22ab", "quarantine show 3f9a --html why.html"))
def show(
    record_id: Annotated[str, typer.Argument(metavar="RECORD_ID", help="A record id, or a unique prefix of one.")],
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Where to write the page of pictures; default: `quarantine-RECORD.html`."),
    ] = None,
    drive: DriveFilter = None,
    no_page: Annotated[bool, typer.Option("--no-page", help="Do not write a page.")] = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one quarantine record and write a page of pictures.

    Shows every rule that failed with its measured value and threshold, the location of the data in the raw bucket, its copy
    in the quarantine bucket, and the decision about it.

    The page shows the frame, its neighbours, the scene with lidar points projected into its images, and measured values
    against their limits.

    With --drive only that drive is read; without it, the ids of all records are read to find the drive.
    """
    drive_filter(drive)
    target = deployment.enter(endpoint, home)
    records = listed(target)
    row = one_record(records, record_id, drive)
    if not no_page and (html is not None or not as_json):
        of_drive = [] if row.drive is None else records.of_drive(row.drive)
        _write_page(target, row, of_drive, html or Path(f"quarantine-{row.record_id[:12]}.html"))
    if as_json:
        console.print_json(row)
        return
    out = console.out()
    out.print(console.table(None, ("", ""), _facts(row)))
    out.print()
    findings = [(entry.rule_id, _number(entry.measured), _number(entry.threshold), entry.message) for entry in row.findings]
    out.print(console.table("Findings", ("rule", "measured", "threshold", "message"), findings, ("measured", "threshold")))


def _decision_command(verdict: str) -> Callable[..., None]:
    # typer maps one parameter to one option, so the list is long here; from here on it travels as two values.
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
        request = _Request(verdict, reviewer or getpass.getuser(), reason.strip(), dry_run, yes, as_json)
        target = deployment.enter(endpoint, home)
        _decide(target, request, _selected(listed(target), records or [], chosen))

    return decide


app.command(
    "release",
    help="Admit quarantined data to gold.\n\nProcesses each affected drive again, and no other; gold then records who released "
    "the data, from which rules, and why. Data that is missing or does not decode cannot be released.",
    epilog=examples(
        "quarantine release 3f9a --reason 'rain on the lens'",
        "quarantine release --rule LID001 --drive veh-1/drive-b --reason 'dust' --dry-run",
    ),
)(_decision_command("release"))
app.command(
    "reject",
    help="Keep quarantined data out of gold permanently.\n\nFinal: a later version of the rules does not change it.",
    epilog=examples("quarantine reject 3f9a --reason 'the mast was bent' --yes"),
)(_decision_command("reject"))


def listed(target: Deployment) -> RecordList:
    """The records of a deployment."""
    from ops.review.listing import RecordList

    return RecordList(target.catalog(), target.ledger())


def one_record(records: RecordList, record_id: str, drive: str | None) -> ReviewRecord:
    """The record with this id or prefix of an id, among those of a drive or of all.

    Raises:
        NotFoundError: None matches, or more than one does.
    """
    from ops.review.listing import Filter

    with console.progress() as bars:
        every = records.every(Filter(drive=drive, record=record_id), partial(bars, "looking for the record's drive"))
        found = list(islice(every, MOST_LISTED))
    if len(found) != 1:
        cause = f"{len(found)} records begin with {record_id!r}" if found else f"no quarantine record {record_id!r}"
        raise NotFoundError(cause, _LIST_HINT)
    return found[0]


def table(rows: Sequence[ReviewRecord], last: Sequence[str] = ()) -> Table:
    """The records, one per line; `last` replaces the column of measured values."""
    from ops.review.page import subject

    messages = last or [_summary(row) for row in rows]
    cells = [
        (
            row.record_id[:12],
            row.level,
            subject(row),
            row.sensor or "",
            ", ".join(row.rule_ids),
            row.frames,
            row.status,
            _short(message),
        )
        for row, message in zip(rows, messages, strict=True)
    ]
    return console.table(None, COLUMNS, cells, ("frames",))


def _summary(row: ReviewRecord) -> str:
    """The decision about a record; without one, its first finding."""
    if row.decision is not None:
        return f"{row.decision.reviewer}: {row.decision.reason}"
    return row.findings[0].message if row.findings else ""


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


def _write_page(target: Deployment, row: ReviewRecord, of_drive: Sequence[ReviewRecord], path: Path) -> None:
    from ops.report.page import write
    from ops.review.evidence import gather
    from ops.review.page import record_page

    write(path, record_page(row, gather(target.catalog(), target.store(), row, of_drive)))
    console.say(f"pictures: {path}")


def _facts(row: ReviewRecord) -> list[tuple[str, str]]:
    from ops.review.page import subject

    source = row.source
    offset = "" if source.offset is None else f", byte {source.offset}"
    facts = [
        ("record", row.record_id),
        ("level", row.level),
        ("about", subject(row)),
        ("sensor", row.sensor or "–"),
        ("status", row.status),
        ("keeps out", console.counted(row.frames, "frame")),
        ("source", "no raw object" if source.key is None else f"{source.key} (version {source.version_id}{offset})"),
        ("copy", row.payload_uri or "none"),
    ]
    if row.decision is not None:
        word = "released" if row.decision.verdict == "release" else "rejected"
        facts.append((word, f"by {row.decision.reviewer} at {display.utc(row.decision.decided_ns)}: {row.decision.reason}"))
    return facts


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _selected(records: RecordList, ids: Sequence[str], chosen: Filter) -> list[ReviewRecord]:
    if ids:
        named = {row.record_id: row for row in (one_record(records, one, chosen.drive) for one in ids)}
        return [row for row in named.values() if chosen.takes(row)]
    if not any((chosen.vehicle, chosen.drive, chosen.level, chosen.rule, chosen.sensor)):
        raise InputError("no records selected: give record ids, or a filter", _LIST_HINT)
    with console.progress() as bars:
        every = records.every(chosen, partial(bars, "looking for drives with such records"))
        found = list(islice((row for row in every if row.status == "quarantined"), MOST_DECIDED + 1))
    if len(found) > MOST_DECIDED:
        raise InputError(
            f"more than {MOST_DECIDED} records match, which is the most that one decision takes",
            "narrow it down: --vehicle, --drive",
        )
    return found


def _decide(target: Deployment, request: _Request, rows: Sequence[ReviewRecord]) -> None:
    from lake.overrides import Verdict, check_person
    from ops.review import decisions

    check_person(request.reviewer, request.reason)
    if not rows:
        raise NotFoundError("no quarantined record matches", _LIST_HINT)
    plan = decisions.plan(rows, Verdict(request.verdict))
    if not request.as_json:
        _print_plan(plan)
    results: list[Result] = []
    if plan.drives and not request.dry_run:
        if not request.confirmed:
            _confirm(plan)
        results = decisions.carry_out(decisions.open_desk(target.settings), plan, request.reviewer, request.reason)
    _report(plan, results, request)
    if not plan.drives or any(result.problem for result in results):
        raise typer.Exit(1)


def _print_plan(plan: Plan) -> None:
    out = console.out()
    for drive, rows in plan.drives.items():
        out.print(f"{plan.verdict} in {drive}:", highlight=False)
        out.print(table(rows))
    if plan.refused:
        out.print("not changed:", highlight=False)
        out.print(table([row for row, _ in plan.refused], [why for _, why in plan.refused]))


def _confirm(plan: Plan) -> None:
    if not sys.stdin.isatty():
        raise InputError("cannot prompt: stdin is not a terminal", "add --yes, or check first with --dry-run")
    records, drives = console.counted(plan.records, "record"), console.counted(len(plan.drives), "drive")
    effect = "to be processed again" if plan.verdict == "release" else "not processed again; this is final"
    typer.confirm(f"{plan.verdict} {records} ({drives} {effect})?", abort=True, err=True)


def _report(plan: Plan, results: Sequence[Result], request: _Request) -> None:
    if request.as_json:
        console.print_json(
            {
                "verdict": plan.verdict,
                "dry_run": request.dry_run,
                "drives": {str(drive): [row.record_id for row in rows] for drive, rows in plan.drives.items()},
                "refused": [{"record_id": row.record_id, "why": why} for row, why in plan.refused],
                "results": results,
            }
        )
    for result in results:
        records = console.counted(len(result.records), "record")
        if result.problem:
            console.complain(
                f"{result.drive}: nothing changed: {result.problem}", "`scenelake quarantine ls` shows the current state"
            )
        elif result.generation:
            console.say(f"{result.drive}: {records} released, generation {result.generation} is queued")
        else:
            console.say(f"{result.drive}: {records} rejected")
    if request.dry_run:
        records, drives = console.counted(plan.records, "record"), console.counted(len(plan.drives), "drive")
        console.say(f"dry run: {records} in {drives}; nothing changed")
