"""The account of a drive (promise P1): where every frame went, and the quarantine records that hold what is not in gold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from lake.digests import content_digest
from lake.drive_input import DriveInput
from lake.overrides import Decisions
from lake.storage import ObjectStore
from lake.tables.rows import RecordRow
from quality.accounting import SensorAccount, accounts, balance
from quality.decisions import with_rejections
from quality.measurements.residuals import Residuals, ToleratedResiduals
from quality.records import Origin
from quality.rules.catalogue import Level, rule
from quality.rules.findings import Finding, finding
from scenes.documents import AuditVerdict, DataFile, Inspection
from scenes.left_out import NOTHING, LeftOut
from scenes.outcome.fates import Built, IndexedDrive, reason_of
from scenes.outcome.records import RecordKeeper
from scenes.plan.match_plan import ScenePlan
from scenes.targets import DriveTargets
from sensors.rig import Rig


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """A drive's account: `frames` (schema FRAMES), its records, and what was built (None: the gate or the audit quarantined
    the drive).

    `gold_files`: the files with its gold scenes. `residuals`: of the matches to be published, by
    sensor.
    """

    verdict: AuditVerdict
    frames: pa.Table
    records: Sequence[RecordRow]
    gold_files: tuple[DataFile, ...] = ()
    residuals: Mapping[str, ToleratedResiduals] = field(default_factory=dict)
    built: Built | None = None

    @property
    def scenes(self) -> int:
        """How many scenes will be published."""
        return sum(file.scenes for file in self.gold_files)

    @property
    def content_digest(self) -> str:
        """Of the scenes that will be published (`lake.digests`)."""
        scenes = self.built.scenes if self.built is not None else ()
        return content_digest((scene.anchor_ns, scene.digest) for scene in scenes if not scene.quarantined)

    def imbalances(self, entries: Sequence[SensorAccount]) -> list[Finding]:
        """The accounts and records that do not add up."""
        problems = [imbalance.finding() for imbalance in balance(entries)]
        held = sum(record.frames for record in self.records)
        kept_out = sum(entry.quarantined for entry in entries)
        if held != kept_out:
            message = f"the records hold {held} frames, {kept_out} are quarantined: one is in no record or in two"
            problems.append(finding("ACC001", message, measured=abs(held - kept_out)))
        return problems


@dataclass(frozen=True, slots=True)
class DriveAccount:
    """Accounts for one inspected drive; writes copies of what is quarantined."""

    drive_input: DriveInput
    inspection: Inspection
    indexed: IndexedDrive
    keeper: RecordKeeper

    @classmethod
    def of(
        cls,
        store: ObjectStore,
        targets: DriveTargets,
        drive_input: DriveInput,
        inspection: Inspection,
        index: pa.Table,
        left_out: LeftOut = NOTHING,
    ) -> DriveAccount:
        """From the drive's pinned input, its inspection, its frame index, and the frames that no scene holds for their stamps."""
        by = inspection.provenance
        origin = Origin(targets.drive, targets.revision, by.code_version, by.config_hash, drive_input.base)
        keeper = RecordKeeper(store, targets, origin, inspection, Decisions.of(drive_input))
        indexed = IndexedDrive(targets.drive, targets.revision, index, frozenset(inspection.faulty_keys), left_out)
        return cls(drive_input, inspection, indexed, keeper)

    def read(self) -> dict[str, int]:
        """Frames by sensor as the scan of each object counted them, independently of the index that the fates come from."""
        read: Counter[str] = Counter()
        for report in self.inspection.objects.values():
            read[report.sensor] += report.frames
        return dict(read)

    def accounts(self, outcome: AuditOutcome) -> tuple[SensorAccount, ...]:
        """One account for each sensor."""
        return accounts(outcome.frames, self.read())

    def published(self, plan: ScenePlan, rig: Rig, built: Built) -> AuditOutcome:
        """The account of a drive whose scenes were built."""
        frames = self.indexed.frames_built(plan, rig, built)
        keeper = self.keeper
        records = keeper.of_objects(frames) + keeper.of_built(built, rig.reference, frames)
        records += keeper.of_off_line(self.indexed.off_line())
        records += keeper.of_unreadable(self.indexed.unreadable())
        records += keeper.of_released_objects() + keeper.of_released_in(built, rig.reference)
        return AuditOutcome(
            AuditVerdict.PUBLISH,
            frames,
            with_rejections(records, keeper.decisions.rejected),
            tuple(built.gold_files),
            residuals_of(built, rig),
            built,
        )

    def quarantined(self, findings: Sequence[Finding]) -> AuditOutcome:
        """The account of a drive that is quarantined as a whole, for these findings."""
        reason = reason_of(found for found in findings if rule(found.rule_id).level is Level.DRIVE)
        frames = self.indexed.frames_quarantined(reason)
        keeper = self.keeper
        records = [*keeper.of_objects(frames), keeper.of_whole_drive(self.drive_input, findings, frames)]
        records += keeper.of_released_objects()
        return AuditOutcome(AuditVerdict.QUARANTINE, frames, with_rejections(records, keeper.decisions.rejected))


def residuals_of(built: Built, rig: Rig) -> dict[str, ToleratedResiduals]:
    """Residuals of the matches that will be published, by sensor; the reference has none."""
    matched: dict[str, list[int]] = {}
    for scene in built.scenes:
        for sensor, residual_ns in scene.residuals_ns.items() if not scene.quarantined else ():
            matched.setdefault(sensor, []).append(residual_ns)
    sizes = {sensor: Residuals.of(values) for sensor, values in sorted(matched.items()) if sensor != rig.reference}
    return {
        sensor: ToleratedResiduals(found, rig[sensor].sync.tolerance_ns) for sensor, found in sizes.items() if found is not None
    }
