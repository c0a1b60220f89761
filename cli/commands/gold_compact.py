"""`gold compact`: many small data files become few large ones. A dry run unless `--apply` is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.options import ApplyOption, EndpointOption, HomeOption, JsonOption, VehicleFilter, examples, parsed_day
from lake.maintenance.merge_sizes import GB, LARGEST, MB, RUN_BYTES, SMALLEST_ROWS, SMALLEST_SCENES, Sizes
from ops import DEFAULT_HOME, deployment
from ops.report import display

if TYPE_CHECKING:
    from lake.maintenance.compact import Compaction
    from lake.maintenance.compaction_plan import LeftFiles, MergeJob, RunBudget


def register(app: typer.Typer) -> None:
    """Add the command to `scenelake gold`."""
    app.command("compact", epilog=examples("gold compact", "gold compact --day 2026-11-30 --vehicle veh-1 --apply"))(compact)


def compact(
    day: Annotated[str | None, typer.Option("--day", metavar="DAY", help="Only this UTC day, e.g. `2026-11-30`.")] = None,
    vehicle: VehicleFilter = None,
    smallest_mb: Annotated[
        int, typer.Option("--smallest", min=1, metavar="MB", help="Leave files of frames and records of at least this size.")
    ] = SMALLEST_ROWS // MB,
    smallest_scenes_mb: Annotated[
        int, typer.Option("--smallest-scenes", min=1, metavar="MB", help="Leave files of scenes of at least this size.")
    ] = SMALLEST_SCENES // MB,
    largest_mb: Annotated[int, typer.Option("--largest", min=2, metavar="MB", help="Make no larger files.")] = LARGEST // MB,
    most_gb: Annotated[
        int, typer.Option("--most", min=1, metavar="GB", help="Merge no more in one run; the next one goes on.")
    ] = RUN_BYTES // GB,
    apply: ApplyOption = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Merge small data files: frames and quarantine records partition by partition, scenes drive by drive. Files of scenes as
    large as the build makes them are left: copying them would gain nothing.

    Every scene's digest is computed before and after, and rows are compared, or nothing is committed. A drive that is published
    meanwhile wins. Old snapshots keep the old files until they expire. Then small manifests are merged, and the row files of
    gold.drives. The status is 1 if files were left for a fault.
    """
    from lake.maintenance.compact import MergeOutcome
    from lake.maintenance.compact import compact as run
    from lake.maintenance.compaction_plan import RunBudget, plan
    from lake.maintenance.metadata import merge_metadata

    if largest_mb < 2 * max(smallest_mb, smallest_scenes_mb):
        raise typer.BadParameter("must be at least twice --smallest and --smallest-scenes", param_hint="--largest")
    sizes, only = Sizes(smallest_mb * MB, largest_mb * MB, smallest_scenes_mb * MB), parsed_day(day, "--day")
    catalog = deployment.enter(endpoint, home).catalog()
    planned, budget = plan(catalog, sizes, only, vehicle), RunBudget(most_gb * GB)
    jobs = [job for job in map(budget.take, planned.jobs) if job is not None]
    done: list[Compaction] = []
    if apply:
        with console.progress() as bars:
            merged = 0
            for job in jobs:
                bars("merge", merged, budget.taken)
                done.append(run(catalog, job, sizes))
                merged += job.size
            bars("merge", budget.taken, budget.taken)
    this_run = _Run(jobs, done, planned.left, budget, merge_metadata(catalog, apply=apply), apply)
    if as_json:
        console.print_json(_document(this_run))
    else:
        _show(this_run)
    if any(one.outcome is MergeOutcome.REFUSED for one in done):
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run merges, or would; `done`: a result for each job, none in a dry run."""

    jobs: Sequence[MergeJob]
    done: Sequence[Compaction]
    left: Mapping[str, Mapping[str, LeftFiles]]
    budget: RunBudget
    metadata: Mapping[str, int]
    applied: bool


def _document(run: _Run) -> dict[str, Any]:
    jobs = [
        {
            "table": job.table,
            "vehicle_id": job.vehicle_id,
            "drive_id": job.drive,
            "day": job.day,
            "files": len(job.files),
            "bytes": job.size,
        }
        for job in run.jobs
    ]
    results = [{"outcome": one.outcome, "reason": one.reason, "compaction": one.row} for one in run.done]
    return {
        "applied": run.applied,
        "jobs": [job | result for job, result in zip(jobs, results, strict=True)] if run.applied else jobs,
        "left": run.left,
        "waiting": run.budget.waiting,
        "metadata": run.metadata,
    }


def _show(run: _Run) -> None:
    columns = ("table", "drive", "day", "files", "size", *(("outcome", "why") if run.applied else ()))
    rows = [
        (
            job.table,
            f"{job.vehicle_id}/{job.drive or '*'}",
            job.day or "",
            len(job.files),
            display.size(job.size),
            *((run.done[number].outcome.value, run.done[number].reason) if run.applied else ()),
        )
        for number, job in enumerate(run.jobs)
    ]
    console.out().print(console.table("Merged" if run.applied else "To be merged", columns, rows, ("files", "size")))
    for table, reasons in run.left.items():
        for why, left in reasons.items():
            console.say(f"{table}: {console.counted(left.files, 'file')} left, {display.size(left.size)}: {why}")
    waiting = run.budget.waiting
    if waiting.files:
        console.say(
            f"{console.counted(waiting.files, 'file')} for the next run, {display.size(waiting.size)}: "
            f"this one merges {display.size(run.budget.most)} at most"
        )
    for what, count in run.metadata.items():
        console.say(f"{what}: {count} {'merged' if run.applied else 'to be merged'}")
    if not run.applied:
        console.say("a dry run: nothing was changed; --apply does it")
