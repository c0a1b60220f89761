"""Arguments and options that several commands share, the values they parse to, and the form of help texts.

typer maps one parameter of a function to one option, so commands with many options have many parameters; they pass them on
as one value each (`Filter`, `DriveId`).
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from lake.landing import DriveId
    from ops.review.listing import Filter


DATA, CHECK, STACK = "Data", "Check", "Local stack"  # panels of `scenelake --help`

VehicleArgument = Annotated[str, typer.Argument(metavar="VEHICLE", help="Vehicle id, e.g. `veh-1`.")]
DriveArgument = Annotated[str, typer.Argument(metavar="DRIVE", help="Drive id, e.g. `drive-a`.")]
DriveFilter = Annotated[str | None, typer.Option("--drive", metavar="VEHICLE/DRIVE", help="Only this drive.")]
VehicleFilter = Annotated[str | None, typer.Option("--vehicle", metavar="VEHICLE", help="Only this vehicle.")]
LevelFilter = Annotated[
    str | None, typer.Option("--level", metavar="LEVEL", help="Only this level: `object`, `drive`, `scene` or `refused`.")
]
RuleFilter = Annotated[str | None, typer.Option("--rule", metavar="CODE", help="Only records in which this rule failed.")]
SensorFilter = Annotated[str | None, typer.Option("--sensor", metavar="SENSOR", help="Only records about this sensor.")]
StatusFilter = Annotated[
    str | None,
    typer.Option("--status", metavar="STATUS", help="Only `quarantined`, `releasing`, `released`, `rejected` or `refused`."),
]


def examples(*commands: str, title: str = "Example:") -> str:
    """The epilog of a help text: commands, one per line, ready to copy."""
    return "\\\n".join([title, *(f"`scenelake {command}`" for command in commands)])


def record_filter(
    vehicle: str | None,
    drive: str | None,
    level: str | None,
    rule: str | None,
    sensor: str | None,
    status: str | None,
) -> Filter:
    """The filter that the options describe.

    Raises:
        typer.BadParameter: A level or status that does not exist, or a drive that is not VEHICLE/DRIVE.
    """
    from ops.review.listing import LEVELS, STATUSES, Filter

    for name, value, known in (("--level", level, LEVELS), ("--status", status, STATUSES)):
        if value is not None and value not in known:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(known)}", param_hint=name)
    drive_filter(drive)
    return Filter(vehicle=vehicle, drive=drive, level=level, rule=rule, sensor=sensor, status=status)


def drive_id(vehicle: str, drive: str) -> DriveId:
    """The drive with these ids.

    Raises:
        typer.BadParameter: An id is not valid in the landing layout.
    """
    from lake.errors import LandingError
    from lake.landing import DriveId

    try:
        return DriveId(vehicle, drive)
    except LandingError as error:
        raise typer.BadParameter(str(error)) from error


def named_drive(named: str) -> DriveId:
    """The drive of an argument VEHICLE/DRIVE.

    Raises:
        typer.BadParameter: Not two ids with a slash between them.
    """
    vehicle, slash, drive = named.partition("/")
    if not slash:
        raise typer.BadParameter(f"{named!r} is not VEHICLE/DRIVE")
    return drive_id(vehicle, drive)


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


class WithDefault(TyperGroup):
    """A group whose command `default` runs where no other is named: `recall --vehicle V` beside `recall ls`."""

    default = "find"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the default command where the first argument is none of the commands."""
        named = args[0] if args else ""
        if args and named not in self.commands and named not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


PersonOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who does it; default: the current user.")]
ApplyOption = Annotated[bool, typer.Option("--apply", help="Do it; without, only say what would be done.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint", metavar="URL", help="AWS-compatible endpoint; default: AWS_ENDPOINT_URL, else the running local stack."
    ),
]
HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="SCENELAKE_HOME", metavar="DIR", help="State folder of the local stack: data, logs, passwords."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def parsed_day(text: str | None, option: str) -> datetime.date | None:
    """A UTC day, as it was given with an option.

    Raises:
        typer.BadParameter: It is none.
    """
    try:
        return None if text is None else datetime.date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a day such as 2026-05-01", param_hint=option) from error
