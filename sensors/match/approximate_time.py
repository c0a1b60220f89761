"""The sets that the policy ApproximateTime of ROS `message_filters` would form from several streams, for comparison.

Written from the description of the policy (wiki.ros.org/message_filters/ApproximateTime, "Overview" and "Algorithm"). In its
words: a *set* holds one message of each topic, its *size* is the latest less the earliest stamp. Sets share no message and
do not cross. The *pivot* of the next set is the latest among the earliest unused messages of all topics: every set that
leaves no room for another before it contains the pivot. Of the sets that contain it the smallest is put out, where a later
one counts as larger by the age penalty. A set is put out when no message that may still come could be in a better one.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from sensors.stamps import Nanoseconds, check_duration_ns, stamps_array

AGE_PENALTY = Fraction(1, 10)  # the default of the C++ implementation; the wiki page says 0
_NEVER_NS = 2**63 - 1


def form_sets(
    stamps_ns: Sequence[npt.ArrayLike],
    *,
    age_penalty: Fraction = AGE_PENALTY,
    max_interval_ns: int | None = None,
    lower_bounds_ns: Sequence[int] | None = None,
    queue_size: int | None = None,
) -> Nanoseconds:
    """The sets, in order: (S, K) positions among the stamps of each of K topics, each ascending.

    `age_penalty`: not negative. `max_interval_ns`: the largest set that is put out, None for any. `lower_bounds_ns` (K,): how
    close two messages of a topic can be; lets the last sets of a recording be put out sooner and changes no set.
    `queue_size`: how many messages of a topic are held; a further one drops the oldest. With a limit the sets depend on the
    order in which messages come, which is that of their stamps, then of the topics. None holds all of them: then the sets
    depend on the stamps alone.

    Compared in integers where ROS multiplies a duration by a float: a decision can differ from it where two sets are equally
    good within that rounding. As in ROS, a set that a later message might have improved is not put out at the end of the
    input. A topic without a message leaves no set. O(M K) for M messages.

    Raises:
        ValueError: Stamps do not ascend or are not integer nanoseconds, an option is out of range.
    """
    topics = [stamps_array(stamps, f"stamps_ns[{topic}]", ascending=True) for topic, stamps in enumerate(stamps_ns)]
    if age_penalty < 0:
        raise ValueError(f"age_penalty is {age_penalty}, it must not be negative")
    if queue_size is not None and queue_size < 1:
        raise ValueError(f"queue_size is {queue_size}, it must be at least 1")
    largest_ns = _NEVER_NS if max_interval_ns is None else check_duration_ns(max_interval_ns, "max_interval_ns")
    bounds = [check_duration_ns(bound, "lower_bounds_ns") for bound in lower_bounds_ns or [0] * len(topics)]
    if len(bounds) != len(topics):
        raise ValueError(f"{len(bounds)} lower bounds for {len(topics)} topics")
    if not topics or any(stamps.size == 0 for stamps in topics):
        return np.empty((0, len(topics)), dtype=np.int64)
    search = _Search([stamps.tolist() for stamps in topics], bounds, age_penalty, largest_ns)
    if queue_size is None:
        search.arrive_all()
    else:
        for topic in _arrivals(topics):
            search.arrive(topic, queue_size)
    return np.array(search.sets, dtype=np.int64).reshape(-1, len(topics))


def _arrivals(topics: Sequence[Nanoseconds]) -> list[int]:
    numbers = np.repeat(np.arange(len(topics)), [stamps.size for stamps in topics])
    order: list[int] = numbers[np.lexsort((numbers, np.concatenate(topics)))].tolist()
    return order


class _Search:
    """The state between two messages.

    Of each topic, positions: `base` is the oldest message held, `head` the one under consideration, `arrived` the first that
    has not come. Messages from `base` to `head` were passed over while looking for a better set than `best`.
    """

    def __init__(self, stamps: list[list[int]], bounds: list[int], age_penalty: Fraction, largest_ns: int) -> None:
        count = len(stamps)
        self.sets: list[list[int]] = []
        self._stamps, self._bounds, self._largest_ns = stamps, bounds, largest_ns
        self._later, self._earlier = age_penalty.numerator + age_penalty.denominator, age_penalty.denominator
        self._base, self._head, self._arrived = [0] * count, [0] * count, [0] * count
        self._now: list[int] = [_NEVER_NS] * count  # stamps at the heads
        self._empty = count
        self._dropped = [False] * count  # whether a message was lost that might have made a better set
        self._best: list[int] | None = None
        self._start_ns = self._end_ns = self._pivot = self._pivot_ns = 0

    def arrive_all(self) -> None:
        """Let all messages arrive at once."""
        self._arrived = [len(stamps) for stamps in self._stamps]
        self._reload_heads()

    def arrive(self, topic: int, queue_size: int) -> None:
        """Let the next message of a topic arrive."""
        self._arrived[topic] += 1
        if self._head[topic] == self._arrived[topic] - 1:
            self._now[topic] = self._stamps[topic][self._head[topic]]
            self._empty -= 1
            self._run()
        if self._arrived[topic] - self._base[topic] > queue_size:
            self._base[topic] += 1
            self._dropped[topic] = True
            self._best = None
            self._head = list(self._base)
            self._reload_heads()

    def _reload_heads(self) -> None:
        self._now = [
            stamps[head] if head < arrived else _NEVER_NS
            for stamps, head, arrived in zip(self._stamps, self._head, self._arrived, strict=True)
        ]
        self._empty = self._now.count(_NEVER_NS)
        self._run()

    def _run(self) -> None:
        while not self._empty:
            self._consider()

    def _consider(self) -> None:
        """Compare the set at the heads with the best one, then pass over its earliest message."""
        now = self._now
        start_ns, end_ns = min(now), max(now)
        first, last = now.index(start_ns), len(now) - 1 - now[::-1].index(end_ns)
        # What was lost of the other topics came before their heads, and could not have joined the message at `last`.
        self._dropped = [lost and topic == last for topic, lost in enumerate(self._dropped)]
        if self._best is None:
            if end_ns - start_ns > self._largest_ns or self._dropped[last]:
                self._advance(first)
                self._base[first] = self._head[first]
                return
            self._pivot, self._pivot_ns = last, end_ns
            self._keep(start_ns, end_ns)
        elif self._penalised(end_ns) < self._earlier * (start_ns - self._start_ns):
            self._keep(start_ns, end_ns)
        self._advance(first)
        # Whatever comes after contains the pivot no more, or is larger than the best even if it starts at the pivot.
        if first == self._pivot or self._penalised(end_ns) >= self._earlier * (self._pivot_ns - self._start_ns):
            self._put_out()
        elif self._empty:
            self._foresee()

    def _penalised(self, end_ns: int) -> int:
        return self._later * (end_ns - self._end_ns)

    def _keep(self, start_ns: int, end_ns: int) -> None:
        self._best, self._base = list(self._head), list(self._head)
        self._start_ns, self._end_ns = start_ns, end_ns

    def _advance(self, topic: int) -> None:
        self._head[topic] += 1
        if self._head[topic] < self._arrived[topic]:
            self._now[topic] = self._stamps[topic][self._head[topic]]
        else:
            self._now[topic] = _NEVER_NS
            self._empty += 1

    def _put_out(self) -> None:
        assert self._best is not None
        self.sets.append(self._best)
        self._base = [position + 1 for position in self._best]
        self._best, self._head = None, list(self._base)
        self._now = [
            stamps[head] if head < arrived else _NEVER_NS
            for stamps, head, arrived in zip(self._stamps, self._head, self._arrived, strict=True)
        ]
        self._empty = self._now.count(_NEVER_NS)

    def _foresee(self) -> None:
        """Put the best set out if even the earliest messages that may still come could make no better one."""
        head = list(self._head)
        while True:
            now = [self._earliest_ns(topic, head[topic]) for topic in range(len(head))]
            start_ns, end_ns = min(now), max(now)
            if self._penalised(end_ns) >= self._earlier * (self._pivot_ns - self._start_ns):
                self._put_out()
                return
            if self._penalised(end_ns) < self._earlier * (start_ns - self._start_ns):
                return
            head[now.index(start_ns)] += 1

    def _earliest_ns(self, topic: int, position: int) -> int:
        """The stamp at a position; of a message that has not come, the earliest that matters for a set with the pivot."""
        if position < self._arrived[topic]:
            return self._stamps[topic][position]
        return max(self._stamps[topic][position - 1] + self._bounds[topic], self._pivot_ns)
