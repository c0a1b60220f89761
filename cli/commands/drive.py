"""`drive generate`, `import`, `upload`, `wait`, `reprocess`, `requeue`, `calibrations`: from a vehicle to the lake."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.options import DriveArgument, EndpointOption, HomeOption, JsonOption, VehicleArgument, drive_id, examples
from ops import DEFAULT_HOME, deployment
from ops.errors import NotFoundError, WaitTimeoutError
from ops.report import display

if TYPE_CHECKING:
    from fleet.drive_folder import DriveFolder
    from fleet.synthetic.spec import DriveSpec
    from lake.landing import DriveId
    from ops.drives.follower import Sighting

app = typer.Typer(no_args_is_help=True, help="Generate, import, upload and follow drives.")
QUARANTINED_EXIT = 3
NewFolder = Annotated[Path, typer.Argument(metavar="OUT", help="A new or empty folder.")]
VehicleOption = Annotated[str, typer.Option("--vehicle", metavar="ID", help="Vehicle id.")]


@app.command(
    "generate",
    epilog=examples("drive generate /tmp/a", "drive generate /tmp/b --fault cut_jpeg:camera_front:0.1"),
)
def generate(
    out: NewFolder,
    vehicle: VehicleOption = "veh-1",
    drive: Annotated[str, typer.Option("--drive", metavar="ID", help="Drive id.")] = "drive-a",
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same drive, byte for byte.")] = 0,
    duration_s: Annotated[float, typer.Option("--duration", metavar="SECONDS", help="Length of the drive.")] = 6.0,
    faults: Annotated[
        list[str] | None, typer.Option("--fault", metavar="FAULT", help="A fault to inject, KIND:SENSOR:SIZE; repeatable.")
    ] = None,
) -> None:
    """Generate a synthetic drive with ground truth.

    Lidar, cameras, radars, pose and IMU observe the same street; the drive is reproducible from its seed.

    Faults, for example: `cut_jpeg:camera_front:0.1` (a tenth of the images is truncated), `nan_points:lidar_top:0.2`,
    `dead_sensor:radar_front:2` (no frames after second 2), `truncate_object:camera_front:0.6`, `wrong_checksum:lidar_top`,
    `absent_object:radar_rear`, `no_manifest`.
    """
    from fleet.synthetic.generate import generate as make

    spec = _spec(vehicle, drive, seed, duration_s, faults or [])
    with console.progress() as bars:
        folder = make(spec, out, bars)
    _report_folder(folder)


@app.command(
    "import",
    epilog=examples(
        "drive import pandaset data/pandaset_002 /tmp/pandaset --vehicle pandar --drive city-002",
        "drive import recording run.mcap /tmp/run --rig calibration.json",
    ),
)
def import_(
    format_name: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT", help="`argoverse2`, `dgp`, `nuscenes`, `pandaset`, `radiate`, or `recording` (MCAP, bag)."
        ),
    ],
    src: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of the dataset, or a recording.")],
    out: NewFolder,
    vehicle: VehicleOption = "imported",
    drive: Annotated[str | None, typer.Option("--drive", metavar="ID", help="Drive id; default: the name of the format.")] = None,
    scene: Annotated[
        str | None,
        typer.Option("--scene", metavar="NAME", help="`nuscenes` only: name or token of the scene; default: the first."),
    ] = None,
    rig: Annotated[
        Path | None,
        typer.Option("--rig", metavar="FILE", help="`recording` only: a calibration.json that names each sensor's `topic`."),
    ] = None,
) -> None:
    """Convert a public dataset or a recording to a drive folder in the landing layout.

    Payloads and stamps are kept exactly. Missing data (a calibration, a radar) is reported and never made up; anomalies are
    reported and never repaired.
    """
    from fleet.importers.registry import IMPORTERS, RIG_IMPORTERS, SCENE_IMPORTERS
    from ops.sync.timeline import read_rig

    if format_name not in IMPORTERS:
        raise typer.BadParameter(f"{format_name!r} is not one of {', '.join(IMPORTERS)}", param_hint="FORMAT")
    importer = IMPORTERS[format_name]
    if scene is not None:
        if format_name not in SCENE_IMPORTERS:
            raise typer.BadParameter(f"{format_name} has no scenes to choose from", param_hint="--scene")
        importer = partial(SCENE_IMPORTERS[format_name], scene=scene)
    if rig is not None:
        if format_name not in RIG_IMPORTERS:
            raise typer.BadParameter(f"{format_name} has a rig of its own", param_hint="--rig")
        importer = partial(RIG_IMPORTERS[format_name], rig=read_rig(rig))
    identity = drive_id(vehicle, drive or format_name)
    with console.progress() as bars:
        result = importer(src, out, identity.vehicle_id, identity.drive_id, bars)
    _report_folder(result.folder)
    for note in result.findings:
        console.say(f"note: {note}")


@app.command("upload", epilog=examples("drive upload /tmp/drive-a"))
def upload(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A drive folder.")],
    check: Annotated[bool, typer.Option("--check/--no-check", help="Validate first; send nothing if a fault is found.")] = True,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Upload a drive folder to the raw bucket: objects with their checksums first, the manifest last.

    Repeat an interrupted upload to resume it: objects that the bucket already holds are not sent again. A folder with faults
    is refused with a list of all of them before anything is sent; --no-check uploads it anyway.
    """
    from fleet.drive_folder import DriveFolder
    from fleet.uploader import CLIENT_CONFIG
    from fleet.uploader import upload as send

    target = deployment.enter(endpoint, home)
    with console.progress() as bars:
        loaded = DriveFolder.load(folder, check=check, progress=bars)
        report = send(loaded, target.s3(CLIENT_CONFIG), target.settings.raw_bucket, progress=bars)
    if as_json:
        sent = {"drive": str(loaded.drive), "sent": report.sent, "skipped": report.skipped, "bytes_sent": report.bytes_sent}
        console.print_json(sent)
        return
    there = f", {len(report.skipped)} already there" if report.skipped else ""
    console.say(f"{loaded.drive}: {console.counted(len(report.sent), 'object')} sent ({display.size(report.bytes_sent)}){there}")
    console.say(f"next:  scenelake drive wait {loaded.drive.vehicle_id} {loaded.drive.drive_id}")


@app.command("wait", epilog=examples("drive wait veh-1 drive-a", "drive wait veh-1 drive-a --timeout 300"))
def wait(
    vehicle: VehicleArgument,
    drive: DriveArgument,
    timeout_s: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0, help="Give up after this long.")] = 900.0,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Follow a drive until it is published or quarantined, then print its accounting.

    For each sensor: frames read, in gold, quarantined and unmatched, with reasons and residuals.

    Exits with 0 if published, 3 if quarantined, 1 on failure or timeout.
    """
    from cli.audit_tables import accounting_table
    from ops.audit import lake_reader
    from ops.drives.follower import Follower

    identity = drive_id(vehicle, drive)
    target = deployment.enter(endpoint, home)
    follower = Follower(target.ledger(), target.manifest_versions(), target.airflow_steps())
    with _Line() as line:
        seen = follower.follow(identity, timeout_s, line.show)
    lines = lake_reader.accounting(target.catalog(), identity) if seen.final else ()
    if as_json:
        console.print_json(
            {
                "drive": str(identity),
                "state": seen.state,
                "scenes": seen.scenes,
                "revision": seen.revision,
                "problem": seen.problem,
                "baseline": seen.baseline,
                "accounting": lines,
            }
        )
    elif lines:
        console.out().print(accounting_table(lines))
        known = f"compared with baseline {seen.baseline[:12]}" if seen.baseline else "not compared with a baseline: it pins none"
        console.say(f"{identity} was {known}")
    _end(seen)


@app.command("reprocess", epilog=examples("drive reprocess veh-1 drive-a"))
def reprocess(
    vehicle: VehicleArgument,
    drive: DriveArgument,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Process a drive again that was published, quarantined, or failed: a new generation of the same data.

    Every decision about the data stays in force. Do so after a rule, a threshold or a defect was corrected.
    """
    _again("reprocess", "queued", drive_id(vehicle, drive), deployment.enter(endpoint, home), as_json=as_json)


@app.command("requeue", epilog=examples("drive requeue veh-1 drive-a"))
def requeue(
    vehicle: VehicleArgument,
    drive: DriveArgument,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send the work message of a drive again that stands still: the same revision and generation.

    The sweep does so on its own once it finds that a message is lost; one message too many does no harm.
    """
    done = "its work message was sent again"
    _again("requeue", done, drive_id(vehicle, drive), deployment.enter(endpoint, home), as_json=as_json)


@app.command("calibrations", epilog=examples("drive calibrations veh-1"))
def calibrations(
    vehicle: VehicleArgument,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show how a vehicle's calibration changed from drive to drive.

    Lists sensors that were rotated by more than 0.1 degrees, moved by more than 2 cm, added, removed, or given other
    intrinsics. Drives are ordered by recording time, not by arrival.
    """
    from ops.drives.calibration_history import describe_step, drives_of_vehicle, history, read_drives

    target = deployment.enter(endpoint, home)
    records = drives_of_vehicle(target.ledger(), target.catalog(), vehicle)
    driven, skipped = read_drives(target.store(), target.settings, records, vehicle)
    if not driven and not skipped:
        raise NotFoundError(f"the ledger has no drive of {vehicle!r}", "`scenelake gold ls` lists the published drives")
    steps = history(driven)
    if as_json:
        console.print_json({"vehicle": vehicle, "drives": steps, "not_compared": skipped})
        return
    rows = [(step.drive.drive_id, display.utc(step.start_ns), describe_step(step)) for step in steps]
    console.out().print(console.table(None, ("drive", "start", "changes since the previous drive"), rows))
    for one in skipped:
        console.say(f"{one.drive} was not compared: {one.reason}")


def _again(act: str, done: str, drive: DriveId, target: deployment.Deployment, *, as_json: bool) -> None:
    from ops.review.decisions import open_desk

    record = getattr(open_desk(target.settings), act)(drive)
    if as_json:
        facts = {"state": record.state, "revision": record.revision, "generation": record.generation, "reason": record.reason}
        console.print_json({"drive": str(drive), **facts})
        return
    console.say(f"{drive}: {done} ({record.state}, generation {record.generation})")
    console.say(f"next:  scenelake drive wait {drive.vehicle_id} {drive.drive_id}")


def _end(seen: Sighting) -> None:
    ids = f"{seen.drive.vehicle_id}/{seen.drive.drive_id}"
    if seen.state == "published" and seen.scenes == 0:
        why = f"scenelake quarantine ls --drive {ids}"
        console.say(f"{ids} is published without a scene: no anchor frame was usable, or every scene is quarantined:  {why}")
        return
    if seen.state == "published":
        console.say(f"{ids} is published:  scenelake gold show --drive {ids}")
        return
    if seen.state == "quarantined":
        console.say(f"{ids} is quarantined:  scenelake quarantine ls --drive {ids}")
        raise typer.Exit(QUARANTINED_EXIT)
    raise WaitTimeoutError(
        f"{ids} failed: {seen.problem or 'no further detail'}",
        "see the task log in Airflow; `scenelake status` shows its address",
    )


class _Line:
    """One line about a drive: rewritten on a terminal, otherwise printed on every change."""

    def __init__(self) -> None:
        self._status = console.err().status("waiting") if console.at_terminal() else None
        self._last = ""
        self._started_s = time.monotonic()

    def __enter__(self) -> _Line:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, seen: Sighting) -> None:
        """Show the latest state of the drive."""
        line = f"{seen.drive}: {seen.summary}, {seen.landed} objects" + (f"; {seen.problem}" if seen.problem else "")
        elapsed = f"{time.monotonic() - self._started_s:4.0f} s  "
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(elapsed + line))
        elif line != self._last:
            console.say(elapsed + line)
        self._last = line


def _spec(vehicle: str, drive: str, seed: int, duration_s: float, faults: list[str]) -> DriveSpec:
    from fleet.errors import SpecError
    from fleet.faults import Fault
    from fleet.synthetic.spec import DriveSpec

    try:
        return DriveSpec(vehicle, drive, seed=seed, duration_s=duration_s, faults=tuple(Fault.parse(text) for text in faults))
    except SpecError as error:
        raise typer.BadParameter(str(error)) from error


def _report_folder(folder: DriveFolder) -> None:
    files = folder.files()
    size = display.size(sum(file.size_bytes for file in files))
    console.say(f"{folder.drive}: {console.counted(len(files), 'file')}, {size} in {folder.path}")
    console.say(f"next:  scenelake drive upload {folder.path}")
