"""Arguments that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lake.landing import DriveId
    from ops.review.listing import Filter

VehicleArgument = Annotated[str, typer.Argument(metavar="VEHICLE", help="Id of the vehicle, e.g. `veh-1`.")]
DriveArgument = Annotated[str, typer.Argument(metavar="DRIVE", help="Id of the drive, e.g. `drive-a`.")]
DriveFilter = Annotated[str | None, typer.Option("--drive", metavar="VEHICLE/DRIVE", help="Only this drive.")]
VehicleFilter = Annotated[str | None, typer.Option("--vehicle", metavar="VEHICLE", help="Only this vehicle.")]
LevelFilter = Annotated[
    str | None, typer.Option("--level", metavar="LEVEL", help="Only `object`, `drive`, `scene` or `refused`.")
]
RuleFilter = Annotated[str | None, typer.Option("--rule", metavar="CODE", help="Only records that name this rule.")]
SensorFilter = Annotated[str | None, typer.Option("--sensor", metavar="SENSOR", help="Only records about this sensor.")]
StatusFilter = Annotated[
    str | None,
    typer.Option("--status", metavar="STATUS", help="Only `quarantined`, `releasing`, `released`, `rejected` or `refused`."),
]


def record_filter(
    vehicle: str | None,
    drive: str | None,
    level: str | None,
    rule: str | None,
    sensor: str | None,
    status: str | None,
) -> Filter:
    """Which records the options name.

    Raises:
        typer.BadParameter: A level or status that does not exist, or a drive that is not VEHICLE/DRIVE.
    """
    from ops.review.listing import LEVELS, STATUSES, Filter

    for name, value, known in (("--level", level, LEVELS), ("--status", status, STATUSES)):
        if value is not None and value not in known:
            raise typer.BadParameter(f"{value!r} is none of {', '.join(known)}", param_hint=name)
    drive_filter(drive)
    return Filter(vehicle=vehicle, drive=drive, level=level, rule=rule, sensor=sensor, status=status)


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
