"""A rig for a recording that came without one: what can be measured is measured, what cannot is left open and said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fleet.errors import SourceError
from fleet.importers.recording.calibration import RecordedCalibration
from fleet.importers.recording.census import Census
from sensors.rig import DEFAULT_WARN_RESIDUAL_NS, NS_PER_S, Modality, Rig, Sensor, Stamp, Sync

RIG_ID = "inferred"
SINGLE_FRAME_HZ = 1.0
SLOWEST_HZ, FASTEST_HZ = 0.001, 100_000.0  # as in the calibration's schema, like the next
WIDEST_TOLERANCE_NS = 10 * NS_PER_S
REFERENCES = (Modality.LIDAR, Modality.CAMERA, Modality.RADAR)


def infer_rig(sensors: Sequence[Census], calibration: RecordedCalibration) -> tuple[Rig, tuple[str, ...]]:
    """The rig of the sensors that were met, and what was assumed in it.

    Raises:
        SourceError: None of them is a lidar, camera or radar, so there is nothing to build scenes around.
    """
    ordered = sorted(sensors, key=lambda census: census.source.sensor)
    reference = next((c for modality in REFERENCES for c in ordered if c.source.modality is modality), None)
    if reference is None:
        found = ", ".join(f"{c.source.topic} ({c.source.message_type})" for c in ordered)
        raise SourceError(
            f"the recording has neither lidar nor camera nor radar, only {found}; a scene needs one to be built around"
        )
    ego_frame = calibration.ego_frame(ordered)
    made = tuple(
        replace(_sensor(census), ego_SE3_sensor=calibration.place(census, ego_frame), intrinsics=calibration.lens(census))
        for census in ordered
    )
    rig = Rig(RIG_ID, reference.source.sensor, made)
    told = [
        f"no rig was given, so one was inferred: sensors from topics, modality from message type and name, reference "
        f"{rig.reference}; no sensor is required, delays are 0, tolerances half a period",
        *calibration.words(ordered),
    ]
    told += [f"{census.source.sensor}: {_about_stamp(census)}" for census in ordered if census.source.modality.in_scene]
    told += [
        f"{census.source.sensor}: one frame tells no rate; {SINGLE_FRAME_HZ} Hz is written"
        for census in ordered
        if not census.period_ns
    ]
    return rig, tuple(told)


def _sensor(census: Census) -> Sensor:
    period_ns = census.period_ns
    rate_hz = SINGLE_FRAME_HZ if period_ns is None else min(max(NS_PER_S / period_ns, SLOWEST_HZ), FASTEST_HZ)
    tolerance_ns = min(round(NS_PER_S / rate_hz / 2), WIDEST_TOLERANCE_NS)
    sync = Sync(census.stamp or Stamp.MIDDLE, 0, tolerance_ns, DEFAULT_WARN_RESIDUAL_NS, required=False)
    source = census.source
    return Sensor(source.sensor, source.modality, round(rate_hz, 3), sync, topic=source.topic)


def _about_stamp(census: Census) -> str:
    if census.stamp is None:
        return "what its stamp denotes is not in the recording; taken as the middle of the measurement"
    return f"by its point times, its stamp is the {census.stamp.value} of the sweep"
