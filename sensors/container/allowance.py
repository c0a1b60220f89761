"""What a container may make of the bytes that it is stored in.

Compression multiplies: 15 KiB can hold four million messages, 323 KiB ten gibibytes of zeros. Ratios seen in recordings are 1 to
6 for point clouds, 11 for range images, 30 to 80 where 97 to 99 % of a cloud's points are zero, and 20,000 and more for nothing
but zeros: those few need room that is independent of what is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from sensors.errors import AllowanceError

RATIO = 100  # decompressed bytes for each byte that is stored
RECORDS_PER_MESSAGE = 4  # a chunk may define schema and channel anew for its one message


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many messages a file may hold, and how many bytes may be decompressed beside `RATIO` for each byte stored.

    `stored_bytes_per_message`: one more message for so many bytes stored; None where the number is known.
    """

    messages: int
    raw_bytes: int
    stored_bytes_per_message: int | None = None

    def messages_in(self, stored_bytes: int) -> int:
        """How many messages `stored_bytes` may hold."""
        return self.messages + (stored_bytes // self.stored_bytes_per_message if self.stored_bytes_per_message else 0)

    def check_raw(self, raw_bytes: int, stored_bytes: int) -> None:
        """Refuse to decompress more.

        Raises:
            AllowanceError: `raw_bytes` are too many for what is stored.
        """
        allowed = self.raw_bytes + RATIO * stored_bytes
        if raw_bytes > allowed:
            raise AllowanceError(
                f"{stored_bytes} bytes decompress to {raw_bytes} or more, the limit is {allowed}; nothing behind them was read"
            )

    def check_records(self, records: int, stored_bytes: int) -> None:
        """Refuse to read on.

        Raises:
            AllowanceError: `records` of any kind are too many for what is stored.
        """
        allowed = RECORDS_PER_MESSAGE * self.messages_in(stored_bytes)
        if records > allowed:
            raise AllowanceError(f"more than {allowed} records in {stored_bytes} bytes; those from here on were not read")
