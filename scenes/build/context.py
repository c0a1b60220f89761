"""The values common to all scenes of a drive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lake.overrides import NONE, Decisions
from quality.rules.rulebook import RuleBook
from scenes.documents import Provenance
from scenes.options import BuildOptions
from scenes.targets import DriveTargets
from sensors.rig import Rig


@dataclass(frozen=True, slots=True)
class DriveContext:
    """The values common to all scenes of a drive; sent to every worker.

    `calibration`: the text that `rig` was parsed from. `sources` maps a raw key to its (version id, SHA-256); `rules`: as
    set by the rig.
    """

    targets: DriveTargets
    rig: Rig
    calibration: str
    sources: Mapping[str, tuple[str, str]]
    provenance: Provenance
    options: BuildOptions
    decisions: Decisions = NONE
    rules: RuleBook = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", RuleBook.of(self.rig.policy))

    @property
    def versions(self) -> dict[str, str]:
        """Version id of each raw key."""
        return {key: version for key, (version, _) in self.sources.items()}
