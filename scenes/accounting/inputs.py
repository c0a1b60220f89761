"""What an audit knows of one drive, from four sources: the raw bucket, the ledger, the tables and the quarantine bucket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lake.tables.schemas import QUARANTINED
from scenes.accounting.account import Frames


@dataclass(frozen=True, slots=True)
class RawObject:
    """One version in the raw bucket.

    `latest` is False for a version that a later one of the same key replaced: the ledger follows the latest. `landed_ns`: time of
    its upload by the clock of S3, which has whole seconds.
    """

    key: str
    version_id: str
    latest: bool = True
    landed_ns: int = 0


@dataclass(frozen=True, slots=True)
class LedgerObject:
    """One version in the ledger."""

    key: str
    version_id: str
    state: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LedgerDrive:
    """The drive in the ledger. `rules`: every rule that its last run found violated, warnings included."""

    state: str
    revision: str
    rules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ObjectFrames:
    """Frames of one raw object: as its manifest declares them, or as `gold.frames` holds them."""

    key: str
    frames: int


@dataclass(frozen=True, slots=True)
class GoldScene:
    """One row of `gold.scenes`."""

    scene_id: str
    revision: str


@dataclass(frozen=True, slots=True)
class Held:
    """How many distinct frames of a sensor the scenes of a revision hold."""

    revision: str
    sensor: str
    frames: int


@dataclass(frozen=True, slots=True)
class KeptOut:
    """One row of `quarantine.records`; `frames` is how many frames it keeps out of gold."""

    record_id: str
    revision: str
    frames: int
    payload_uri: str | None
    source_key: str | None
    level: str = "object"
    rule_ids: tuple[str, ...] = ()
    status: str = QUARANTINED


@dataclass(frozen=True, slots=True)
class BatchRef:
    """One publication, from `gold.drives`, with the rows that it added; None where an older lake does not say."""

    revision: str
    generation: int
    scenes: int | None = None
    frames: int | None = None
    records: int | None = None


@dataclass(frozen=True, slots=True)
class DriveInputs:
    """Everything that the four sources hold of one drive.

    `as_of_ns`: what landed at this time or later is not part of the statement. `ledger`: None where the ledger has no such drive.
    `payloads`: those URIs of its records' copies that exist. `unreadable`: data files of its rows that cannot be read.
    """

    drive: str
    as_of_ns: int = 2**63 - 1
    raw: tuple[RawObject, ...] = ()
    ledger: LedgerDrive | None = None
    ledger_objects: tuple[LedgerObject, ...] = ()
    declared: tuple[ObjectFrames, ...] = ()
    indexed: tuple[ObjectFrames, ...] = ()
    frames: tuple[Frames, ...] = ()
    scenes: tuple[GoldScene, ...] = ()
    held: tuple[Held, ...] = ()
    records: tuple[KeptOut, ...] = ()
    payloads: frozenset[str] = frozenset()
    batches: tuple[BatchRef, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def arriving(self) -> tuple[str, ...]:
        """Keys of objects that landed during the audit and are not in the ledger yet."""
        states = states_of(self.ledger_objects)
        return tuple(entry.key for entry in self.raw if state_of(entry, states, self.as_of_ns) == "arriving")


def states_of(objects: Iterable[LedgerObject]) -> dict[tuple[str, str], str]:
    """The state of each object version, by key and version id."""
    return {(entry.key, entry.version_id): entry.state for entry in objects}


def state_of(entry: RawObject, states: Mapping[tuple[str, str], str], as_of_ns: int) -> str:
    """The ledger's state of a raw object; where it has none, why it may lack one: replaced, arriving or unknown."""
    known = states.get((entry.key, entry.version_id))
    if known is not None:
        return known
    if not entry.latest:
        return "replaced"
    return "arriving" if entry.landed_ns >= as_of_ns else "unknown"
