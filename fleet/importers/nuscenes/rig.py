"""The rig of a nuScenes scene, from its tables and stamps: rates, expected delays, mountings, lenses."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fleet.importers.clock_findings import LONGEST_DELAY_NS, declared_delay_ns, half_period_ns, mean_hz
from fleet.importers.nuscenes.motion import transform
from fleet.importers.nuscenes.shots import Channel
from fleet.importers.nuscenes.tables import DatasetLayout, Row, keyed_rows
from fleet.importers.source import RowFaults, finite, median_ns
from sensors.geometry import SE3
from sensors.policy import Policy
from sensors.rig import DEFAULT_WARN_RESIDUAL_NS, Intrinsics, Modality, Rig, Sensor, Stamp, Sync
from sensors.time_units import NS_PER_S


@dataclass(frozen=True, slots=True)
class CalibratedSensor:
    """A sensor's mounting and, for a camera, its lens; None where the source has no usable value."""

    ego_SE3_sensor: SE3 | None
    lens: Intrinsics | None = None


def read_calibrations(layout: DatasetLayout, channels: Sequence[Channel], findings: list[str]) -> dict[str, CalibratedSensor]:
    """The calibration of each channel by name; unusable values are left out and reported as findings."""
    tokens = {shot.calibration for channel in channels for shot in channel.rows}
    table = layout.table("calibrated_sensor")
    rows = {token: row for token, row in keyed_rows(table, "token", RowFaults()) if token in tokens}
    found = {channel.name: _calibrated(channel, rows, findings) for channel in channels}
    return _without_identities(found, findings)


def _without_identities(found: dict[str, CalibratedSensor], findings: list[str]) -> dict[str, CalibratedSensor]:
    """The same; if all of several sensors are mounted at the origin without any turn, nobody has measured where they are."""
    mountings = [one.ego_SE3_sensor for one in found.values() if one.ego_SE3_sensor is not None]
    if len(mountings) < 2 or not all(_is_identity(mounting) for mounting in mountings):
        return found
    findings.append(
        f"calibrated_sensor: all {len(mountings)} mountings are the identity, which no vehicle has: they were never filled in, "
        "and are left out"
    )
    return {name: replace(one, ego_SE3_sensor=None) for name, one in found.items()}


def _is_identity(mounting: SE3) -> bool:
    return bool(np.allclose(mounting.translation_m, 0.0) and np.allclose(mounting.rotation, np.eye(3)))


def _calibrated(channel: Channel, rows: Mapping[str, Row], findings: list[str]) -> CalibratedSensor:
    tokens = list(dict.fromkeys(shot.calibration for shot in channel.rows))
    if len(tokens) > 1:
        findings.append(f"{channel.name}: {len(tokens)} calibrations in one scene; the first is declared")
    row = rows[tokens[0]]
    try:
        mounting = transform(row)
    except ValueError as error:
        findings.append(f"{channel.name}: its mounting cannot be used and is left out: {error}")
        mounting = None
    if channel.modality is not Modality.CAMERA:
        return CalibratedSensor(mounting)
    size_px = next((shot.size_px for shot in channel.rows if shot.size_px is not None), None)
    try:
        return CalibratedSensor(mounting, pinhole(row["camera_intrinsic"], size_px))
    except (LookupError, TypeError, ValueError) as error:
        findings.append(f"{channel.name}: its intrinsics cannot be used and are left out: {error}")
        return CalibratedSensor(mounting)


def pinhole(matrix: object, size_px: tuple[int, int] | None) -> Intrinsics:
    """The camera that a 3x3 matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] describes, without distortion.

    Raises:
        ValueError, TypeError: It is not such a matrix, it is skewed, its centre is outside the image, or the image's size is
            unknown.

    """
    values = np.array([[finite(value) for value in line] for line in matrix])  # type: ignore[attr-defined]
    if values.shape != (3, 3) or not np.isfinite(values).all():
        raise ValueError(f"camera_intrinsic has shape {values.shape} instead of (3, 3), or holds what is not finite")
    fx_px, skew, cx_px, below, fy_px, cy_px = (float(value) for value in values[:2].ravel())
    if skew or below or values[2].tolist() != [0.0, 0.0, 1.0] or fx_px <= 0 or fy_px <= 0:
        raise ValueError(f"{values.tolist()} is not a pinhole matrix without skew")
    if size_px is None:
        raise ValueError("the size of its images is not known")
    width_px, height_px = size_px
    if not (0 <= cx_px <= width_px and 0 <= cy_px <= height_px):
        raise ValueError(f"the principal point ({cx_px}, {cy_px}) px lies outside of the {width_px}x{height_px} px image")
    return Intrinsics(width_px, height_px, fx_px, fy_px, cx_px, cy_px)


REFERENCE = "LIDAR_TOP"
NUSCENES_HZ = {Modality.LIDAR: 20.0, Modality.CAMERA: 12.0, Modality.RADAR: 13.0}  # nuScenes, "Data collection"
KEYFRAME_HZ = 2.0
NEAR_NOMINAL = 0.15
WIDEST_TOLERANCE_NS = 50_000_000
STEADY = 0.25  # share of the tolerance within which half of the offsets must be from their median
MAX_RATE_HZ = 100_000.0  # what calibration.json can represent
MIN_RATE_HZ = 0.001


@dataclass(frozen=True, slots=True)
class Convention:
    """The published conventions of a dataset. `nominal_hz`: empty where none are published."""

    rig_id: str
    nominal_hz: Mapping[Modality, float]
    lidar_compensated: bool
    camera_stamp: Stamp


NUSCENES = Convention("nuscenes", NUSCENES_HZ, lidar_compensated=True, camera_stamp=Stamp.START)
LIKE_NUSCENES = Convention("nuscenes-like", {}, lidar_compensated=False, camera_stamp=Stamp.END)


def convention_of(layout: DatasetLayout) -> Convention:
    """What is known about a dataset by its version: `v1.0-...` is nuScenes, anything else only shares its schema."""
    return NUSCENES if layout.version.startswith("v1.0-") else LIKE_NUSCENES


def reference_of(channels: Sequence[Channel], dead: Collection[str] = ()) -> Channel | None:
    """The sensor that scenes are anchored to: `LIDAR_TOP`, else the first lidar, camera or radar; None if there is none.

    One of `dead`, whose frames hold nothing, only where all others are dead, too.
    """
    order = {Modality.LIDAR: 0, Modality.CAMERA: 1, Modality.RADAR: 2}
    ranked = sorted(channels, key=lambda one: (one.name in dead, one.name != REFERENCE, order[one.modality], one.name))
    return ranked[0] if ranked else None


@dataclass(frozen=True, slots=True)
class StampDelay:
    """Stamps of a sensor minus those of the reference: their median, extremes and number, and the median distance from the
    median. `own`: pairs of one keyframe."""

    median_ns: int
    spread_ns: int
    least_ns: int
    most_ns: int
    pairs: int
    own: bool


def delay_of(channel: Channel, reference: Channel) -> StampDelay | None:
    """The delay of a sensor's stamps relative to the reference's; None if nothing can be compared.

    Keyframes of one sample are compared first. Without any, each stamp is compared with the reference's next one, which ends
    the sweep that the measurement was made in.
    """
    sweep_of = {shot.sample: shot.stamp_ns for shot in reference.shots if shot.is_keyframe}
    own = [shot.stamp_ns - sweep_of[shot.sample] for shot in channel.shots if shot.is_keyframe and shot.sample in sweep_of]
    ends_ns = reference.stamps_ns
    following = [(stamp, bisect.bisect_left(ends_ns, stamp)) for stamp in channel.stamps_ns]
    offsets = own or [stamp - ends_ns[at] for stamp, at in following if at < len(ends_ns)]
    if not offsets:
        return None
    middle_ns = median_ns(offsets)
    spread_ns = median_ns([abs(offset - middle_ns) for offset in offsets])
    return StampDelay(middle_ns, spread_ns, min(offsets), max(offsets), len(offsets), bool(own))


def rate_of(stamps_ns: Sequence[int], nominal_hz: float | None) -> tuple[float, float | None]:
    """The rate to declare, and the mean rate that was measured (None for fewer than two stamps).

    The published rate, or that of keyframes, if the mean or the median period is within 15 % of it: cameras take every other
    sweep or the next, so that their median period alone would mislead. Otherwise the mean rate.
    """
    measured_hz = mean_hz(stamps_ns)
    if measured_hz is None:
        return nominal_hz or KEYFRAME_HZ, None
    distinct = sorted(set(stamps_ns))
    median_hz = NS_PER_S / median_ns([after - before for before, after in itertools.pairwise(distinct)])
    for candidate in (nominal_hz, KEYFRAME_HZ):
        if candidate is not None and any(abs(rate / candidate - 1) <= NEAR_NOMINAL for rate in (measured_hz, median_hz)):
            return candidate, measured_hz
    return min(max(round(measured_hz, 3), MIN_RATE_HZ), MAX_RATE_HZ), measured_hz


def build_rig(
    convention: Convention,
    channels: Sequence[Channel],
    calibrations: Mapping[str, CalibratedSensor],
    poses_ns: Sequence[int],
    findings: list[str],
    dead: Collection[str] = (),
) -> Rig:
    """The rig of these sensors: lidars and cameras required, radars free-running.

    A camera slower than the reference leaves sweeps without an image by design; incomplete scenes are then published. `dead`:
    names of channels without a single measurement.
    """
    reference = reference_of(channels, dead)
    if reference is None:
        raise ValueError("a rig needs at least one lidar, camera or radar")
    sensors = [_sensor(convention, channel, reference, calibrations[channel.name], findings) for channel in channels]
    if poses_ns:
        rate_hz, _ = rate_of(poses_ns, None)
        sensors.append(
            Sensor(
                "pose",
                Modality.POSE,
                rate_hz,
                Sync(Stamp.END, 0, half_period_ns(rate_hz), DEFAULT_WARN_RESIDUAL_NS, False),
                SE3.identity(),
            )
        )
    anchor_hz = next(sensor.rate_hz for sensor in sensors if sensor.name == reference.sensor)
    slower = any(sensor.sync.required and sensor.rate_hz < anchor_hz for sensor in sensors)
    if slower:
        findings.append("rig: cameras are slower than the lidar, so that some sweeps have no image; such scenes are published")
    return Rig(convention.rig_id, reference.sensor, tuple(sensors), Policy(publish_incomplete=slower))


def _sensor(
    convention: Convention, channel: Channel, reference: Channel, calibration: CalibratedSensor, findings: list[str]
) -> Sensor:
    nominal_hz = convention.nominal_hz.get(channel.modality)
    rate_hz, measured_hz = rate_of(channel.stamps_ns, nominal_hz)
    notes = [
        f"declared {rate_hz:g} Hz, " + ("one stamp, not measured" if measured_hz is None else f"measured {measured_hz:.2f} Hz")
    ]
    expected_ns = 0
    delay = delay_of(channel, reference)
    if channel is not reference and delay is not None:
        steady = delay.spread_ns <= STEADY * min(half_period_ns(max(rate_hz, nominal_hz or 0.0)), WIDEST_TOLERANCE_NS)
        expected_ns = declared_delay_ns(delay.median_ns) if channel.modality is not Modality.RADAR and steady else 0
        notes.append(_delay_note(delay, steady, expected_ns, reference))
    findings.append(f"{channel.name}: {'; '.join(notes)}")
    compensated = channel.modality is Modality.LIDAR and convention.lidar_compensated
    stamp = convention.camera_stamp if channel.modality is Modality.CAMERA else Stamp.END
    half_ns = min(half_period_ns(max(rate_hz, nominal_hz or 0.0)), WIDEST_TOLERANCE_NS)
    required = channel.modality is not Modality.RADAR
    warn_ns = DEFAULT_WARN_RESIDUAL_NS if required else half_ns  # a radar that runs free is anywhere within half its period
    sync = Sync(stamp, expected_ns, half_ns, warn_ns, required, compensated=compensated)
    return Sensor(channel.sensor, channel.modality, rate_hz, sync, calibration.ego_SE3_sensor, calibration.lens)


def _delay_note(delay: StampDelay, steady: bool, expected_ns: int, reference: Channel) -> str:
    pairs = f"{delay.pairs} {'keyframes' if delay.own else 'frames, each with the next sweep'}"
    extremes = f"{delay.least_ns / 1e6:+.2f} to {delay.most_ns / 1e6:+.2f}"
    spread = f"{delay.median_ns / 1e6:+.2f} ms from {reference.name} (median of {pairs}, {extremes})"
    if abs(delay.median_ns) > LONGEST_DELAY_NS:
        return f"{spread}: another clock and no delay, declared 0"
    if not steady:
        return f"{spread}: too far apart for a delay, declared 0"
    return (
        f"{spread}, declared as its delay"
        if expected_ns == delay.median_ns
        else f"{spread}; runs free, declared delay {expected_ns}"
    )
