"""How large merged files are, and how much one run merges. Imports nothing heavy: commands show these figures in their help."""

from __future__ import annotations

from dataclasses import dataclass

from lake.errors import LakeError
from lake.tables.names import SCENES_TABLE

MB, GB = 10**6, 10**9
# A window of the build is 64 MiB of payload, of which lidar is stored in about two thirds: a full file has 40 to 67 MB. Merging
# those would gain nothing, because reading one takes hundreds of ranged requests, and opening it two.
SMALLEST_SCENES = 32 * MB
SMALLEST_ROWS = 128 * MB  # of frames and records, which are read by day and not by drive
LARGEST = 512 * MB
# Frames are the slowest to merge, at about 2.5 MB (200,000 rows) a second of one core: two hours, of the six that a step of
# `maintain_lake` may last. A day of the fleet is about 2 GB, so that a run makes up for a week in which none did anything.
RUN_BYTES = 16 * GB


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a merged file. A file of at least `smallest_rows`, or `smallest_scenes` in `gold.scenes`, is left as it is.

    Raises:
        LakeError: One of them is not between 1 and half of `largest`: files could be merged again and again.
    """

    smallest_rows: int = SMALLEST_ROWS
    largest: int = LARGEST
    smallest_scenes: int = SMALLEST_SCENES

    def __post_init__(self) -> None:
        for smallest in (self.smallest_rows, self.smallest_scenes):
            if not 1 <= smallest <= self.largest // 2:
                raise LakeError(f"files of {smallest} to {self.largest} bytes: the first must be 1 to half of the second")

    def smallest(self, table: str) -> int:
        """Size from which on a file of a table is left as it is."""
        return self.smallest_scenes if table == SCENES_TABLE else self.smallest_rows

    @property
    def enough(self) -> int:
        """Size from which on a file that grows row group by row group takes no further one."""
        return (self.smallest_rows + self.largest) // 2
