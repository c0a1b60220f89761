"""Collects the facts of a drive for a report, from the lake and the quarantine bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lake.errors import LakeError
from lake.landing import DriveId
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.rows import RecordRow, SceneFields
from ops.audit import lake_reader
from ops.report import chart, picture
from ops.report.facts import DriveReport, Histogram, PresenceTimeline, RecordView, RuleCount, SceneView
from ops.report.motion import EgoMotion
from ops.report.scene import rig_of, scene_view
from ops.report.validations import calibration
from scenes.accounting.account import Line
from sensors.rig import Rig

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

EXAMPLES = 6
NO_SENTENCE = "This rule is not in the catalogue of this version."


def drive_facts(catalog: Catalog, store: ObjectStore, drive: DriveId, state: str, revision: str, note: str) -> DriveReport:
    """Everything that the report shows of a drive."""
    scenes = lake_reader.scene_facts(catalog, drive)
    found = lake_reader.matches(catalog, drive)
    records = lake_reader.records(catalog, drive)
    rig = rig_of(catalog, scenes)
    lines = lake_reader.accounting(catalog, drive)
    return DriveReport(
        drive=str(drive),
        revision=revision,
        state=state,
        note=note,
        scenes=len(scenes),
        incomplete=sum(not row.complete for row in scenes),
        lines=lines,
        histograms=_histograms(found, rig),
        timeline=_timeline(scenes, found, lines, rig),
        views=_views(catalog, scenes),
        reasons=reasons(records),
        examples=tuple(_example(store, row) for row in _different(records)),
        calibration=calibration(lake_reader.publications(catalog, drive), store, drive),
    )


def reasons(records: Sequence[RecordRow]) -> tuple[RuleCount, ...]:
    """How often each rule is in the records, errors first, most frequent first, with the sentence of the catalogue."""
    counts: Counter[str] = Counter()
    frames: Counter[str] = Counter()
    for row in records:
        for rule_id in row.rule_ids:
            counts[rule_id] += 1
            frames[rule_id] += row.frames
    found = [RuleCount(rule_id, *_known(rule_id), count, frames[rule_id]) for rule_id, count in counts.items()]
    return tuple(sorted(found, key=lambda reason: (reason.severity == "warning", -reason.records, reason.rule_id)))


def pick(scenes: Sequence[SceneFields]) -> tuple[str, ...]:
    """The scenes to draw: one complete from the middle of the drive, and one incomplete if there is any."""
    complete = [row.scene_id for row in scenes if row.complete]
    incomplete = [row.scene_id for row in scenes if not row.complete]
    return tuple(group[len(group) // 2] for group in (complete, incomplete) if group)


def _views(catalog: Catalog, scenes: Sequence[SceneFields]) -> tuple[SceneView, ...]:
    motion = EgoMotion(scenes)
    rows = (lake_reader.scene(catalog, scene_id) for scene_id in pick(scenes))
    return tuple(scene_view(row, motion) for row in rows if row is not None)


def _histograms(found: lake_reader.SceneMatches, rig: Rig | None) -> tuple[Histogram, ...]:
    made = []
    for (_, sensor), residuals_ns in lake_reader.residuals(found).items():
        known = rig is not None and sensor in rig
        tolerance_ns = rig[sensor].sync.tolerance_ns if rig is not None and known else None
        if rig is None or sensor != rig.reference:
            made.append(chart.histogram(sensor, residuals_ns, tolerance_ns))
    return tuple(sorted((entry for entry in made if entry is not None), key=lambda entry: entry.sensor))


def _timeline(
    scenes: Sequence[SceneFields], found: lake_reader.SceneMatches, lines: Sequence[Line], rig: Rig | None
) -> PresenceTimeline | None:
    held = set(zip(found.scene_id, found.sensor, strict=True))
    in_rig = {sensor.name for sensor in rig.sensors if sensor.modality.in_scene} if rig is not None else set()
    order = [line.sensor for line in lines if line.sensor in in_rig]
    order += sorted(in_rig - set(order))
    ids = [row.scene_id for row in scenes]
    masks = [(sensor, np.array([(scene_id, sensor) in held for scene_id in ids], dtype=np.bool_)) for sensor in order]
    return chart.timeline(np.array([row.anchor_ns for row in scenes], dtype=np.int64), masks)


def _different(records: Sequence[RecordRow]) -> list[RecordRow]:
    chosen: dict[tuple[str, str | None, tuple[str, ...]], RecordRow] = {}
    for row in records:
        chosen.setdefault((row.level, row.sensor, row.rule_ids), row)
    return list(chosen.values())[:EXAMPLES]


def _example(store: ObjectStore, row: RecordRow) -> RecordView:
    source = row.source
    offset = "" if source.offset is None else f", byte {source.offset}"
    raw = _damaged_image(store, row.payload_uri) if row.stamp_ns is not None else None
    return RecordView(
        record_id=row.record_id,
        level=row.level,
        sensor=row.sensor or "",
        stamp_ns=row.stamp_ns,
        rule_ids=row.rule_ids,
        messages=tuple(dict.fromkeys(finding.message for finding in row.findings)),
        source="" if source.key is None else f"{source.key} (version {source.version_id}{offset})",
        raw=None if raw is None else raw[0],
        media_type="" if raw is None else raw[1],
    )


def _damaged_image(store: ObjectStore, uri: str | None) -> tuple[bytes, str] | None:
    if uri is None:
        return None
    target = ObjectVersion.from_uri(uri)
    try:
        size = store.size(target)
        if size is None or not 0 < size <= picture.MAX_RAW_BYTES:
            return None
        body = store.read(target)
    except LakeError:
        return None  # the audit reports missing copies; the report is still right without this picture
    return picture.find_image(body)


def _known(rule_id: str) -> tuple[str, str]:
    """Sentence and severity of a rule."""
    from quality.errors import UnknownRuleError
    from quality.rules.catalogue import rule

    try:
        return rule(rule_id).sentence, rule(rule_id).severity.value
    except UnknownRuleError:
        return NO_SENTENCE, "error"
