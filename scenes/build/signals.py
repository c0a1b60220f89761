"""Rules on signals that need more than one window: neighbours, baselines of the drive, and the motion of the vehicle.

Findings known before the build (on poses, and on sensors with too few frames for a baseline) are passed to the windows at
once. Findings from the metrics of all frames are known only afterwards: the windows concerned, and only they, are then
rebuilt (ADR 0014).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from quality.evaluators.pose import Fixes, Inertial, evaluate_poses
from quality.evaluators.signal import ALONE, IN_DRIVE, evaluate_drive_signals, too_few
from quality.evaluators.stamp import other_clock
from quality.measurements.frame_metrics import FRAME_METRICS
from quality.measurements.signal_statistics import signal_statistics
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from scenes.documents import WindowFindings
from scenes.left_out import NOTHING, LeftOut, Why
from scenes.options import BuildOptions, PayloadChecks
from scenes.plan.match_plan import ScenePlan, Slot
from scenes.plan.pose_track import first_sensor, pose_sensor
from scenes.plan.windows import Window
from scenes.work_area import FIX_SAMPLES, INERTIAL_SAMPLES, SIGNALS, WorkArea
from sensors.decode.messages import IMAGE
from sensors.geometry import SE3
from sensors.motion.track_metrics import EgoTrack
from sensors.rig import Modality, Rig

Ints = npt.NDArray[np.int64]
Findings = dict[int, tuple[Finding, ...]]
SIGNALS_VERSION = "signals-5"  # part of the configuration hash
_LOG_TIMES_VARY_NS = 200_000_000  # by how much the setting of a clock is known from log times
_STATUS_NO_FIX = -1.0
_RATES, _ACCELERATIONS = ("wx_rad_s", "wy_rad_s", "wz_rad_s"), ("ax_m_s2", "ay_m_s2", "az_m_s2")
_POSITIONS = ("latitude_deg", "longitude_deg", "altitude_m")


def not_evaluated(rig: Rig, options: BuildOptions) -> tuple[str, ...]:
    """Codes of the rules on payload that these options leave out; sorted."""
    if options.payload_checks is PayloadChecks.FULL:
        return ()
    kinds = {sensor.modality for sensor in rig.sensors}
    return tuple(sorted({code for kind in kinds for codes in (ALONE, IN_DRIVE) for code in codes.get(kind, ())}))


def known_before(
    area: WorkArea, index: pa.Table, plan: ScenePlan, rig: Rig, options: BuildOptions, left_out: LeftOut = NOTHING
) -> WindowFindings:
    """The findings on a drive's frames and scenes that are known before any payload is read."""
    rules = RuleBook.of(rig.policy)
    frames = _too_few(index, plan, rig, rules) if options.payload_checks is PayloadChecks.FULL else {}
    scenes = dict(_of_poses(area, plan, rig, rules, _owners(index, left_out.ids(Why.OTHER_CLOCK))))
    for scene, found in _of_clocks(index, plan, rig, rules, left_out).items():
        scenes[scene] = tuple(sorted((*scenes.get(scene, ()), *found)))
    return WindowFindings(frames=frames, scenes=scenes)


@dataclass(frozen=True, slots=True)
class MeasuredDrive:
    """What the metrics of all frames show: findings by frame id, and the statistics of each sensor by name."""

    frames: Findings
    statistics: dict[str, dict[str, float]]


def known_after(area: WorkArea, tables: Sequence[str], rules: RuleBook) -> MeasuredDrive:
    """What the metrics in these tables show; writes the drive's metrics as `signals.arrow`."""
    parts = [table.cast(FRAME_METRICS) for table in area.read_tables(tables)]
    metrics = pa.concat_tables(parts or [FRAME_METRICS.empty_table()])
    area.write_table(SIGNALS, metrics.sort_by([("frame_id", "ascending")]))
    statistics = {sensor: dict(values) for sensor, values in signal_statistics(metrics).items()}
    return MeasuredDrive(dict(evaluate_drive_signals(metrics, rules)), statistics)


def in_windows(plan: ScenePlan, windows: Sequence[Window], found: WindowFindings) -> dict[int, WindowFindings]:
    """The findings of each window, by its number; windows without findings are left out."""
    held = {}
    marked = np.zeros(int(plan.frame_ids.max(initial=-1)) + 2, dtype=np.bool_)
    marked[[frame_id for frame_id in found.frames if frame_id < len(marked) - 1]] = True
    for window in windows:
        ids = np.unique(plan.frame_ids[window.first : window.last])
        scenes = range(window.first, window.last) if found.scenes else ()
        findings = WindowFindings(
            frames={frame_id: found.frames[frame_id] for frame_id in ids[marked[ids]].tolist()},
            scenes={scene: found.scenes[scene] for scene in scenes if scene in found.scenes},
        )
        if findings:
            held[window.number] = findings
    return held


def changed(before: Mapping[int, WindowFindings], after: Mapping[int, WindowFindings]) -> Set[int]:
    """Numbers of the windows whose findings after the build differ from those before."""
    nothing = WindowFindings()
    return {number for number in {*before, *after} if before.get(number, nothing) != after.get(number, nothing)}


def _too_few(index: pa.Table, plan: ScenePlan, rig: Rig, rules: RuleBook) -> Findings:
    kinds = index["message_type"].combine_chunks().dictionary_encode()
    found: dict[int, tuple[Finding, ...]] = {}
    for column, name in enumerate(plan.sensors):
        slots = [position for position, slot in enumerate(plan.slots) if slot.column == column]
        ids = np.unique(plan.frame_ids[:, slots])
        ids = ids[ids >= 0].tolist()
        if not ids:
            continue
        images = kinds[ids[0]].as_py() == IMAGE
        entries = too_few(name, rig[name].modality, len(ids), rules, images=images)
        if entries:
            found |= dict.fromkeys(ids, entries)
    return found


def _of_clocks(index: pa.Table, plan: ScenePlan, rig: Rig, rules: RuleBook, left_out: LeftOut) -> Findings:
    """Which scenes lack a sensor, or a pose, because of its clock: a frame that was left out belongs there."""
    by_clock = left_out.of(Why.CLOCK_SET, Why.OTHER_CLOCK)
    rows = index.take(pa.array(by_clock.frame_ids)).select(["sensor", "stamp_ns"])
    owners, true_ns = rows["sensor"].to_numpy(), rows["stamp_ns"].to_numpy() - by_clock.off_ns
    found: dict[int, list[Finding]] = {}
    for name in sorted(set(owners.tolist())):
        if name in plan.sensors:
            absent = plan.frame_ids[:, plan.slots.index(Slot(plan.sensors.index(name), 0))] < 0
            delay_ns, reach_ns = rig[name].sync.expected_delay_ns, rig[name].sync.tolerance_ns
        elif name == pose_sensor(rig):
            absent, delay_ns, reach_ns = ~plan.pose_valid, 0, rig.policy.pose_bracket_ns
        else:
            continue
        near = _near(plan.anchors_ns + delay_ns, np.sort(true_ns[owners == name]), reach_ns + _LOG_TIMES_VARY_NS)
        for scene in np.flatnonzero(absent & near).tolist():
            found.setdefault(scene, []).append(other_clock(name, rules, pose=name == pose_sensor(rig)))
    return {scene: tuple(sorted(entries)) for scene, entries in found.items()}


def _near(times_ns: Ints, others_ns: Ints, reach_ns: int) -> npt.NDArray[np.bool_]:
    """Which of the times (N,) have one of `others_ns` (M,), ascending, within reach."""
    first, last = np.searchsorted(others_ns, times_ns - reach_ns), np.searchsorted(others_ns, times_ns + reach_ns, side="right")
    return np.asarray(last > first)


def _owners(index: pa.Table, frame_ids: npt.NDArray[np.int64]) -> Set[str]:
    """The sensors of some frames."""
    return set(pc.unique(index["sensor"].take(pa.array(frame_ids))).to_pylist()) if frame_ids.size else set()


def _of_poses(
    area: WorkArea, plan: ScenePlan, rig: Rig, rules: RuleBook, other_clock: Set[str]
) -> Mapping[int, tuple[Finding, ...]]:
    """An IMU or a GNSS receiver of another clock is no witness of the poses (CLK007 speaks of it)."""
    sensor = pose_sensor(rig)
    if sensor is None or not plan.pose_valid.any():
        return {}
    track = EgoTrack.of(plan.track.frames.stamps_ns, plan.track.samples)
    inertial = None if first_sensor(rig, Modality.IMU) in other_clock else _inertial(area, rig)
    fixes = None if first_sensor(rig, Modality.GNSS) in other_clock else _fixes(area, rig)
    return evaluate_poses(sensor, plan.anchors_ns, plan.pose_valid, track, inertial, fixes, rules)


def _inertial(area: WorkArea, rig: Rig) -> Inertial | None:
    name = first_sensor(rig, Modality.IMU)
    if name is None:
        return None
    rows = area.read_table(INERTIAL_SAMPLES).sort_by("stamp_ns")
    rates, accelerations = (np.stack([rows[one].to_numpy() for one in names], axis=1) for names in (_RATES, _ACCELERATIONS))
    return Inertial(rows["stamp_ns"].to_numpy(), rates, accelerations, rig[name].ego_SE3_sensor or SE3.identity())


def _fixes(area: WorkArea, rig: Rig) -> Fixes | None:
    if first_sensor(rig, Modality.GNSS) is None:
        return None
    rows = area.read_table(FIX_SAMPLES).sort_by("stamp_ns")
    fixed = rows["status"].to_numpy() > _STATUS_NO_FIX
    positions = np.stack([rows[name].to_numpy() for name in _POSITIONS], axis=1)
    return Fixes(rows["stamp_ns"].to_numpy()[fixed], positions[fixed])
