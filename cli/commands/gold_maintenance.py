"""`gold expire`, `gold sweep`: what keeps the lake from growing with its age. Dry runs unless `--apply` is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.options import ApplyOption, EndpointOption, HomeOption, JsonOption, examples
from ops import DEFAULT_HOME, deployment
from ops.report import display

if TYPE_CHECKING:
    from lake.maintenance.expire import TablePlan
    from lake.maintenance.sweep_report import LakeSweepReport

HOUR_S = 3600.0


def register(app: typer.Typer) -> None:
    """Add the commands to `scenelake gold`."""
    app.command("expire", epilog=examples("gold expire", "gold expire --older-than 168 --apply"))(expire)
    app.command("sweep", epilog=examples("gold sweep", "gold sweep --apply"))(sweep)


def expire(
    older_than_h: Annotated[
        float, typer.Option("--older-than", min=0, metavar="HOURS", help="Expire snapshots that are older than this.")
    ] = 24.0,
    keep_last: Annotated[int, typer.Option("--keep-last", min=1, metavar="N", help="Keep the newest N of each table.")] = 10,
    apply: ApplyOption = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Remove old snapshots from the tables' metadata; their files are left to `gold sweep`.

    What a tag, a run, a hold or a live reader pins stays, and so does the current state. Tags of readers that died are removed.
    A tag that is made meanwhile wins: the plan is made anew.
    """
    from lake.maintenance.expire import ExpirePolicy
    from lake.maintenance.expire import expire as run

    policy = ExpirePolicy(older_than_h * HOUR_S, keep_last)
    catalog = deployment.enter(endpoint, home).catalog()
    with console.progress() as bars:
        plans = run(catalog, policy, apply=apply, progress=bars)
    if as_json:
        console.print_json({"applied": apply, "tables": plans})
    else:
        _show_plans(plans, apply=apply)


def sweep(
    relist: Annotated[bool, typer.Option("--relist", help="Ignore the last listing, and begin with a new one.")] = False,
    apply: ApplyOption = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Delete files that nothing needs, by version id, if two sweeps in a row have found them.

    Files that a snapshot leads to stay, and those that are younger than a day, of a drive that is not finished, or that no rule
    knows. The first sweep only lists; each further one deletes what the one before listed. Uploads that were left are aborted.
    """
    from lake.maintenance.sweep import SweepPolicy
    from lake.maintenance.sweep import sweep as run
    from ops.maintenance.deployed import swept_lake

    swept = swept_lake(deployment.enter(endpoint, home).settings)
    with console.progress() as bars:
        report = run(swept, SweepPolicy(), apply=apply, relist=relist, progress=bars)
    if as_json:
        console.print_json(report)
    else:
        _show_report(report)
    if report.hidden:
        raise typer.Exit(1)


def _show_plans(plans: tuple[TablePlan, ...], *, apply: bool) -> None:
    kept = [(one.table, one.snapshots, one.reason) for plan in plans for one in plan.kept]
    console.out().print(console.table("Kept", ("table", "snapshots", "why"), kept, ("snapshots",)))
    for plan in plans:
        said = "expired" if apply else "would expire"
        console.say(f"{plan.table}: {console.counted(len(plan.expired), 'snapshot')} {said}")
        for name in plan.forgotten:
            console.say(f"{plan.table}: {name}, the tag of a reader that did not renew it, is {'' if apply else 'to be '}removed")
    _dry(apply=apply)


def _show_report(report: LakeSweepReport) -> None:
    named: list[tuple[Any, ...]] = [(one.bucket, one.key, display.size(one.bytes), one.reason) for one in report.lines]
    console.out().print(console.table("Kept, though nothing references it", ("bucket", "key", "size", "why"), named, ("size",)))
    for reason, amount in sorted(report.kept_by.items()):
        console.say(f"kept, {reason}: {console.counted(amount.objects, 'object')}, {display.size(amount.bytes)}")
    for one in report.hidden:
        console.say(f"{one.bucket}/{one.key}: {one.reason}")
    gone = report.deleted if report.applied else report.due
    console.say(f"{'deleted' if report.applied else 'would be deleted'}: {gone.objects}, {display.size(gone.bytes)}")
    listed = report.candidates
    console.say(f"listed for the next sweep: {console.counted(listed.objects, 'object')}, {display.size(listed.bytes)}")
    console.say(f"uploads {'aborted' if report.applied else 'to be aborted'}: {report.aborted}, kept: {report.kept_uploads}")
    for note in report.notes:
        console.say(note)
    _dry(apply=report.applied)


def _dry(*, apply: bool) -> None:
    if not apply:
        console.say("a dry run: nothing was changed; --apply does it")
