"""Arguments that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lake.landing import DriveId

VehicleArgument = Annotated[str, typer.Argument(metavar="VEHICLE", help="Id of the vehicle, e.g. `veh-1`.")]
DriveArgument = Annotated[str, typer.Argument(metavar="DRIVE", help="Id of the drive, e.g. `drive-a`.")]
DriveFilter = Annotated[str | None, typer.Option("--drive", metavar="VEHICLE/DRIVE", help="Only this drive.")]


def drive_id(vehicle: str, drive: str) -> DriveId:
    """The drive of two ids.

    Raises:
        typer.BadParameter: An id breaks the landing layout.
    """
    from lake.errors import LandingError
    from lake.landing import DriveId

    try:
        return DriveId(vehicle, drive)
    except LandingError as error:
        raise typer.BadParameter(str(error)) from error


def drive_filter(named: str | None) -> DriveId | None:
    """The drive of `--drive VEHICLE/DRIVE`.

    Raises:
        typer.BadParameter: Not two ids with a slash between them.
    """
    if named is None:
        return None
    vehicle, slash, drive = named.partition("/")
    if not slash:
        raise typer.BadParameter(f"{named!r} is not VEHICLE/DRIVE", param_hint="--drive")
    return drive_id(vehicle, drive)
