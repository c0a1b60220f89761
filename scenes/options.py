"""What a deployment chooses about the build; what changes rows is part of the configuration hash (promise P7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from scenes.errors import OptionError

CHECKS = "SCENELAKE_PAYLOAD_CHECKS"
LAYOUT = "SCENELAKE_POINT_LAYOUT"


class PayloadChecks(StrEnum):
    """How deep a frame is looked into before it is trusted.

    `full`: every image is parsed to its last byte and every point looked at. `structure`: messages and headers only, at the
    speed of copying; each scene is flagged with the rules that were therefore not evaluated.
    """

    FULL = "full"
    STRUCTURE = "structure"


class PointLayout(StrEnum):
    """How gold stores points: as recorded (`rows`), or byte by byte of the point (`planes`), which compresses better."""

    ROWS = "rows"
    PLANES = "planes"


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The options of job `build_scenes`."""

    payload_checks: PayloadChecks = PayloadChecks.FULL
    point_layout: PointLayout = PointLayout.PLANES

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read `SCENELAKE_PAYLOAD_CHECKS` and `SCENELAKE_POINT_LAYOUT`; what is unset or empty has its default.

        Raises:
            OptionError: A value is none of the choices.
        """
        default = cls()
        try:
            return cls(
                payload_checks=PayloadChecks(env.get(CHECKS) or default.payload_checks),
                point_layout=PointLayout(env.get(LAYOUT) or default.point_layout),
            )
        except ValueError as error:
            raise OptionError(
                f"{error}; {CHECKS} is one of {', '.join(PayloadChecks)} and {LAYOUT} one of {', '.join(PointLayout)}"
            ) from error

    def to_dict(self) -> dict[str, str]:
        """As JSON."""
        return {"payload_checks": self.payload_checks.value, "point_layout": self.point_layout.value}
