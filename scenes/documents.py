"""The documents that one step of a drive leaves for another: frozen, versioned types, and the codec that reads and writes them.

    Inspection         inspect       ▸ build_scenes, audit    `inspection.json` WindowFindings     build_scenes  ▸ its
    workers            `plan/NNNNN-findings.json` WindowReport       its workers   ▸ audit `built/NNNNN-….json` BuiltWindows
    build_scenes  ▸ audit                  `built.json` AuditDocument      audit ▸ publish                `audit.json`
    ValidationResults  audit         ▸ readers of the lake, named by the commit
    DriveStatistics    audit ▸ publish ▸ whoever learns the vehicle's baseline `statistics.json`

A document of another version is refused before anything else of it is read: the drive starts a new attempt, from `inspect`,
in a work area of its own. Raise `VERSION` with every change of a type of the work area.
`ValidationResults` and `DriveStatistics` live as long as the lake and have versions of their own, `VALIDATIONS_VERSION` and
`STATISTICS_VERSION`, which only a change of that type or of its parts raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import msgspec

from quality.accounting import SensorAccount
from quality.errors import QualityError
from quality.evaluators.drive import GateVerdict
from quality.gx.results import SuiteResults
from quality.measurements.residuals import ToleratedResiduals
from quality.rules.findings import Finding
from quality.tables.results import RuleResult
from scenes.errors import DocumentError

VERSION = 4
VALIDATIONS_VERSION = 1
STATISTICS_VERSION = 1
MAX_FRAME_FINDINGS = 1000


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of everything in a document; an unknown field is an error."""


class Document(Part, frozen=True, kw_only=True):
    """Base of the documents. `version` is that of the document, `READS` the only version that this code reads."""

    READS: ClassVar[int] = VERSION

    version: int = VERSION


class AuditVerdict(StrEnum):
    """The audit's decision about a drive."""

    PUBLISH = "publish"
    QUARANTINE = "quarantine"


# ---- inspection ----


class Provenance(Part, frozen=True):
    """The code and configuration that process a drive, read once, where it is inspected.

    `code_version`: the git commit, `+dirty` where the tree differs from it. `config_hash`: hash of everything but code and
    rig that decides what is published. `lock_hash`: hash of the installed distributions and their versions.
    """

    code_version: str
    config_hash: str
    lock_hash: str


class MessageOrigin(Part, frozen=True):
    """Where messages of an object come from; a frame that could not be read, or that the type does not have, is None."""

    topic: str
    message_type: str
    frame_id: str | None
    child_frame_id: str | None
    messages: int


class ObjectReport(Part, frozen=True, kw_only=True):
    """The result of reading one raw object; counts are of frames.

    `number` is its position in the drive's input, `index` the table in the work area that holds its frames. `faults` are the
    messages about its container; `unknown_types` counts the messages of each type unknown to the sensor's modality, `origins`
    the others by topic, type and frame.
    """

    number: int
    key: str
    sensor: str
    version_id: str
    sha256: str
    size_bytes: int
    frames: int
    samples: int
    faults: tuple[str, ...]
    unknown_types: dict[str, int]
    origins: tuple[MessageOrigin, ...]
    index: str


class Inspection(Document, frozen=True, kw_only=True):
    """The result of `inspect`: the objects read, by key, findings on objects by key, on frames, and on the drive.

    `frame_findings`: of frames of sound objects that no scene may hold because of their stamps, the first `MAX_FRAME_FINDINGS`;
    all of them are in `left_out.arrow`. `faulty_keys`: the objects that are quarantined; `released_keys`: those that a reviewer
    released.
    """

    provenance: Provenance
    verdict: GateVerdict
    objects: dict[str, ObjectReport]
    object_findings: dict[str, tuple[Finding, ...]]
    frame_findings: tuple[Finding, ...] = ()
    faulty_keys: tuple[str, ...]
    released_keys: tuple[str, ...]
    findings: tuple[Finding, ...]
    frames: int

    @property
    def size_bytes(self) -> int:
        """Bytes of all objects that were read."""
        return sum(report.size_bytes for report in self.objects.values())


# ---- build ----


class WindowFindings(Document, frozen=True, kw_only=True):
    """Findings in one window by rules that need more than the window, by frame id and by scene (row of the plan).

    Each tuple is sorted and not empty.
    """

    frames: dict[int, tuple[Finding, ...]] = {}
    scenes: dict[int, tuple[Finding, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self.frames or self.scenes)


class SceneReport(Part, frozen=True, kw_only=True):
    """A scene that was built: its sources, and its findings.

    `scene` is its row in the plan. `missing`: sensors. `uncompensated`: lidars whose points are as recorded. `admitted`:
    whether it, or a frame of it, is in gold only because a reviewer released it; `released`: the rules that the scene itself
    was released from. `poses_used_ns`: first and last stamp of each stretch of pose samples that moved points. `residuals_ns`:
    of the matched frames, by sensor. `payload_uri`: the file that holds it, if it is quarantined. `digest`: `lake.digests`.
    """

    scene_id: str
    scene: int
    anchor_ns: int
    quarantined: bool
    complete: bool
    missing: tuple[str, ...]
    has_pose: bool
    uncompensated: tuple[str, ...]
    findings: tuple[Finding, ...]
    admitted: bool
    released: tuple[str, ...]
    poses_used_ns: tuple[tuple[int, int], ...]
    frame_ids: tuple[int, ...]
    residuals_ns: dict[str, int]
    payload_uri: str | None
    digest: str


class FrameReport(Part, frozen=True, kw_only=True):
    """A frame with findings, and the location of its message: byte `offset` of the object, `message_offset` in that chunk.

    `payload_uri`: the copy of a quarantined frame; None for one that a reviewer released.
    """

    frame_id: int
    sensor: str
    stamp_ns: int
    key: str
    offset: int
    message_offset: int
    findings: tuple[Finding, ...]
    payload_uri: str | None = None


class DataFile(Part, frozen=True):
    """A Parquet file of scenes."""

    uri: str
    scenes: int
    size_bytes: int
    sha256: str


class WindowReport(Document, frozen=True, kw_only=True):
    """The result of one window: its scenes in plan order, its quarantined and released frames by id, and its files."""

    number: int
    scenes: tuple[SceneReport, ...]
    quarantined_frames: tuple[FrameReport, ...]
    released_frames: tuple[FrameReport, ...]
    gold: DataFile | None
    quarantined: DataFile | None


class BuiltWindows(Document, frozen=True, kw_only=True):
    """Names of the valid window reports, in plan order, and of those that they replaced.

    `findings`: on the drive, from a comparison of all its frames with the vehicle's baseline. `statistics`: of each sensor's
    signals, by name (`quality.measurements.signal_statistics`).
    """

    windows: tuple[str, ...]
    replaced: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    statistics: dict[str, dict[str, float]] = {}


# ---- audit ----


class AuditDocument(Document, frozen=True, kw_only=True):
    """The audit's decision, and what `publish` will commit.

    `files`: data files by table, `sha256` the digest of each by URI. `content_digest`: of the gold scenes (`lake.digests`).
    `validations`: URI of the `ValidationResults`. `scenes`, `frames`, `records` count rows.
    `quarantined_objects`: URI of their keys (`lake.quarantined_keys`), None without any. `warnings`: rules that flagged the
    drive or an object of it and quarantined nothing. `unused`: URIs of files that this attempt wrote and no table will
    reference.
    """

    provenance: Provenance
    verdict: AuditVerdict
    accounts: tuple[SensorAccount, ...]
    findings: tuple[Finding, ...]
    results: tuple[RuleResult, ...]
    residuals: dict[str, ToleratedResiduals]
    validations: str
    scenes: int
    frames: int
    records: int
    size_bytes: int
    quarantined_objects: str | None
    warnings: tuple[str, ...]
    files: dict[str, tuple[str, ...]]
    sha256: dict[str, str]
    content_digest: str
    unused: tuple[str, ...]


class CalibrationRow(Part, frozen=True, kw_only=True):
    """A row of `quality.tables.calibration.CALIBRATION_CHECKS`: one quantity of a sensor's calibration.

    `error` is declared less measured, `uncertainty` its 95 % half-width, both in `unit`; None if nothing was measured, and
    `reason` says why.
    """

    sensor: str
    quantity: str
    verdict: str
    unit: str
    error: float | None
    uncertainty: float | None
    frames: int
    items: int
    reason: str


class ValidationResults(Document, frozen=True, kw_only=True):
    """The findings of a publication's audit, stored beside the data that they are about.

    `suites`: by name. `validations`: what Great Expectations reports of each, as JSON that `SuiteReport` reads.
    """

    READS: ClassVar[int] = VALIDATIONS_VERSION

    version: int = VALIDATIONS_VERSION
    drive: str
    revision: str
    success: bool
    suites: dict[str, SuiteResults]
    validations: dict[str, msgspec.Raw]
    calibration: tuple[CalibrationRow, ...]


class SensorStatistics(Part, frozen=True, kw_only=True):
    """One sensor over one drive: `values` by name, and the rules, sorted, for which no baseline may be learned from it."""

    sensor: str
    modality: str
    values: dict[str, float]
    suspect: tuple[str, ...]


class DriveStatistics(Document, frozen=True, kw_only=True):
    """A published drive as its vehicle's baseline may be learned from it.

    `first_ns`: its first stamp. `baseline`: SHA-256 of the one that it was compared with itself; None for none.
    """

    READS: ClassVar[int] = STATISTICS_VERSION

    version: int = STATISTICS_VERSION
    vehicle_id: str
    drive_id: str
    revision: str
    first_ns: int
    baseline: str | None
    provenance: Provenance
    sensors: tuple[SensorStatistics, ...]
    calibration: tuple[CalibrationRow, ...]


# ---- codec ----


class _Head(msgspec.Struct):
    version: int | None = None


AnyDocument = TypeVar("AnyDocument", bound=Document)


def encode(document: Document) -> bytes:
    """A document as JSON; equal documents with equally ordered mappings give equal bytes."""
    return msgspec.json.encode(document, enc_hook=_plain)


def decode(body: bytes, kind: type[AnyDocument], place: str) -> AnyDocument:
    """Read a document that `encode` wrote; `place` is its location, for the error message.

    Raises:
        DocumentError: Another or no version, not JSON, or a missing, unknown or wrong field.
    """
    name = kind.__name__
    try:
        found = msgspec.json.decode(body, type=_Head).version
    except msgspec.MsgspecError as error:
        raise DocumentError(f"{place} is damaged: not a document of type {name}: {error}", hint=_HINT) from error
    if found != kind.READS:
        stated = "without a version" if found is None else f"of version {found}"
        raise DocumentError(f"{place} is a document {stated}; this code reads {name} of version {kind.READS}", hint=_HINT)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, QualityError) as error:
        raise DocumentError(f"{place} does not hold a {name} of version {kind.READS}: {error}", hint=_HINT) from error


_HINT = "run the drive again from inspect: a new attempt has a work area of its own"


def _plain(value: Any) -> float:
    if isinstance(value, float):  # numpy's
        return float(value)
    raise TypeError(f"a document cannot hold a {type(value).__name__}")


def merged(frames: Iterable[FrameReport]) -> tuple[FrameReport, ...]:
    """Frames by id, each once: scenes of two windows may use the same one."""
    by_id = {frame.frame_id: frame for frame in frames}
    return tuple(by_id[frame_id] for frame_id in sorted(by_id))
