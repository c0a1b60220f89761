"""Matching of streams that arrive in chunks, in memory for undecided frames only; the matches equal those of a single pass.

An anchor is decided when no future frame could be within its tolerance. Each stream is therefore held for as long as the
slowest of the others lags behind it, and the caller may state how far all of them have come (`advance`): without that, a
dead sensor would hold the others for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.stream_buffer import StreamBuffer
from sensors.errors import LimitError
from sensors.match.anchors import cell_numbers, keyframes
from sensors.match.exclusive import match_exclusive
from sensors.match.nearest import history_lengths, match_nearest
from sensors.policy import FrameUse
from sensors.stamps import MAX_STAMP_NS, Nanoseconds, check_duration_ns

MOST_HELD = 10_000_000
_END_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StreamTerms:
    """How one sensor is matched: the terms of `sensors.rig.Sync`, and how old its earlier sweeps may be."""

    expected_delay_ns: int
    tolerance_ns: int
    sweeps: int = 1
    horizon_ns: int = 0

    def __post_init__(self) -> None:
        check_duration_ns(self.expected_delay_ns, "expected_delay_ns", negative=True)
        check_duration_ns(self.tolerance_ns, "tolerance_ns")
        check_duration_ns(self.horizon_ns, "horizon_ns")


@dataclass(frozen=True, slots=True, eq=False)
class StreamedMatches:
    """Anchors (N,) that were decided, and for each the frames of K sensors.

    `anchors`: position among the reference's frames since the stream began. `index` (N, K): position among the sensor's
    frames, -1 for none. `residual_ns` (N, K): 0 where there is none. `history` (N, K): how many frames before it belong to
    the anchor as earlier sweeps. `pose_left` (N,): position of the pose sample at or before the anchor, -1 where no samples
    bracket it.
    """

    anchors: Nanoseconds
    anchors_ns: Nanoseconds
    index: Nanoseconds
    residual_ns: Nanoseconds
    history: Nanoseconds
    pose_left: Nanoseconds


class MatchStream:
    """Match frames of several sensors with the frames of a reference as they arrive.

    Pass each sensor's stamps in order to `push`, state with `advance` how far the streams have come, and collect decided
    anchors with `take`. However the input is cut into chunks, the matches are those of `match_nearest` (or
    `match_exclusive`), `keyframes` and `history_lengths` on all of it.
    """

    def __init__(
        self,
        reference: str,
        terms: Mapping[str, StreamTerms],
        *,
        keyframe_hz: float | None = None,
        frame_use: FrameUse = FrameUse.SHARED,
        pose: str | None = None,
        pose_bracket_ns: int = 0,
        most_held: int = MOST_HELD,
    ) -> None:
        """`terms`: every matched sensor, in the order of the columns of the result; `pose`: the sensor of the ego pose.

        `most_held`: how many frames may be held at once. Where `terms` names the reference itself, with zero delay and zero
        tolerance, each anchor is its own match.
        """
        self.sensors = tuple(terms)
        self._terms, self._keyframe_hz, self._frame_use = dict(terms), keyframe_hz, frame_use
        self._reference, self._pose = reference, pose
        self._bracket_ns = check_duration_ns(pose_bracket_ns, "pose_bracket_ns")
        self._streams = {name: StreamBuffer(name) for name in (*terms, *((pose,) if pose is not None else ()))}
        self._anchors = StreamBuffer(reference)  # of the reference: anchors that are undecided, or near one that is
        self._decided = 0  # how many of the anchors held are decided
        self._positions = np.empty(0, dtype=np.int64)  # of the anchors held, among all frames of the reference
        self._seen = 0
        self._cell: int | None = None
        self._most_held = most_held
        # A frame that is within tolerance of an anchor may be nearer to one that is two tolerances away.
        widest_ns = max((one.tolerance_ns for one in terms.values()), default=0)
        self._context_ns = 2 * widest_ns if frame_use is FrameUse.EXCLUSIVE else 0

    def push(self, sensor: str, stamps_ns: npt.ArrayLike) -> None:
        """The next frames of a sensor: stamps (M,), ascending and distinct, after those that came before.

        Raises:
            ValueError: The sensor is unknown, the stamps do not ascend or come before what was promised.
            LimitError: More frames would be undecided than `most_held`.
        """
        if sensor not in self._streams and sensor != self._reference:
            raise ValueError(f"{sensor!r} is not one of the streams ({', '.join(self._streams)})")
        if sensor == self._reference:
            self._push_anchors(stamps_ns)
        if sensor in self._streams:
            self._streams[sensor].push(stamps_ns)
        held = self.held
        if held > self._most_held:
            slowest = min(self._streams.values(), key=lambda stream: stream.reached_ns)
            raise LimitError(
                f"{held} frames wait for a decision, the limit is {self._most_held}: {slowest.name} has only come to "
                f"{slowest.reached_ns} ns; say with advance() how far it is, or leave it out"
            )

    def advance(self, to_ns: int) -> None:
        """Declare that no stream will have a further frame before `to_ns`."""
        for stream in (self._anchors, *self._streams.values()):
            stream.advance(min(to_ns, MAX_STAMP_NS))

    def finish(self) -> StreamedMatches:
        """End of all streams: decide and return the rest."""
        for stream in (self._anchors, *self._streams.values()):
            stream.advance(_END_NS)
        return self.take()

    @property
    def held(self) -> int:
        """The number of stamps held."""
        return len(self._anchors) + sum(map(len, self._streams.values()))

    def take(self) -> StreamedMatches:
        """The anchors that can be decided now, in order; each is returned once."""
        first = self._decided
        anchors_ns = self._anchors.stamps_ns()
        end = int(np.searchsorted(anchors_ns, self._decidable_before_ns(), side="left"))
        end = max(end, first)
        count = end - first
        found = StreamedMatches(
            anchors=self._positions[first:end],
            anchors_ns=anchors_ns[first:end],
            index=np.empty((count, len(self.sensors)), dtype=np.int64),
            residual_ns=np.empty((count, len(self.sensors)), dtype=np.int64),
            history=np.empty((count, len(self.sensors)), dtype=np.int64),
            pose_left=self._pose_left(anchors_ns[first:end]),
        )
        for column, (name, terms) in enumerate(self._terms.items()):
            self._match(found, column, self._streams[name], terms, anchors_ns, first)
        self._forget(anchors_ns, end)
        return found

    def _push_anchors(self, stamps_ns: npt.ArrayLike) -> None:
        stamps = self._anchors.check(stamps_ns)
        chosen = keyframes(stamps, self._keyframe_hz, self._cell)
        if self._keyframe_hz is not None and stamps.size:
            self._cell = int(cell_numbers(stamps[-1:], self._keyframe_hz)[0])
        self._positions = np.concatenate([self._positions, self._seen + np.flatnonzero(chosen)])
        self._seen += stamps.size
        self._anchors.push(stamps, chosen)

    def _decidable_before_ns(self) -> int:
        limits = [
            self._streams[name].reached_ns - terms.expected_delay_ns - terms.tolerance_ns for name, terms in self._terms.items()
        ]
        if self._pose is not None:
            limits.append(self._streams[self._pose].reached_ns - self._bracket_ns)
        if self._context_ns:
            limits.append(self._anchors.reached_ns - self._context_ns + 1)
        return min([*limits, _END_NS])

    def _match(
        self, found: StreamedMatches, column: int, stream: StreamBuffer, terms: StreamTerms, anchors_ns: Nanoseconds, first: int
    ) -> None:
        stamps_ns = stream.stamps_ns()
        end = first + len(found.anchors)
        if self._frame_use is FrameUse.EXCLUSIVE and stream.name != self._reference:
            every = match_exclusive(anchors_ns, stamps_ns, terms.expected_delay_ns, terms.tolerance_ns)
            index, residual_ns = every.index[first:end], every.residual_ns[first:end]
        else:
            nearest = match_nearest(anchors_ns[first:end], stamps_ns, terms.expected_delay_ns, terms.tolerance_ns)
            index, residual_ns = nearest.index, nearest.residual_ns
        found.index[:, column] = np.where(index < 0, index, index + stream.position)
        found.residual_ns[:, column] = np.where(index < 0, 0, residual_ns)
        found.history[:, column] = history_lengths(stamps_ns, index, terms.sweeps, terms.horizon_ns)

    def _pose_left(self, anchors_ns: Nanoseconds) -> Nanoseconds:
        none = np.full(anchors_ns.size, -1, dtype=np.int64)
        if self._pose is None:
            return none
        stream = self._streams[self._pose]
        stamps_ns = stream.stamps_ns()
        if stamps_ns.size == 0:
            return none
        left = np.searchsorted(stamps_ns, anchors_ns, side="right") - 1
        before = stamps_ns[np.maximum(left, 0)]
        after = stamps_ns[np.minimum(left + 1, stamps_ns.size - 1)]
        between = (left + 1 < stamps_ns.size) & (after - before <= self._bracket_ns)
        bracketed = (left >= 0) & ((before == anchors_ns) | between)
        return np.where(bracketed, left + stream.position, -1)

    def _forget(self, anchors_ns: Nanoseconds, end: int) -> None:
        """Drop the frames that no undecided anchor can need."""
        next_ns = int(anchors_ns[end]) if end < anchors_ns.size else self._anchors.reached_ns
        for name, terms in self._terms.items():
            self._streams[name].forget_before(next_ns + terms.expected_delay_ns - terms.tolerance_ns - terms.horizon_ns)
        if self._pose is not None:
            self._streams[self._pose].forget_before(next_ns - self._bracket_ns)
        kept = self._anchors.forget_before(min(next_ns - self._context_ns, _END_NS), at_most=end)
        self._positions = self._positions[len(self._positions) - kept :]
        self._decided = end - (anchors_ns.size - kept)
