"""What the audit looks at, as plain values: the raw bucket, the ledger, the tables, the quarantine bucket."""

from __future__ import annotations

from dataclasses import dataclass

from ops.audit.accounting import Frames


@dataclass(frozen=True, slots=True)
class RawObject:
    """One version in the raw bucket; `drive` is None for a key outside the landing layout.

    `latest` is False for a version that a later one of the same key replaced: the ledger follows the latest.
    """

    key: str
    version_id: str
    drive: str | None
    latest: bool = True


@dataclass(frozen=True, slots=True)
class LedgerObject:
    """What the ledger says of one version."""

    key: str
    version_id: str
    state: str


@dataclass(frozen=True, slots=True)
class LedgerDrive:
    """What the ledger says of one drive. `rules` are those that its last run names as warnings."""

    drive: str
    state: str
    revision: str
    rules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ObjectFrames:
    """Frames of one raw object: as its manifest declares them, or as `gold.frames` holds them."""

    drive: str
    key: str
    frames: int


@dataclass(frozen=True, slots=True)
class Scene:
    """One row of `gold.scenes`."""

    scene_id: str
    drive: str
    revision: str


@dataclass(frozen=True, slots=True)
class Held:
    """How many distinct frames of a sensor the scenes of a drive revision hold."""

    drive: str
    revision: str
    sensor: str
    frames: int


@dataclass(frozen=True, slots=True)
class Record:
    """One row of `quarantine.records`; `frames` is how many frames it keeps out of gold."""

    record_id: str
    level: str
    drive: str
    revision: str
    frames: int
    payload_uri: str | None
    source_key: str | None


@dataclass(frozen=True, slots=True)
class BatchRef:
    """One publication, as the snapshots of `gold.scenes` tell it."""

    drive: str
    revision: str
    generation: int
    snapshot_id: int


@dataclass(frozen=True, slots=True)
class AuditInputs:
    """Everything the audit looks at, read once. `payloads`: URIs of all objects in the quarantine bucket."""

    raw: tuple[RawObject, ...] = ()
    ledger_objects: tuple[LedgerObject, ...] = ()
    ledger_drives: tuple[LedgerDrive, ...] = ()
    declared: tuple[ObjectFrames, ...] = ()
    indexed: tuple[ObjectFrames, ...] = ()
    frames: tuple[Frames, ...] = ()
    scenes: tuple[Scene, ...] = ()
    held: tuple[Held, ...] = ()
    records: tuple[Record, ...] = ()
    payloads: frozenset[str] = frozenset()
    batches: tuple[BatchRef, ...] = ()
