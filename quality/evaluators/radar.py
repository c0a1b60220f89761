"""The rules on a radar's scans: each scan alone, and each against all of the drive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from quality.evaluators.signal_findings import Found, failed
from quality.measurements.frame_metrics import Series
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from sensors.measure.baseline import repeats
from sensors.measure.cloud import RadarMetrics

ALONE = ("RAD002",)
BASELINE = ("RAD001", "RAD003", "RAD005")
IN_DRIVE = (*BASELINE, "RAD004")

USUALLY_FILLED = 4  # detections: a radar that usually has fewer may have none
LEAST_CAPACITY = 32  # detections; no radar's list is shorter
CROWDED = 3.0  # a list is full if this many times more scans have its length than have one slightly below
NEAR_CAPACITY = 3
LEAST_FULL = 4  # scans at the largest length; see `full_share`

Floats = npt.NDArray[np.float64]


def evaluate_scan(sensor: str, scan: RadarMetrics, rules: RuleBook) -> tuple[Finding, ...]:
    """Judge one scan by itself; a scan without states, or without detections, is not judged."""
    if scan.suspect is None or scan.detections == 0:
        return ()
    message = "{measured:.0%} of the detections are invalid or ambiguous, more than {threshold:.0%}"
    return tuple(failed(rules, "RAD002", sensor, scan.suspect / scan.detections, message))


def evaluate_scans(scans: Series, rules: RuleBook) -> Found:
    """Judge the scans of a drive against each other: findings by frame id."""
    found, ids = Found(scans.sensor, rules), scans.frame_ids
    detections = scans.numbers("detections")
    is_image = np.isnan(detections)
    same = repeats(scans.whole("content"))
    # A few detections in rounded numbers come about again by themselves, an empty scan at once.
    judged = is_image | (detections >= USUALLY_FILLED) | ((detections > 0) & (same.ago == 1))
    found.repeated("RAD004", ids, replace(same, times=np.where(judged, same.times, 0)), "the content")
    if is_image.any() or not found.enough(scans, BASELINE):
        return found
    if np.median(detections) >= USUALLY_FILLED:
        found.judge("RAD001", ids, detections, "no detection, where there usually are some")
    empty = detections == 0
    message = "no detection, as in {measured:.0%} of the scans, more than {threshold:.0%}"
    found.judge("RAD005", ids, np.where(empty, empty.mean(), 0.0), message)
    full = np.where(detections == detections.max(), full_share(detections), 0.0)
    message = "the list is full, as in {measured:.0%} of the scans, more than {threshold:.0%}"
    found.judge("RAD003", ids, full, message)
    return found


def full_share(detections: Floats) -> float:
    """The share of the scans whose list (length in `detections`, (F,)) is as long as the longest, if that looks like a limit.

    Lengths thin out towards their largest; where many more scans have the largest than have one a little below, the list
    was cut. 0 where they thin out, or the largest is too small to be a limit.

    A few scans prove nothing: if lengths near the largest were all equally likely, which favours the largest, two of two there
    would come about in every fourth drive (0.25: one scan is there by definition), four of four in one of 64 (0.25^3). Lengths
    that thin out do so far less often.
    """
    largest = detections.max()
    at = int(np.count_nonzero(detections == largest))
    near = int(np.count_nonzero((detections < largest) & (detections >= largest - NEAR_CAPACITY)))
    if largest < LEAST_CAPACITY or at < LEAST_FULL or at < CROWDED * near:
        return 0.0
    return at / len(detections)
