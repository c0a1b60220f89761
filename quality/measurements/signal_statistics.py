"""What the signals of each sensor were like over a whole drive: a few medians, small enough to be kept for every drive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from quality.measurements.frame_metrics import Series, series
from sensors.rig import Modality

RETURNS, INVALID_SHARE, INTENSITY = "returns", "invalid_share", "intensity"
DETECTIONS, EMPTY_SHARE = "detections", "empty_share"
LUMA, CONTRAST, EDGE_ENERGY, CHROMA = "mean_luma", "contrast", "relative_edge_energy", "relative_chroma"
FRAMES, RATE = "frames", "rate_hz"

_COLUMNS = (
    "frame_id", "sensor", "modality", "points", "no_return", "not_finite", "intensity", "detections",
    "mean_luma", "low_luma", "high_luma", "sharpness", "chroma_spread",
)  # fmt: skip

Floats = npt.NDArray[np.float64]


def signal_statistics(signals: pa.Table) -> dict[str, Mapping[str, float]]:
    """The statistics of each sensor, by name; a value that no frame has is left out.

    `signals`: rows of `quality.measurements.frame_metrics.FRAME_METRICS`.

    All are medians over frames, but for `frames`, which were measured, and `empty_share`. Lidar: `returns` per sweep,
    `invalid_share` of the points that have no position, mean `intensity`. Radar: `detections` per scan, `empty_share` of the
    scans. Camera: `mean_luma` and `contrast` in levels; `relative_edge_energy`: variance of the Laplacian over the square of
    the contrast; `relative_chroma`: spread of the chroma over the contrast. The last two do not fall with the light.
    """
    return {one.sensor: _known(_MEASURES[Modality(one.modality)](one)) for one in series(signals.select(_COLUMNS))}


def _lidar(one: Series) -> dict[str, Any]:
    points = one.numbers("points")
    invalid = one.numbers("no_return") + one.numbers("not_finite")
    share = np.divide(invalid, points, out=np.ones_like(points), where=points > 0)
    return {RETURNS: _median(points - invalid), INVALID_SHARE: _median(share), INTENSITY: _median(one.numbers("intensity"))} | {
        FRAMES: np.count_nonzero(np.isfinite(points))
    }


def _radar(one: Series) -> dict[str, Any]:
    detections = one.numbers("detections")
    scans = detections[np.isfinite(detections)]
    empty = float((scans == 0).mean()) if scans.size else np.nan
    return {DETECTIONS: _median(scans), EMPTY_SHARE: empty, FRAMES: scans.size}


def _camera(one: Series) -> dict[str, Any]:
    contrast = one.numbers("high_luma") - one.numbers("low_luma")
    sharpness = one.numbers("sharpness")
    values = {
        LUMA: one.numbers("mean_luma"),
        CONTRAST: contrast,
        EDGE_ENERGY: _ratio(sharpness, contrast**2),
        CHROMA: _ratio(one.numbers("chroma_spread"), contrast),
    }
    return {name: _median(found) for name, found in values.items()} | {FRAMES: np.count_nonzero(np.isfinite(sharpness))}


_MEASURES = {Modality.LIDAR: _lidar, Modality.RADAR: _radar, Modality.CAMERA: _camera}


def _ratio(values: Floats, reference: Floats) -> Floats:
    return np.divide(values, reference, out=np.full_like(values, np.nan), where=reference > 0)


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan


def _known(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}
