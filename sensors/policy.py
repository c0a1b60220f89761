"""A rig's policy for its scenes: the choice of anchors and frames, and which scenes are good enough to publish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

DEFAULT_POSE_BRACKET_NS = 50_000_000


class Matcher(StrEnum):
    """How frames are chosen for an anchor.

    `nearest`: promise P4. `approximate_time`: the sets that ROS `message_filters` would form, for comparison with it.
    """

    NEAREST = "nearest"
    APPROXIMATE_TIME = "approximate_time"


class FrameUse(StrEnum):
    """Whether a frame may serve several anchors (`shared`) or the nearest of them alone (`exclusive`)."""

    SHARED = "shared"
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True, slots=True)
class RuleOverride:
    """A rig's changes to the quality rule `code`: threshold, in the rule's unit, and severity; None leaves it as it is."""

    code: str
    threshold: float | None = None
    severity: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The `policy` of a `calibration.json`.

    `publish_incomplete`: whether a scene that lacks a required sensor is gold (flagged) or quarantined. `pose_required`:
    whether a scene without an interpolated ego pose is quarantined. `pose_bracket_ns`: the widest gap between two pose
    samples that is still interpolated. `keyframe_hz`: how many scenes per second at most, one in each cell of a half-open
    grid that begins at 1970-01-01; None for a scene at every frame of the reference sensor. `motion_compensation`: whether
    points are moved to the anchor's time, where they have times of their own. `rules`: this rig's overrides of quality
    rules, by code; the document's schema says which are allowed, and in what range.
    """

    publish_incomplete: bool = False
    pose_required: bool = False
    pose_bracket_ns: int = DEFAULT_POSE_BRACKET_NS
    keyframe_hz: float | None = None
    matcher: Matcher = Matcher.NEAREST
    frame_use: FrameUse = FrameUse.SHARED
    motion_compensation: bool = True
    rules: tuple[RuleOverride, ...] = ()

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the `policy` object of a document that satisfies its JSON Schema; what it leaves out has its default."""
        default = cls()
        values = {field.name: document.get(field.name, getattr(default, field.name)) for field in fields(cls)}
        rules = tuple(
            RuleOverride(code, entry.get("threshold"), entry.get("severity"))
            for code, entry in sorted(document.get("rules", {}).items())
        )
        chosen = {"matcher": Matcher(values["matcher"]), "frame_use": FrameUse(values["frame_use"])}
        return cls(**values | chosen | {"rules": rules})

    def to_dict(self) -> dict[str, Any]:
        """The `policy` object; `Policy.from_dict` reads it back to an equal policy."""
        document = asdict(self) | {"matcher": self.matcher.value, "frame_use": self.frame_use.value}
        del document["rules"]
        if self.rules:
            document["rules"] = {entry.code: _changes(entry) for entry in self.rules}
        return document


def _changes(override: RuleOverride) -> dict[str, float | str]:
    values = {"threshold": override.threshold, "severity": override.severity}
    return {name: value for name, value in values.items() if value is not None}


DEFAULT_POLICY = Policy()
