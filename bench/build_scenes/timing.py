"""When a nuScenes vehicle measures: rates, phases against the lidar, and jitter, as integer nanoseconds.

Rates: 6 cameras 12 Hz, lidar 20 Hz, 5 radars 13 Hz. A camera is triggered as the beam passes, so that its phase against
the sweep's stamp (the end of the sweep) is fixed: means and spread are those of the keyframes of the nuScenes mini set.
Radars run freely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensors.match.nearest import match_nearest
from sensors.policy import Policy
from sensors.rig import Modality, Rig, Sensor, Stamp, Sync
from sensors.time_units import NS_PER_S

Ints = npt.NDArray[np.int64]

REFERENCE = "lidar_top"
START_NS = 1_760_011_200 * NS_PER_S  # 2025-10-09T12:00:00Z: no midnight in any drive
MARGIN_NS = 500_000_000  # the others begin before the first sweep and end after the last
TICK_NS = 1_000  # nuScenes stamps are whole microseconds
LIDAR_HZ, CAMERA_HZ, RADAR_HZ, POSE_HZ = 20, 12, 13, 100
LIDAR_JITTER_NS, CAMERA_JITTER_NS, RADAR_JITTER_NS = 60_000, 1_250_000, 700_000
CAMERA_DELAYS_NS = {
    "camera_front": -35_800_000,
    "camera_front_left": -43_400_000,
    "camera_front_right": -27_800_000,
    "camera_back": -10_700_000,
    "camera_back_left": -800_000,
    "camera_back_right": -20_200_000,
}
RADARS = ("radar_front", "radar_front_left", "radar_front_right", "radar_back_left", "radar_back_right")
TIE_EVERY = 97  # every so many anchors, two frames are equally far from the expected time


def rig() -> Rig:
    """The vehicle: a match within half a period of each sensor, and every scene kept, whatever it lacks."""
    sensors = [_sensor(REFERENCE, Modality.LIDAR, LIDAR_HZ, 0, Stamp.END)]
    sensors += [_sensor(name, Modality.CAMERA, CAMERA_HZ, delay, Stamp.MIDDLE) for name, delay in CAMERA_DELAYS_NS.items()]
    sensors += [_sensor(name, Modality.RADAR, RADAR_HZ, 0, Stamp.MIDDLE) for name in RADARS]
    sensors.append(_sensor("pose", Modality.POSE, POSE_HZ, 0, Stamp.MIDDLE))
    return Rig("bench-v1", REFERENCE, tuple(sensors), Policy(publish_incomplete=True))


def _sensor(name: str, modality: Modality, rate_hz: int, delay_ns: int, stamp: Stamp) -> Sensor:
    half_ns = round(NS_PER_S / rate_hz / 2)
    return Sensor(name, modality, rate_hz, Sync(stamp, delay_ns, half_ns, half_ns, required=False))


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """Stamps (N,) of each sensor, ascending."""

    stamps_ns: dict[str, Ints]


def timing(seconds: float, seed: int) -> Timing:
    """Stamps of a drive whose sweeps cover this many seconds."""
    sweeps = max(1, round(seconds * LIDAR_HZ))
    random = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    anchors = _ticks(START_NS + NS_PER_S * np.arange(sweeps) // LIDAR_HZ, LIDAR_JITTER_NS, random)
    stamps = {REFERENCE: anchors}
    for sensor in rig().sensors[1:]:
        if sensor.modality is Modality.CAMERA:
            phase_ns, jitter_ns = sensor.sync.expected_delay_ns, CAMERA_JITTER_NS
        elif sensor.modality is Modality.RADAR:
            phase_ns, jitter_ns = int(random.integers(sensor.period_ns)), RADAR_JITTER_NS
        else:
            phase_ns, jitter_ns = 0, 0
        rate_hz = int(sensor.rate_hz)
        first = -(MARGIN_NS * rate_hz // NS_PER_S)
        frames = np.arange(first, round(seconds * rate_hz) - first + 1)
        nominal = START_NS + phase_ns + NS_PER_S * frames // rate_hz
        stamps[sensor.name] = _ticks(nominal, jitter_ns, random)
        if sensor.modality.in_scene:
            _plant_ties(anchors[::TIE_EVERY], stamps[sensor.name], sensor)
    return Timing(stamps)


def _ticks(nominal_ns: Ints, jitter_ns: int, random: np.random.Generator) -> Ints:
    jitter = np.clip(random.standard_normal(len(nominal_ns)), -4.0, 4.0) * jitter_ns
    return np.asarray((nominal_ns + jitter.astype(np.int64)) // TICK_NS * TICK_NS, dtype=np.int64)


def _plant_ties(anchors_ns: Ints, stamps_ns: Ints, sensor: Sensor) -> None:
    """Move the frame after each of these anchors' targets to mirror the one before it, where both may match."""
    targets = anchors_ns + sensor.sync.expected_delay_ns
    after = np.searchsorted(stamps_ns, targets, side="right")
    mirrored = 2 * targets - stamps_ns[after - 1]
    distance_ns = mirrored - targets
    room = (distance_ns > sensor.sync.tolerance_ns // 8) & (distance_ns <= sensor.sync.tolerance_ns)
    room &= mirrored < stamps_ns[after + 1]
    stamps_ns[after[room]] = mirrored[room]


def expected_matches(stamps_ns: dict[str, Ints], keyframe_hz: int | None) -> set[tuple[int, str, int]]:
    """(anchor, sensor, stamp) of every match, by the project's own matcher: the result that each contender must reach."""
    anchors = stamps_ns[REFERENCE]
    if keyframe_hz is not None:
        _, first = np.unique(anchors // (NS_PER_S // keyframe_hz), return_index=True)
        anchors = anchors[first]
    found = {(int(anchor), REFERENCE, int(anchor)) for anchor in anchors}
    for sensor in rig().sensors[1:]:
        if sensor.modality.in_scene:
            stamps = stamps_ns[sensor.name]
            matches = match_nearest(anchors, stamps, sensor.sync.expected_delay_ns, sensor.sync.tolerance_ns)
            chosen = matches.index[matches.matched]
            pairs = zip(anchors[matches.matched].tolist(), stamps[chosen].tolist(), strict=True)
            found |= {(anchor, sensor.name, stamp) for anchor, stamp in pairs}
    return found
