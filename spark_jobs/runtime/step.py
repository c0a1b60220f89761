"""One step on one revision of a drive: its inputs, and the provenance that all steps of an attempt share."""

from __future__ import annotations

from dataclasses import dataclass

from lake.drive_input import DriveInput
from lake.settings import Settings
from scenes.documents import Inspection, Provenance
from scenes.errors import ProvenanceError
from scenes.options import BuildOptions
from scenes.targets import DriveTargets
from scenes.work_area import INSPECTION, WorkArea


@dataclass(frozen=True, slots=True)
class Step:
    """The inputs of a step of an attempt. `provenance`: that of this process."""

    settings: Settings
    options: BuildOptions
    provenance: Provenance
    area: WorkArea
    drive_input: DriveInput

    @property
    def targets(self) -> DriveTargets:
        """The locations of the revision's files."""
        return DriveTargets.of(self.settings, self.drive_input)

    def inspection(self) -> Inspection:
        """The inspection that `inspect` wrote.

        Raises:
            WorkAreaError: It is missing, of another version, or damaged.
            ProvenanceError: Other code, or another configuration, has inspected the drive.
        """
        inspection = self.area.read_document(INSPECTION, Inspection)
        self.check(inspection.provenance)
        return inspection

    def check(self, inspected_by: Provenance) -> None:
        """Refuse to continue an attempt that other code, or another configuration, began: the provenance in gold would be wrong.

        Raises:
            ProvenanceError: The message holds both sides of every difference.
        """
        own = self.provenance
        different = [
            f"{name}: inspected by {getattr(inspected_by, name)}, this process has {getattr(own, name)}"
            for name in Provenance.__struct_fields__
            if getattr(inspected_by, name) != getattr(own, name)
        ]
        if different:
            raise ProvenanceError(
                f"{self.area.root.uri} belongs to another deployment; {'; '.join(different)}",
                hint="run the drive again from inspect: a new attempt has a work area of its own",
            )
