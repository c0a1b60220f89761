"""The three suites of the audit, compiled from the catalogue: of a drive's sensors, of its objects, of its scenes.

Objects and scenes that are kept out of gold are expected to fail their rules; those that are to be published must not. So an
error in the suites of objects and scenes contradicts the pipeline's split (ACC002); the suite of sensors judges the drive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import pyarrow as pa

import quality.tables.object as objects
import quality.tables.scene as scenes
from quality.measurements.rule_measures import MEASURES, Measure, Scope
from quality.rules.catalogue import Severity
from quality.rules.rulebook import RuleBook
from quality.tables.audit_metrics import AUDIT, CRITICAL, MATCHED, TOLERANCES, UNACCOUNTED
from sensors.policy import DEFAULT_POLICY, Policy

_SCOPE_COLUMN = {Scope.REFERENCE: "reference", Scope.REQUIRED: CRITICAL}
_PUBLISHED = ((objects.QUARANTINED, False),)  # the same column in both tables


class ExpectationKind(StrEnum):
    """What an expectation asks of a value: to be within the limit (a missing one is ignored), or to be known."""

    BOUND = "bound"
    KNOWN = "known"


class Statistic(StrEnum):
    """The compared statistic of a column: each value, or the mean."""

    EACH = "each"
    MEAN = "mean"


@dataclass(frozen=True, slots=True)
class ColumnCheck:
    """One rule at one severity: the column it judges, and the boolean columns that must have these values in a row.

    `limit` replaces the rule's threshold where the column holds the excess over it. `kinds`: what is asked of each value.
    """

    code: str
    column: str
    severity: Severity
    where: tuple[tuple[str, bool], ...] = ()
    with_frames_only: bool = False
    statistic: Statistic = Statistic.EACH
    limit: float | None = None
    kinds: tuple[ExpectationKind, ...] = tuple(ExpectationKind)


@dataclass(frozen=True, slots=True)
class Suite:
    """The checks of one metric table; `subject` is the column that names a row, `filled` the rule that an empty table fails."""

    name: str
    schema: pa.Schema
    subject: str
    checks: tuple[ColumnCheck, ...]
    filled: str | None = None


def drive_suite(rules: RuleBook) -> Suite:
    """The suite of a drive's sensors, rows of `quality.tables.audit_metrics.AUDIT`: all measures, accounting, residuals."""
    checks = (
        *(check for measure in MEASURES for check in _of_measure(measure, rules)),
        ColumnCheck("ACC001", UNACCOUNTED, Severity.ERROR),
        ColumnCheck("SYN004", TOLERANCES, Severity.ERROR, ((MATCHED, True),)),
    )
    return Suite("drive", AUDIT, "sensor", checks, filled="CMP003")


def object_suite(rules: RuleBook, *, compared: bool = True) -> Suite:
    """The suite of its objects, rows of `quality.tables.object.OBJECTS`; `compared`: with a manifest."""
    checks = tuple(
        ColumnCheck(measure.code, measure.column, rules.severity(measure.code), _PUBLISHED)
        for measure in objects.OBJECT_MEASURES
        if compared or measure.code not in ("DEC001", "CMP004")
    )
    return Suite("objects", objects.OBJECTS, "key", checks)


def scene_suite(rules: RuleBook, policy: Policy = DEFAULT_POLICY) -> Suite:
    """The suite of its scenes, rows of `quality.tables.scene.SCENE_METRICS`, under a rig's `policy` for incomplete ones."""
    lenient = Severity.WARNING if policy.publish_incomplete else Severity.ERROR
    posed = Severity.ERROR if policy.pose_required else Severity.WARNING
    checks = (
        ColumnCheck("CMP006", scenes.WHOLE, rules.severity("CMP006"), statistic=Statistic.MEAN),
        ColumnCheck("SYN001", scenes.ANCHOR_MISSING, Severity.ERROR, _PUBLISHED),
        ColumnCheck("SYN001", scenes.REQUIRED_MISSING, lenient, _PUBLISHED),
        ColumnCheck("SYN002", scenes.RESIDUAL_EXCESS, rules.severity("SYN002"), _PUBLISHED, limit=0),
        ColumnCheck("SYN003", scenes.COMPENSATIONS, rules.severity("SYN003"), _PUBLISHED),
        ColumnCheck("POS001", scenes.POSES, posed, _PUBLISHED),
        *(ColumnCheck(code, scenes.count_column(code), Severity.WARNING, _PUBLISHED, limit=0) for code in scenes.COUNTED),
        ColumnCheck("ACC002", scenes.ERRORS, Severity.ERROR, _PUBLISHED),
    )
    return Suite("scenes", scenes.SCENE_METRICS, "scene_id", checks)


def _of_measure(measure: Measure, rules: RuleBook) -> Iterator[ColumnCheck]:
    warning = ColumnCheck(
        measure.code, measure.column, rules.severity(measure.code, Severity.WARNING), with_frames_only=not measure.silent
    )
    if measure.scope is Scope.NONE:
        yield warning
        return
    column, kinds = _SCOPE_COLUMN[measure.scope], tuple(ExpectationKind)
    if measure.unknown_warns:
        kinds = (ExpectationKind.BOUND,)
        yield replace(warning, kinds=(ExpectationKind.KNOWN,))
    yield replace(warning, severity=rules.severity(measure.code, Severity.ERROR), where=((column, True),), kinds=kinds)
    if not measure.only_scope:
        yield replace(warning, where=((column, False),), kinds=kinds)
