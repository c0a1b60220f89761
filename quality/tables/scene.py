"""The metric table of a drive's scenes: one row for each that was built, with the values that its rules judge.

A rule without a measure of its own here, such as one on a frame's payload, has a column that counts its findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from quality.rules.catalogue import RULES, Level, Severity
from quality.rules.findings import Finding, rule_ids
from quality.tables.object import OBJECT_MEASURES, QUARANTINED
from sensors.rig import Modality, Rig

WHOLE, ERRORS = "whole", "errors"
ANCHOR_MISSING, REQUIRED_MISSING, RESIDUAL_EXCESS = "anchor_missing", "required_missing", "residual_excess_ns"
POSES, COMPENSATIONS = "poses", "compensations"
_MEASURED = {"SYN001", "SYN002", "SYN003", "POS001"}
_OF_WHOLE_OBJECTS = {measure.code for measure in OBJECT_MEASURES} | {"KEY001"}


COUNTED = tuple(
    rule.code for rule in RULES if rule.level is not Level.DRIVE and rule.code not in _MEASURED | _OF_WHOLE_OBJECTS
)  # rules on scenes, or on frames, that have no measure here


def count_column(code: str) -> str:
    """The column that counts findings of rule `code` in a scene."""
    return f"{code.lower()}_findings"


SCENE_METRICS = pa.schema(
    [
        pa.field("scene_id", pa.string(), nullable=False),
        pa.field("anchor_ns", pa.int64(), nullable=False),
        pa.field(QUARANTINED, pa.bool_(), nullable=False),
        pa.field("complete", pa.bool_(), nullable=False),  # no sensor is missing, required or not
        pa.field("frames", pa.int64(), nullable=False),
        pa.field("flags", pa.int64(), nullable=False),  # warnings, by rule
        pa.field(ERRORS, pa.float64(), nullable=False),  # judged by ACC002 where the scene is to be published
        pa.field(WHOLE, pa.float64(), nullable=False),  # 1: every required sensor has a frame; its mean is judged by CMP006
        pa.field(ANCHOR_MISSING, pa.float64(), nullable=False),
        pa.field(REQUIRED_MISSING, pa.float64()),  # besides the anchor; null: unknown whether a required sensor has a frame
        pa.field(RESIDUAL_EXCESS, pa.float64(), nullable=False),  # the largest |residual| less the sensor's warn_residual_ns
        pa.field(POSES, pa.float64()),
        pa.field(COMPENSATIONS, pa.float64()),
        *(pa.field(count_column(code), pa.float64(), nullable=False) for code in COUNTED),
    ]
)


@dataclass(frozen=True, slots=True)
class SceneFacts:
    """The facts about a scene that was built.

    `frames` counts those it holds. `missing`: sensors. `has_pose`, `uncompensated` (lidars): None where it was not evaluated.
    `residuals_ns`: of the matched frames, by sensor.
    """

    scene_id: str
    anchor_ns: int
    quarantined: bool
    complete: bool
    frames: int
    missing: Collection[str]
    has_pose: bool | None
    uncompensated: Collection[str] | None
    residuals_ns: Mapping[str, int]
    findings: Collection[Finding]


def scene_table(scenes: Iterable[SceneFacts], rig: Rig) -> pa.Table:
    """Rows of `SCENE_METRICS` in the order of `scenes`."""
    return pa.Table.from_pylist([_row(scene, rig) for scene in scenes], schema=SCENE_METRICS)


def _row(scene: SceneFacts, rig: Rig) -> dict[str, Any]:
    found = Counter(entry.rule_id for entry in scene.findings)
    missing, required_missing = set(scene.missing), _required_missing(scene, rig)
    anchor_missing = rig.reference in missing
    excess_ns = [abs(value) - rig[name].sync.warn_residual_ns for name, value in scene.residuals_ns.items()]
    return {
        "scene_id": scene.scene_id,
        "anchor_ns": scene.anchor_ns,
        QUARANTINED: scene.quarantined,
        "complete": scene.complete,
        "frames": scene.frames,
        "flags": len(rule_ids(scene.findings, Severity.WARNING)),
        ERRORS: float(sum(entry.severity is Severity.ERROR for entry in scene.findings)),
        WHOLE: float(required_missing == 0 and not anchor_missing),
        ANCHOR_MISSING: float(anchor_missing),
        REQUIRED_MISSING: required_missing,
        RESIDUAL_EXCESS: float(max(excess_ns, default=0)),
        POSES: None if scene.has_pose is None else float(scene.has_pose),
        COMPENSATIONS: _compensations(scene.uncompensated, missing, rig),
        **{count_column(code): float(found[code]) for code in COUNTED},
    }


def _required_missing(scene: SceneFacts, rig: Rig) -> float | None:
    required = {entry.name for entry in rig.sensors if entry.modality.in_scene and entry.sync.required} - {rig.reference}
    if required - set(scene.missing) - set(scene.residuals_ns):
        return None
    return float(len(required & set(scene.missing)))


def _compensations(uncompensated: Collection[str] | None, missing: set[str], rig: Rig) -> float | None:
    if uncompensated is not None:
        return float(not uncompensated)
    lidars = {entry.name for entry in rig.sensors if entry.modality is Modality.LIDAR} - missing
    return None if lidars else 1.0
