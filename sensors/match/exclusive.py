"""Matching in which a frame belongs to at most one anchor (`frame_use: exclusive`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sensors.match.nearest import NO_MATCH, Matches, MatchReason, nearest_positions
from sensors.stamps import check_duration_ns, stamps_array


def match_exclusive(anchors_ns: npt.ArrayLike, stamps_ns: npt.ArrayLike, expected_delay_ns: int, tolerance_ns: int) -> Matches:
    """Give each frame (M,) to the anchor (N,) whose target is nearest to it, then let each anchor take its nearest own frame.

    The target is `anchor + expected_delay_ns`. A frame that is equally near to two targets goes to the earlier anchor (of
    equal anchors, the first); an anchor with two equally near frames takes the earlier. A frame exactly `tolerance_ns`
    away matches. Anchors and stamps ascend.

    A match depends on nothing but the frames and anchors around it, so no order of processing, window or chunk can change
    it. An assignment of least total distance would not have that property: one frame lost at the start of a drive may move
    every later match by one. A frame that `match_nearest` finds closer than half the spacing of the anchors is found here too.

    Raises:
        ValueError: An array is not one of ascending integer nanoseconds, or a value is out of range.
    """
    anchors = stamps_array(anchors_ns, "anchors_ns", ascending=True)
    stamps = stamps_array(stamps_ns, "stamps_ns", ascending=True)
    delay_ns = check_duration_ns(expected_delay_ns, "expected_delay_ns", negative=True)
    tolerance_ns = check_duration_ns(tolerance_ns, "tolerance_ns")
    if stamps.size == 0 or anchors.size == 0:
        return Matches.none(anchors.size)
    targets = anchors + delay_ns
    owner = nearest_positions(stamps, targets)  # ascends with the stamps, so the frames of an anchor are neighbours
    everyone = np.arange(anchors.size)
    first, end = (np.searchsorted(owner, everyone, side=side) for side in ("left", "right"))
    nearest = nearest_positions(targets, stamps)
    # Distance grows on both sides of the nearest frame, so the nearest own one is at that end of the own range.
    own = np.clip(nearest, np.minimum(first, stamps.size - 1), np.maximum(end - 1, 0))
    own = np.searchsorted(stamps, stamps[own], side="left").astype(np.int64, copy=False)
    accepted = (end > first) & (np.abs(stamps[own] - targets) <= tolerance_ns)
    residual_ns = np.where(accepted, stamps[own], stamps[nearest]) - targets
    within = np.abs(residual_ns) <= tolerance_ns
    reason = np.where(within, MatchReason.FRAME_OF_NEARER_ANCHOR, MatchReason.OUTSIDE_TOLERANCE)
    return Matches(
        index=np.where(accepted, own, NO_MATCH),
        offset_ns=residual_ns + delay_ns,
        residual_ns=residual_ns,
        reason=np.where(accepted, MatchReason.MATCHED, reason).astype(np.int8),
    )
