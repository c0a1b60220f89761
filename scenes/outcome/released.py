"""Records of what a reviewer let in: they keep nothing out of gold, and say who released it from which rules, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lake.overrides import DRIVE, Decisions, Override, frame_target, object_target, scene_target
from quality.records import RELEASED, Origin, Position, drive_record, frame_record, object_record, scene_record
from quality.review import decided
from quality.rules.catalogue import Level, rule
from quality.rules.findings import Finding
from scenes.build.window_review import as_judged
from scenes.outcome.fates import Built
from scenes.outcome.records import Record

Report = Mapping[str, Any]


def released_objects(origin: Origin, inspection: Report, decisions: Decisions) -> list[Record]:
    """Of objects that rules had kept out, in key order."""
    records = []
    for key, documents in sorted(inspection["object_findings"].items()):
        report = inspection["objects"].get(key)
        version_id = None if report is None else report["version_id"]
        override = decisions.released.get(object_target(key, version_id))
        if override is None or key in inspection["faulty_keys"]:
            continue
        findings = _judged(documents, override)
        made = object_record(origin, findings, sensor=findings[0].sensor, position=Position(key, version_id), frames=0)
        records.append(decided(made, override, RELEASED))
    return records


def released_of_built(origin: Origin, inspection: Report, built: Built, anchor_sensor: str, decisions: Decisions) -> list[Record]:
    """Of the drive, if it was built only because a reviewer let it pass, and of its frames and scenes."""
    return [
        *_of_drive(origin, inspection, decisions),
        *_of_frames(origin, inspection, built, decisions),
        *_of_scenes(origin, built, anchor_sensor, decisions),
    ]


def _of_drive(origin: Origin, inspection: Report, decisions: Decisions) -> list[Record]:
    override = decisions.released.get(DRIVE)
    found = [] if override is None else _judged(inspection["findings"], override)
    if override is None or not found:
        return []
    about = [one for one in found if rule(one.rule_id).level is Level.DRIVE]
    return [decided(drive_record(origin, about, frames=0), override, RELEASED)]


def _of_frames(origin: Origin, inspection: Report, built: Built, decisions: Decisions) -> Iterable[Record]:
    for frame in built.released_frames:
        override = decisions.released[frame_target(frame["sensor"], frame["stamp_ns"])]
        version_id = inspection["objects"][frame["key"]]["version_id"]
        made = frame_record(
            origin,
            _judged(frame["findings"], override),
            sensor=frame["sensor"],
            stamp_ns=frame["stamp_ns"],
            position=Position(frame["key"], version_id, frame["offset"], frame["message_offset"]),
        )
        yield decided(made, override, RELEASED)


def _of_scenes(origin: Origin, built: Built, anchor_sensor: str, decisions: Decisions) -> Iterable[Record]:
    for scene in built.scenes:
        if scene["released"] and not scene["quarantined"]:
            override = decisions.released[scene_target(scene["anchor_ns"])]
            findings = _judged(scene["findings"], override)
            made = scene_record(origin, findings, anchor_sensor=anchor_sensor, anchor_ns=scene["anchor_ns"], frames=0)
            yield decided(made, override, RELEASED)


def _judged(documents: Iterable[Report], override: Override) -> list[Finding]:
    return as_judged(map(Finding.from_dict, documents), override)
