"""The part of an ascending stream of stamps that is still needed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sensors.stamps import MAX_STAMP_NS, Nanoseconds, stamps_array


class StreamBuffer:
    """Stamps of one sensor. `position`: the number dropped before the first one held. `reached_ns`: no later stamp is less."""

    def __init__(self, name: str) -> None:
        self.name, self.position, self.reached_ns = name, 0, -MAX_STAMP_NS
        self._chunks: list[Nanoseconds] = []
        self._held = 0
        self._last_ns: int | None = None

    def __len__(self) -> int:
        return self._held

    def check(self, stamps_ns: npt.ArrayLike) -> Nanoseconds:
        """The next stamps (M,) as int64, after validation.

        Raises:
            ValueError: They are not integer nanoseconds, do not ascend, repeat a stamp, or precede known stamps.
        """
        stamps = stamps_array(stamps_ns, f"stamps of {self.name}", ascending=True)
        if stamps.size > 1 and (stamps[1:] == stamps[:-1]).any():
            raise ValueError(f"{self.name}: a stamp comes twice; give the first frame of each stamp only")
        if stamps.size and (int(stamps[0]) < self.reached_ns or int(stamps[0]) == self._last_ns):
            raise ValueError(f"{self.name}: {int(stamps[0])} ns comes after the stream had reached {self.reached_ns} ns")
        return stamps

    def push(self, stamps_ns: npt.ArrayLike, chosen: npt.NDArray[np.bool_] | None = None) -> None:
        """Append the next stamps (M,), or those `chosen` (M,) of them; the stream has then come to the last of all.

        Raises:
            ValueError: As `check`.
        """
        stamps = self.check(stamps_ns)
        if stamps.size:
            self._last_ns = self.reached_ns = int(stamps[-1])
            held = stamps if chosen is None else stamps[chosen]
            self._chunks.append(held)
            self._held += held.size

    def advance(self, to_ns: int) -> None:
        """Declare that no later stamp is less than `to_ns`."""
        self.reached_ns = max(self.reached_ns, to_ns)

    def stamps_ns(self) -> Nanoseconds:
        """The stamps held, (N,)."""
        if len(self._chunks) != 1:
            self._chunks = [np.concatenate([np.empty(0, dtype=np.int64), *self._chunks])]
        return self._chunks[0]

    def forget_before(self, stamp_ns: int, at_most: int | None = None) -> int:
        """Drop stamps below `stamp_ns`, at most the first `at_most`; returns how many are left."""
        stamps = self.stamps_ns()
        dropped = int(np.searchsorted(stamps, min(stamp_ns, MAX_STAMP_NS + 1), side="left"))
        dropped = dropped if at_most is None else min(dropped, at_most)
        # A copy: a view would keep the whole chunk alive.
        self._chunks = [stamps[dropped:].copy()]
        self.position += dropped
        self._held -= dropped
        return self._held
