"""The ledger's records of objects and drives, as values."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.ledger.detail import RunDetail, decode_detail
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import WorkReason
from lake.drive_input import InputObject
from lake.landing import DriveId

NO_VERSION = "null"


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """S3's metadata of the current version of an object. `version_id` is `NO_VERSION` for what was put into a bucket without
    versioning, which is never registered."""

    key: str
    version_id: str
    size_bytes: int
    etag: str
    last_modified_ns: int


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """The newest observed version of a drive's object and its state.

    `observed_ns` is when this version was first registered; `revision` is the drive revision that gave it its state,
    None while it is pending.
    """

    head: ObjectHead
    state: ObjectState
    observed_ns: int
    revision: str | None = None

    @property
    def key(self) -> str:
        """Key in the raw bucket."""
        return self.head.key

    @property
    def version_id(self) -> str:
        """S3 version id."""
        return self.head.version_id


@dataclass(frozen=True, slots=True)
class ObjectOutcome:
    """The state in which a finished revision left one object version."""

    key: str
    version_id: str
    state: ObjectState


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """An object that was never opened: its key is outside the landing layout."""

    head: ObjectHead
    rule_id: str
    message: str
    payload_uri: str
    observed_ns: int


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A reviewer's decision about one drive: the `number`-th, counted from 1, on the data of `revision` and `generation`.

    `overrides` are `lake.overrides.Override` as strings, with reviewer and reason. `decided_ns` is wall time.
    """

    drive: DriveId
    number: int
    overrides: frozenset[str]
    decided_ns: int
    revision: str
    generation: int


@dataclass(frozen=True, slots=True)
class Requeue:
    """The revision that is to become the drive's current one, and why; `overrides` and `baseline` are those in its input."""

    revision: str
    reason: WorkReason
    manifest_version: str | None
    manifest_fault: str | None
    overrides: frozenset[str] = frozenset()
    baseline: InputObject | None = None


@dataclass(frozen=True, slots=True)
class DriveRecord:
    """A drive in the ledger.

    `generation` grows by one with every new revision. `changes` counts registrations: a writer that saw `changes` and
    `generation` may queue only while neither has moved. `settling`: there may be objects that are in no queued revision.
    `unsent`: the revision's work message may not have been sent yet. `updated_ns` is the time of the last change of state,
    `changed_ns` that of the last new object version. `tries` counts the evaluations that began and have not ended, the last of
    them at `tried_ns`; by `turn_ns` the sweep orders the drives that settle. `detail_json` is how the last run of the
    current revision ended, see `detail`. `overrides` are the decisions in the current revision, `decisions` counts all
    that were ever taken. `baseline` is the version of the vehicle's baseline that the current revision pins.
    """

    drive: DriveId
    state: DriveState = DriveState.LANDING
    revision: str | None = None
    generation: int = 0
    reason: WorkReason | None = None
    changes: int = 0
    created_ns: int = 0
    updated_ns: int = 0
    changed_ns: int = 0
    turn_ns: int = 0
    tried_ns: int = 0
    tries: int = 0
    settling: bool = False
    unsent: bool = False
    attempts: int = 0
    overrides: frozenset[str] = frozenset()
    decisions: int = 0
    manifest_version: str | None = None
    manifest_fault: str | None = None
    baseline: InputObject | None = None
    detail_json: str | None = None

    @property
    def detail(self) -> RunDetail | None:
        """How the last run ended; None before the first. Decoded here, for whoever needs it: a detail that this release cannot
        read must not keep the drive from being registered, queued or swept.

        Raises:
            LedgerError: A newer release wrote it, or it is damaged.
        """
        return None if self.detail_json is None else decode_detail(self.detail_json, self.drive)
