"""The group `gold`: `ls` and `show`, the contents of the lake; versions and maintenance are in modules of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli import console
from cli.options import DriveFilter, EndpointOption, HomeOption, JsonOption, VehicleFilter, drive_filter, examples, parsed_day
from lake.errors import LandingError
from lake.tables.rows import CameraFrame, CloudFrame, MatchedFrame, RadarFrame, SceneFields, SceneRow
from lake.tables.scene_key import SceneKey
from ops import DEFAULT_HOME, deployment
from ops.errors import NotFoundError
from ops.report import display
from sensors.time_units import NS_PER_DAY

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from lake.landing import DriveId

app = typer.Typer(no_args_is_help=True, help="Show publications and their scenes; keep, compare and clean up versions.")
LISTS = ("lidars", "cameras", "radars")
PAYLOAD = ("points", "image")


@app.command("ls", epilog=examples("gold ls", "gold ls --vehicle veh-1 --day 2026-05-01", "gold ls --json"))
def ls(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, metavar="N", help="Publications on a page.")] = 50,
    before: Annotated[str | None, typer.Option("--before", metavar="CURSOR", help="The page of older ones.")] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="CURSOR", help="The page of newer ones.")] = None,
    vehicle: VehicleFilter = None,
    day: Annotated[str | None, typer.Option("--day", metavar="YYYY-MM-DD", help="Only with data of this UTC day.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="YYYY-MM-DD", help="Only committed on this UTC day or later.")
    ] = None,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List what was published, newest first, by page.

    Each publication with the time of its commit, its drive, revision and generation, the audit's verdict, the number of scenes
    that it added, and the snapshot of `gold.scenes` that it made. Publications stay listed when their snapshots have expired.
    """
    from lake.tables.drives import DRIVES_TABLE
    from lake.versions.publication_pages import Cursor, PageFilter, publication_page

    if before is not None and after is not None:
        raise typer.BadParameter("give --before or --after, not both", param_hint="--before")
    since_day = parsed_day(since, "--since")
    since_ns = None if since_day is None else (since_day - date(1970, 1, 1)).days * NS_PER_DAY
    wanted = PageFilter(vehicle, parsed_day(day, "--day"), since_ns)
    cursors = [None if text is None else Cursor.parse(text) for text in (before, after)]
    table = deployment.enter(endpoint, home).catalog().load_table(DRIVES_TABLE)
    page = publication_page(table, limit, wanted, before=cursors[0], after=cursors[1])
    newest = page.publications[0].cursor if page.publications else None
    if as_json:
        publications = [{**msgspec.structs.asdict(one.row), "cursor": str(one.cursor)} for one in page.publications]
        cursor = None if page.before is None else str(page.before)
        console.print_json({"publications": publications, "before": cursor, "after": None if newest is None else str(newest)})
        return
    rows = [
        (
            row.scenes_snapshot_id,
            display.utc(row.committed_ns),
            f"{row.vehicle_id}/{row.drive_id}",
            f"{row.revision[:12]} generation {row.generation}",
            row.verdict or "",
            row.scenes,
        )
        for row in (one.row for one in page.publications)
    ]
    columns = ("snapshot", "committed", "drive", "batch", "verdict", "scenes")
    console.out().print(console.table(None, columns, rows, ("scenes",)))
    if page.before is not None:
        console.say(f"older ones: --before {page.before}")
    if newest is not None and (before or after):
        console.say(f"newer ones: --after {newest}")
    if not rows:
        console.say("nothing is listed: upload a drive with `scenelake drive upload DIR`, or run `scenelake demo`")


@app.command("show", epilog=examples("gold show --drive veh-1/drive-a", "gold show SCENE_ID --html scene.html"))
def show(
    scene_id: Annotated[
        str | None, typer.Argument(metavar="SCENE_ID", help="Scene id; or list a drive's scenes with --drive.")
    ] = None,
    drive: DriveFilter = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, metavar="N", help="Scenes on a page.")] = 50,
    before: Annotated[str | None, typer.Option("--before", metavar="SCENE_ID", help="The page of earlier scenes.")] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="SCENE_ID", help="The page of later scenes.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the scene's pictures to an HTML file.")
    ] = None,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one scene, or list the scenes of a drive, in the order of their anchors, by page.

    A scene: its anchor, ego pose, every match with offset and residual, missing sensors with the reason, and its raw objects.
    """
    chosen = drive_filter(drive)
    if (scene_id is None) == (chosen is None):
        raise typer.BadParameter("give either a SCENE_ID or --drive VEHICLE/DRIVE")
    if html is not None and scene_id is None:
        raise typer.BadParameter("--html needs a SCENE_ID: it draws one scene", param_hint="--html")
    if before is not None and (after is not None or scene_id is not None):
        raise typer.BadParameter("give it with --drive, and without --after", param_hint="--before")
    if after is not None and scene_id is not None:
        raise typer.BadParameter("give it with --drive", param_hint="--after")
    cursors = [_anchor_of(text, chosen, option) for text, option in ((before, "--before"), (after, "--after"))]
    catalog = deployment.enter(endpoint, home).catalog()
    if scene_id is None:
        assert chosen is not None
        _show_drive(catalog, chosen, limit, cursors, as_json=as_json)
    else:
        _show_scene(catalog, scene_id, html, as_json=as_json)


def _anchor_of(scene_id: str | None, drive: DriveId | None, option: str) -> int | None:
    """The anchor of a scene of the drive."""
    if scene_id is None:
        return None
    try:
        key = SceneKey.parse(scene_id)
    except LandingError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
    if key.drive != drive:
        raise typer.BadParameter(f"{scene_id} is not a scene of {drive}", param_hint=option)
    return key.anchor_ns


def _show_drive(catalog: Catalog, drive: DriveId, limit: int, cursors: Sequence[int | None], *, as_json: bool) -> None:
    from ops.audit import lake_reader

    page = lake_reader.scene_page(catalog, drive, limit, before_ns=cursors[0], after_ns=cursors[1])
    scenes = page.scenes
    if not (scenes or page.earlier or page.later):
        raise NotFoundError(
            f"no scenes of {drive} in gold", f"`scenelake drive wait {drive.vehicle_id} {drive.drive_id}` shows its state"
        )
    earlier = scenes[0].scene_id if scenes and page.earlier else None
    later = scenes[-1].scene_id if scenes and page.later else None
    if as_json:
        console.print_json({"scenes": scenes, "before": earlier, "after": later})
        return
    rows = [
        (
            row.scene_id,
            display.utc(row.anchor_ns),
            "yes" if row.complete else "no",
            _missing(row),
            ", ".join(row.quality_flags),
        )
        for row in scenes
    ]
    title = f"{drive}: {console.counted(len(rows), 'scene')}"
    console.out().print(console.table(title, ("scene", "anchor", "complete", "missing", "flags"), rows))
    if earlier is not None:
        console.say(f"earlier ones: --before {earlier}")
    if later is not None:
        console.say(f"later ones: --after {later}")


def _show_scene(catalog: Catalog, scene_id: str, html: Path | None, *, as_json: bool) -> None:
    from ops.audit import lake_reader

    row = lake_reader.scene(catalog, scene_id)
    if row is None:
        raise NotFoundError(
            f"no scene {scene_id!r} in gold", "`scenelake gold show --drive VEHICLE/DRIVE` lists a drive's scenes"
        )
    if html is not None:
        _write_pictures(catalog, row, html)
    if as_json:
        console.print_json(without_payload(row))
        return
    out = console.out()
    out.print(console.table(None, ("", ""), scene_facts(row)))
    out.print()
    columns = ("sensor", "stamp", "offset ms", "residual ms", "content")
    out.print(console.table("Matches", columns, match_rows(row), ("offset ms", "residual ms")))
    out.print()
    sources = [(entry.key, entry.version_id, entry.sha256[:16]) for entry in row.sources]
    out.print(console.table("Sources", ("raw object", "version", "sha256"), sources))


def scene_facts(row: SceneRow) -> list[tuple[str, str]]:
    """The facts of a scene, apart from its matches."""
    pose = row.ego_pose
    place = "none" if pose is None else f"x {pose.x_m:.3f} m, y {pose.y_m:.3f} m, z {pose.z_m:.3f} m"
    return [
        ("scene", row.scene_id),
        ("drive", f"{row.drive}, revision {row.revision[:12]}"),
        ("anchor", f"{row.anchor_sensor} at {display.utc(row.anchor_ns)} ({row.anchor_ns} ns)"),
        ("ego pose", place),
        ("complete", "yes" if row.complete else f"no: {_missing(row)}"),
        ("flags", ", ".join(row.quality_flags) or "none"),
        ("built by", f"code {row.code_version}, configuration {row.config_hash[:12]}"),
    ]


def match_rows(row: SceneRow) -> list[tuple[str, str, str, str, str]]:
    """One line for each matched frame of a scene."""
    return [
        (
            frame.sensor,
            display.utc(frame.stamp_ns),
            display.ms(frame.offset_ns),
            display.ms(frame.residual_ns),
            _content(frame),
        )
        for frame in row.frames
    ]


def without_payload(row: SceneRow) -> dict[str, object]:
    """A scene for JSON, with the sizes in bytes in place of pixels and points."""
    facts = {name: getattr(row, name) for name in row.__struct_fields__ if name not in LISTS}
    return facts | {name: [_without_payload(frame) for frame in getattr(row, name)] for name in LISTS}


def _without_payload(frame: MatchedFrame) -> dict[str, object]:
    values = {name: getattr(frame, name) for name in frame.__struct_fields__}
    sizes = {f"{name}_bytes": len(values[name]) for name in PAYLOAD if values.get(name) is not None}
    return {name: value for name, value in values.items() if name not in PAYLOAD} | sizes


def _content(frame: CloudFrame | CameraFrame | RadarFrame) -> str:
    if not isinstance(frame, CameraFrame) and frame.num_points is not None:
        return f"{frame.num_points} points" + (f", {frame.invalid_points} without a return" if frame.invalid_points else "")
    if isinstance(frame, CameraFrame | RadarFrame):
        return f"{frame.width_px}x{frame.height_px} px {frame.encoding}, {display.size(len(frame.image or b''))}"
    return "nothing"


def _missing(row: SceneFields) -> str:
    return ", ".join(f"{entry.sensor} ({entry.reason})" for entry in row.missing)


def _write_pictures(catalog: Catalog, row: SceneRow, path: Path) -> None:
    from ops.audit import lake_reader
    from ops.report import page
    from ops.report.motion import EgoMotion
    from ops.report.scene import scene_view

    neighbours = lake_reader.scene_facts(catalog, row.drive)
    page.write(path, page.scene_page(scene_view(row, EgoMotion(neighbours)), tuple(scene_facts(row))))
    console.say(f"pictures: {path}")
