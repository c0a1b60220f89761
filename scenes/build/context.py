"""The values common to all scenes of a drive."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from lake.overrides import NONE, Decisions
from quality.rules.catalogue import Outcome, Severity
from quality.rules.findings import Finding, rule_ids
from quality.rules.rulebook import RuleBook
from scenes.build.decisions import drive_released_from
from scenes.documents import Provenance
from scenes.options import BuildOptions
from scenes.targets import DriveTargets
from sensors.rig import Rig


@dataclass(frozen=True, slots=True)
class WiderFlags:
    """Rules that the drive did not pass, or an object of it, and that quarantined nothing: each flags the scenes it concerns.

    `everywhere`: those about no single sensor. `sensors`, `objects`: by sensor, and by key, those about its frames. A rule that
    could not be evaluated is among them for a critical sensor (required, or the reference): of such a sensor unknown is no pass.
    """

    everywhere: tuple[str, ...] = ()
    sensors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    objects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, findings: Iterable[Finding], object_findings: Mapping[str, Iterable[Finding]], critical: Collection[str] = ()
    ) -> Self:
        """From the findings about a drive, and those about its objects by key; `critical`: its critical sensors."""
        by_sensor: dict[str | None, list[Finding]] = {}
        for found in _counting(findings, critical):
            by_sensor.setdefault(found.sensor, []).append(found)
        codes = {sensor: rule_ids(of_sensor, Severity.WARNING) for sensor, of_sensor in by_sensor.items()}
        objects = {key: rule_ids(_counting(found, critical), Severity.WARNING) for key, found in object_findings.items()}
        return cls(codes.pop(None, ()), {sensor: found for sensor, found in codes.items() if sensor is not None}, objects)

    def plus(self, findings: Iterable[Finding], critical: Collection[str]) -> Self:
        """These and those of more findings about sensors of the drive."""
        more = type(self).of(findings, {}, critical).sensors
        sensors = {name: tuple(sorted({*self.sensors.get(name, ()), *more.get(name, ())})) for name in {*self.sensors, *more}}
        return replace(self, sensors=sensors)

    def of_keys(self, keys: Iterable[str]) -> set[str]:
        """The rules that concern a scene made of these objects."""
        found = set(self.everywhere)
        for key in keys:
            found |= {*self.objects.get(key, ()), *self.sensors.get(key.split("/")[3], ())}
        return found


def _counting(findings: Iterable[Finding], critical: Collection[str]) -> list[Finding]:
    return [found for found in findings if found.outcome is Outcome.FAILED or found.sensor in critical]


@dataclass(frozen=True, slots=True)
class DriveContext:
    """The values common to all scenes of a drive; sent to every worker.

    `calibration`: the text that `rig` was parsed from. `sources` maps a raw key to its (version id, SHA-256); `rules`: as
    set by the rig; `flags`: findings beyond a scene; `sizes_px`: width and height of the images that each camera's intrinsics are
    for, empty if a reviewer has accepted that they are for others.
    """

    targets: DriveTargets
    rig: Rig
    calibration: str
    sources: Mapping[str, tuple[str, str]]
    provenance: Provenance
    options: BuildOptions
    decisions: Decisions = NONE
    flags: WiderFlags = WiderFlags()
    rules: RuleBook = field(init=False)
    sizes_px: Mapping[str, tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", RuleBook.of(self.rig.policy))
        sizes_px = {one.name: (one.intrinsics.width_px, one.intrinsics.height_px) for one in self.rig.sensors if one.intrinsics}
        object.__setattr__(self, "sizes_px", {} if drive_released_from(self.decisions, "CAL007") else sizes_px)

    @property
    def versions(self) -> dict[str, str]:
        """Version id of each raw key."""
        return {key: version for key, (version, _) in self.sources.items()}
