"""The facts of a report, as plain values: the page is rendered from them without a deployment."""

from __future__ import annotations

from dataclasses import dataclass

from scenes.accounting.account import Line
from scenes.accounting.identity import Check
from scenes.documents import CalibrationRow


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure and its limit; `ok` is None if there is no limit."""

    name: str
    value: str
    limit: str = "–"
    ok: bool | None = None


@dataclass(frozen=True, slots=True)
class CameraView:
    """One camera in a scene: its frame, and the frame with lidar points, as JPEG; `note` says why one of them is missing."""

    sensor: str
    offset_ns: int
    residual_ns: int
    image: bytes | None
    projected: bytes | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class SceneView:
    """One scene with its pictures."""

    scene_id: str
    anchor_sensor: str
    anchor_ns: int
    complete: bool
    missing: tuple[tuple[str, str], ...]
    flags: tuple[str, ...]
    birdseye: bytes | None
    cameras: tuple[CameraView, ...]
    detections: int = 0
    polar: tuple[tuple[str, bytes], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordView:
    """One quarantine record; `raw` is a damaged image, shown unchanged."""

    record_id: str
    level: str
    sensor: str
    stamp_ns: int | None
    rule_ids: tuple[str, ...]
    messages: tuple[str, ...]
    source: str
    raw: bytes | None = None
    media_type: str = "image/jpeg"


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often a rule occurs in the records. Only errors keep data out of gold; warnings are listed with them."""

    rule_id: str
    sentence: str
    severity: str
    records: int
    frames: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Signed residuals of one sensor in equal bins over [-span_ns, span_ns]; outliers are in the outermost bins."""

    sensor: str
    span_ns: int
    counts: tuple[int, ...]
    p50_ns: int
    p95_ns: int
    max_ns: int


@dataclass(frozen=True, slots=True)
class PresenceTimeline:
    """Share of scenes that hold each sensor, in equal segments of the drive; a share is in [0, 1]."""

    start_ns: int
    end_ns: int
    scenes: int
    rows: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True, slots=True)
class DriveReport:
    """One drive."""

    drive: str
    revision: str
    state: str
    note: str
    scenes: int
    incomplete: int
    lines: tuple[Line, ...]
    histograms: tuple[Histogram, ...]
    timeline: PresenceTimeline | None
    views: tuple[SceneView, ...]
    reasons: tuple[RuleCount, ...]
    examples: tuple[RecordView, ...]
    calibration: tuple[CalibrationRow, ...] = ()

    @property
    def balanced(self) -> bool:
        """Whether every frame of the drive is accounted for."""
        return all(line.balanced for line in self.lines)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything on the page."""

    title: str
    run: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]
    checks: tuple[Check, ...]
    drives: tuple[DriveReport, ...]

    @property
    def check_groups(self) -> tuple[tuple[str, tuple[Check, ...]], ...]:
        """The checks by name, in their order."""
        names = dict.fromkeys(check.name for check in self.checks)
        return tuple((name, tuple(check for check in self.checks if check.name == name)) for name in names)

    @property
    def lines(self) -> tuple[Line, ...]:
        """The accounting of all drives."""
        return tuple(line for drive in self.drives for line in drive.lines)

    @property
    def balanced(self) -> bool:
        """Whether every check of the audit and every line of the accounting holds."""
        return all(check.ok for check in self.checks) and all(drive.balanced for drive in self.drives)
