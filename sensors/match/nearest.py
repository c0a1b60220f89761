"""Which frame of a sensor belongs to which anchor (promise P4), and the frames before it that a scene also holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from sensors.stamps import Nanoseconds, check_duration_ns, stamps_array

NO_MATCH = -1


class MatchReason(IntEnum):
    """Why an anchor has no frame; MATCHED if it has one.

    FRAME_OF_NEARER_ANCHOR: where frames are used exclusively, the nearest frame is within tolerance but nearer to another
    anchor.
    """

    MATCHED = 0
    NO_FRAME = 1
    OUTSIDE_TOLERANCE = 2
    FRAME_OF_NEARER_ANCHOR = 3

    @property
    def label(self) -> str:
        """The name as tables spell it: `no_frame`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """One entry for each anchor (N,).

    `index`: the frame's position among the stamps, -1 for none. `offset_ns`: frame less anchor. `residual_ns`: offset
    less expected delay. `reason`: int8, a `MatchReason`. Without a match, offset and residual are those of the nearest frame,
    and 0 for NO_FRAME.
    """

    index: Nanoseconds
    offset_ns: Nanoseconds
    residual_ns: Nanoseconds
    reason: npt.NDArray[np.int8]

    @property
    def matched(self) -> npt.NDArray[np.bool_]:
        """Which anchors (N,) have a frame."""
        return np.asarray(self.index != NO_MATCH)

    @classmethod
    def none(cls, anchors: int) -> Matches:
        """The matches of a sensor that has no frames."""
        return cls(
            index=np.full(anchors, NO_MATCH, dtype=np.int64),
            offset_ns=np.zeros(anchors, dtype=np.int64),
            residual_ns=np.zeros(anchors, dtype=np.int64),
            reason=np.full(anchors, MatchReason.NO_FRAME, dtype=np.int8),
        )


def match_nearest(anchors_ns: npt.ArrayLike, stamps_ns: npt.ArrayLike, expected_delay_ns: int, tolerance_ns: int) -> Matches:
    """Match each anchor (N,) with the frame nearest to `anchor + expected_delay_ns`.

    A frame exactly `tolerance_ns` away matches. Of two that are equally near, the earlier; of several with one stamp,
    the first. Anchors come in any order and may repeat; stamps (M,) ascend. Each anchor is matched for itself: a frame
    may serve several anchors. O((N + M) log M), in int64 throughout.

    Raises:
        ValueError: An array is not one of integer nanoseconds, the stamps do not ascend, or a value is out of range.
    """
    anchors = stamps_array(anchors_ns, "anchors_ns")
    stamps = stamps_array(stamps_ns, "stamps_ns", ascending=True)
    delay_ns = check_duration_ns(expected_delay_ns, "expected_delay_ns", negative=True)
    tolerance_ns = check_duration_ns(tolerance_ns, "tolerance_ns")
    if stamps.size == 0:
        return Matches.none(anchors.size)
    targets = anchors + delay_ns
    nearest = nearest_positions(targets, stamps)
    residual_ns = stamps[nearest] - targets
    accepted = np.abs(residual_ns) <= tolerance_ns
    return Matches(
        index=np.where(accepted, nearest, NO_MATCH),
        offset_ns=residual_ns + delay_ns,
        residual_ns=residual_ns,
        reason=np.where(accepted, MatchReason.MATCHED, MatchReason.OUTSIDE_TOLERANCE).astype(np.int8),
    )


def nearest_positions(targets_ns: Nanoseconds, stamps_ns: Nanoseconds) -> Nanoseconds:
    """For each target (N,) the position of the nearest stamp (M,), ascending and at least one; ties to the earlier, and of
    several equal stamps the first.
    """
    at_or_after = np.searchsorted(stamps_ns, targets_ns, side="left")
    after = np.minimum(at_or_after, stamps_ns.size - 1)
    before = np.maximum(at_or_after - 1, 0)
    nearest = np.where(np.abs(stamps_ns[before] - targets_ns) <= np.abs(stamps_ns[after] - targets_ns), before, after)
    return np.searchsorted(stamps_ns, stamps_ns[nearest], side="left").astype(np.int64, copy=False)


def history_horizon_ns(sweeps: int, period_ns: int) -> int:
    """How much older than the matched frame the earliest of `sweeps` frames may be: 1.5 periods for each step back.

    Every frame of a sensor that keeps its rate within 50 % is inside, single lost frames are skipped, and a gap does not
    pull in a frame from a minute ago.
    """
    return (sweeps - 1) * 3 * period_ns // 2


def history_lengths(stamps_ns: npt.ArrayLike, index: Nanoseconds, sweeps: int, horizon_ns: int) -> Nanoseconds:
    """How many frames before the matched one belong to each anchor (N,): at most `sweeps` - 1, none older than the horizon.

    `stamps_ns` (M,): the sensor's frames, ascending and distinct. `index` (N,): the matched frame, -1 for none. The
    frames are those right before it, at `index - 1` to `index - length`; one exactly `horizon_ns` older belongs.

    Raises:
        ValueError: The stamps do not ascend, or the horizon is out of range.
    """
    stamps = stamps_array(stamps_ns, "stamps_ns", ascending=True)
    horizon_ns = check_duration_ns(horizon_ns, "horizon_ns")
    if sweeps == 1 or stamps.size == 0:
        return np.zeros(index.size, dtype=np.int64)
    matched = np.maximum(index, 0)
    earliest = np.searchsorted(stamps, stamps[matched] - horizon_ns, side="left")
    return np.where(index < 0, 0, np.minimum(matched - earliest, sweeps - 1)).astype(np.int64, copy=False)
