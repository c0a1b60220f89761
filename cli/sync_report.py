"""Are my sensors in sync? Clocks, matches against the reference, and residuals of a set of stamp streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cli.accounting import Nanoseconds, Residuals, rank
from cli.errors import InputError
from sensors.clock import ClockReport, clock_report
from sensors.match import Reason, match_nearest
from sensors.rig import Modality, Rig, Stamp, Sync


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One sensor's frames in the order in which they were logged: stamps and log times (N,) int64."""

    sensor: str
    stamps_ns: Nanoseconds
    log_ns: Nanoseconds


@dataclass(frozen=True, slots=True)
class SensorSync:
    """One sensor against the reference.

    `tolerance_ns` and `expected_delay_ns` are the rig's; without a rig half the median period, and zero.
    `estimated_delay_ns` is the median offset of its matches. Counts are of anchors.
    """

    sensor: str
    clock: ClockReport
    expected_delay_ns: int
    tolerance_ns: int
    matched: int
    no_frame: int
    outside_tolerance: int
    estimated_delay_ns: int | None
    residuals: Residuals | None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """All sensors. `complete`: anchors that every sensor has a frame for."""

    reference: str
    rig_id: str | None
    anchors: int
    complete: int
    sensors: tuple[SensorSync, ...]
    notes: tuple[str, ...] = ()


def sync_report(
    streams: Sequence[Stream], rig: Rig | None = None, reference: str | None = None, notes: Sequence[str] = ()
) -> SyncReport:
    """Match every stream with the frames of the reference (P4: nearest to anchor + expected delay, within the tolerance).

    The reference is, in this order: `reference`, the rig's, the first stream whose name holds `lidar`, the first.
    Streams that only support a scene (pose, IMU, GNSS) are left out where a rig says so.

    Raises:
        InputError: No stream, an unknown reference, or stamps outside +-4e18 ns.
    """
    chosen = [stream for stream in streams if rig is None or stream.sensor not in rig or rig[stream.sensor].modality.in_scene]
    by_name = {stream.sensor: stream for stream in chosen}
    if not chosen:
        raise InputError("there is no stream of frames to compare", "the input needs at least one lidar, camera or radar")
    anchor_name = _reference([stream.sensor for stream in chosen], rig, reference)
    try:
        anchors_ns = np.unique(by_name[anchor_name].stamps_ns)
        matched_everywhere = np.ones(anchors_ns.size, dtype=np.bool_)
        sensors = []
        for stream in chosen:
            sync = _sync(stream, rig)
            found = match_nearest(anchors_ns, np.sort(stream.stamps_ns), sync.expected_delay_ns, sync.tolerance_ns)
            matched_everywhere &= found.matched
            rate_hz = rig[stream.sensor].rate_hz if rig is not None and stream.sensor in rig else None
            offsets_ns = np.sort(found.offset_ns[found.matched])
            sensors.append(
                SensorSync(
                    sensor=stream.sensor,
                    clock=clock_report(stream.stamps_ns, stream.log_ns, rate_hz),
                    expected_delay_ns=sync.expected_delay_ns,
                    tolerance_ns=sync.tolerance_ns,
                    matched=int(found.matched.sum()),
                    no_frame=int((found.reason == Reason.NO_FRAME).sum()),
                    outside_tolerance=int((found.reason == Reason.OUTSIDE_TOLERANCE).sum()),
                    estimated_delay_ns=rank(offsets_ns, 50) if offsets_ns.size else None,
                    residuals=Residuals.of(found.residual_ns[found.matched]),
                )
            )
    except ValueError as error:
        raise InputError(f"the stamps cannot be compared: {error}", "stamps are integer nanoseconds since 1970") from error
    return SyncReport(
        reference=anchor_name,
        rig_id=None if rig is None else rig.rig_id,
        anchors=int(anchors_ns.size),
        complete=int(matched_everywhere.sum()),
        sensors=tuple(sensors),
        notes=tuple(notes),
    )


def streams_of(stamps_ns: Mapping[str, Nanoseconds]) -> tuple[Stream, ...]:
    """Streams of a timeline without log times: the order of the rows is the order of logging."""
    return tuple(Stream(sensor, stamps, stamps) for sensor, stamps in stamps_ns.items())


def _reference(names: Sequence[str], rig: Rig | None, wanted: str | None) -> str:
    chosen = wanted or (rig.reference if rig is not None else None)
    if chosen is not None:
        if chosen not in names:
            raise InputError(
                f"the reference {chosen!r} is none of the streams ({', '.join(names)})", "name one of them with --reference"
            )
        return chosen
    return next((name for name in names if Modality.LIDAR.value in name), names[0])


def _sync(stream: Stream, rig: Rig | None) -> Sync:
    if rig is not None and stream.sensor in rig:
        return rig[stream.sensor].sync
    steps = np.diff(np.unique(stream.stamps_ns))
    half_period_ns = rank(np.sort(steps), 50) // 2 if steps.size else 0
    return Sync(Stamp.MIDDLE, 0, half_period_ns, half_period_ns, required=False)
