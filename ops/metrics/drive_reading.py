"""Reads one drive from where it lies: the raw bucket, the ledger, the tables, the quarantine bucket. Its cost is the drive's."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ingest.ledger.ledger import DriveRecord, Ledger, ObjectRecord
from lake.errors import AbsentError
from lake.settings import Settings
from lake.storage import ObjectStore
from ops.audit import identity_reader as audit_reader
from ops.audit import lake_reader
from ops.audit.identity_inputs import AuditInputs
from ops.metrics.drive_facts import (
    DriveFacts,
    check_outcomes,
    object_amounts,
    payload_prefixes,
    record_counts,
    residual_sizes,
    rule_outcomes,
    tolerances,
)
from scenes.documents import ValidationResults
from scenes.errors import DocumentError
from scenes.outcome.validation import read_validations

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where drives lie."""

    settings: Settings
    s3: S3Client
    ledger: Ledger


def read_drive(
    sources: Sources, tables: lake_reader.Tables, record: DriveRecord, batches: Sequence[lake_reader.Snapshot], *, whole: bool
) -> DriveFacts:
    """The facts of a drive.

    Args:
        sources: Where it lies.
        tables: The lake's tables; a drive without a publication is not looked for in them.
        record: The drive as the ledger has it.
        batches: Its publications, oldest first.
        whole: Also what only the newest drives are asked for: residuals, tolerances and the outcomes of rules.

    Raises:
        LakeError: Its documents could not be read.
    """
    objects = tuple(sources.ledger.objects(record.drive))
    published = audit_reader.published_rows(tables, record.drive) if batches else None
    facts = DriveFacts(
        objects=object_amounts(objects),
        checks=check_outcomes(_audit_inputs(sources, record, objects, batches, published)),
    )
    if published is None:
        return facts
    frames: Counter[tuple[str, str, str]] = Counter()
    for entry in published.frames:
        frames[entry.sensor, entry.modality, entry.fate] += entry.count
    facts = replace(facts, frames=dict(frames), scenes=len(published.scenes), records=record_counts(published.records))
    if not whole:
        return facts
    return replace(
        facts,
        outcomes=rule_outcomes(_validations(sources, batches[-1]), published.records),
        residuals_ns=residual_sizes(published.matches),
        tolerances_ns=tolerances(lake_reader.calibration(tables, record.drive)),
    )


def _audit_inputs(
    sources: Sources,
    record: DriveRecord,
    objects: tuple[ObjectRecord, ...],
    batches: Sequence[lake_reader.Snapshot],
    published: audit_reader.Published | None,
) -> AuditInputs:
    settings = sources.settings
    of_ledger = AuditInputs(
        raw=tuple(audit_reader.raw_objects(sources.s3, settings.raw_bucket, record.drive.prefix)),
        ledger_objects=tuple(audit_reader.ledger_object(entry) for entry in objects),
        ledger_drives=(audit_reader.ledger_drive(record),),
    )
    if published is None:
        return of_ledger
    return replace(
        of_ledger,
        declared=tuple(audit_reader.declared(ObjectStore(sources.s3), settings.raw_bucket, (record,))),
        indexed=published.indexed,
        frames=published.frames,
        scenes=published.scenes,
        held=audit_reader.held(published.matches),
        records=tuple(audit_reader.record(row) for row in published.records),
        payloads=frozenset(_payloads(sources, published)),
        batches=tuple(audit_reader.batch_ref(entry) for entry in batches),
    )


def _payloads(sources: Sources, published: audit_reader.Published) -> Iterator[str]:
    store = ObjectStore(sources.s3)
    for prefix in sorted(payload_prefixes(published.records)):
        bucket, _, folder = prefix.removeprefix("s3://").partition("/")
        yield from (f"s3://{bucket}/{key}" for key in store.list(bucket, folder))


def _validations(sources: Sources, snapshot: lake_reader.Snapshot) -> ValidationResults | None:
    """What the audit of a publication found; None where its document is gone or of another version, which hides none of the
    drive's other facts."""
    if snapshot.validations is None:
        return None
    try:
        return read_validations(ObjectStore(sources.s3), snapshot.validations)
    except AbsentError:
        return None
    except DocumentError as error:
        _log.warning("the outcomes of rules are left out: %s", error)
        return None
