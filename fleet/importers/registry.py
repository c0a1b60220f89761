"""The formats that can be imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from fleet import Progress
from fleet.importers.argoverse2 import importer as argoverse2
from fleet.importers.dgp import importer as dgp
from fleet.importers.nuscenes import importer as nuscenes
from fleet.importers.pandaset import importer as pandaset
from fleet.importers.radiate import importer as radiate
from fleet.importers.recording import importer as recording
from fleet.importers.source import ImportResult
from sensors.rig import Rig


class Importer(Protocol):
    """Reads a dataset folder and writes a drive folder."""

    def __call__(self, src: Path, out: Path, vehicle_id: str, drive_id: str, progress: Progress | None = None) -> ImportResult:
        """Write `src` as a drive into the new folder `out`.

        Raises:
            SourceError: The dataset folder is incomplete, or contains data that is refused.
            FleetError: `out` is not empty.
            LandingError: An id is not allowed.

        """


class SceneImporter(Importer, Protocol):
    """Reads one scene of a dataset that holds several."""

    def __call__(
        self,
        src: Path,
        out: Path,
        vehicle_id: str,
        drive_id: str,
        progress: Progress | None = None,
        scene: str | None = None,
    ) -> ImportResult:
        """Write the scene with this name or token, the first if None; otherwise as `Importer`.

        Raises:
            SourceError: Also if there is no such scene.
            FleetError: `out` is not empty.
            LandingError: An id is not allowed.

        """


class RigImporter(Importer, Protocol):
    """Reads a recording, which does not define by itself which topic belongs to which sensor."""

    def __call__(
        self, src: Path, out: Path, vehicle_id: str, drive_id: str, progress: Progress | None = None, rig: Rig | None = None
    ) -> ImportResult:
        """Write the sensors that `rig` gives a topic, or without one every topic that can be identified; otherwise as `Importer`.

        Raises:
            SourceError: Also if no topic of the recording is usable.
            FleetError: `out` is not empty.
            LandingError: An id is not allowed.

        """


IMPORTERS: Mapping[str, Importer] = MappingProxyType(
    {
        "argoverse2": argoverse2.import_drive,
        "dgp": dgp.import_drive,
        "nuscenes": nuscenes.import_drive,
        "pandaset": pandaset.import_drive,
        "radiate": radiate.import_drive,
        "recording": recording.import_drive,
    }
)
SCENE_IMPORTERS: Mapping[str, SceneImporter] = MappingProxyType({"nuscenes": nuscenes.import_drive})
RIG_IMPORTERS: Mapping[str, RigImporter] = MappingProxyType({"recording": recording.import_drive})
