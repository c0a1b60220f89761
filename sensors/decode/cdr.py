"""In-place reader of OMG CDR, the serialisation of ROS 2: nothing is copied, and no length field causes an allocation.

CDR 1.0 (OMG DDSI-RTPS 2.3, section 10): four bytes of encapsulation, then primitives aligned to their own size,
counted from behind the encapsulation. Strings count their terminating zero.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from sensors.errors import DecodeError

Bytes = bytes | memoryview
Parsed = TypeVar("Parsed")
PartKey: TypeAlias = tuple[str, int, bytes]
"""Byte order, alignment and first bytes of a repeated part."""

ENCAPSULATION_BYTES = 4
BIG_ENDIAN, LITTLE_ENDIAN = 0, 1  # CDR_BE and CDR_LE; the other encapsulations (PL_CDR, XCDR2) are not used by ROS 2
LARGEST_ALIGNMENT = 8
LONGEST_STRING_BYTES = 4096
MAX_PADDING_BYTES = 3  # some middlewares pad a message to a multiple of four
MAX_FORMS = 256  # of one repeated part, remembered at a time
MAX_REMEMBERED_BYTES = 8192  # hostile messages must not fill memory with parts that never recur
_INTEGERS = {order: {code: struct.Struct(order + code) for code in "BbHIi"} for order in "<>"}


class CdrReader:
    """A position in a CDR message of the byte order `order` (`<` or `>`).

    Every method raises DecodeError if the message ends before what it reads.
    """

    def __init__(self, cdr: Bytes) -> None:
        data = memoryview(cdr)
        if len(data) < ENCAPSULATION_BYTES:
            raise DecodeError(f"a CDR message of {len(data)} bytes lacks its encapsulation of {ENCAPSULATION_BYTES}")
        if data[0] != 0 or data[1] not in (BIG_ENDIAN, LITTLE_ENDIAN):
            raise DecodeError(
                f"CDR encapsulation {data[0]:#04x} {data[1]:#04x} is neither CDR_BE (0x00 0x00) nor CDR_LE (0x00 0x01)"
            )
        self.order = "<" if data[1] == LITTLE_ENDIAN else ">"
        self._integers = _INTEGERS[self.order]
        self._body = data[ENCAPSULATION_BYTES:]
        self._size = len(self._body)
        self._at = 0

    @property
    def remaining(self) -> int:
        """Bytes behind the position."""
        return self._size - self._at

    def u8(self, what: str) -> int:
        """An unsigned byte."""
        return self._integer("B", 1, what)

    def i8(self, what: str) -> int:
        """A signed byte."""
        return self._integer("b", 1, what)

    def u16(self, what: str) -> int:
        """An unsigned 16-bit integer."""
        return self._integer("H", 2, what)

    def u32(self, what: str) -> int:
        """An unsigned 32-bit integer."""
        return self._integer("I", 4, what)

    def i32(self, what: str) -> int:
        """A signed 32-bit integer."""
        return self._integer("i", 4, what)

    def boolean(self, what: str) -> bool:
        """A boolean: one byte, 0 or 1."""
        value = self.u8(what)
        if value > 1:
            raise DecodeError(f"{what} is {value}, neither 0 nor 1")
        return value == 1

    def doubles(self, count: int, what: str) -> tuple[float, ...]:
        """`count` float64."""
        return struct.unpack_from(f"{self.order}{count}d", self._body, self._advance(8 * count, 8, what))

    def skip_doubles(self, count: int, what: str) -> None:
        """Skip `count` float64, which must be present all the same."""
        self._advance(8 * count, 8, what)

    def string(self, what: str) -> str:
        """A string of at most 4096 bytes."""
        length = self.u32(f"length of {what}")
        if length > LONGEST_STRING_BYTES:
            raise DecodeError(f"{what} takes {length} bytes, the limit is {LONGEST_STRING_BYTES}")
        start = self._advance(length, 1, what)
        text = bytes(self._body[start : start + length])
        try:
            return text.removesuffix(b"\0").decode()
        except UnicodeDecodeError as error:
            raise DecodeError(f"{what} is no UTF-8: {error}") from error

    def byte_sequence(self, what: str) -> memoryview:
        """A sequence of bytes, as a read-only view."""
        length = self.u32(f"length of {what}")
        start = self._advance(length, 1, what)
        return self._body[start : start + length].toreadonly()

    def repeated(self, part: Repeated[Parsed]) -> Parsed:
        """A part that earlier messages may also have contained."""
        start, body = self._at, self._body
        # Byte order and alignment decide how bytes are read; the first sixteen distinguish most sensors.
        key = (self.order, start % LARGEST_ALIGNMENT, bytes(body[start : start + 16]))
        known = part.known(key)
        if known is not None:
            end = start + len(known[0])
            if bytes(body[start:end]) == known[0]:
                self._at = end
                return known[1]
        parsed = part.parse(self)
        part.remember(key, bytes(body[start : self._at]), parsed)
        return parsed

    def finish(self) -> None:
        """Check that only padding follows."""
        if self.remaining > MAX_PADDING_BYTES:
            raise DecodeError(f"{self.remaining} bytes follow the message's last member: it is longer than its lengths say")

    def _integer(self, code: str, size: int, what: str) -> int:
        start = -(-self._at // size) * size
        self._at = start + size
        try:
            value: int = self._integers[code].unpack_from(self._body, start)[0]
        except struct.error:
            self._at = start
            raise self._ends(size, start, what) from None
        return value

    def _advance(self, count: int, alignment: int, what: str) -> int:
        start = -(-self._at // alignment) * alignment
        if start + count > self._size:
            raise self._ends(count, start, what)
        self._at = start + count
        return start

    def _ends(self, count: int, start: int, what: str) -> DecodeError:
        return DecodeError(f"{what} takes {count} bytes at byte {start} of a message of {self._size}")


class Repeated(Generic[Parsed]):
    """A part that the messages of a sensor repeat: `CdrReader.repeated` parses it again only where its bytes are new.

    `parse` reads the part and nothing else; its result depends on those bytes alone and is never changed.
    """

    def __init__(self, parse: Callable[[CdrReader], Parsed]) -> None:
        self.parse = parse
        self._known: dict[PartKey, tuple[bytes, Parsed]] = {}

    def known(self, key: PartKey) -> tuple[bytes, Parsed] | None:
        """The last part with this key: its bytes, and what they were parsed to."""
        return self._known.get(key)

    def remember(self, key: PartKey, stored: bytes, parsed: Parsed) -> None:
        """Cache a parsed part, unless it is too large."""
        if len(stored) > MAX_REMEMBERED_BYTES:
            return
        if len(self._known) >= MAX_FORMS:
            self._known.clear()
        self._known[key] = (stored, parsed)
