"""`vehicle baseline learn`, `show`, `put`: what a vehicle's sensors delivered in earlier drives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.options import EndpointOption, HomeOption, JsonOption, VehicleArgument, examples
from ops import DEFAULT_HOME, deployment
from ops.errors import InputError

if TYPE_CHECKING:
    from lake.vehicle_baseline import VehicleBaseline
    from ops.drives.vehicle_baseline import BaselineLine

LEAST_DRIVES, MAX_DRIVES = 3, 100  # as in `lake.vehicle_baseline`
app = typer.Typer(no_args_is_help=True, help="What is known of a vehicle.")
baseline_app = typer.Typer(
    no_args_is_help=True,
    help="The vehicle's baseline: what its sensors delivered in earlier drives, for comparison with new ones.",
)
app.add_typer(baseline_app, name="baseline")


@baseline_app.command(
    "learn", epilog=examples("vehicle baseline learn veh-1", "vehicle baseline learn veh-1 --drives 20 --dry-run")
)
def learn(
    vehicle: VehicleArgument,
    drives: Annotated[
        int, typer.Option("--drives", min=LEAST_DRIVES, max=MAX_DRIVES, help="Learn from so many of the newest published drives.")
    ] = 10,
    departed: Annotated[
        bool,
        typer.Option("--departed", help="Also from sensors that departed from the baseline, as after a repair."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be learned; store nothing.")] = False,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Learn the baseline of a vehicle from its newest published drives, and store it.

    A sensor is learned from the drives in which no rule found fault with it, at least three. Drives that are queued from now
    on are compared with it; earlier ones once they are reprocessed.
    """
    from lineage.code_version import code_version
    from lineage.settings import LineageSettings
    from ops.drives import vehicle_baseline
    from scenes.outcome.learning import learn as learned_from

    target = deployment.enter(endpoint, home)
    store, settings = target.store(), target.settings
    found, skipped = vehicle_baseline.newest_statistics(store, settings, target.ledger(), _checked(vehicle), drives)
    running = code_version(LineageSettings.from_env().code_version, Path(__file__))
    lesson = learned_from(vehicle, found, str(running), departed=departed)
    reasons = [*skipped, *(f"{one.drive_id or 'not learned'} {one.sensor}: {one.reason}" for one in lesson.left_out)]
    sha256, changed = (None, False) if dry_run else vehicle_baseline.put(store, settings, lesson.baseline)
    if as_json:
        document = {"sha256": sha256, "stored": changed, "left_out": reasons, "baseline": _document(lesson.baseline)}
        console.print_json(document)
        return
    _show(lesson.baseline)
    for reason in vehicle_baseline.summary(reasons):
        console.say(f"left out:  {reason}")
    if dry_run:
        console.say("nothing was stored")
        return
    console.say(f"baseline {sha256 or ''} is {'stored' if changed else 'the current one already'}")


@baseline_app.command("show", epilog=examples("vehicle baseline show veh-1", "vehicle baseline show veh-1 --json"))
def show(
    vehicle: VehicleArgument, endpoint: EndpointOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Show the baseline of a vehicle: per sensor and statistic the median over drives, and how it drifted among them."""
    from ops.drives import vehicle_baseline

    target = deployment.enter(endpoint, home)
    stored = vehicle_baseline.required(vehicle_baseline.current(target.store(), target.settings, _checked(vehicle)), vehicle)
    if as_json:
        console.print_json({"sha256": stored.sha256, "baseline": _document(stored.baseline)})
        return
    _show(stored.baseline)
    console.say(f"baseline {stored.sha256}")


@baseline_app.command("put", epilog=examples("vehicle baseline put baseline.json"))
def put(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A baseline, as the key `baseline` of `show --json` has it.")],
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Store a baseline from a file: one that was kept, or corrected by hand."""
    from lake.documents import max_bytes
    from lake.vehicle_baseline import parse_baseline
    from ops.drives import vehicle_baseline

    limit = max_bytes("baseline")
    if file.stat().st_size > limit:
        raise InputError(f"{file} exceeds {limit} bytes")
    baseline = parse_baseline(file.read_bytes())
    target = deployment.enter(endpoint, home)
    sha256, changed = vehicle_baseline.put(target.store(), target.settings, baseline)
    if as_json:
        console.print_json({"vehicle": baseline.vehicle_id, "sha256": sha256, "stored": changed})
        return
    console.say(f"{baseline.vehicle_id}: baseline {sha256} is {'stored' if changed else 'the current one already'}")


def _checked(vehicle: str) -> str:
    from cli.options import drive_id

    return drive_id(vehicle, "any").vehicle_id


def _document(baseline: VehicleBaseline) -> dict[str, Any]:
    import json

    return dict(json.loads(baseline.to_bytes()))


def _show(baseline: VehicleBaseline) -> None:
    from ops.drives.vehicle_baseline import lines

    title = f"{baseline.vehicle_id}, learned from {console.counted(len(baseline.drives), 'drive')}"
    columns = ("sensor", "statistic", "drives", "median", "spread", "least", "most", "drift")
    console.out().print(console.table(title, columns, map(_row, lines(baseline)), numbers=columns[2:]))


def _row(line: BaselineLine) -> tuple[str, ...]:
    drives = str(line.drives) if line.observed is None else f"{line.observed} of {line.drives}"
    values = ("–" if value is None else f"{value:.4g}" for value in (line.median, line.spread, line.least, line.most))
    return (line.sensor, line.name, drives, *values, "–" if line.drift is None else f"{line.drift:+.1%}")
