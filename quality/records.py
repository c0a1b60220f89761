"""Quarantine records: rows of `lake.tables.schemas.RECORDS`, each about an object, frame, scene or drive kept out of gold."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from msgspec import structs

from lake.documents import content_hash
from lake.landing import DriveId
from lake.tables.rows import RawPosition, RecordFinding, RecordRow
from lake.tables.schemas import QUARANTINED, RECORDS
from quality.errors import FindingError
from quality.rules.catalogue import Level
from quality.rules.findings import Finding, rule_ids

RELEASED, REJECTED = "released", "rejected"


@dataclass(frozen=True, slots=True)
class Origin:
    """Which input of which drive, judged by which code under which configuration.

    `input` is the revision without its overrides; None for a revision that has none.
    """

    drive: DriveId
    revision: str
    code_version: str
    config_hash: str
    input: str | None = None

    @property
    def base(self) -> str:
        """The revision without its overrides."""
        return self.input or self.revision


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the raw bucket the data is; all None for a record about a drive or a scene.

    `offset`: byte in the object (for a message in a chunk, the chunk's). `message_offset` tells messages of one chunk apart;
    it is part of the record's identity and not a column.
    """

    key: str | None = None
    version_id: str | None = None
    offset: int | None = None
    message_offset: int | None = None


NOWHERE = Position()


def record_id(
    level: Level,
    origin: Origin,
    rules: Sequence[str],
    *,
    sensor: str | None = None,
    anchor_ns: int | None = None,
    stamp_ns: int | None = None,
    position: Position = NOWHERE,
) -> str:
    """SHA-256 (hex) of what the record is about, as canonical JSON, so that no two field values can run together.

    Neither code version, nor configuration, nor a decision of a reviewer counts: the same fault found again in the same data
    is the same record.
    """
    return content_hash(
        {
            "level": level.value,
            "vehicle_id": origin.drive.vehicle_id,
            "drive_id": origin.drive.drive_id,
            "revision": origin.base,
            "sensor": sensor,
            "anchor_ns": anchor_ns,
            "stamp_ns": stamp_ns,
            "key": position.key,
            "offset": position.offset,
            "message_offset": position.message_offset,
            "rule_ids": sorted(set(rules)),
        }
    )


def record(
    level: Level,
    origin: Origin,
    findings: Iterable[Finding],
    *,
    frames: int,
    sensor: str | None = None,
    anchor_ns: int | None = None,
    stamp_ns: int | None = None,
    position: Position = NOWHERE,
    payload_uri: str | None = None,
) -> RecordRow:
    """One record, status `quarantined`, with all findings in their order.

    Args:
        level: What the record is about; a frame is recorded at the level of its object, by its stamp.
        origin: Drive, revision, code and configuration.
        findings: All rules that did not pass, warnings included.
        frames: How many frames the record keeps out of gold and no other record of the drive counts.
        sensor: Whose data it is, for a scene the anchor's; None if it is not one sensor's.
        anchor_ns: Anchor of the scene, for a scene.
        stamp_ns: Stamp of the frame, for a frame.
        position: Where in the raw bucket the data is.
        payload_uri: The copy in the quarantine bucket.

    Raises:
        FindingError: No finding at all, or a negative number of frames.
    """
    ordered = sorted(findings)
    if not ordered:
        raise FindingError(f"a {level} record of {origin.drive} without any finding: nothing is quarantined without a reason")
    if frames < 0:
        raise FindingError(f"a {level} record of {origin.drive} that keeps {frames} frames out of gold")
    rules = rule_ids(ordered)
    identity = record_id(level, origin, rules, sensor=sensor, anchor_ns=anchor_ns, stamp_ns=stamp_ns, position=position)
    return RecordRow(
        record_id=identity,
        level=level.value,
        vehicle_id=origin.drive.vehicle_id,
        drive_id=origin.drive.drive_id,
        revision=origin.revision,
        sensor=sensor,
        anchor_ns=anchor_ns,
        stamp_ns=stamp_ns,
        rule_ids=rules,
        findings=tuple(map(_as_recorded, ordered)),
        source=RawPosition(key=position.key, version_id=position.version_id, offset=position.offset),
        payload_uri=payload_uri,
        frames=frames,
        status=QUARANTINED,
        code_version=origin.code_version,
        config_hash=origin.config_hash,
        input=origin.base,
    )


def _as_recorded(found: Finding) -> RecordFinding:
    return RecordFinding(
        rule_id=found.rule_id,
        measured=found.measured,
        threshold=found.threshold,
        message=found.message,
        sensor=found.sensor,
        severity=found.severity.value,
    )


def records_table(records: Iterable[RecordRow], day: date) -> pa.Table:
    """A drive's records as rows of `lake.tables.schemas.RECORDS`, sorted by `record_id`.

    `day`: UTC day of the drive's first frame, which its rows are filed under.

    Raises:
        FindingError: Two records have the same id: the positions do not tell them apart.
    """
    rows = sorted(records, key=lambda row: row.record_id)
    for before, after in itertools.pairwise(rows):
        if before.record_id == after.record_id:
            raise FindingError(f"two records have the id {after.record_id}: {before.source} and {after.source}")
    return pa.Table.from_pylist([_columns(row) | {"day": day} for row in rows], schema=RECORDS)


def _columns(row: RecordRow) -> dict[str, object]:
    nested = {"findings": [structs.asdict(found) for found in row.findings], "source": structs.asdict(row.source)}
    return structs.asdict(row) | nested
