"""`hold`, `hold ls`, `hold release`: drives that are evidence, and must not be forgotten."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.options import EndpointOption, HomeOption, JsonOption, PersonOption, WithDefault, examples, named_drive
from ops import DEFAULT_HOME, deployment
from ops.report import display

if TYPE_CHECKING:
    from ops.erasure.holding import HeldDrive, HoldDesk

ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")]


class _Holds(WithDefault):
    default = "place"


app = typer.Typer(
    cls=_Holds,
    no_args_is_help=True,
    help="Keep a drive that is evidence from being forgotten.",
    epilog=examples('hold veh-1/drive-a --reason "incident 4711"', "hold ls"),
)


@app.command("place", epilog=examples('hold veh-1/drive-a --reason "incident 4711"'))
def place(
    drive: Annotated[str, typer.Argument(metavar="VEHICLE/DRIVE", help="The drive, e.g. `veh-1/drive-a`.")],
    reason: ReasonOption,
    person: PersonOption = None,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Hold a drive: `forget` refuses it, and the version of the lake that holds it now does not expire.

    `place` may be left out. A drive may have several holds; each is released by itself.
    """
    named = named_drive(drive)
    held = _desk(endpoint, home).place(named, reason, person or getpass.getuser())
    if as_json:
        console.print_json(held)
        return
    console.say(f"{held.hold.drive} is held: {held.hold.hold_id}")
    if not held.pinned:
        console.say("nothing is published yet, so no version is pinned: hold it again when it is")


@app.command("ls", epilog=examples("hold ls", "hold ls --json"))
def ls(
    every: Annotated[bool, typer.Option("--all", help="Also those that were released.")] = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the holds."""
    found = [held for held in _desk(endpoint, home).all() if every or held.hold.in_force]
    if as_json:
        console.print_json(found)
        return
    columns = ("hold", "drive", "since", "by", "reason", "version", "released")
    console.out().print(console.table(None, columns, [_row(held) for held in found]))


@app.command("release", epilog=examples('hold release 5f0c2a11 --reason "case closed"'))
def release(
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id.")],
    reason: ReasonOption,
    person: PersonOption = None,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """End a hold. The hold and who ended it stay on record for as long as the drive does."""
    hold = _desk(endpoint, home).release(hold_id, reason, person or getpass.getuser())
    if as_json:
        console.print_json(hold)
        return
    console.say(f"hold {hold.hold_id} on {hold.drive} is released")


def _desk(endpoint: str | None, home: HomeOption) -> HoldDesk:
    import time

    from ops.erasure.holding import HoldDesk

    target = deployment.enter(endpoint, home)
    return HoldDesk(target.client("dynamodb"), target.settings.ledger_table, target.catalog(), time.time_ns)


def _row(held: HeldDrive) -> tuple[str, ...]:
    hold = held.hold
    ended = f"{display.utc(hold.released_ns)} by {hold.released_by}: {hold.why_released}" if hold.released_ns else ""
    pinned = "pinned" if held.pinned else "not pinned"
    return hold.hold_id, str(hold.drive), display.utc(hold.held_ns), hold.person, hold.reason, pinned, ended
