"""`dlq ls`, `show`, `redrive`: messages that were delivered too often, and the way back to their queue."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.options import EndpointOption, HomeOption, JsonOption, examples
from ops import DEFAULT_HOME, deployment
from ops.errors import InputError
from ops.report import display

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.dead_letters import FoundLetter

QueueOption = Annotated[
    str | None, typer.Option("--queue", metavar="QUEUE", help="Only those of this queue: `drive-work` or `object-events`.")
]
app = typer.Typer(no_args_is_help=True, help="Inspect dead letters, and send them back to their queue.")


@app.command("ls", epilog=examples("dlq ls", "dlq ls --queue drive-work --json"))
def ls(
    queue: QueueOption = None, endpoint: EndpointOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """List dead letters, oldest first: what each is about, and why it cannot be read, if that is so.

    A work message is a dead letter after five deliveries of which none was acknowledged: the drive failed each time.
    """
    from ops.dead_letters import DeadLetters

    with DeadLetters.of(deployment.enter(endpoint, home), _checked(queue)) as dead:
        found = dead.all()
    if as_json:
        console.print_json([_document(one) for one in found])
        return
    rows = [(one.letter.message_id[:12], one.queue, _about(one), _sent(one)) for one in found]
    console.out().print(console.table(None, ("message", "queue", "about", "first sent"), rows))
    more = "at least " if dead.more else ""
    console.say(f"{more}{console.counted(len(found), 'dead letter')}" + (":  scenelake dlq redrive --all" if found else ""))


@app.command("show", epilog=examples("dlq show 5f0c2a"))
def show(
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE_ID", help="A message id, or a unique prefix of one.")],
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter with its body, and the error of the drive's last run."""
    from ops.dead_letters import DeadLetters

    target = deployment.enter(endpoint, home)
    with DeadLetters.of(target, None) as dead:
        (one,) = dead.named([message_id])
    document = _document(one) | {"body": one.letter.body, "error": _last_error(target, one)}
    if as_json:
        console.print_json(document)
        return
    rows = [(name.replace("_", " "), "none" if value in (None, "") else value) for name, value in document.items()]
    console.out().print(console.table(None, ("", ""), rows))


@app.command("redrive", epilog=examples("dlq redrive 5f0c2a", "dlq redrive --all --queue drive-work --yes"))
def redrive(
    message_ids: Annotated[
        list[str] | None, typer.Argument(metavar="MESSAGE_ID", help="Message ids, or unique prefixes of them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All dead letters that can be read.")] = False,
    queue: QueueOption = None,
    force: Annotated[bool, typer.Option("--force", help="Also those that cannot be read.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send dead letters back to their queue, to be delivered as if for the first time.

    Do so once the cause is gone: what fails again comes back after five deliveries. Exits with 1 if a message stayed.
    """
    from ingest.errors import IngestError
    from ops.dead_letters import DeadLetters

    if every == bool(message_ids):
        raise InputError("no messages selected: give message ids, or --all", "`scenelake dlq ls` lists the messages")
    sent: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    with DeadLetters.of(deployment.enter(endpoint, home), _checked(queue)) as dead:
        chosen = dead.all() if every else dead.named(message_ids or [])
        _confirm(chosen, confirmed=yes)
        for one in chosen:
            try:
                dead.redrive(one, force=force)
            except IngestError as error:
                kept.append(_document(one) | {"why": str(error)})
            else:
                sent.append(_document(one))
    if as_json:
        console.print_json({"sent": sent, "kept": kept})
    for entry in kept:
        console.complain(f"{entry['message_id']} stays: {entry['why']}", "--force sends it all the same")
    again = "; there may be more: run it again" if every and dead.more else ""
    console.say(f"{console.counted(len(sent), 'message')} sent back{again}")
    if kept:
        raise typer.Exit(1)


def _checked(queue: str | None) -> str | None:
    from ops.dead_letters import QUEUES

    if queue is not None and queue not in QUEUES:
        raise typer.BadParameter(f"{queue!r} is not one of {', '.join(QUEUES)}", param_hint="--queue")
    return queue


def _confirm(chosen: Sequence[FoundLetter], *, confirmed: bool) -> None:
    if confirmed or not chosen:
        return
    if not sys.stdin.isatty():
        raise InputError("cannot prompt: stdin is not a terminal", "add --yes, or look first with `scenelake dlq ls`")
    typer.confirm(f"send {console.counted(len(chosen), 'message')} back?", abort=True, err=True)


def _document(one: FoundLetter) -> dict[str, Any]:
    letter = one.letter
    return {
        "message_id": letter.message_id,
        "queue": one.queue,
        "about": letter.about,
        "fault": letter.fault,
        "first_sent": _sent(one),
    }


def _about(one: FoundLetter) -> str:
    fault = f"unreadable: {one.letter.fault}" if one.letter.fault else ""
    return "; ".join(part for part in (one.letter.about, fault) if part)


def _sent(one: FoundLetter) -> str:
    return display.utc(one.letter.sent_ms * 1_000_000) if one.letter.sent_ms else "unknown"


def _last_error(target: deployment.Deployment, one: FoundLetter) -> str | None:
    from ingest.errors import WorkError
    from ingest.ledger.detail import RunFailure
    from ingest.ledger.work_message import DriveWork

    try:
        record = target.ledger().drive(DriveWork.parse(one.letter.body).drive)
    except WorkError:
        return None
    return record.detail.error if record is not None and isinstance(record.detail, RunFailure) else None
