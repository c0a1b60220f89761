"""Where the pose stands in an odometry message: the same place in all that a sensor sends, so it is looked for once."""

from __future__ import annotations

import struct

from sensors.decode.cdr import ENCAPSULATION_BYTES, MAX_FORMS, MAX_REMEMBERED_BYTES, Bytes

STAMP_BYTES = 8


class PosePlaces:
    """The places that were found so far, by the length of the message and by the bytes that stand before the pose.

    Everything else in the message has a fixed size, so what is true of one message's lengths is true of every message that is
    as long and names the same frames in the same byte order.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[struct.Struct, bytes, bytes]] = {}

    def values(self, cdr: Bytes) -> tuple[float, ...] | None:
        """The seven numbers of the pose as they are stored; None where no message was like this one."""
        known = self._known.get(len(cdr))
        if known is None:
            return None
        layout, encapsulation, names = known
        found = layout.unpack_from(cdr)
        return found[2:] if found[0] == encapsulation and found[1] == names else None

    def remember(self, cdr: Bytes, at: int, order: str) -> None:
        """A message that decodes, whose pose begins at byte `at` and is in this byte order (`<` or `>`)."""
        names_at = ENCAPSULATION_BYTES + STAMP_BYTES
        if at - names_at > MAX_REMEMBERED_BYTES:
            return
        if len(self._known) >= MAX_FORMS:
            self._known.clear()
        layout = struct.Struct(f"{order}{ENCAPSULATION_BYTES}s{STAMP_BYTES}x{at - names_at}s7d")
        self._known[len(cdr)] = (layout, bytes(cdr[:ENCAPSULATION_BYTES]), bytes(cdr[names_at:at]))
