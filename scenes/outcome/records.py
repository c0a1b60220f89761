"""The quarantine records of a drive, and the copies of what they hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lake.drive_input import DriveInput
from lake.overrides import DRIVE, Decisions, Override, frame_target, object_target, scene_target
from lake.storage import ObjectStore
from lake.tables.rows import RecordRow
from lake.tables.schemas import QUARANTINED
from quality.decisions import decided
from quality.evaluators.stamp import off_line
from quality.records import RELEASED, Origin, Position, record
from quality.rules.catalogue import Level, rule
from quality.rules.findings import Finding
from scenes.build.decisions import as_judged
from scenes.build.frames import JudgedFrame
from scenes.build.payloads import fetch
from scenes.build.window import quarantine_frames
from scenes.documents import FrameReport, Inspection
from scenes.outcome.fates import FAULTY_OBJECT, IN_QUARANTINED_SCENE, Built
from scenes.plan.window_table import FrameRef
from scenes.targets import DriveTargets


@dataclass(frozen=True, slots=True)
class RecordKeeper:
    """Makes the records of one inspected drive; copies what is quarantined, byte for byte, through `store`.

    Records of what a reviewer released keep nothing out of gold: they say who released it, from which rules, and why.
    """

    store: ObjectStore
    targets: DriveTargets
    origin: Origin
    inspection: Inspection
    decisions: Decisions

    def of_objects(self, frames: pa.Table) -> list[RecordRow]:
        """One for each quarantined object, with a copy of it; one that never landed has nothing to copy."""
        keys_and_reasons = zip(frames["key"].to_pylist(), frames["reason"].to_pylist(), strict=True)
        kept_out = Counter(key for key, reason in keys_and_reasons if reason == FAULTY_OBJECT)
        return [self._of_object(key, kept_out[key]) for key in self.inspection.faulty_keys]

    def _of_object(self, key: str, frames: int) -> RecordRow:
        findings, report = self.inspection.object_findings[key], self.inspection.objects.get(key)
        position, payload_uri = Position(key), None
        if report is not None:
            target = self.targets.quarantined_object(key)
            self.store.copy(self.targets.raw(key, report.version_id), target)
            position, payload_uri = Position(key, report.version_id), target.uri
        sensor = findings[0].sensor
        return record(
            Level.OBJECT, self.origin, findings, frames=frames, sensor=sensor, position=position, payload_uri=payload_uri
        )

    def of_built(self, built: Built, anchor_sensor: str, frames: pa.Table) -> list[RecordRow]:
        """Of the frames that were quarantined one by one, and of the quarantined scenes."""
        records = [self._of_frame(frame, frame.findings) for frame in built.quarantined_frames]
        reasons = frames["reason"].to_pylist()
        counted: set[int] = set()
        for scene in built.scenes:
            if not scene.quarantined:
                continue
            # A frame of several quarantined scenes counts in the first one's record alone.
            own = {frame_id for frame_id in scene.frame_ids if reasons[frame_id] == IN_QUARANTINED_SCENE} - counted
            counted |= own
            records.append(
                record(
                    Level.SCENE,
                    self.origin,
                    scene.findings,
                    frames=len(own),
                    sensor=anchor_sensor,
                    anchor_ns=scene.anchor_ns,
                    payload_uri=scene.payload_uri,
                )
            )
        return records

    def of_off_line(self, frames: Iterable[tuple[FrameRef, int]]) -> list[RecordRow]:
        """Of frames whose stamps are off the time line, by so many ns; with a copy of each message."""
        off_ns = dict(frames)
        versions = {key: report.version_id for key, report in self.inspection.objects.items()}
        records = []
        for ref, cdr in fetch(self.store, self.targets.raw_bucket, versions, off_ns):
            judged = JudgedFrame({}, (off_line(ref.sensor, ref.stamp_ns, off_ns[ref]),), raw=cdr)
            (report,) = quarantine_frames(self.store, self.targets, (ref,), {ref.frame_id: judged})
            records.append(self._of_frame(report, report.findings))
        return records

    def of_whole_drive(self, drive_input: DriveInput, findings: Sequence[Finding], frames: pa.Table) -> RecordRow:
        """Of a drive that is quarantined as a whole.

        Its payload is the pinned input: raw objects are never changed and their versions are kept, so a second copy of
        terabytes would hold nothing that the list does not (ADR 0005).
        """
        target = self.targets.quarantined_drive()
        self.store.put(target, json.dumps(json.loads(drive_input.to_bytes()), indent=1, sort_keys=True).encode())
        fates, reasons = frames["fate"].to_pylist(), frames["reason"].to_pylist()
        own = sum(fate == QUARANTINED and reason != FAULTY_OBJECT for fate, reason in zip(fates, reasons, strict=True))
        return record(Level.DRIVE, self.origin, findings, frames=own, payload_uri=target.uri)

    def of_released_objects(self) -> list[RecordRow]:
        """Of objects that rules had kept out, in key order."""
        records = []
        for key, found in sorted(self.inspection.object_findings.items()):
            report = self.inspection.objects.get(key)
            version_id = None if report is None else report.version_id
            override = self.decisions.released.get(object_target(key, version_id))
            if override is None or key in self.inspection.faulty_keys:
                continue
            findings, position = as_judged(found, override), Position(key, version_id)
            made = record(Level.OBJECT, self.origin, findings, frames=0, sensor=findings[0].sensor, position=position)
            records.append(decided(made, override, RELEASED))
        return records

    def of_released_in(self, built: Built, anchor_sensor: str) -> list[RecordRow]:
        """Of the drive, if it was built only because a reviewer released it, and of its released frames and scenes."""
        records = self._of_released_drive()
        for frame in built.released_frames:
            override = self.decisions.released[frame_target(frame.sensor, frame.stamp_ns)]
            records.append(decided(self._of_frame(frame, as_judged(frame.findings, override)), override, RELEASED))
        for scene in built.scenes:
            if scene.released and not scene.quarantined:
                override = self.decisions.released[scene_target(scene.anchor_ns)]
                findings = as_judged(scene.findings, override)
                made = record(Level.SCENE, self.origin, findings, frames=0, sensor=anchor_sensor, anchor_ns=scene.anchor_ns)
                records.append(decided(made, override, RELEASED))
        return records

    def _of_released_drive(self) -> list[RecordRow]:
        override: Override | None = self.decisions.released.get(DRIVE)
        if override is None or not self.inspection.findings:
            return []
        judged = as_judged(self.inspection.findings, override)
        about = [found for found in judged if rule(found.rule_id).level is Level.DRIVE]
        return [decided(record(Level.DRIVE, self.origin, about, frames=0), override, RELEASED)]

    def _of_frame(self, frame: FrameReport, findings: Sequence[Finding]) -> RecordRow:
        version_id = self.inspection.objects[frame.key].version_id
        return record(
            Level.OBJECT,
            self.origin,
            findings,
            frames=1,
            sensor=frame.sensor,
            stamp_ns=frame.stamp_ns,
            position=Position(frame.key, version_id, frame.offset, frame.message_offset),
            payload_uri=frame.payload_uri,
        )
