"""Measurements of the points of one lidar sweep or one radar scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.decode.points import PointCloud

SECTORS = 72
SECTOR_DEG = 360 // SECTORS
MAX_RINGS = 256
NEAREST_M = 0.3  # of what a vehicle's lidar is there to see; its own body is farther
SPOT_SECTORS = 3  # a lidar that sees more has not all returns at one spot
# Continental ARS 40X, technical documentation, "Cluster_InvalidState" and "Cluster_AmbigState": what is neither 0 nor
# 3 is no unambiguous detection; the nuScenes devkit drops the same ones by default.
VALID_STATE = 0
UNAMBIGUOUS = 3

Points = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LidarMetrics:
    """`points` in the message; of these `no_return` are (0, 0, 0) and `not_finite` NaN or infinite; the rest are returns.

    `sector_returns` (`SECTORS`): returns by azimuth, from -180 degrees of the sensor's x axis, counter-clockwise.
    `ring_returns`: returns of each value of the field `ring`; None without such a field. `intensity`: mean over the returns in
    the message's own unit; None without such a field, or returns. `near`: returns within `NEAREST_M`, off the lidar's cover or
    what lies on it. `spread_m`: of the others, the root of the sum of the variances of x, y and z, where they lie within
    `SPOT_SECTORS` sectors; None elsewhere.
    """

    points: int
    no_return: int
    not_finite: int
    sector_returns: tuple[int, ...]
    ring_returns: tuple[int, ...] | None
    intensity: float | None
    near: int = 0
    spread_m: float | None = None

    @property
    def returns(self) -> int:
        """Points with a position."""
        return self.points - self.no_return - self.not_finite

    @property
    def distant(self) -> int:
        """Returns farther than `NEAREST_M`."""
        return self.returns - self.near


@dataclass(frozen=True, slots=True)
class RadarMetrics:
    """`detections` in the message. `suspect`: those that the radar itself calls invalid or ambiguous, in the fields
    `invalid_state` and `ambig_state`; None without either field."""

    detections: int
    suspect: int | None


def measure_lidar(cloud: PointCloud, xyz_m: Points) -> LidarMetrics:
    """Measure a sweep; `xyz_m` (N, 3) are its positions, as `cloud.xyz_m()` gives them."""
    x, y, z = np.ascontiguousarray(xyz_m.T)
    with np.errstate(over="ignore", invalid="ignore"):
        square = x * x + y * y + z * z
    # A square can overflow or vanish where the coordinates do not: such points, and only they, are checked one by one.
    odd = np.flatnonzero(~((square > 0) & (square < np.inf)))
    finite = np.isfinite(xyz_m[odd]).all(axis=1)
    zero = (xyz_m[odd] == 0).all(axis=1)
    kept = None
    if odd.size:
        kept = np.ones(cloud.num_points, dtype=np.bool_)
        kept[odd[~finite | zero]] = False
        x, y = x[kept], y[kept]
    intensity = _field(cloud, "intensity", kept)
    sectors = np.bincount(_sectors(x, y), minlength=SECTORS)
    near = int(np.count_nonzero(square < NEAREST_M**2)) - int(np.count_nonzero(finite & zero))
    return LidarMetrics(
        points=cloud.num_points,
        no_return=int(np.count_nonzero(zero)),
        not_finite=int(np.count_nonzero(~finite)),
        sector_returns=tuple(sectors.tolist()),
        ring_returns=_rings(_field(cloud, "ring", kept)),
        intensity=_mean(intensity),
        near=near,
        spread_m=_spread(xyz_m, square) if np.count_nonzero(sectors) <= SPOT_SECTORS else None,
    )


def _spread(xyz_m: Points, square: Points) -> float | None:
    distant = xyz_m[(square >= NEAREST_M**2) & (square < np.inf)].astype(np.float64)
    return float(np.sqrt(distant.var(axis=0).sum())) if len(distant) else None


def _sectors(x: Points, y: Points) -> npt.NDArray[np.intp]:
    turned = (np.arctan2(y, x) + np.float32(np.pi)) * np.float32(SECTORS / (2 * np.pi))
    return np.clip(turned.astype(np.intp), 0, SECTORS - 1)  # float32 rounds pi up: the last sector takes what is beyond it


def measure_radar(cloud: PointCloud) -> RadarMetrics:
    """Measure a scan of detections."""
    suspect = None
    for name, good in (("invalid_state", VALID_STATE), ("ambig_state", UNAMBIGUOUS)):
        values = _field(cloud, name, None)
        if values is not None:
            wrong = values != good
            suspect = wrong if suspect is None else suspect | wrong
    return RadarMetrics(cloud.num_points, None if suspect is None else int(np.count_nonzero(suspect)))


def _field(cloud: PointCloud, name: str, kept: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.generic] | None:
    if name not in cloud.names:
        return None
    values = cloud.column(name)
    if values.ndim != 1:
        return None
    return values if kept is None else values[kept]


def _rings(values: npt.NDArray[np.generic] | None) -> tuple[int, ...] | None:
    """Returns by ring; None also where the values are not ring numbers."""
    if values is None or values.size == 0:
        return None
    numbers = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(numbers).all() and (numbers >= 0).all() and (numbers < MAX_RINGS).all()):
        return None
    return tuple(np.bincount(numbers.astype(np.int64)).tolist())


def _mean(values: npt.NDArray[np.generic] | None) -> float | None:
    if values is None or values.size == 0:
        return None
    mean = float(np.asarray(values, dtype=np.float64).mean())
    return mean if np.isfinite(mean) else None
