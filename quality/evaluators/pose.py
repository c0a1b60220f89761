"""The rules that judge the ego poses around each scene, on their own and against other sensors' measurements of the motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quality.evaluators.signal_findings import failed, passed
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from sensors.geometry import SE3, Floats, metres_per_degree
from sensors.motion.track_metrics import EgoTrack, Windows, triangle_mean, window_mean
from sensors.stamps import Nanoseconds

NEAR_NS = 200_000_000  # a scene's frames lie this close to its anchor; a step outside does not separate them
GNSS_SPAN_NS = 5_000_000_000
LEAST_SPAN_NS = 500_000_000

_MESSAGES = {
    "POS002": "the pose steps {measured:.2f} m further than a vehicle can, more than {threshold:g} m",
    "POS003": "{measured:.1f} m/s, more than {threshold:g} m/s",
    "POS004": "{measured:.1f} m/s², more than {threshold:g} m/s²",
    "POS005": "its yaw rate is {measured:.3f} rad/s from the gyroscope's, more than {threshold:g}",
    "POS006": "its acceleration is {measured:.2f} m/s² from the accelerometer's, more than {threshold:g}",
    "POS007": "around the anchor it moves {measured:.1f} m more or less than GNSS says, more than {threshold:g} m",
}


@dataclass(frozen=True, slots=True, eq=False)
class Inertial:
    """Samples of an IMU: `stamps_ns` (N,) ascending, `rates_rad_s` and `accelerations_m_s2` (N, 3) in its own frame."""

    stamps_ns: Nanoseconds
    rates_rad_s: Floats
    accelerations_m_s2: Floats
    ego_SE3_sensor: SE3


@dataclass(frozen=True, slots=True, eq=False)
class Fixes:
    """Positions of a GNSS receiver: `stamps_ns` (N,) ascending, latitude, longitude in degrees, altitude in m (N, 3)."""

    stamps_ns: Nanoseconds
    positions: Floats


def evaluate_poses(
    sensor: str,
    anchors_ns: Nanoseconds,
    has_pose: npt.NDArray[np.bool_],
    track: EgoTrack,
    inertial: Inertial | None,
    fixes: Fixes | None,
    rules: RuleBook,
) -> Mapping[int, tuple[Finding, ...]]:
    """Sorted findings by scene, for scenes that have any.

    Args:
        sensor: The pose sensor.
        anchors_ns: Of the scenes, (S,).
        has_pose: Which scenes have a pose, (S,); POS001 covers the others.
        track: The poses of the drive.
        inertial: The IMU of the rig; None if the rig has none, in which case no rule compares with it.
        fixes: The same for a GNSS receiver.
        rules: The drive's.
    """
    windows = track.windows(anchors_ns)
    measured = {"POS002": track.steps_near_m(anchors_ns, NEAR_NS), "POS004": windows.acceleration_m_s2}
    if windows.half_ns:
        measured["POS003"] = windows.speed_m_s
    if inertial is not None:
        measured |= _against_inertial(windows, inertial)
    if fixes is not None:
        measured["POS007"] = _against_fixes(track, anchors_ns, fixes)
    found: dict[int, list[Finding]] = {}
    for code, values in measured.items():
        for scene in np.flatnonzero(has_pose & ~passed(rules, code, values)).tolist():
            value = float(values[scene])
            found.setdefault(scene, []).extend(failed(rules, code, sensor, None if np.isnan(value) else value, _MESSAGES[code]))
    return {scene: tuple(sorted(entries)) for scene, entries in found.items()}


def _against_inertial(windows: Windows, inertial: Inertial) -> dict[str, Floats]:
    """Differences for POS005, about the ego's z axis, and POS006, along its x axis."""
    to_ego = inertial.ego_SE3_sensor.rotation
    known = np.isfinite(inertial.rates_rad_s).all(axis=1) & np.isfinite(inertial.accelerations_m_s2).all(axis=1)
    stamps_ns = inertial.stamps_ns[known]
    yaw_rate = window_mean(windows, stamps_ns, inertial.rates_rad_s[known] @ to_ego[2])
    forward = triangle_mean(windows, stamps_ns, inertial.accelerations_m_s2[known] @ to_ego[0])
    return {
        "POS005": np.abs(windows.yaw_rate_rad_s - yaw_rate),
        "POS006": np.abs(windows.forward_m_s2 - forward),
    }


def _against_fixes(track: EgoTrack, at_ns: Nanoseconds, fixes: Fixes) -> Floats:
    """Difference of the distances moved over `GNSS_SPAN_NS` around each instant, which needs no common frame.

    Over all that both cover, where that is less; NaN where it is less than `LEAST_SPAN_NS`.
    """
    unknown = np.full(len(at_ns), np.nan)
    known = np.isfinite(fixes.positions).all(axis=1)
    stamps_ns, positions = fixes.stamps_ns[known], fixes.positions[known]
    if len(stamps_ns) < 2 or len(track.stamps_ns) < 2:
        return unknown
    start_ns, end_ns = max(stamps_ns[0], track.stamps_ns[0]), min(stamps_ns[-1], track.stamps_ns[-1])
    span_ns = min(GNSS_SPAN_NS, int(end_ns - start_ns))
    if span_ns < LEAST_SPAN_NS:
        return unknown
    first_ns = np.clip(at_ns - span_ns // 2, start_ns, end_ns - span_ns)
    last_ns = first_ns + span_ns
    north_m, east_m = metres_per_degree(float(positions[0, 0]))
    scale = np.array([north_m, east_m])
    by_fixes = (_at(last_ns, stamps_ns, positions[:, :2]) - _at(first_ns, stamps_ns, positions[:, :2])) * scale
    by_poses = (track.at(last_ns) - track.at(first_ns))[:, :2]
    return np.asarray(np.abs(np.linalg.norm(by_poses, axis=1) - np.linalg.norm(by_fixes, axis=1)))


def _at(at_ns: Nanoseconds, stamps_ns: Nanoseconds, values: Floats) -> Floats:
    since_ns, known_ns = (at_ns - stamps_ns[0]).astype(np.float64), (stamps_ns - stamps_ns[0]).astype(np.float64)
    return np.stack([np.interp(since_ns, known_ns, column) for column in values.T], axis=1)
