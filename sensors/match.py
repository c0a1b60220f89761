"""Which frame of a sensor belongs to which anchor (promise P4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from sensors.stamps import Nanoseconds, check_duration_ns, stamps_array

NO_MATCH = -1


class Reason(IntEnum):
    """Why an anchor has no frame; MATCHED if it has one."""

    MATCHED = 0
    NO_FRAME = 1
    OUTSIDE_TOLERANCE = 2

    @property
    def label(self) -> str:
        """The name as tables spell it: `no_frame`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """One entry for each anchor (N,).

    `index`: the frame's position among the stamps, -1 for none. `offset_ns`: frame less anchor. `residual_ns`: offset
    less expected delay. `reason`: int8, a `Reason`. For OUTSIDE_TOLERANCE offset and residual are those of the nearest
    frame, which was too far away; for NO_FRAME they are 0.
    """

    index: Nanoseconds
    offset_ns: Nanoseconds
    residual_ns: Nanoseconds
    reason: npt.NDArray[np.int8]

    @property
    def matched(self) -> npt.NDArray[np.bool_]:
        """Which anchors (N,) have a frame."""
        return np.asarray(self.index != NO_MATCH)


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
        return Matches(
            index=np.full(anchors.size, NO_MATCH, dtype=np.int64),
            offset_ns=np.zeros(anchors.size, dtype=np.int64),
            residual_ns=np.zeros(anchors.size, dtype=np.int64),
            reason=np.full(anchors.size, Reason.NO_FRAME, dtype=np.int8),
        )
    targets = anchors + delay_ns
    at_or_after = np.searchsorted(stamps, targets, side="left")
    after = np.minimum(at_or_after, stamps.size - 1)
    before = np.maximum(at_or_after - 1, 0)
    nearest = np.where(np.abs(stamps[before] - targets) <= np.abs(stamps[after] - targets), before, after)
    residual_ns = stamps[nearest] - targets
    accepted = np.abs(residual_ns) <= tolerance_ns
    first_of_stamp = np.searchsorted(stamps, stamps[nearest], side="left")
    return Matches(
        index=np.where(accepted, first_of_stamp, NO_MATCH).astype(np.int64),
        offset_ns=residual_ns + delay_ns,
        residual_ns=residual_ns,
        reason=np.where(accepted, Reason.MATCHED, Reason.OUTSIDE_TOLERANCE).astype(np.int8),
    )
