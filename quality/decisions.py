"""The effect of reviewers' decisions on findings: a release turns errors into warnings, a rejection is a finding of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec.structs import replace

from lake.errors import OverrideError
from lake.overrides import DRIVE, Override, Verdict, frame_target, object_target, scene_target, subject
from lake.tables.rows import RecordFields, RecordFinding, RecordRow
from quality.records import REJECTED, RELEASED
from quality.rules.catalogue import Level, Severity
from quality.rules.findings import Finding, finding, has_errors

_ABSENT = "there is nothing to admit"
_DEFECT = "this is a defect of the pipeline, not a property of the data"

NOT_RELEASABLE = MappingProxyType(
    {
        "KEY001": "the object was never opened; put it under a key of the landing layout",
        "CMP001": _ABSENT,
        "CMP002": "without a manifest nobody says what belongs to the drive; land one, which makes a new revision",
        "CAL001": "scenes cannot be built without a calibration that fits; land one, which makes a new revision",
        "DEC003": _ABSENT,
        "DEC004": f"its messages are not what the sensor records: {_ABSENT}; correct the recorder, or the key of the object",
        "DEC008": "which of its messages the sensor recorded is not known; correct the recorder, or the key of the object",
        "DEC005": f"what does not decode cannot be put into a scene: {_ABSENT}",
        "DEC006": f"what does not decode cannot be put into a scene: {_ABSENT}",
        "DEC007": f"what does not decode cannot be put into a scene: {_ABSENT}",
        "CLK011": f"nobody knows when it was measured, and so in which scene it belongs: {_ABSENT}",
        "SYN004": _DEFECT,
        "ACC001": _DEFECT,
        "ACC002": _DEFECT,
    }
)
_REJECTION = {Level.OBJECT: "REV001", Level.DRIVE: "REV002", Level.SCENE: "REV003"}


def record_target(record: RecordFields) -> str:
    """The target of a record, as decisions name it.

    Raises:
        OverrideError: The record lacks the column that names it: a scene its anchor, a frame its sensor, an object its key.
    """
    if record.level == Level.DRIVE.value:
        return DRIVE
    if record.level == Level.SCENE.value:
        if record.anchor_ns is not None:
            return scene_target(record.anchor_ns)
    elif record.stamp_ns is not None:
        if record.sensor is not None:
            return frame_target(record.sensor, record.stamp_ns)
    elif record.source.key is not None:
        return object_target(record.source.key, record.source.version_id)
    raise OverrideError(f"record {record.record_id} of level {record.level} does not name what it is about")


def error_rules(record: RecordFields) -> tuple[str, ...]:
    """The rules that keep a record out of gold, sorted; all of its rules for an old record without severities."""
    return tuple(sorted({found.rule_id for found in record.findings if _is_error(found)}))


def why_not_releasable(record: RecordFields) -> str | None:
    """Why a record cannot be released, with the rules concerned; None if it can."""
    for found in record.findings:
        code = found.rule_id
        if code in NOT_RELEASABLE and _is_error(found):
            return f"{code}: {NOT_RELEASABLE[code]}"
        if code == "SYN001" and record.level == Level.SCENE.value and found.sensor == record.sensor:
            return f"{code}: the scene's own anchor frame is not usable: {_ABSENT}"
    return None


def _is_error(found: RecordFinding) -> bool:
    return found.severity in (None, Severity.ERROR.value)


def release(findings: Iterable[Finding], override: Override | None, *, anchor_sensor: str | None = None) -> tuple[Finding, ...]:
    """The findings with every error that `override` covers as a warning, sorted.

    An error of a rule that cannot be released stays one, and so does SYN001 of `anchor_sensor`.
    """
    if override is None:
        return tuple(sorted(findings))
    return tuple(sorted(_released(found, override, anchor_sensor) for found in findings))


def _released(found: Finding, override: Override, anchor_sensor: str | None) -> Finding:
    anchorless = found.rule_id == "SYN001" and anchor_sensor is not None and found.sensor == anchor_sensor
    covered = found.severity is Severity.ERROR and found.rule_id in override.rules
    if not covered or anchorless or found.rule_id in NOT_RELEASABLE:
        return found
    return replace(found, override=Severity.WARNING)


def reject(
    findings: Iterable[Finding], override: Override | None, level: Level, *, sensor: str | None = None
) -> tuple[Finding, ...]:
    """The findings and, where no rule keeps out what `override` rejects, the rejection as an error; sorted."""
    found = tuple(sorted(findings))
    if override is None or has_errors(found):
        return found
    message = f"rejected by {override.reviewer}: {override.reason}"
    return tuple(sorted([*found, finding(_REJECTION[level], message, sensor=sensor, measured=1, severity=Severity.ERROR)]))


def decided(record: RecordRow, override: Override, status: str) -> RecordRow:
    """A record with the decision about it; a released one keeps nothing out of gold."""
    frames = 0 if status == RELEASED else record.frames
    return replace(record, status=status, frames=frames, reviewer=override.reviewer, reason=override.reason)


def with_rejections(records: Iterable[RecordRow], rejected: Mapping[str, Override]) -> list[RecordRow]:
    """The records, each with the rejection that applies to it."""
    judged = ((record, rejected.get(subject(record_target(record)))) for record in records)
    return [record if override is None else decided(record, override, REJECTED) for record, override in judged]


def overrides_for(records: Iterable[RecordFields], verdict: Verdict, reviewer: str, reason: str) -> list[Override]:
    """One override for each set of rules among the records of one drive, in a stable order.

    Raises:
        OverrideError: The reviewer, the reason or the number of records is outside its bounds, or a record does not name what it
            is about.
    """
    about: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for record in records:
        about.setdefault((record.base or "", error_rules(record)), set()).add(record_target(record))
    return [Override(verdict, base, tuple(targets), rules, reviewer, reason) for (base, rules), targets in sorted(about.items())]
