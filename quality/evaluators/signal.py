"""All rules on signals: those that judge a frame alone, and those that need the whole drive."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from quality.evaluators import camera as camera_rules
from quality.evaluators import lidar as lidar_rules
from quality.evaluators import radar as radar_rules
from quality.evaluators.signal_findings import LEAST_FRAMES, Found, unknown
from quality.measurements.frame_metrics import Measured, Series, series
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from sensors.measure.cloud import LidarMetrics, RadarMetrics
from sensors.measure.image import ImageMetrics
from sensors.rig import Modality

ALONE = {Modality.CAMERA: camera_rules.ALONE, Modality.LIDAR: lidar_rules.ALONE, Modality.RADAR: radar_rules.ALONE}
IN_DRIVE = {Modality.CAMERA: camera_rules.IN_DRIVE, Modality.LIDAR: lidar_rules.IN_DRIVE, Modality.RADAR: radar_rules.IN_DRIVE}
BASELINE = {Modality.CAMERA: camera_rules.BASELINE, Modality.LIDAR: lidar_rules.BASELINE, Modality.RADAR: radar_rules.BASELINE}
_IN_DRIVE = {
    Modality.CAMERA: camera_rules.evaluate_images,
    Modality.LIDAR: lidar_rules.evaluate_sweeps,
    Modality.RADAR: radar_rules.evaluate_scans,
}

FrameFindings = Mapping[int, tuple[Finding, ...]]


def evaluate_alone(sensor: str, measured: Measured | None, rules: RuleBook) -> tuple[Finding, ...]:
    """Judge one frame by itself, in the pass that measures it."""
    if isinstance(measured, ImageMetrics):
        return camera_rules.evaluate_image(sensor, measured, rules)
    if isinstance(measured, LidarMetrics):
        return lidar_rules.evaluate_sweep(sensor, measured, rules)
    if isinstance(measured, RadarMetrics):
        return radar_rules.evaluate_scan(sensor, measured, rules)
    return ()


def evaluate_drive_signals(table: pa.Table, rules: RuleBook) -> FrameFindings:
    """Judge all frames of a drive against each other: sorted findings by frame id, for frames that have any.

    `table`: rows of `quality.measurements.frame_metrics.FRAME_METRICS`, in any order and however they were cut into windows.
    """
    found: dict[int, tuple[Finding, ...]] = {}
    for one in series(table):
        found |= {frame_id: tuple(sorted(entries)) for frame_id, entries in _of_sensor(one, rules).by_frame.items()}
    return found


def too_few(sensor: str, modality: Modality, frames: int, rules: RuleBook, *, images: bool) -> tuple[Finding, ...]:
    """The unknown findings on each frame of a sensor with too few of them; sorted. `images`: its messages are images."""
    if frames >= LEAST_FRAMES or images != (modality is Modality.CAMERA):
        return ()
    return tuple(sorted(unknown(rules, code, sensor) for code in BASELINE.get(modality, ())))


def _of_sensor(one: Series, rules: RuleBook) -> Found:
    return _IN_DRIVE[Modality(one.modality)](one, rules)
