"""What rules that look beyond one window have found in it: the driver leaves it, the worker that builds the window reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from quality.rules.findings import Finding
from scenes.work_area import WorkArea

Findings = Mapping[int, tuple[Finding, ...]]


@dataclass(frozen=True, slots=True)
class WindowFindings:
    """Findings by frame id and by scene (row of the plan); each tuple is sorted and not empty."""

    frames: Findings = field(default_factory=dict)
    scenes: Findings = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.frames or self.scenes)

    def of_frame(self, frame_id: int) -> tuple[Finding, ...]:
        """Those of one frame."""
        return self.frames.get(frame_id, ())

    def of_scene(self, scene: int) -> tuple[Finding, ...]:
        """Those of one scene."""
        return self.scenes.get(scene, ())

    def leave(self, area: WorkArea, number: int) -> None:
        """Write them for window `number`."""
        area.write_json(_name(number), {"frames": _document(self.frames), "scenes": _document(self.scenes)})

    @classmethod
    def read(cls, area: WorkArea, number: int) -> Self:
        """Read what `leave` wrote.

        Raises:
            WorkAreaError: Nothing was left for this window.
        """
        document = area.read_json(_name(number))
        return cls(_findings(document["frames"]), _findings(document["scenes"]))


def _name(number: int) -> str:
    return f"plan/{number:05d}-findings.json"


def _document(findings: Findings) -> dict[str, Any]:
    return {str(key): [entry.to_dict() for entry in found] for key, found in findings.items()}


def _findings(document: Mapping[str, Any]) -> Findings:
    return {int(key): tuple(Finding.from_dict(entry) for entry in found) for key, found in document.items()}
