"""`gold ls`, `gold show`: what the lake holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.commands.arguments import DriveFilter, drive_filter
from cli.options import EndpointOption, HomeOption, JsonOption
from ops import deployment, display
from ops.deployment import DEFAULT_HOME
from ops.errors import NotFoundError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from lake.landing import DriveId

app = typer.Typer(no_args_is_help=True, help="Look at the published scenes and their versions.")
LISTS = ("lidars", "cameras", "radars")
PAYLOAD = ("points", "image")


@app.command("ls", epilog="Example:  `scenelake gold ls`  ·  `scenelake gold ls --json`")
def ls(endpoint: EndpointOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the versions of `gold.scenes`, newest last: each snapshot, when it was committed, the drive and batch that it
    published, and how many scenes it added.
    """
    from ops.audit import lake_reader

    found = lake_reader.snapshots(deployment.enter(endpoint, home).catalog())
    if as_json:
        console.print_json(found)
        return
    rows = [
        (
            entry.snapshot_id,
            display.utc(entry.committed_ms * 1_000_000),
            entry.drive or f"({entry.operation})",
            "" if entry.revision is None else f"{entry.revision[:12]} generation {entry.generation}",
            entry.added_scenes,
            entry.total_scenes,
        )
        for entry in found
    ]
    columns = ("snapshot", "committed", "drive", "batch", "scenes", "in all")
    console.out().print(console.table(None, columns, rows, ("scenes", "in all")))
    if not rows:
        console.say("gold is empty: `scenelake drive upload DIR` sends a drive, `scenelake demo` three of them")


@app.command(
    "show", epilog="Example:  `scenelake gold show SCENE_ID --html scene.html`  ·  `scenelake gold show --drive veh-1/drive-a`"
)
def show(
    scene_id: Annotated[
        str | None, typer.Argument(metavar="[SCENE_ID]", help="A scene; without it, --drive lists a drive's scenes.")
    ] = None,
    drive: DriveFilter = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the scene's pictures as one HTML file.")
    ] = None,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one scene: its anchor, ego pose, every match with offset and residual, what is missing and why, and the raw
    objects that it was made of. With --drive instead of an id, list the scenes of that drive.
    """
    chosen = drive_filter(drive)
    if (scene_id is None) == (chosen is None):
        raise typer.BadParameter("name either a SCENE_ID or --drive VEHICLE/DRIVE")
    if html is not None and scene_id is None:
        raise typer.BadParameter("--html draws one scene: name its SCENE_ID", param_hint="--html")
    catalog = deployment.enter(endpoint, home).catalog()
    if scene_id is None:
        assert chosen is not None
        _show_drive(catalog, chosen, as_json=as_json)
    else:
        _show_scene(catalog, scene_id, html, as_json=as_json)


def _show_drive(catalog: Catalog, drive: DriveId, *, as_json: bool) -> None:
    from ops.audit import lake_reader

    scenes = lake_reader.scene_facts(catalog, drive)
    if not scenes:
        raise NotFoundError(
            f"gold holds no scene of {drive}", f"`scenelake drive wait {drive.vehicle_id} {drive.drive_id}` tells its state"
        )
    if as_json:
        console.print_json(scenes)
        return
    rows = [
        (
            row["scene_id"],
            display.utc(row["anchor_ns"]),
            "yes" if row["complete"] else "no",
            _missing(row),
            ", ".join(row["quality_flags"]),
        )
        for row in scenes
    ]
    console.out().print(console.table(f"{drive}: {len(rows)} scenes", ("scene", "anchor", "complete", "missing", "flags"), rows))


def _show_scene(catalog: Catalog, scene_id: str, html: Path | None, *, as_json: bool) -> None:
    from ops.audit import lake_reader

    row = lake_reader.scene(catalog, scene_id)
    if row is None:
        raise NotFoundError(
            f"gold holds no scene {scene_id!r}", "`scenelake gold show --drive VEHICLE/DRIVE` lists a drive's scenes"
        )
    if html is not None:
        _write_pictures(catalog, row, html)
    if as_json:
        console.print_json(without_payload(row))
        return
    out = console.out()
    out.print(console.table(None, ("", ""), scene_facts(row)))
    out.print()
    columns = ("sensor", "stamp", "offset ms", "residual ms", "holds")
    out.print(console.table("Matches", columns, match_rows(row), ("offset ms", "residual ms")))
    out.print()
    sources = [(entry["key"], entry["version_id"], entry["sha256"][:16]) for entry in row["sources"]]
    out.print(console.table("Made of", ("raw object", "version", "sha256"), sources))


def scene_facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What there is to say of a scene besides its matches."""
    pose = row["ego_pose"]
    place = "none" if pose is None else f"x {pose['x_m']:.3f} m, y {pose['y_m']:.3f} m, z {pose['z_m']:.3f} m"
    return [
        ("scene", row["scene_id"]),
        ("drive", f"{row['vehicle_id']}/{row['drive_id']}, revision {row['revision'][:12]}"),
        ("anchor", f"{row['anchor_sensor']} at {display.utc(row['anchor_ns'])} ({row['anchor_ns']} ns)"),
        ("ego pose", place),
        ("complete", "yes" if row["complete"] else f"no: {_missing(row)}"),
        ("flags", ", ".join(row["quality_flags"]) or "none"),
        ("made by", f"code {row['code_version']}, configuration {row['config_hash'][:12]}"),
    ]


def match_rows(row: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """One line for each matched frame of a scene."""
    entries = [entry for name in LISTS for entry in row[name]]
    return [
        (
            entry["sensor"],
            display.utc(entry["stamp_ns"]),
            display.ms(entry["offset_ns"]),
            display.ms(entry["residual_ns"]),
            _holds(entry),
        )
        for entry in entries
    ]


def without_payload(row: Mapping[str, Any]) -> dict[str, Any]:
    """A scene without its pixels and points: their sizes in bytes instead."""
    light = {name: value for name, value in row.items() if name not in LISTS} | {"day": str(row["day"])}
    return light | {name: [_light(entry) for entry in row[name]] for name in LISTS}


def _light(entry: Mapping[str, Any]) -> dict[str, Any]:
    sizes = {f"{name}_bytes": len(entry[name]) for name in PAYLOAD if entry.get(name) is not None}
    return {name: value for name, value in entry.items() if name not in PAYLOAD} | sizes


def _holds(entry: Mapping[str, Any]) -> str:
    if entry.get("num_points") is not None:
        invalid = entry.get("invalid_points") or 0
        return f"{entry['num_points']} points" + (f", {invalid} of them without a return" if invalid else "")
    return f"{entry['width_px']}x{entry['height_px']} px {entry['encoding']}, {display.size(len(entry['image'] or b''))}"


def _missing(row: Mapping[str, Any]) -> str:
    missing: Sequence[Mapping[str, str]] = row["missing"]
    return ", ".join(f"{entry['sensor']} ({entry['reason']})" for entry in missing)


def _write_pictures(catalog: Catalog, row: Mapping[str, Any], path: Path) -> None:
    from lake.landing import DriveId
    from ops.audit import lake_reader
    from ops.report import page
    from ops.report.motion import EgoMotion
    from ops.report.scene import scene_view

    neighbours = lake_reader.scene_facts(catalog, DriveId(row["vehicle_id"], row["drive_id"]))
    page.write(path, page.scene_page(scene_view(row, EgoMotion(neighbours)), tuple(scene_facts(row))))
    console.say(f"pictures: {path}")
