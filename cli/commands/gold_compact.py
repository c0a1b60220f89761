"""`gold compact`: many small data files become few large ones. A dry run unless `--apply` is given."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.options import EndpointOption, HomeOption, JsonOption, VehicleFilter, examples
from ops import DEFAULT_HOME, deployment
from ops.report import display

if TYPE_CHECKING:
    from lake.maintenance.compact import Compaction
    from lake.maintenance.compaction_plan import CompactionPlan

MB = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the command to `scenelake gold`."""
    app.command("compact", epilog=examples("gold compact", "gold compact --day 2026-11-30 --vehicle veh-1 --apply"))(compact)


def compact(
    day: Annotated[str | None, typer.Option("--day", metavar="DAY", help="Only this UTC day, e.g. `2026-11-30`.")] = None,
    vehicle: VehicleFilter = None,
    smallest_mb: Annotated[int, typer.Option("--smallest", min=1, metavar="MB", help="Leave files of at least this size.")] = 128,
    largest_mb: Annotated[int, typer.Option("--largest", min=2, metavar="MB", help="Make no larger files.")] = 512,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, only say what would be merged.")] = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Merge small data files: scenes drive by drive, frames and quarantine records partition by partition.

    Every scene's digest is computed before and after, and rows are compared, or nothing is committed. A drive that is published
    meanwhile wins. Old snapshots keep the old files until they expire. Then small manifests are merged, and the row files of
    gold.drives. The status is 1 if files were left for a fault.
    """
    from lake.maintenance.compact import MergeOutcome
    from lake.maintenance.compact import compact as run
    from lake.maintenance.compaction_plan import Sizes, plan
    from lake.maintenance.metadata import merge_metadata

    if largest_mb < 2 * smallest_mb:
        raise typer.BadParameter("must be at least twice --smallest", param_hint="--largest")
    sizes, only = Sizes(smallest_mb * MB, largest_mb * MB), _day(day)
    catalog = deployment.enter(endpoint, home).catalog()
    planned = plan(catalog, sizes, only, vehicle)
    done: list[Compaction] = []
    if apply:
        with console.progress() as bars:
            merged = 0
            for job in planned.jobs:
                bars("merge", merged, planned.size)
                done.append(run(catalog, job, sizes))
                merged += job.size
            bars("merge", planned.size, planned.size)
    metadata = merge_metadata(catalog, apply=apply)
    if as_json:
        console.print_json(_document(planned, done, apply=apply) | {"metadata": metadata})
    else:
        _show(planned, done, metadata, apply=apply)
    if any(one.outcome is MergeOutcome.REFUSED for one in done):
        raise typer.Exit(1)


def _day(day: str | None) -> datetime.date | None:
    try:
        return None if day is None else datetime.date.fromisoformat(day)
    except ValueError as error:
        raise typer.BadParameter(f"{day!r} is not a day such as 2026-11-30", param_hint="--day") from error


def _document(planned: CompactionPlan, done: Sequence[Compaction], *, apply: bool) -> dict[str, Any]:
    jobs = [
        {
            "table": job.table,
            "vehicle_id": job.vehicle_id,
            "drive_id": job.drive,
            "day": job.day,
            "files": len(job.files),
            "bytes": job.size,
        }
        for job in planned.jobs
    ]
    results = [{"outcome": one.outcome, "reason": one.reason, "compaction": one.row} for one in done]
    return {
        "applied": apply,
        "jobs": [job | result for job, result in zip(jobs, results, strict=True)] if apply else jobs,
        "left": planned.left,
    }


def _show(planned: CompactionPlan, done: Sequence[Compaction], metadata: Mapping[str, int], *, apply: bool) -> None:
    columns = ("table", "drive", "day", "files", "size", *(("outcome", "why") if apply else ()))
    rows = [
        (
            job.table,
            f"{job.vehicle_id}/{job.drive or '*'}",
            job.day or "",
            len(job.files),
            display.size(job.size),
            *((done[number].outcome.value, done[number].reason) if apply else ()),
        )
        for number, job in enumerate(planned.jobs)
    ]
    console.out().print(console.table("Merged" if apply else "To be merged", columns, rows, ("files", "size")))
    for table, reasons in planned.left.items():
        for why, left in reasons.items():
            console.say(f"{table}: {console.counted(left.files, 'file')} left, {display.size(left.size)}: {why}")
    for what, count in metadata.items():
        console.say(f"{what}: {count} {'merged' if apply else 'to be merged'}")
    if not apply:
        console.say("a dry run: nothing was changed; --apply does it")
