"""The rules on a camera's images: each image alone, and each against all of the drive."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quality.evaluators.signal_findings import Found, failed
from quality.measurements.frame_metrics import Series
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from sensors.measure.baseline import repeats
from sensors.measure.image import TILE_COLUMNS, TILE_ROWS, ImageMetrics

ALONE = ("CAM001", "CAM003", "CAM004", "CAM005", "CAM007", "CAM010")
EXPOSURE = ("CAM003", "CAM004")
BASELINE = ("CAM006", "CAM008", "CAM009")
IN_DRIVE = ("CAM002", *BASELINE)

LEAST_CHROMA = 2.0  # levels of spread: a camera whose images usually have less is taken for one without colour

# A blocked tile is uniform and does not change while others do. Noise and compression alone leave about one level.
PLAIN_LEVELS = 2.0
STILL_LEVELS = 1.5
MOVING_LEVELS = 0.5
LEAST_RUN = 12  # frames
UNFILLED = "{measured:.0%} of the rows or columns, side by side, hold a single colour, more than {threshold:.0%}"
LOWER_THIRD = slice(TILE_ROWS * 2 // 3 * TILE_COLUMNS, None)


def evaluate_image(sensor: str, image: ImageMetrics, rules: RuleBook) -> tuple[Finding, ...]:
    """Judge one image by itself, in the order of the rules; no exposure where levels are relative to those of the image."""
    measures = {
        "CAM001": (image.contrast, "all but 2 % of the luma lies within {measured:.0f} levels, less than {threshold:g}"),
        "CAM003": (image.bright_share, "{measured:.0%} of the pixels are saturated, more than {threshold:.0%}"),
        "CAM004": (image.dark_share, "{measured:.0%} of the pixels are black, more than {threshold:.0%}"),
        "CAM005": (image.blur_px, "edges are {measured:.2f} px wide at a width of 320 px, more than {threshold:g}"),
        "CAM007": (image.colour, "the mean colour is {measured:.0f} levels from grey, more than {threshold:g}"),
        "CAM010": (image.flat_share, UNFILLED),
    }
    found = []
    for code, (measured, message) in measures.items():
        if code in EXPOSURE and measured is None:
            continue
        found += failed(rules, code, sensor, measured, message)
    return tuple(found)


def evaluate_images(images: Series, rules: RuleBook) -> Found:
    """Judge the images of a drive against each other: findings by frame id."""
    found = Found(images.sensor, rules)
    found.repeated("CAM002", images.frame_ids, repeats(images.whole("content")), "the content")
    if images.table["tile_luma"].null_count == 0 and found.enough(images, BASELINE):
        _judge_colour(found, images)
        blocked = blocked_share(images.lists("tile_luma"), images.lists("tile_spread"))
        message = "{measured:.0%} of the lower third is plain and still while the rest moves, more than {threshold:.0%}"
        found.judge("CAM006", images.frame_ids, blocked, message)
    return found


def _judge_colour(found: Found, images: Series) -> None:
    cb, cr, spread = (images.numbers(name) for name in ("mean_cb", "mean_cr", "chroma_spread"))
    shift = np.hypot(cb - np.median(cb), cr - np.median(cr))
    message = "the mean colour is {measured:.0f} levels from the usual one in this drive, more than {threshold:g}"
    found.judge("CAM008", images.frame_ids, shift, message)
    usual = float(np.median(spread))
    if usual >= LEAST_CHROMA:
        message = "{measured:.0%} of the usual variety of colour in this drive are left, less than {threshold:.0%}"
        found.judge("CAM009", images.frame_ids, spread / usual, message)
    black = images.numbers("black_share")
    found.judge("CAM010", images.frame_ids, np.maximum(black - np.median(black), 0.0), UNFILLED)


def blocked_share(luma: npt.NDArray[np.float64], spread: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The share of the lower third's tiles that are blocked, for each frame (F,).

    `luma`, `spread` (F, tiles): mean and standard deviation in levels. Only the lower third is judged: sky is as plain and as
    still as a blocked lens. A tile is blocked in the frames of a run in which it is plain and keeps its luma, though the image as
    a whole changes in at least `LEAST_RUN` of them.
    """
    change = np.abs(np.diff(luma, axis=0, prepend=luma[:1]))
    moving = np.median(change, axis=1) > MOVING_LEVELS
    plain = spread[:, LOWER_THIRD] < PLAIN_LEVELS
    blocked = _long_runs(plain & (change[:, LOWER_THIRD] < STILL_LEVELS), moving, LEAST_RUN)
    return np.asarray(blocked.mean(axis=1), dtype=np.float64)


def _long_runs(held: npt.NDArray[np.bool_], counts: npt.NDArray[np.bool_], least: int) -> npt.NDArray[np.bool_]:
    """Which entries (F, N) lie in a run of true entries down a column, of which at least `least` are in rows that count (F,)."""
    found = np.zeros_like(held)
    for column in range(held.shape[1]):
        edges = np.flatnonzero(np.diff(held[:, column].astype(np.int8), prepend=0, append=0))
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            found[start:end, column] = np.count_nonzero(counts[start:end]) >= least
    return found
