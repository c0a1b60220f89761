"""One drive's contribution to the metrics, read from the raw bucket, the ledger, the tables and the quarantine bucket.

A drive is read once for each change of its ledger record or its publication; the cost grows with the drive's size."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ingest.ledger.records import DriveRecord, ObjectRecord
from ingest.ledger.repository import Ledger
from lake.documents import parse_document
from lake.errors import AbsentError
from lake.settings import Settings
from lake.storage import ObjectStore
from lake.tables.rows import DriveRow, RecordRow
from ops.audit import identity_reader as audit_reader
from ops.audit import lake_reader
from ops.audit.identity import AuditInputs, audit
from quality.rules.rule import Outcome
from scenes.documents import ValidationResults
from scenes.errors import DocumentError
from scenes.outcome.validation import read_validations
from sensors.rig import Rig
from sensors.stamps import Nanoseconds

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_log = logging.getLogger(__name__)


RELEASED = "released"
_WORST_FIRST = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.PASSED)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of objects, and their total size."""

    objects: int = 0
    size_bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.objects + other.objects, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class DriveFacts:
    """One drive.

    `objects` by state in the ledger; `frames` by (sensor, modality, fate); `records` by (rule, level), without
    released ones; `checks`: whether each check of the audit holds for it; `outcomes`: the worst outcome of each rule in its
    newest publication; `residuals_ns`: sizes of the residuals of its published matches by sensor, ascending (N,);
    `tolerances_ns` by sensor, from its rig.
    """

    objects: Mapping[str, Amount]
    checks: Mapping[str, bool]
    frames: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    scenes: int = 0
    records: Mapping[tuple[str, str], int] = field(default_factory=dict)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    residuals_ns: Mapping[str, Nanoseconds] = field(default_factory=dict)
    tolerances_ns: Mapping[str, int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether every check holds."""
        return all(self.checks.values())


def object_amounts(objects: Iterable[ObjectRecord]) -> dict[str, Amount]:
    """Number and size of the objects in each state."""
    found: dict[str, Amount] = {}
    for entry in objects:
        found[entry.state.value] = found.get(entry.state.value, Amount()) + Amount(1, entry.head.size_bytes)
    return found


def check_outcomes(inputs: AuditInputs) -> dict[str, bool]:
    """Each kind of check of the audit, and whether all checks of that kind hold."""
    found: dict[str, bool] = {}
    for check in audit(inputs).checks:
        found[check.name] = found.get(check.name, True) and check.ok
    return found


def rule_outcomes(validations: ValidationResults | None, records: Iterable[RecordRow]) -> dict[str, Outcome]:
    """The worst outcome of each rule: failed before unknown before passed.

    Args:
        validations: Expectations passed and failed, on what was to be published; None if they are not known.
        records: Rows of `quarantine.records` of the drive: data that was kept out of gold and never reached an expectation.
    """
    found: dict[str, set[Outcome]] = {}
    for suite in validations.suites.values() if validations is not None else ():
        for expectation in suite.expectations:
            found.setdefault(expectation.rule_id, set()).add(expectation.outcome)
    for row in records:
        measured = {entry.rule_id: entry.measured for entry in row.findings}
        for code in row.rule_ids if row.status != RELEASED else ():
            found.setdefault(code, set()).add(Outcome.UNKNOWN if measured.get(code) is None else Outcome.FAILED)
    return {code: next(one for one in _WORST_FIRST if one in outcomes) for code, outcomes in sorted(found.items())}


def record_counts(records: Iterable[RecordRow]) -> dict[tuple[str, str], int]:
    """Records that keep data out of gold, by (rule, level); one with two rules counts for both."""
    kept_out = (row for row in records if row.status != RELEASED)
    return dict(Counter((code, row.level) for row in kept_out for code in row.rule_ids))


def residual_sizes(found: lake_reader.SceneMatches) -> dict[str, Nanoseconds]:
    """Sizes of the residuals by sensor, ascending (N,)."""
    sensors = np.array(found.sensor, dtype=object)
    sizes = np.abs(found.residual_ns)
    return {str(sensor): np.sort(sizes[sensors == sensor]) for sensor in sorted(set(found.sensor))}


def tolerances(calibration: str | None) -> dict[str, int]:
    """The tolerance of each sensor in the rig, in ns."""
    if calibration is None:
        return {}
    rig = Rig.from_dict(parse_document(calibration.encode(), "calibration"))
    return {sensor.name: sensor.sync.tolerance_ns for sensor in rig.sensors}


def payload_prefixes(records: Iterable[RecordRow]) -> frozenset[str]:
    """The folders, as `s3://bucket/folder/`, that hold the copies of these records."""
    return frozenset(row.payload_uri.rpartition("/")[0] + "/" for row in records if row.payload_uri)


@dataclass(frozen=True, slots=True)
class Sources:
    """The deployment that drives are read from."""

    settings: Settings
    s3: S3Client
    ledger: Ledger


def read_drive(
    sources: Sources, tables: lake_reader.Tables, record: DriveRecord, batches: Sequence[DriveRow], *, whole: bool
) -> DriveFacts:
    """The facts of a drive.

    Args:
        sources: The deployment.
        tables: The lake's tables; not read for a drive without a publication.
        record: The drive in the ledger.
        batches: Its publications, oldest first.
        whole: Also read the facts that only the newest drives need: residuals, tolerances and outcomes of rules.

    Raises:
        LakeError: A document could not be read.
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
    batches: Sequence[DriveRow],
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


def _validations(sources: Sources, published: DriveRow) -> ValidationResults | None:
    """The validation results of a publication; None if their document is gone or of another version, which must not hide the
    drive's other facts."""
    if published.validations is None:
        return None
    try:
        return read_validations(ObjectStore(sources.s3), published.validations)
    except AbsentError:
        return None
    except DocumentError as error:
        _log.warning("the outcomes of rules are left out: %s", error)
        return None
