"""What goes wrong in a lidar's sweep and a radar's scan."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fleet.fault_kinds import FaultKind
from fleet.faults import Fault
from sensors.measure.cloud import VALID_STATE

CLOUD_DAMAGE = frozenset(
    {
        FaultKind.NAN_POINTS,
        FaultKind.DROP_POINTS,
        FaultKind.ZERO_POINTS,
        FaultKind.BLOCK_SECTOR,
        FaultKind.DROP_RINGS,
        FaultKind.FADE_INTENSITY,
        FaultKind.EMPTY_SCAN,
        FaultKind.GHOSTS,
        FaultKind.FULL_LIST,
    }
)
INVALID_STATE = VALID_STATE + 4
CLUTTER_RANGE_M = (2.0, 80.0)
CLUTTER_HALF_FAN_RAD = 1.0

Cloud = npt.NDArray[np.void]


def damaged_cloud(points: Cloud, fault: Fault, rng: np.random.Generator, progress: float) -> Cloud:
    """The points (N,) after a fault of `CLOUD_DAMAGE`; `progress`: how much of the drive has passed, 0 to 1."""
    share = fault.share or 0.0
    match fault.kind:
        case FaultKind.NAN_POINTS:
            return _placed(points, _chosen(points, share, rng), np.nan)
        case FaultKind.ZERO_POINTS:
            return _placed(points, _chosen(points, share, rng), 0.0)
        case FaultKind.DROP_POINTS:
            return np.delete(points, _chosen(points, share, rng))
        case FaultKind.BLOCK_SECTOR:
            middle = rng.uniform(-np.pi, np.pi)
            off = np.angle(np.exp(1j * (np.arctan2(points["y"], points["x"]) - middle)))
            return np.asarray(points[np.abs(off) > np.radians(fault.size or 0.0) / 2.0])
        case FaultKind.DROP_RINGS:
            lowest = points["ring"].max(initial=1) // 2  # rings that look down always have returns
            lost = rng.choice(max(int(lowest), 1), size=min(int(fault.size or 0), max(int(lowest), 1)), replace=False)
            return np.asarray(points[~np.isin(points["ring"], lost)])
        case FaultKind.FADE_INTENSITY:
            faded = points.copy()
            faded["intensity"] *= 1.0 - share * min(max(progress, 0.0), 1.0)
            return faded
        case FaultKind.EMPTY_SCAN:
            return points[:0]
        case FaultKind.GHOSTS:
            haunted = points.copy()
            haunted["invalid_state"][_chosen(points, share, rng)] = INVALID_STATE
            return haunted
    return _filled(points, int(fault.size or 0), rng)


def _chosen(points: Cloud, share: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    return np.asarray(rng.choice(len(points), size=round(share * len(points)), replace=False))


def _placed(points: Cloud, chosen: npt.NDArray[np.int64], value: float) -> Cloud:
    points = points.copy()
    for name in ("x", "y", "z"):
        points[name][chosen] = value
    return points


def _filled(detections: Cloud, capacity: int, rng: np.random.Generator) -> Cloud:
    """Clutter behind the detections up to the list's last place; what does not fit is lost."""
    clutter: Any = np.zeros(max(capacity - len(detections), 0), dtype=detections.dtype)
    range_m = rng.uniform(*CLUTTER_RANGE_M, len(clutter))
    azimuth = rng.uniform(-CLUTTER_HALF_FAN_RAD, CLUTTER_HALF_FAN_RAD, len(clutter))
    clutter["x"], clutter["y"] = range_m * np.cos(azimuth), range_m * np.sin(azimuth)
    if "ambig_state" in (detections.dtype.names or ()) and len(detections):
        clutter["ambig_state"] = detections["ambig_state"][0]
    return np.asarray(np.concatenate([detections, clutter])[:capacity])
