"""`drive generate|import|upload|wait`: from a vehicle to the lake."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.commands.arguments import DriveArgument, VehicleArgument, drive_id
from cli.options import EndpointOption, HomeOption, JsonOption
from ops import deployment, display
from ops.deployment import DEFAULT_HOME
from ops.errors import NotFoundError, WaitTimeoutError

if TYPE_CHECKING:
    from fleet.drive_folder import DriveFolder
    from fleet.synthetic.spec import DriveSpec
    from ops.following import Sighting

app = typer.Typer(no_args_is_help=True, help="Make, import, upload and follow drives.")
QUARANTINED_EXIT = 3
NewFolder = Annotated[Path, typer.Argument(metavar="OUT", help="A new or empty folder.")]
VehicleOption = Annotated[str, typer.Option("--vehicle", metavar="ID", help="Id of the vehicle.")]


@app.command(
    "generate",
    epilog="Example:  `scenelake drive generate /tmp/a --fault cut_jpeg:camera_front:0.1 --fault dead_sensor:radar_front:2`",
)
def generate(
    out: NewFolder,
    vehicle: VehicleOption = "veh-1",
    drive: Annotated[str, typer.Option("--drive", metavar="ID", help="Id of the drive.")] = "drive-a",
    seed: Annotated[int, typer.Option("--seed", help="Equal seeds give equal drives, byte for byte.")] = 0,
    duration_s: Annotated[float, typer.Option("--duration", metavar="SECONDS", help="Length of the drive.")] = 6.0,
    faults: Annotated[
        list[str] | None, typer.Option("--fault", metavar="FAULT", help="A fault of known kind and size; may be repeated.")
    ] = None,
) -> None:
    """Make a seeded synthetic drive with its ground truth: lidar, cameras, radars, pose and IMU of one and the same street.

    Faults are written as KIND:SENSOR:SIZE, for example `cut_jpeg:camera_front:0.1` (a tenth of the images end early),
    `nan_points:lidar_top:0.2`, `dead_sensor:radar_front:2` (from second 2 on), `truncate_object:camera_front:0.6`,
    `wrong_checksum:lidar_top`, `absent_object:radar_rear`, `no_manifest`.
    """
    from fleet.synthetic.generate import generate as make

    spec = _spec(vehicle, drive, seed, duration_s, faults or [])
    with console.progress() as bars:
        folder = make(spec, out, bars)
    _tell_folder(folder)


@app.command(
    "import",
    epilog="Example:  `scenelake drive import pandaset data/pandaset_002 /tmp/pandaset --vehicle pandar --drive city-002`",
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
    drive: Annotated[
        str | None, typer.Option("--drive", metavar="ID", help="Id of the drive; the format's name by default.")
    ] = None,
    scene: Annotated[
        str | None,
        typer.Option("--scene", metavar="NAME", help="`nuscenes`: name or token of the scene; the first by default."),
    ] = None,
    rig: Annotated[
        Path | None,
        typer.Option("--rig", metavar="FILE", help="`recording`: a calibration.json that gives each sensor its `topic`."),
    ] = None,
) -> None:
    """Write a public dataset or a recording as a drive folder in the landing layout. Payloads and stamps stay exact.

    What the source lacks (a calibration, a radar) is said and not invented; what is odd in it is reported and not
    repaired.
    """
    from fleet.importers.registry import IMPORTERS, RIG_IMPORTERS, SCENE_IMPORTERS
    from ops.sync.timeline import read_rig

    if format_name not in IMPORTERS:
        raise typer.BadParameter(f"{format_name!r} is none of {', '.join(IMPORTERS)}", param_hint="FORMAT")
    importer = IMPORTERS[format_name]
    if scene is not None:
        if format_name not in SCENE_IMPORTERS:
            raise typer.BadParameter(f"{format_name} has no scenes to choose from", param_hint="--scene")
        importer = partial(SCENE_IMPORTERS[format_name], scene=scene)
    if rig is not None:
        if format_name not in RIG_IMPORTERS:
            raise typer.BadParameter(f"{format_name} brings its own rig", param_hint="--rig")
        importer = partial(RIG_IMPORTERS[format_name], rig=read_rig(rig))
    identity = drive_id(vehicle, drive or format_name)
    with console.progress() as bars:
        result = importer(src, out, identity.vehicle_id, identity.drive_id, bars)
    _tell_folder(result.folder)
    for note in result.findings:
        console.say(f"note: {note}")


@app.command("upload", epilog="Example:  `scenelake drive upload /tmp/drive-a`")
def upload(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A drive folder.")],
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Look for faults first and send nothing if there are any.")
    ] = True,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send a drive folder to the raw bucket: objects with their checksums first, the manifest last.

    An upload that was interrupted is resumed: what the bucket holds already is not sent again. A folder with faults is
    refused with a list of all of them, before anything is sent; --no-check sends it all the same, to see what becomes
    of it.
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
    there = f", {len(report.skipped)} were there already" if report.skipped else ""
    console.say(f"{loaded.drive}: {len(report.sent)} objects sent ({display.size(report.bytes_sent)}){there}")
    console.say(f"next:  scenelake drive wait {loaded.drive.vehicle_id} {loaded.drive.drive_id}")


@app.command("wait", epilog="Example:  `scenelake drive wait veh-1 drive-a --timeout 300`")
def wait(
    vehicle: VehicleArgument,
    drive: DriveArgument,
    timeout_s: Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to wait at most.")] = 900.0,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Follow a drive until it is published or quarantined, then print its accounting: for each sensor the frames read, in
    gold, quarantined and unmatched, the reasons, and the residuals.

    Exits with 0 when published, 3 when quarantined, 1 on failure or timeout.
    """
    from cli.accounting_table import accounting_table
    from ops.audit import lake_reader
    from ops.following import Follower

    identity = drive_id(vehicle, drive)
    target = deployment.enter(endpoint, home)
    manifest_version = target.manifest_versions()
    follower = Follower(target.ledger(), manifest_version, target.airflow_steps())
    with _Line() as line:
        seen = follower.follow(identity, timeout_s, line.show)
    lines = lake_reader.accounting(target.catalog(), identity) if seen.final else ()
    if as_json:
        console.print_json(
            {"drive": str(identity), "state": seen.state, "revision": seen.revision, "problem": seen.problem, "accounting": lines}
        )
    elif lines:
        console.out().print(accounting_table(lines))
    _end(seen)


@app.command("calibrations", epilog="Example:  `scenelake drive calibrations veh-1`")
def calibrations(
    vehicle: VehicleArgument,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Compare the calibrations of a vehicle's drives, each with that of the drive before it: what was turned by more than 0.1
    degrees, moved by more than 2 cm, added, removed, or given another lens. Drives that landed late stand where they belong.
    """
    from ops.audit.calibration_history import history, read_drives, told

    target = deployment.enter(endpoint, home)
    driven, skipped = read_drives(target.store(), target.settings, target.ledger().drives(), vehicle)
    if not driven and not skipped:
        raise NotFoundError(f"the ledger has no drive of {vehicle!r}", "`scenelake gold ls` shows what there is")
    steps = history(driven)
    if as_json:
        console.print_json({"vehicle": vehicle, "drives": steps, "not_compared": skipped})
        return
    rows = [(step.drive.drive_id, display.utc(step.start_ns), told(step)) for step in steps]
    console.out().print(console.table(None, ("drive", "start", "changed since the drive before"), rows))
    for one in skipped:
        console.say(f"{one.drive} is not compared: {one.reason}")


def _end(seen: Sighting) -> None:
    ids = f"{seen.drive.vehicle_id}/{seen.drive.drive_id}"
    if seen.state == "published":
        console.say(f"{ids} is published:  scenelake gold show --drive {ids}")
        return
    if seen.state == "quarantined":
        console.say(f"{ids} is quarantined as a whole:  scenelake quarantine ls --drive {ids}")
        raise typer.Exit(QUARANTINED_EXIT)
    raise WaitTimeoutError(
        f"{ids} has failed: {seen.problem or 'its run says no more'}",
        "the task log in Airflow has the whole story: `scenelake status`",
    )


class _Line:
    """One line about a drive: rewritten at a terminal, printed at every change elsewhere."""

    def __init__(self) -> None:
        self._status = console.err().status("looking") if console.at_terminal() else None
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
        """Tell the newest sighting."""
        words = f"{seen.drive}: {seen.words}, {seen.landed} objects" + (f"; {seen.problem}" if seen.problem else "")
        elapsed = f"{time.monotonic() - self._started_s:4.0f} s  "
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(elapsed + words))
        elif words != self._last:
            console.say(elapsed + words)
        self._last = words


def _spec(vehicle: str, drive: str, seed: int, duration_s: float, faults: list[str]) -> DriveSpec:
    from fleet.errors import SpecError
    from fleet.faults import Fault
    from fleet.synthetic.spec import DriveSpec

    try:
        return DriveSpec(vehicle, drive, seed=seed, duration_s=duration_s, faults=tuple(Fault.parse(text) for text in faults))
    except SpecError as error:
        raise typer.BadParameter(str(error)) from error


def _tell_folder(folder: DriveFolder) -> None:
    files = folder.files()
    console.say(f"{folder.drive}: {len(files)} files, {display.size(sum(file.size_bytes for file in files))} in {folder.path}")
    console.say(f"next:  scenelake drive upload {folder.path}")
