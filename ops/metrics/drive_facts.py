"""What one drive adds to the metrics: read once for each change of its ledger record or its publication."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ingest.ledger.ledger import ObjectRecord
from lake.documents import parse_document
from ops.audit import lake_reader
from ops.audit.accounting import Nanoseconds
from ops.audit.identity import audit
from ops.audit.identity_inputs import AuditInputs
from quality.rules.rule import Outcome
from scenes.documents import ValidationResults
from sensors.rig import Rig

RELEASED = "released"
_WORST_FIRST = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.PASSED)


@dataclass(frozen=True, slots=True)
class Amount:
    """Objects, and their bytes together."""

    objects: int = 0
    size_bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.objects + other.objects, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class DriveFacts:
    """One drive.

    `objects` by state in the ledger; `frames` by (sensor, modality, fate); `records` by (rule, level), those that a reviewer
    released left out; `checks`: whether each check of the audit holds for it; `outcomes`: the worst that each rule came to
    in its newest publication; `residuals_ns`: sizes of the residuals of its published matches by sensor, ascending (N,);
    `tolerances_ns` by sensor, as its rig says.
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
    """How many objects are in each state, and their bytes."""
    found: dict[str, Amount] = {}
    for entry in objects:
        found[entry.state.value] = found.get(entry.state.value, Amount()) + Amount(1, entry.head.size_bytes)
    return found


def check_outcomes(inputs: AuditInputs) -> dict[str, bool]:
    """Each kind of check of the audit, and whether all of them hold."""
    found: dict[str, bool] = {}
    for check in audit(inputs).checks:
        found[check.name] = found.get(check.name, True) and check.ok
    return found


def rule_outcomes(validations: ValidationResults | None, records: Iterable[Mapping[str, Any]]) -> dict[str, Outcome]:
    """The worst that each rule came to: failed before unknown before passed.

    Args:
        validations: Expectations passed and failed, on what was to be published; None if they are not known.
        records: Rows of `quarantine.records` of the drive: what was kept out, and so never came before an expectation.
    """
    found: dict[str, set[Outcome]] = {}
    for suite in validations.suites.values() if validations is not None else ():
        for expectation in suite.expectations:
            found.setdefault(expectation.rule_id, set()).add(expectation.outcome)
    for row in records:
        measured = {entry["rule_id"]: entry["measured"] for entry in row["findings"]}
        for code in row["rule_ids"] if row["status"] != RELEASED else ():
            found.setdefault(code, set()).add(Outcome.UNKNOWN if measured.get(code) is None else Outcome.FAILED)
    return {code: next(one for one in _WORST_FIRST if one in outcomes) for code, outcomes in sorted(found.items())}


def record_counts(records: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    """Records that keep something out, by (rule, level); one that names two rules counts for both."""
    kept_out = (row for row in records if row["status"] != RELEASED)
    return dict(Counter((code, row["level"]) for row in kept_out for code in row["rule_ids"]))


def residual_sizes(found: lake_reader.Matches) -> dict[str, Nanoseconds]:
    """Sizes of the residuals by sensor, ascending (N,)."""
    sensors = np.array(found.sensor, dtype=object)
    sizes = np.abs(found.residual_ns)
    return {str(sensor): np.sort(sizes[sensors == sensor]) for sensor in sorted(set(found.sensor))}


def tolerances(calibration: str | None) -> dict[str, int]:
    """What the rig allows each sensor, in ns."""
    if calibration is None:
        return {}
    rig = Rig.from_dict(parse_document(calibration.encode(), "calibration"))
    return {sensor.name: sensor.sync.tolerance_ns for sensor in rig.sensors}


def payload_prefixes(records: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The folders, as `s3://bucket/folder/`, in which the copies of these records lie."""
    return frozenset(row["payload_uri"].rpartition("/")[0] + "/" for row in records if row["payload_uri"])
