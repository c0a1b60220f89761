"""`up`, `down`, `status`: the local stack."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli import console
from cli.options import HomeOption, JsonOption
from ops import display
from ops.deployment import DEFAULT_HOME

if TYPE_CHECKING:
    from ops.stack.values import StackStatus

PANEL = "Local stack"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=PANEL, epilog="Example:  `scenelake up`")(up)
    app.command(rich_help_panel=PANEL, epilog="Example:  `scenelake down`")(down)
    app.command(rich_help_panel=PANEL, epilog='Example:  `scenelake status`  ·  `eval "$(scenelake status --env)"`')(status)


def up(home: HomeOption = DEFAULT_HOME) -> None:
    """Start the local stack and wait until it is healthy: an AWS endpoint, the event-source mapping, and Airflow.

    Everything listens on loopback only. What runs already is left as it is, so the command can be repeated. With
    AWS_ENDPOINT_URL set, that endpoint is provisioned and used instead of the embedded one.
    """
    from ops import stack

    started_s = time.monotonic()
    with console.progress() as bars:
        found = stack.up(home, bars.say)
    for note in found.notes:
        console.say(note)
    console.out().print(_table(found))
    console.say(f"healthy after {time.monotonic() - started_s:.1f} s")


def down(home: HomeOption = DEFAULT_HOME) -> None:
    """End all processes of the local stack. Data in the state folder stays where it is.

    The embedded AWS endpoint keeps its objects in memory: with it end the buckets, the queues and the ledger.
    """
    from ops import stack

    with console.progress() as bars:
        killed = stack.down(home, bars.say)
    console.say("the stack is down" + (f"; {killed} processes did not end when asked and were killed" if killed else ""))


def status(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    env: Annotated[
        bool, typer.Option("--env", help="Print the stack's variables for a shell, passwords and keys among them.")
    ] = False,
) -> None:
    """Say what of the local stack is healthy and where, how full its queues are, and what memory it takes.

    Exits with 1 where the stack is down or a part of it is not healthy. The Airflow password is generated at the first
    start and told here.
    """
    from ops import stack

    if env:
        _print_environment(home)
        return
    found = stack.status(home)
    if as_json:
        console.print_json(
            {
                "healthy": found.healthy,
                "home": found.home,
                "endpoint": found.endpoint,
                "airflow": {"url": found.airflow_url, "user": found.airflow_user, "password": found.airflow_password},
                "memory_bytes": found.memory_bytes,
                "components": found.components,
                "queues": found.queues,
            }
        )
    elif found.components:
        console.out().print(_table(found))
        _print_addresses(found)
    else:
        console.complain(f"no local stack is up in {found.home}", "`scenelake up` starts it")
    if not found.healthy:
        raise typer.Exit(1)


def _print_environment(home: Path) -> None:
    from ops import stack

    for name, value in sorted(stack.environment(home).items()):
        typer.echo(f"export {name}={shlex.quote(value)}")


def _table(found: StackStatus) -> object:
    rows = [
        (
            Text("●", style="green") if part.healthy else Text("●", style="red"),
            part.name,
            "healthy" if part.healthy else part.problem or "not healthy",
            part.address or "",
            part.pid or "",
            display.size(part.memory_bytes),
        )
        for part in found.components
    ]
    rows.append((Text(" "), "all together", "", "", "", display.size(found.memory_bytes)))
    return console.table(None, ("", "component", "state", "address", "pid", "memory"), rows, ("pid", "memory"))


def _print_addresses(found: StackStatus) -> None:
    out = console.out()
    if found.queues:
        rows = [(queue.name, queue.visible, queue.in_flight) for queue in found.queues]
        out.print()
        out.print(console.table(None, ("queue", "waiting", "leased"), rows, ("waiting", "leased")))
    out.print()
    out.print(
        f"Airflow   {found.airflow_url}   user {found.airflow_user}   password {found.airflow_password}",
        markup=False,
        highlight=False,
    )
    out.print(f"AWS       {found.endpoint}", markup=False, highlight=False)
