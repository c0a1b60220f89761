"""`gold tag`, `gold untag`, `gold tags`: versions of the lake that stay."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import console
from cli.options import EndpointOption, HomeOption, JsonOption, examples
from ops import DEFAULT_HOME, deployment
from ops.report import display

TagArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the tag, e.g. `release-7`.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `scenelake gold`."""
    app.command("tag", epilog=examples("gold tag release-7", "gold tag before-fix --at veh-1/drive-a@3"))(tag)
    app.command("untag", epilog=examples("gold untag release-7"))(untag)
    app.command("tags", epilog=examples("gold tags", "gold tags --json"))(tags)


def tag(
    name: TagArgument,
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="VERSION",
            help="What to pin: `main`, a publication (VEHICLE/DRIVE, VEHICLE/DRIVE@GENERATION or its snapshot id), another tag.",
        ),
    ] = "main",
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Pin all tables as they are, or as they were after a publication, under a name.

    What a tag pins never expires. An existing name is refused. Tags of training runs begin with `run-`, those of evidence with
    `hold-`.
    """
    from lake.versions.tags import create_tag

    made = create_tag(deployment.enter(endpoint, home).catalog(), name, at)
    if as_json:
        console.print_json(made)
        return
    console.say(f"{name} pins {console.counted(len(made.snapshots), 'table')}")
    rows = sorted(made.snapshots.items())
    console.out().print(console.table(None, ("table", "snapshot"), rows))


def untag(
    name: TagArgument,
    even_protected: Annotated[
        bool, typer.Option("--even-run-or-hold", help="Also if it is the tag of a training run, or of a hold.")
    ] = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Remove a tag; what it alone has kept may then expire."""
    from lake.versions.tags import remove_tag

    remove_tag(deployment.enter(endpoint, home).catalog(), name, even_protected=even_protected)
    console.say(f"{name} is removed")


def tags(endpoint: EndpointOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the tags, what each pins, and until when.

    `missing` names tables that a tag of another tool does not pin: it is no version of the lake.
    """
    from lake.versions import tags as all_tags

    found = all_tags.tags(deployment.enter(endpoint, home).catalog())
    if as_json:
        console.print_json(found)
        return
    rows = [
        (
            one.name,
            one.kind,
            "" if one.snapshot_ns is None else display.utc(one.snapshot_ns),
            one.snapshots.get("gold.scenes", ""),
            len(one.snapshots),
            ", ".join(one.missing),
            "removed" if one.deadline_ns is None else display.utc(one.deadline_ns),
        )
        for one in found
    ]
    columns = ("tag", "kind", "state of", "snapshot of gold.scenes", "tables", "missing", "until")
    console.out().print(console.table(None, columns, rows, ("tables",)))
    if not rows:
        console.say("no tags: `scenelake gold tag NAME` pins the current state")
