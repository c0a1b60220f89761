"""The rules that judge a lidar's sweeps against the drive's baseline for it."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from quality.evaluators.signal_findings import Found, failed, passed
from quality.measurements.frame_metrics import Series
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from sensors.measure.baseline import Baseline, repeats, running_median
from sensors.measure.cloud import NEAREST_M, SECTOR_DEG, LidarMetrics

ALONE = ("LID009",)
BASELINE = ("LID003", "LID004", "LID005", "LID006", "LID007")
IN_DRIVE = (*BASELINE, "LID008", "LID009")

LEAST_RETURNS = 10  # a sector or ring that usually has fewer returns is not evidence when it has none
LOST_SHARE = 0.1  # share of the usual count below which a sector or ring counts as lost
LEAST_SEEN = 10  # returns of a sweep; the ground alone gives any lidar more
SPOT_M = 0.03
SPREADS = 5.0
DRIFT_FRAMES = 9
MOST_DEAD = 4

Floats = npt.NDArray[np.float64]


def evaluate_sweep(sensor: str, sweep: LidarMetrics, rules: RuleBook) -> tuple[Finding, ...]:
    """Judge one sweep by itself, whatever is usual in the drive: a lidar may be blind for all of it."""
    if not sweep.points:
        return ()
    if sweep.spread_m is not None and sweep.distant >= LEAST_SEEN and sweep.spread_m < SPOT_M:
        message = f"all {sweep.distant} returns are at one spot: they spread by {1000 * sweep.spread_m:.2g} mm"
        return tuple(failed(rules, "LID009", sensor, 0.0, message))
    beyond = f" beyond {NEAREST_M:g} m" if sweep.near else ""
    message = f"{{measured:.1%}} of the points have a position{beyond}, less than {{threshold:.0%}}"
    return tuple(failed(rules, "LID009", sensor, sweep.distant / sweep.points, message))


def evaluate_sweeps(sweeps: Series, rules: RuleBook) -> Found:
    """Judge the sweeps of a drive: findings by frame id."""
    found = Found(sweeps.sensor, rules)
    ids = sweeps.frame_ids
    found.repeated("LID008", ids, repeats(sweeps.whole("content")), "the points")
    if not found.enough(sweeps, BASELINE):
        return found
    points, no_return = sweeps.numbers("points"), sweeps.numbers("no_return")
    returns = points - no_return - sweeps.numbers("not_finite")
    distant = returns - sweeps.numbers("near")
    seen = np.divide(distant, points, out=np.zeros_like(points), where=points > 0)
    few = (distant < LEAST_SEEN) & (np.median(distant) < LEAST_SEEN) & passed(rules, "LID009", seen)
    message = f"fewer than {LEAST_SEEN} points have a position beyond {NEAREST_M:g} m, as usual in this drive"
    found.judge("LID009", ids[few], np.zeros(np.count_nonzero(few)), message)
    found.judge(
        "LID003", ids, lost_share(returns), "{measured:.0%} fewer returns than usual in this drive, more than {threshold:.0%}"
    )
    message = "{measured:.0f} degrees of azimuth have lost their returns, more than {threshold:g}"
    found.judge("LID004", ids, blocked_deg(sweeps.lists("sector_returns")), message)
    share = np.divide(no_return, points, out=np.zeros_like(points), where=points > 0)
    message = "the share of points without return is {measured:.0%} above the usual one, more than {threshold:.0%}"
    found.judge("LID005", ids, np.maximum(share - np.median(share), 0.0), message)
    intensity = sweeps.numbers("intensity")
    if np.isfinite(intensity).any():
        message = "intensities are {measured:.0%} off the drive's median, more than {threshold:.0%}"
        found.judge("LID006", ids, drift(intensity), message)
    rings = sweeps.lists("ring_returns")
    known = np.isfinite(rings).all(axis=1)
    if rings.shape[1] and known.any():  # of a lidar with rings, a sweep without any is unknown
        lost = np.full(len(rings), np.nan)
        lost[known] = lost_rings(rings[known])
        found.judge("LID007", ids, lost, "{measured:.0f} rings have lost their returns")
    return found


def lost_share(returns: Floats) -> Floats:
    """How far below the median each count (F,) is, as a share of it; 0 within `SPREADS` robust standard deviations."""
    usual = Baseline.of(returns)
    if usual is None or usual.median <= 0.0:
        return np.zeros(len(returns))
    below = usual.median - returns
    return np.asarray(np.where(below > SPREADS * usual.spread, np.maximum(below, 0.0) / usual.median, 0.0))


def blocked_deg(sectors: Floats) -> Floats:
    """The widest run of lost sectors, in degrees, for each sweep (F,) of `sectors` (F, `SECTORS`), across +-180 degrees too."""
    lost = _lost(sectors)
    doubled = np.concatenate([lost, lost], axis=1)
    run, widest = np.zeros(len(lost), dtype=np.int64), np.zeros(len(lost), dtype=np.int64)
    for column in doubled.T:
        run = np.where(column, run + 1, 0)
        np.maximum(widest, run, out=widest)
    return np.asarray(np.minimum(widest, sectors.shape[1]) * SECTOR_DEG, dtype=np.float64)


def lost_rings(rings: Floats) -> Floats:
    """The number of lost rings for each sweep (F,) of `rings` (F, R).

    Includes rings that never have returns between two that do: those were lost before the drive began. Where more than
    `MOST_DEAD` follow each other, the numbers are taken for ones that the lidar does not use.
    """
    usual = np.median(rings, axis=0)
    alive = usual >= LEAST_RETURNS
    dead = (rings.max(axis=0) == 0) & _between(alive)
    return np.asarray((_lost(rings) | dead).sum(axis=1), dtype=np.float64)


def _between(alive: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which rings (R,) lie in a gap of at most `MOST_DEAD` rings between two that are alive."""
    found = np.zeros(len(alive), dtype=np.bool_)
    for below, above in itertools.pairwise(np.flatnonzero(alive).tolist()):
        if above - below - 1 <= MOST_DEAD:
            found[below + 1 : above] = True
    return found


def drift(intensity: Floats) -> Floats:
    """How far the running median of the intensities (F,) is from their median over the drive, as a share of it."""
    usual = Baseline.of(intensity)
    if usual is None or usual.median == 0.0:
        return np.zeros(len(intensity))
    return np.asarray(np.abs(running_median(intensity, DRIFT_FRAMES) / usual.median - 1.0))


def _lost(counts: Floats) -> npt.NDArray[np.bool_]:
    usual = np.median(counts, axis=0)
    return np.asarray((usual >= LEAST_RETURNS) & (counts < LOST_SHARE * usual))
