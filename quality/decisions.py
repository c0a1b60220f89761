"""What a reviewer's decision does to findings: a release turns errors into warnings, a rejection is a finding of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from lake.overrides import DRIVE, Override, Verdict, frame_target, object_target, scene_target, subject
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
        "DEC005": f"what does not decode cannot be put into a scene: {_ABSENT}",
        "DEC006": f"what does not decode cannot be put into a scene: {_ABSENT}",
        "DEC007": f"what does not decode cannot be put into a scene: {_ABSENT}",
        "SYN004": _DEFECT,
        "ACC001": _DEFECT,
        "ACC002": _DEFECT,
    }
)
_REJECTION = {Level.OBJECT: "REV001", Level.DRIVE: "REV002", Level.SCENE: "REV003"}


def record_target(row: Mapping[str, Any]) -> str:
    """What a row of `lake.tables.schemas.RECORDS` is about, as decisions name it."""
    level = row["level"]
    if level == Level.SCENE.value:
        return scene_target(row["anchor_ns"])
    if level == Level.DRIVE.value:
        return DRIVE
    if row["stamp_ns"] is not None:
        return frame_target(row["sensor"], row["stamp_ns"])
    return object_target(row["source"]["key"], row["source"]["version_id"])


def error_rules(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The rules that keep a record out of gold, sorted; all of its rules where an old record does not say which are errors."""
    errors = {found["rule_id"] for found in row["findings"] if found.get("severity") in (None, Severity.ERROR.value)}
    return tuple(sorted(errors))


def why_not_releasable(row: Mapping[str, Any]) -> str | None:
    """Why a record cannot be released, with the rules concerned; None if it can."""
    for found in row["findings"]:
        code = found["rule_id"]
        if code in NOT_RELEASABLE and found.get("severity") in (None, Severity.ERROR.value):
            return f"{code}: {NOT_RELEASABLE[code]}"
        if code == "SYN001" and row["level"] == Level.SCENE.value and found.get("sensor") == row["sensor"]:
            return f"{code}: the scene's own anchor frame is not usable: {_ABSENT}"
    return None


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
    """The findings and, where `override` rejects what no rule keeps out any more, the rejection as an error; sorted."""
    found = tuple(sorted(findings))
    if override is None or has_errors(found):
        return found
    message = f"rejected by {override.reviewer}: {override.reason}"
    return tuple(sorted([*found, finding(_REJECTION[level], message, sensor=sensor, measured=1, severity=Severity.ERROR)]))


def decided(row: Mapping[str, Any], override: Override, status: str) -> dict[str, Any]:
    """A record with the decision about it; one that was released keeps nothing out of gold."""
    frames = 0 if status == RELEASED else row["frames"]
    return {**row, "status": status, "frames": frames, "reviewer": override.reviewer, "reason": override.reason}


def with_rejections(rows: Iterable[Mapping[str, Any]], rejected: Mapping[str, Override]) -> list[dict[str, Any]]:
    """The records, each with the rejection that was decided about it."""
    judged = ((row, rejected.get(subject(record_target(row)))) for row in rows)
    return [dict(row) if override is None else decided(row, override, REJECTED) for row, override in judged]


def overrides_for(rows: Iterable[Mapping[str, Any]], verdict: Verdict, reviewer: str, reason: str) -> list[Override]:
    """One override for each set of rules among the records of one drive, in a stable order.

    Raises:
        OverrideError: The reviewer, the reason, or the number of records is outside its bounds.
    """
    about: dict[tuple[str, tuple[str, ...]], set[str]] = {}
    for row in rows:
        about.setdefault((row["input"], error_rules(row)), set()).add(record_target(row))
    return [Override(verdict, base, tuple(targets), rules, reviewer, reason) for (base, rules), targets in sorted(about.items())]
