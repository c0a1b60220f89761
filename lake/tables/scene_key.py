"""The key of a scene: vehicle, drive and the anchor's time. The scene id spells all three, so no lookup is needed."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from lake.errors import LandingError
from lake.landing import DriveId
from sensors.time_units import NS_PER_DAY

_SCENE_ID = re.compile(r"(?P<vehicle>[^.]+)\.(?P<drive>[^.]+)\.(?P<anchor>0|-?[1-9][0-9]{0,18})")
_EPOCH = datetime.date(1970, 1, 1)


@dataclass(frozen=True, slots=True, order=True)
class SceneKey:
    """A scene of `gold.scenes`; its string is the `scene_id`: `{vehicle}.{drive}.{anchor_ns}` (no id holds a dot)."""

    drive: DriveId
    anchor_ns: int

    @classmethod
    def parse(cls, scene_id: str) -> SceneKey:
        """Read a scene id.

        Raises:
            LandingError: It is not one.
        """
        parts = _SCENE_ID.fullmatch(scene_id)
        if parts is None or not -(2**63) <= int(parts["anchor"]) < 2**63:
            raise LandingError(f"{scene_id!r} is not a scene id; expected VEHICLE.DRIVE.ANCHOR_NS")
        return cls(DriveId(parts["vehicle"], parts["drive"]), int(parts["anchor"]))

    def __str__(self) -> str:
        return f"{self.drive.vehicle_id}.{self.drive.drive_id}.{self.anchor_ns}"

    @property
    def day(self) -> datetime.date:
        """The UTC day of the anchor: the partition that holds the scene."""
        return _EPOCH + datetime.timedelta(days=self.anchor_ns // NS_PER_DAY)
