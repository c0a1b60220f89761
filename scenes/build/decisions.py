"""Applies reviewers' decisions: to objects and the drive when they are judged, to frames and scenes as they are built."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec.structs import replace as changed

from lake.overrides import DRIVE, NONE, Decisions, Override, frame_target, object_target, scene_target
from lake.tables.rows import Release
from quality.decisions import NOT_RELEASABLE, reject, release
from quality.evaluators.scene import SceneVerdict
from quality.rules.catalogue import Level, Severity
from quality.rules.findings import Finding, has_errors, rule_ids
from scenes.build.frames import JudgedFrame
from scenes.documents import FrameReport
from scenes.plan.window_table import FrameRef


def reviewed_objects(
    findings: Mapping[str, tuple[Finding, ...]], versions: Mapping[str, str], decisions: Decisions
) -> dict[str, tuple[Finding, ...]]:
    """Findings by key, after the decisions about objects; `versions` holds the version id of every object that was read."""
    judged = {}
    for key in sorted({*findings, *versions}):
        target = object_target(key, versions.get(key))
        found = release(findings.get(key, ()), decisions.released.get(target))
        judged[key] = reject(found, decisions.rejected.get(target), Level.OBJECT, sensor=_sensor(key))
    return {key: found for key, found in judged.items() if found}


def reviewed_drive(findings: Iterable[Finding], decisions: Decisions) -> tuple[Finding, ...]:
    """The findings on a drive, after the decision about it."""
    return reject(release(findings, decisions.released.get(DRIVE)), decisions.rejected.get(DRIVE), Level.DRIVE)


def drive_released_from(decisions: Decisions, code: str) -> bool:
    """Whether the drive was released from a rule."""
    override = decisions.released.get(DRIVE)
    return override is not None and code in override.rules and code not in NOT_RELEASABLE


def as_judged(findings: Iterable[Finding], override: Override) -> list[Finding]:
    """The findings with the severity that released ones had before the release."""
    return [changed(found, override=Severity.ERROR) if found.rule_id in override.rules else found for found in findings]


@dataclass(frozen=True, slots=True)
class _Released:
    rules: tuple[str, ...]
    override: Override
    target: str

    def release(self, level: str) -> Release:
        """As a scene that it admits holds it."""
        return Release(
            level=level,
            about=self.target,
            rule_ids=self.rules,
            reviewer=self.override.reviewer,
            reason=self.override.reason,
        )


class WindowDecisions:
    """The decisions about the frames and scenes of one window, and their effect."""

    def __init__(self, decisions: Decisions = NONE, versions: Mapping[str, str] | None = None) -> None:
        self._decisions, self._versions = decisions, versions or {}
        self._frames: dict[int, _Released] = {}

    def frame(self, ref: FrameRef, found: JudgedFrame, cdr: memoryview) -> JudgedFrame:
        """A frame after the decision about it: a released frame is good if it decodes, a rejected one is bad."""
        target = frame_target(ref.sensor, ref.stamp_ns)
        override, rejected = self._decisions.released.get(target), self._decisions.rejected.get(target)
        if override is None and rejected is None:
            return found
        findings = release(found.findings, override)
        rules = _difference(found.findings, findings)
        findings = reject(findings, rejected, Level.OBJECT, sensor=ref.sensor)
        if override is not None and rules:
            self._frames[ref.frame_id] = _Released(rules, override, target)
        if not rules and len(findings) == len(found.findings):
            return found
        return replace(found, findings=findings, raw=cdr if has_errors(findings) else None)

    def scene(
        self, verdict: SceneVerdict, anchor_ns: int, anchor_sensor: str, used: Sequence[FrameRef], keys: Collection[str]
    ) -> tuple[SceneVerdict, tuple[Release, ...]]:
        """A scene's verdict after the decisions about it, and the releases that admitted it or a part of it.

        `used`: the frames that the scene holds; `keys`: all objects that it is built from.
        """
        if not self._decisions:
            return verdict, ()
        target = scene_target(anchor_ns)
        override = self._decisions.released.get(target)
        findings = release(verdict.findings, override, anchor_sensor=anchor_sensor)
        rules = _difference(verdict.findings, findings)
        findings = reject(findings, self._decisions.rejected.get(target), Level.SCENE, sensor=anchor_sensor)
        released = [_Released(rules, override, target).release("scene")] if override is not None and rules else []
        seen = dict.fromkeys(ref.frame_id for ref in used)
        released += [self._frames[frame_id].release("frame") for frame_id in seen if frame_id in self._frames]
        released += self._wider(keys)
        flags = sorted({*rule_ids(findings, Severity.WARNING), *(code for one in released for code in one.rule_ids)})
        return SceneVerdict(has_errors(findings), findings, tuple(flags)), tuple(released)

    def _wider(self, keys: Iterable[str]) -> list[Release]:
        """Releases of the objects that a scene is built from, and of its drive."""
        targets = [("object", object_target(key, self._versions.get(key))) for key in sorted(keys)]
        releases = []
        for level, target in (*targets, ("drive", DRIVE)):
            override = self._decisions.released.get(target)
            rules = () if override is None else tuple(code for code in override.rules if code not in NOT_RELEASABLE)
            if override is not None and rules:
                releases.append(_Released(rules, override, target).release(level))
        return releases

    def released_frames(self, refs: Iterable[FrameRef], frames: Mapping[int, JudgedFrame]) -> tuple[FrameReport, ...]:
        """The frames that are in scenes only because they were released, by frame, for the records."""
        return tuple(
            frames[ref.frame_id].report(ref)
            for ref in sorted(set(refs))
            if ref.frame_id in self._frames and not frames[ref.frame_id].bad
        )


def _difference(before: Iterable[Finding], after: Iterable[Finding]) -> tuple[str, ...]:
    """The rules whose errors became warnings."""
    kept = set(rule_ids(after, Severity.ERROR))
    return tuple(code for code in rule_ids(before, Severity.ERROR) if code not in kept)


def _sensor(key: str) -> str:
    return key.split("/")[3]
