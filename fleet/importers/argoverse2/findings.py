"""Findings about an Argoverse 2 log for its user, as text with measured values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from fleet.importers.argoverse2.tables import Log
from fleet.importers.clock_findings import clock_findings, named, overlap_findings
from fleet.importers.source import median_ns
from sensors.stamps import PLAUSIBLE_START_NS
from sensors.time_units import NS_PER_S

GPS_EPOCH_S = 315_964_800  # 1980-01-06T00:00:00Z (IS-GPS-200, section 20.3.3.5.2.4)
CLOSE_NS = 1_000

Stamps = npt.NDArray[np.int64]


def findings_of(log: Log, low_ns: int, high_ns: int, lasers: int, annotated_ns: Stamps | None) -> list[str]:
    """All findings of a log. `low_ns`, `high_ns`: the extremes of the points' `offset_ns`; `lasers`: the highest, plus 1."""
    found = _clocks(log) + _sweeps(log, low_ns, high_ns, lasers) + _poses(log) + _cameras(log)
    found.append("radar: the source has none")
    found.append("log time: the source has no record times; they equal the stamps")
    if annotated_ns is None:
        found.append("annotations: none in the source")
    else:
        boxed = np.unique(annotated_ns)
        swept = int(np.isin(boxed, np.array(list(log.sweeps), dtype=np.int64)).sum())
        found.append(
            f"annotations: {annotated_ns.size} boxes at {boxed.size} stamps ({swept} of them with a sweep), not imported"
        )
    return found


def _clocks(log: Log) -> list[str]:
    streams = {"lidar": list(log.sweeps), **{name: list(images) for name, images in log.cameras.items()}}
    found = [entry for name, stamps_ns in streams.items() for entry in clock_findings(name, stamps_ns)]
    found += overlap_findings({**streams, "pose": [int(stamp_ns) for stamp_ns in log.pose_stamps_ns]})
    usual_ns = median_ns(list(log.sweeps))  # one wild stamp is not the clock's
    if usual_ns < PLAUSIBLE_START_NS:
        date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=usual_ns // NS_PER_S)
        after_s = usual_ns / NS_PER_S - GPS_EPOCH_S
        found.append(
            f"stamps: read as Unix time they fall on {date:%Y-%m-%d}, {after_s:.0f} s after the GPS epoch: no date of "
            "this drive, so the clock is a shifted one; kept, and the rig says `time_base: other`"
        )
    return found


def _sweeps(log: Log, low_ns: int, high_ns: int, lasers: int) -> list[str]:
    found = []
    if low_ns <= high_ns:
        steps_ns = np.diff(np.array(list(log.sweeps), dtype=np.int64))
        note = f"lidar: points were measured {low_ns / 1e6:.2f} to {high_ns / 1e6:.2f} ms after the stamp"
        if steps_ns.size and high_ns - low_ns > (usual_ns := float(np.median(steps_ns))):
            over_ms = (high_ns - low_ns - usual_ns) / 1e6
            note += f", {over_ms:.2f} ms longer than the {usual_ns / 1e6:.2f} ms from sweep to sweep: sweeps overlap"
        found.append(note)
    places = []
    for name in ("up_lidar", "down_lidar"):
        if name in log.mountings:
            x_m, y_m, z_m = log.mountings[name].translation_m
            places.append(f"{name} at ({x_m:.3f}, {y_m:.3f}, {z_m:.3f}) m")
    found.append(
        f"lidar: one merged cloud in the ego frame, laser_number below {lasers}, ego_SE3_lidar is the identity"
        + (f"; the source's calibration has {' and '.join(places)}" if places else "")
    )
    found.append(
        "lidar: by its documentation the source has moved the points to the stamp, the sweep's start (compensated in the rig); "
        "their measuring times stay as measured_offset_ns, which nothing reads as point times, so that nothing moves them twice"
    )
    return found


def _poses(log: Log) -> list[str]:
    steps_ns = np.diff(log.pose_stamps_ns)
    found = []
    back, same = int((steps_ns < 0).sum()), int((steps_ns == 0).sum())
    if back or same:
        found.append(f"pose: {same} rows repeat the stamp before them, {back} step back; kept")
    close = steps_ns[(steps_ns > 0) & (steps_ns < CLOSE_NS)]
    if close.size:
        found.append(
            f"pose: {close.size} of {log.pose_stamps_ns.size} stamps follow the one before within {int(close.max())} ns, "
            f"{int((close == 1).sum())} of them after 1 ns; kept. The longest step is {int(steps_ns.max()) / 1e6:.2f} ms"
        )
    without = [str(stamp_ns) for stamp_ns in log.sweeps if not (log.pose_stamps_ns == stamp_ns).any()]
    note = f"pose: {len(log.sweeps) - len(without)} of {len(log.sweeps)} sweeps have a pose at their very stamp"
    found.append(note + (f", not {named(without)}" if without else ""))
    return found


def _cameras(log: Log) -> list[str]:
    found = []
    if log.without_images:
        found.append(
            f"cameras: {len(log.without_images)} are calibrated but have no image here, and are left out of the rig: "
            + named(log.without_images)
        )
    unknown = [name for name in log.cameras if name not in log.lenses or name not in log.mountings]
    if unknown:
        found.append(f"cameras: no calibration for {named(unknown)}")
    lenses = [log.lenses[name] for name in log.cameras if name in log.lenses]
    if lenses:
        k1 = [lens.radial[0] for lens in lenses]
        found.append(
            f"cameras: images are published undistorted, so the calibration's lens terms (k1 {min(k1):.3f} to {max(k1):.3f}, k2, "
            "k3) are not declared as their distortion"
        )
    sweeps_ns = np.array(list(log.sweeps), dtype=np.int64)
    for name, images in log.cameras.items():
        stamps_ns = np.array(list(images), dtype=np.int64)
        nearest_ns = np.array([stamps_ns[np.abs(stamps_ns - at_ns).argmin()] - at_ns for at_ns in sweeps_ns])
        found.append(f"{name}: the nearest image is {float(np.median(nearest_ns)) / 1e6:+.2f} ms from a sweep's stamp (median)")
    return found
