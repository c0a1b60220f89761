"""The schedule of measurements: when each sensor measures, with which stamp, and which measurements are recorded."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fleet.errors import SpecError
from fleet.fault_kinds import FaultKind
from fleet.faults import Fault, Frames
from fleet.synthetic.spec import DriveSpec, FaultPlan
from fleet.synthetic.vehicle import FIRST_SWEEP_NS, RADAR_JITTER_NS, TAIL_NS
from sensors.rig import Modality, Sensor
from sensors.time_units import NS_PER_S

CAMERA_JITTER_NS = 100_000
MAX_STAMP_NS = (2**31 - 1) * NS_PER_S  # builtin_interfaces/msg/Time.sec is int32
# From the stamp to the recorder: the rest of the measurement and its transport.
LATENCY_NS = {
    Modality.CAMERA: 18_000_000,
    Modality.RADAR: 12_000_000,
    Modality.POSE: 1_500_000,
    Modality.IMU: 800_000,
    Modality.GNSS: 40_000_000,
}
LIDAR_TRANSPORT_NS = 4_000_000
LATENCY_JITTER_NS = 300_000
LATE_PERIODS = 2


@dataclass(frozen=True, slots=True)
class Shot:
    """One measurement: its number, true time, stamp, and whether it was recorded.

    `faults` are the indices of the drive's faults that affect it.
    """

    index: int
    true_ns: int
    stamp_ns: int
    log_ns: int
    recorded: bool = True
    faults: tuple[int, ...] = ()


def seed_of(seed: int, sensor: str, *more: int) -> list[int]:
    """Entropy for a random generator that depends on the drive's seed and the sensor's name only."""
    return [seed, zlib.crc32(sensor.encode()), *more]


def shots_of(sensor: Sensor, spec: DriveSpec) -> tuple[Shot, ...]:
    """All measurements of a sensor, in order, with the drive's faults of time and of recording applied.

    Raises:
        SpecError: A fault names a frame that the sensor does not have.

    """
    return with_faults(_clean(sensor, spec), sensor, spec)


def with_faults(shots: Sequence[Shot], sensor: Sensor, plan: FaultPlan) -> tuple[Shot, ...]:
    """The measurements of a sensor after the faults of time and of recording, each with the indices of all its faults.

    Raises:
        SpecError: A fault names a frame that the sensor does not have, or makes a stamp that no message can hold.

    """
    changed = list(shots)
    for index, fault in enumerate(plan.faults):
        if fault.sensor == sensor.name and not fault.kind.on_files:
            changed = _with_fault(changed, index, fault, plan, sensor.period_ns)
    return tuple(changed)


def _clean(sensor: Sensor, spec: DriveSpec) -> list[Shot]:
    rng = np.random.default_rng(seed_of(spec.seed, sensor.name, 0))
    rate_hz = round(sensor.rate_hz)
    if sensor.modality is Modality.LIDAR:
        count, first_ns, jitter_ns = max(1, spec.duration_ns * rate_hz // NS_PER_S), FIRST_SWEEP_NS, 0
    else:
        first_ns = FIRST_SWEEP_NS + sensor.sync.expected_delay_ns if sensor.modality.in_scene else 0
        count = (spec.duration_ns + TAIL_NS - first_ns) * rate_hz // NS_PER_S + 1
        jitter_ns = {Modality.CAMERA: CAMERA_JITTER_NS, Modality.RADAR: RADAR_JITTER_NS}.get(sensor.modality, 0)
    latency_ns = LATENCY_NS.get(sensor.modality, sensor.period_ns + LIDAR_TRANSPORT_NS)
    jitters = rng.integers(-jitter_ns, jitter_ns, count, endpoint=True)
    latencies = latency_ns + rng.integers(0, LATENCY_JITTER_NS, count, endpoint=True)
    shots = []
    for index in range(count):
        true_ns = spec.start_ns + first_ns + index * NS_PER_S // rate_hz + int(jitters[index])
        shots.append(Shot(index, true_ns, true_ns, true_ns + int(latencies[index])))
    return shots


def _with_fault(shots: list[Shot], index: int, fault: Fault, spec: FaultPlan, period_ns: int) -> list[Shot]:
    touched = _touched(shots, index, fault, spec)
    changed = list(shots)
    for number in touched:
        shot = replace(shots[number], faults=(*shots[number].faults, index))
        match fault.kind:
            case FaultKind.DEAD_SENSOR | FaultKind.DROP_FRAMES:
                shot = replace(shot, recorded=False)
            case FaultKind.DUPLICATE_STAMPS:
                shot = replace(shot, stamp_ns=changed[number - 1].stamp_ns)
            case FaultKind.CLOCK_OFFSET | FaultKind.CLOCK_STEP | FaultKind.WILD_STAMP:
                shot = replace(shot, stamp_ns=_moved(fault, shot.stamp_ns + (fault.offset_ns or 0)))
            case FaultKind.LATE_FRAMES:
                shot = replace(shot, log_ns=shot.log_ns + LATE_PERIODS * period_ns)
            case FaultKind.LOG_PACE:
                shot = replace(shot, log_ns=spec.start_ns + round((shot.log_ns - spec.start_ns) * (fault.size or 1.0)))
            case FaultKind.CLOCK_DRIFT:
                gained_ns = round((shot.stamp_ns - spec.start_ns) * (fault.size or 0.0) / 1e6)
                shot = replace(shot, stamp_ns=_moved(fault, shot.stamp_ns + gained_ns))
            case FaultKind.CLOCK_UNIT:
                shot = replace(shot, stamp_ns=_moved(fault, shot.stamp_ns // 10 ** int(fault.size or 0)))
        changed[number] = shot
    return changed


def _moved(fault: Fault, stamp_ns: int) -> int:
    if not 0 <= stamp_ns <= MAX_STAMP_NS:
        raise SpecError(f"fault {fault}: makes the stamp {stamp_ns} ns, which a ROS time (0 to {MAX_STAMP_NS} ns) cannot hold")
    return stamp_ns


def _touched(shots: list[Shot], index: int, fault: Fault, spec: FaultPlan) -> list[int]:
    if fault.after_ns is not None:
        return [shot.index for shot in shots if shot.true_ns >= spec.start_ns + fault.after_ns]
    if fault.kind.on_calibration:
        return []
    first = 1 if fault.kind in (FaultKind.DUPLICATE_STAMPS, FaultKind.REPEAT_CONTENT) else 0
    return _choose(fault, fault.frames, first, len(shots), np.random.default_rng(seed_of(spec.seed, "fault", index)))


def _choose(fault: Fault, frames: Frames | None, first: int, count: int, rng: np.random.Generator) -> list[int]:
    if frames is None:
        return list(range(first, count))
    if isinstance(frames, tuple):
        outside = [index for index in frames if not first <= index < count]
        if outside:
            listed = ", ".join(map(str, outside))
            raise SpecError(f"fault {fault}: {fault.sensor} has frames {first} to {count - 1}, not {listed}")
        return sorted(set(frames))
    size = min(max(1, round(frames * count)), count - first)
    return sorted(int(index) for index in rng.choice(np.arange(first, count), size=size, replace=False))
