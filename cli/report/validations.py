"""The validation results that a deployment keeps beside its snapshots, for Data Docs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from cli.lake_reader import Snapshot
from lake.landing import DriveId
from lake.storage import ObjectStore, ObjectVersion
from quality.data_docs import Validated

NS_PER_MS = 1_000_000


def validations(snapshots: Iterable[Snapshot], store: ObjectStore, drives: Sequence[DriveId]) -> tuple[Validated, ...]:
    """Of the newest publication of each drive, in the order of `drives`; a drive without one is left out.

    Raises:
        LakeError: A result that a snapshot names could not be read.
    """
    newest = {entry.drive: entry for entry in snapshots if entry.validations is not None}
    return tuple(_read(store, newest[str(drive)]) for drive in drives if str(drive) in newest)


def _read(store: ObjectStore, snapshot: Snapshot) -> Validated:
    document = json.loads(store.read(ObjectVersion.from_uri(snapshot.validations or "")))
    return Validated(document["drive"], document["revision"], snapshot.committed_ms * NS_PER_MS, document["validations"])
