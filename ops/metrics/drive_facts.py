"""One drive's contribution to the metrics, read from the raw bucket, the ledger, the tables and the quarantine bucket.

A drive is read once for each change of its ledger record or its publication; the cost grows with the drive's size."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ingest.ledger.records import DriveRecord
from lake.documents import parse_document
from lake.errors import AbsentError
from lake.landing import DriveId
from lake.tables.pinned import PinnedTables
from lake.tables.rows import DriveRow, RecordRow
from ops.audit import lake_reader
from quality.rules.rule import Outcome
from scenes.accounting.drive_audit import read_inputs
from scenes.accounting.drive_rows import GroupRows
from scenes.accounting.drive_sources import AuditSources
from scenes.accounting.identity import check_drive
from scenes.accounting.inputs import DriveInputs, KeptOut, LedgerObject
from scenes.documents import ValidationResults
from scenes.errors import DocumentError
from scenes.outcome.validation import read_validations
from sensors.rig import Rig
from sensors.stamps import Nanoseconds

_log = logging.getLogger(__name__)


RELEASED = "released"
NEVER_NS = 2**63 - 1  # an object without an entry in the ledger breaks the balance until it has one
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
    released ones; `checks`: whether each check of the audit holds for it.
    """

    objects: dict[str, Amount]
    checks: dict[str, bool]
    frames: dict[tuple[str, str, str], int] = field(default_factory=dict)
    scenes: int = 0
    records: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether every check holds."""
        return all(self.checks.values())


@dataclass(frozen=True, slots=True)
class RecentFacts:
    """What is known of the newest drives only.

    `outcomes`: the worst outcome of each rule in its newest publication; `residuals_ns`: sizes of the residuals of its published
    matches by sensor, ascending (N,); `tolerances_ns` by sensor, from its rig.
    """

    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    residuals_ns: Mapping[str, Nanoseconds] = field(default_factory=dict)
    tolerances_ns: Mapping[str, int] = field(default_factory=dict)


def object_amounts(objects: Iterable[LedgerObject]) -> dict[str, Amount]:
    """Number and size of the objects in each state."""
    found: dict[str, Amount] = {}
    for entry in objects:
        found[entry.state] = found.get(entry.state, Amount()) + Amount(1, entry.size_bytes)
    return found


def check_outcomes(inputs: DriveInputs) -> dict[str, bool]:
    """Each kind of check of the audit, and whether all checks of that kind hold."""
    found: dict[str, bool] = {}
    for check in check_drive(inputs):
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


def record_counts(records: Iterable[KeptOut]) -> dict[tuple[str, str], int]:
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


def read_facts(sources: AuditSources, tables: PinnedTables, record: DriveRecord) -> DriveFacts:
    """The facts of a drive, whether or not it was published.

    Raises:
        LakeError: A document could not be read.
    """
    rows = GroupRows(tables, [record.drive])
    inputs, _ = read_inputs(sources, rows, NEVER_NS, record.drive, record)
    frames: Counter[tuple[str, str, str]] = Counter()
    for entry in inputs.frames:
        frames[entry.sensor, entry.modality, entry.fate] += entry.count
    return DriveFacts(
        objects=object_amounts(inputs.ledger_objects),
        checks=check_outcomes(inputs),
        frames=dict(frames),
        scenes=len(inputs.scenes),
        records=record_counts(inputs.records),
    )


def read_recent(sources: AuditSources, tables: PinnedTables, drive: DriveId) -> RecentFacts:
    """What is known of a drive that was published, as one of the newest; nothing, where its rows are gone: it is being forgotten.

    Raises:
        LakeError: A document could not be read.
    """
    newest = max(lake_reader.publications(tables, drive), key=lambda row: row.generation, default=None)
    if newest is None:
        return RecentFacts()
    return RecentFacts(
        outcomes=rule_outcomes(_validations(sources, newest), lake_reader.records(tables, drive)),
        residuals_ns=residual_sizes(lake_reader.matches(tables, drive)),
        tolerances_ns=tolerances(lake_reader.calibration(tables, drive)),
    )


def _validations(sources: AuditSources, published: DriveRow) -> ValidationResults | None:
    """The validation results of a publication; None if their document is gone or of another version, which must not hide the
    drive's other facts."""
    if published.validations is None:
        return None
    try:
        return read_validations(sources.store, published.validations)
    except AbsentError:
        return None
    except DocumentError as error:
        _log.warning("the outcomes of rules are left out: %s", error)
        return None
