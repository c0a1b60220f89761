"""`audit`: is anything lost?"""

from __future__ import annotations

import datetime
import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.audit_tables import print_audit
from cli.options import CHECK, DriveFilter, EndpointOption, HomeOption, JsonOption, drive_filter, examples, parsed_day
from ops import DEFAULT_HOME, deployment
from ops.report import display
from sensors.time_units import NS_PER_S, NS_PER_US

if TYPE_CHECKING:
    from ops.audit.run import AuditDone, Auditor

DayOption = Annotated[str | None, typer.Option("--day", metavar="YYYY-MM-DD", help="Only the drives of this UTC day.")]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only drives that changed since this time (ISO 8601, UTC unless it says otherwise), or since the `watermark`.",
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="Every drive, whatever has been signed off.")]
WATERMARK = "watermark"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    epilog = examples("audit", "audit --all", "audit --drive veh-1/drive-a", "audit --day 2026-05-01 --json")
    app.command(rich_help_panel=CHECK, epilog=epilog)(audit)


def audit(
    drive: DriveFilter = None,
    day: DayOption = None,
    since: SinceOption = None,
    everything: AllOption = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Check that nothing is lost or duplicated.

    Recomputes the accounting from S3, the ledger and the tables: objects landed = published + quarantined + refused +
    pending; frames read = gold + quarantined + unmatched, per drive and sensor; no scene or batch is duplicated; ledger and
    gold agree; every quarantined payload has its copy.

    Without options it looks at the drives that changed since the last audit that was signed off, and signs off the result if
    it balances; the first one looks at everything. What changed without a trace in the ledger or the tables, such as a raw
    object that was deleted, only `--all` finds: run it every week.

    Exits with 1 if the accounting does not balance.
    """
    if sum((drive is not None, day is not None, since is not None, everything)) > 1:
        raise typer.BadParameter("give one of --drive, --day, --since and --all")
    chosen, of_day, since_ns = drive_filter(drive), parsed_day(day, "--day"), _since_ns(since)
    stream = console.JsonStream("checks") if as_json else None
    with console.progress() as bars:
        auditor = _auditor(deployment.enter(endpoint, home), bars, stream)
        if chosen is not None:
            done = auditor.drive(chosen)
        elif of_day is not None:
            done = auditor.day(of_day)
        elif since_ns is not None:
            done = auditor.since(since_ns, str(since))
        else:
            done = auditor.everything() if everything else auditor.changed()
    _report(done, stream)
    if chosen is None and of_day is None and since_ns is None:
        _say_what_rests_on_what(done, can_sign=auditor.watermarks is not None)
    if not done.result.balanced:
        raise typer.Exit(1)


def _auditor(target: deployment.Deployment, bars: console.Bars, stream: console.JsonStream | None) -> Auditor:
    def progress(done: int, total: int) -> None:
        bars("drives", done, total)

    return target.auditor(getpass.getuser(), progress, None if stream is None else stream.add)


def _report(done: AuditDone, stream: console.JsonStream | None) -> None:
    result = done.result
    if stream is None:
        print_audit(result)
    else:
        named = {name: getattr(result, name) for name in ("balanced", *result.__struct_fields__) if name != "failures"}
        rests_on = None if done.since is None else {"as_of_ns": done.since.as_of_ns, "full_ns": done.since.full_ns}
        stream.end({**named, "scope": done.scope, "since": rests_on, "signed_off": done.signed is not None})
    if not result.drives:
        console.say(f"no drive to audit: {done.scope}")


def _say_what_rests_on_what(done: AuditDone, *, can_sign: bool) -> None:
    if done.since is not None:
        watermark, looked_at = done.since, console.counted(done.result.drives, "drive")
        console.say(
            f"{looked_at} changed since the watermark of {display.utc(watermark.as_of_ns)}, signed by {watermark.signed_by}. "
            f"The others were not looked at: `scenelake audit --all` last did on {display.utc(watermark.full_ns)} "
            f"({console.counted(watermark.drives, 'drive')}). Only it finds lost events of new objects, deleted raw versions, "
            "and rows, files and copies that were removed without a publication"
        )
    if done.signed is not None:
        console.say(f"signed off as of {display.utc(done.signed.as_of_ns)}; the next audit begins there")
    elif not can_sign:
        console.say("not signed off: SCENELAKE_AUDIT_KEY is not set, so the next audit looks at everything again")
    elif not done.result.balanced:
        console.say("not signed off: the next audit begins where this one did")
    else:
        console.say("not signed off: objects of too many drives are just arriving")


def _since_ns(text: str | None) -> int | None:
    if text is None or text == WATERMARK:
        return None
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        problem = f"{text!r} is neither `{WATERMARK}` nor a time such as 2026-05-01T12:00"
        raise typer.BadParameter(problem, param_hint="--since") from None
    in_utc = found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)
    since_epoch = in_utc - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * NS_PER_S + since_epoch.microseconds * NS_PER_US
