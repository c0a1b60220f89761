"""`up`, `down`, `status`: the local stack."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli import console
from cli.options import STACK, HomeOption, JsonOption, examples
from ops import DEFAULT_HOME
from ops.report import display

if TYPE_CHECKING:
    from ops.stack.inspection import StackStatus


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=STACK, epilog=examples("up"))(up)
    app.command(rich_help_panel=STACK, epilog=examples("down"))(down)
    app.command(rich_help_panel=STACK, epilog=examples("status", "status --json"))(status)


def up(home: HomeOption = DEFAULT_HOME) -> None:
    """Start the local stack and wait until it is healthy.

    The stack is an AWS endpoint, the event-source mapping, and Airflow; all listen on loopback only. Running components are
    left alone, so the command is safe to repeat. With AWS_ENDPOINT_URL set, that endpoint is provisioned and used instead of
    the embedded one.
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
    """Stop the local stack. The state folder is kept.

    The embedded AWS endpoint is in-memory: stopping it deletes the buckets, the queues and the ledger.
    """
    from ops import stack

    with console.progress() as bars:
        killed = stack.down(home, bars.say)
    console.say("the stack is down" + (f"; killed {killed} that ignored SIGTERM" if killed else ""))


def status(
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    env: Annotated[
        bool, typer.Option("--env", help="Print the stack's variables for a shell, including passwords and keys.")
    ] = False,
) -> None:
    """Show health and addresses of the local stack, queue depths and memory.

    Shows the Airflow password, too, which the first start generates. To point other tools at the stack:
    `eval "$(scenelake status --env)"`.

    Exits with 1 if the stack is down or a component is not healthy.
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
        console.complain(f"no local stack is running in {found.home}", "`scenelake up` starts it")
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
    rows.append((Text(" "), "total", "", "", "", display.size(found.memory_bytes)))
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
