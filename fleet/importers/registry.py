"""Which formats can be imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from fleet.importers import pandaset, radiate
from fleet.importers.source import ImportResult
from fleet.progress import Progress


class Importer(Protocol):
    """Reads a dataset folder and writes a drive folder."""

    def __call__(self, src: Path, out: Path, vehicle_id: str, drive_id: str, progress: Progress | None = None) -> ImportResult:
        """Write `src` as a drive into the new folder `out`.

        Raises:
            SourceError: The dataset folder lacks something, or holds something that is refused.
            FleetError: `out` holds something already.
            LandingError: An id is not allowed.

        """


IMPORTERS: Mapping[str, Importer] = MappingProxyType({"pandaset": pandaset.import_drive, "radiate": radiate.import_drive})
