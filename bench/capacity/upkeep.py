"""What the lake's own metadata and its upkeep come to, from the figures of `make soak-lake`.

A file of metadata grows with the number of drives, not with their length: tiny drives cost what real ones do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from bench.capacity.model import Day
from bench.figures import markdown_table

YEAR_DAYS = 365
NOT_MEASURED = "Not measured: run `make soak-lake`, which takes an hour or more, then `python -m bench.capacity`."


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Costs of a drive to the lake; CPU is that of one measured core.

    Attributes:
        written_kb: Metadata that its publication writes, nearly all of which expires.
        kept_kb: Metadata that stays.
        publish_ms: CPU time of its publication.
        maintain_ms: Its part of a day's maintenance, CPU time.
    """

    written_kb: float
    kept_kb: float
    publish_ms: float
    maintain_ms: float

    @classmethod
    def of(cls, results: Mapping[str, float]) -> Self | None:
        """Read the figures; None where the soak was not run."""
        names = ("commit_metadata_kb", "kept_metadata_kb", "publish_cpu_ms", "maintain_cpu_ms")
        found = [results.get(f"soak.{name}") for name in names]
        measured = [value for value in found if value is not None]
        return cls(*measured) if len(measured) == len(names) else None


def upkeep(day: Day, found: Upkeep | None) -> str:
    """The table of the upkeep, or why there is none."""
    if found is None:
        return NOT_MEASURED
    core_h = day.drives / 3.6e6
    rows = [
        ("metadata written a day", f"{day.drives * found.written_kb / 1e3:,.0f} MB", "drives × `soak.commit_metadata_kb`"),
        (
            "metadata kept after a year",
            f"{YEAR_DAYS * day.drives * found.kept_kb / 1e6:,.1f} GB",
            "drives of a year × `soak.kept_metadata_kb`",
        ),
        ("publishing, one core", f"{core_h * found.publish_ms * 60:,.1f} min a day", "drives × `soak.publish_cpu_ms`"),
        ("maintenance, one core", f"{core_h * found.maintain_ms * 60:,.1f} min a day", "drives × `soak.maintain_cpu_ms`"),
    ]
    return markdown_table(("what", "value", "from"), rows)
