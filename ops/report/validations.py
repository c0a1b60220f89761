"""What the audit of each publication found, as a deployment keeps it beside its snapshots: for Data Docs, and for the report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from lake.landing import DriveId
from lake.storage import ObjectStore, ObjectVersion
from ops.audit.lake_reader import Snapshot
from ops.report.facts import CalibrationVerdict
from quality.gx.data_docs import Validated

NS_PER_MS = 1_000_000


def validations(snapshots: Iterable[Snapshot], store: ObjectStore, drives: Sequence[DriveId]) -> tuple[Validated, ...]:
    """Of the newest publication of each drive, in the order of `drives`; a drive without one is left out.

    Raises:
        LakeError: A result that a snapshot names could not be read.
    """
    newest = {entry.drive: entry for entry in snapshots if entry.validations is not None}
    return tuple(_read(store, newest[str(drive)]) for drive in drives if str(drive) in newest)


def calibration(snapshots: Iterable[Snapshot], store: ObjectStore, drive: DriveId) -> tuple[CalibrationVerdict, ...]:
    """The verdicts on a drive's calibration, by sensor and quantity; none where its newest publication kept none.

    Raises:
        LakeError: A result that a snapshot names could not be read.
    """
    newest = [entry for entry in snapshots if entry.drive == str(drive) and entry.validations is not None][-1:]
    rows = [row for entry in newest for row in _document(store, entry).get("calibration", ())]
    names = [field.name for field in fields(CalibrationVerdict)]
    return tuple(CalibrationVerdict(**{name: row[name] for name in names}) for row in rows)


def _read(store: ObjectStore, snapshot: Snapshot) -> Validated:
    document = _document(store, snapshot)
    return Validated(document["drive"], document["revision"], snapshot.committed_ms * NS_PER_MS, document["validations"])


def _document(store: ObjectStore, snapshot: Snapshot) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(store.read(ObjectVersion.from_uri(snapshot.validations or "")))
    return document
