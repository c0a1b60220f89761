"""`forget`: remove a drive from everywhere, and certify it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.options import DATA, ApplyOption, EndpointOption, HomeOption, JsonOption, YesOption, examples, named_drive
from ops import DEFAULT_HOME, deployment
from ops.errors import InputError
from ops.report import display

if TYPE_CHECKING:
    from ops.erasure.certificate import Signer
    from ops.erasure.forget import Erasure, ErasureOutcome, ErasurePlan

_EXAMPLES = examples(
    'forget veh-1/drive-a --request F-2026-17 --basis "erasure request"',
    'forget veh-1/drive-a --request F-2026-17 --basis "erasure request" --apply',
    "forget veh-1/drive-a --request F-2026-17 --check",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("forget", rich_help_panel=DATA, epilog=_EXAMPLES)(forget)


def forget(
    drive: Annotated[str, typer.Argument(metavar="VEHICLE/DRIVE", help="The drive, e.g. `veh-1/drive-a`.")],
    request: Annotated[str, typer.Option("--request", metavar="ID", help="Id of the request in your register of requests.")],
    basis: Annotated[str, typer.Option("--basis", metavar="TEXT", help="On what ground; it is kept, so without names.")] = "",
    apply: ApplyOption = False,
    check: Annotated[bool, typer.Option("--check", help="Search again for what is left of a drive that was forgotten.")] = False,
    shallow: Annotated[
        bool, typer.Option("--shallow", help="Search no bytes of recordings, and none of other vehicles' data files.")
    ] = False,
    run_ended: Annotated[bool, typer.Option("--run-ended", help="You know that no run of the drive is at work.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the certificate to a file, too.")] = None,
    yes: YesOption = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Forget a drive: raw data, scenes, every pinned version, quarantine, ledger. It cannot be undone.

    Says what would be deleted; `--apply` deletes it, searches for what is left, and writes a certificate. A run that was killed
    is finished by the next. Exits with 1 if something is left. A hold forbids it. Whatever lands of the drive later is refused.
    """
    from lake.tables.creation import ensure_tables
    from ops.erasure.certificate import Signer

    if apply and check:
        raise typer.BadParameter("give either --apply or --check")
    if apply and not basis:
        raise typer.BadParameter("--apply needs a --basis", param_hint="--basis")
    named = named_drive(drive)
    target = deployment.enter(endpoint, home)
    key = target.command.certificate_key
    with console.progress() as bars:
        erasure = _erasure(target, named, bars)
        if not apply and not check:
            plan = erasure.plan()
        elif check:
            outcome = _checked(erasure, request, Signer(key) if key else None, deep=not shallow)
    if not apply and not check:
        _show_plan(plan, as_json=as_json)
        return
    if apply:
        _confirm(erasure, confirmed=yes)
        with console.progress() as bars:
            erasure = _erasure(target, named, bars)
            steps = erasure.steps(request, basis, run_ended=run_ended)
            ensure_tables(target.catalog())  # the tombstone is a row of this version's `gold.drives`
            for name, step in steps:
                bars.say(name)
                step()
            outcome = erasure.certify(request, Signer(key) if key else None, deep=not shallow)
    _show(outcome, out, as_json=as_json)
    if not outcome.found.clean:
        raise typer.Exit(1)


def _erasure(target: deployment.Deployment, drive: Any, bars: console.Bars) -> Erasure:
    from ops.erasure.forget import Erasure, ErasureWorld

    clients = (target.s3(), target.client("dynamodb"), target.client("sqs"))
    return Erasure(ErasureWorld(target.settings, *clients, target.catalog(), time.time_ns), drive, bars)


def _checked(erasure: Erasure, request: str, signer: Signer | None, *, deep: bool) -> ErasureOutcome:
    known = erasure.tombstones.of(erasure.drive)
    if known is None or known.request != request:
        by = "was not forgotten" if known is None else f"was forgotten by request {known.request}"
        raise InputError(f"the drive {by}; there is nothing to check for request {request}")
    return erasure.certify(request, signer, deep=deep)


def _confirm(erasure: Erasure, *, confirmed: bool) -> None:
    if confirmed:
        return
    if not sys.stdin.isatty():
        raise InputError("cannot prompt: stdin is not a terminal", "add --yes, or look first, without --apply")
    typer.confirm(f"forget {erasure.drive} for good?", abort=True, err=True)


def _show_plan(plan: ErasurePlan, *, as_json: bool) -> None:
    if as_json:
        console.print_json(
            {
                "drive": str(plan.drive),
                "places": plan.sums,
                "uploads": plan.uploads,
                "rows": dict(plan.rows),
                "versions": {name: refs for name, refs in plan.refs.items() if refs},
                "ledger_items": plan.items,
                "holds": [str(hold) for hold in plan.holds],
                "forgotten_by": None if plan.tombstone is None else plan.tombstone.request,
                "state": plan.state,
            }
        )
        return
    places = [(one.what, one.versions, one.markers, display.size(one.bytes)) for one in plan.sums]
    columns = ("place", "versions", "delete markers", "size")
    console.out().print(console.table("Objects", columns, places, columns[1:]))
    tables = [(name, rows, ", ".join(plan.refs[name])) for name, rows in plan.rows.items()]
    console.out().print(console.table("Tables", ("table", "rows", "versions that are redacted"), tables, ("rows",)))
    console.say(f"ledger: {console.counted(plan.items, 'item')}; uploads that were not completed: {plan.uploads}")
    for hold in plan.holds:
        console.say(f"refused while it stands: {hold}")
    if plan.tombstone is not None:
        console.say(f"forgotten by request {plan.tombstone.request}; what is listed came later or was not finished")
    console.say("nothing was changed; --apply forgets the drive for good")


def _show(outcome: ErasureOutcome, out: Path | None, *, as_json: bool) -> None:
    from ops.erasure.certificate import opened

    body = json.dumps(outcome.certificate, indent=2) + "\n"
    said = opened(body.encode())["predicate"]
    if out is not None:
        out.write_text(body)
    if as_json:
        console.print_json({"certificate": outcome.uri, "statement": said, "left": outcome.found.left})
        return
    rows = [(one["what"], one["why"], one["until"] or "nobody here can say") for one in said["exceptions"]]
    console.out().print(console.table("Out of reach", ("what", "why", "until"), rows))
    for one in outcome.found.left:
        console.say(f"left: {one.where}: {one.why}")
    for text in outcome.found.unreadable:
        console.say(f"cannot be read: {text}")
    searched = said["after"]["searched"]
    console.say(f"searched {searched['versions']} versions, {searched['ledger_items']} items; left: {said['after']['left']}")
    signed = "signed" if outcome.certificate["signatures"] else "not signed: SCENELAKE_CERTIFICATE_KEY names no key"
    console.say(f"certificate: {outcome.uri} ({signed})")
