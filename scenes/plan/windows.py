"""Cut a drive's scenes into windows of bounded bytes: the unit of one Spark task and of one Parquet file."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.time_units import NS_PER_DAY

DAY_ZERO = datetime.date(1970, 1, 1)
WINDOW_BYTES = 64 * 1024 * 1024
SHORT_DRIVE_WINDOWS = 4  # a drive too short for this many full-size windows is cut finer, so that several workers share it ...
SMALLEST_WINDOW_BYTES = 16 * 1024 * 1024  # ... but not so fine that a file costs more to open than to read
WINDOW_SCENES = 1024  # a scene costs a worker memory beside its payload: a rig without cameras has small ones


@dataclass(frozen=True, slots=True)
class Window:
    """The scenes [first, last) of a plan, all of one UTC day (`day` counts from 1970-01-01), and their payload's bytes."""

    number: int
    first: int
    last: int
    day: int
    size_bytes: int


def _limit(scene_bytes: npt.NDArray[np.int64]) -> int:
    """Payload bytes of a window: a quarter of a short drive, and one scene more, so that no fifth window holds the rest."""
    share = int(scene_bytes.sum()) // SHORT_DRIVE_WINDOWS + int(scene_bytes.max(initial=0))
    return min(WINDOW_BYTES, max(SMALLEST_WINDOW_BYTES, share))


def cut(
    anchors_ns: npt.NDArray[np.int64],
    scene_bytes: npt.NDArray[np.int64],
    limit: int | None = None,
    most_scenes: int = WINDOW_SCENES,
) -> list[Window]:
    """Windows of consecutive scenes, as many as `limit` payload bytes and `most_scenes` allow, never across midnight UTC.

    `anchors_ns`, `scene_bytes` (S,): anchor time, ascending, and payload bytes of each scene. Every scene is in exactly
    one window; one that is larger than `limit` has a window of its own. Without a `limit` it follows from the drive's size.
    """
    if limit is None:
        limit = _limit(scene_bytes)
    days = anchors_ns // NS_PER_DAY
    windows: list[Window] = []
    first, held = 0, 0
    for scene, size in enumerate(scene_bytes.tolist()):
        full = held + size > limit or scene - first >= most_scenes
        if scene > first and (full or days[scene] != days[first]):
            windows.append(Window(len(windows), first, scene, int(days[first]), held))
            first, held = scene, 0
        held += size
    if len(anchors_ns) > first:
        windows.append(Window(len(windows), first, len(anchors_ns), int(days[first]), held))
    return windows
