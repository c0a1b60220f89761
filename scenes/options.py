"""A deployment's options of the build; those that change rows are part of the configuration hash (promise P7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PayloadChecks(StrEnum):
    """How thoroughly a frame is checked before it is used.

    `full`: every image is parsed to its last byte, and every point checked. `structure`: messages and headers only, at the
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
