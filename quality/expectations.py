"""The Great Expectations suite of the audit table, compiled from the catalogue's drive rules.

Each rule becomes a bound on the column that its measure fills, and a demand that the column is filled: Great Expectations
ignores nulls in a bound, and here an unknown value must not pass. The function that builds the suite imports Great
Expectations itself, because the import takes seconds.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from quality.audit import CRITICAL, MATCHED, TOLERANCES, UNACCOUNTED
from quality.catalogue import Bound, Severity
from quality.gx import load
from quality.measures import MEASURES, Measure, Scope
from quality.rulebook import DEFAULT_RULES, RuleBook

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.expectations.row_conditions import Condition

SUITE_NAME = "drive"
_SCOPE_COLUMN = {Scope.REFERENCE: "reference", Scope.REQUIRED: CRITICAL}


class Kind(StrEnum):
    """What an expectation asks of its column."""

    BOUND = "bound"
    KNOWN = "known"


@dataclass(frozen=True, slots=True)
class Check:
    """One rule at one severity: the column it judges, and the boolean columns that must have these values in a row."""

    code: str
    column: str
    severity: Severity
    where: tuple[tuple[str, bool], ...]
    with_frames_only: bool


def checks(rules: RuleBook = DEFAULT_RULES) -> tuple[Check, ...]:
    """Every check of the suite, with the severities of `rules`: the measures in their order, then accounting and residuals."""
    return (
        *(check for measure in MEASURES for check in _of_measure(measure, rules)),
        Check("ACC001", UNACCOUNTED, Severity.ERROR, (), False),
        Check("SYN004", TOLERANCES, Severity.ERROR, ((MATCHED, True),), False),
    )


def build_suite(rules: RuleBook = DEFAULT_RULES) -> ExpectationSuite:
    """The suite under a drive's `rules`; each expectation's `meta` names `rule_id`, `severity` and `kind`.

    Its first expectation, of CMP003, is that the table has a row: a drive without sensors passes nothing.
    """
    load()
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.core.expect_table_row_count_to_be_between import ExpectTableRowCountToBeBetween

    meta = _meta("CMP003", Severity.ERROR, Kind.BOUND)
    has_rows = ExpectTableRowCountToBeBetween(min_value=1, severity=_gx_severity(Severity.ERROR), meta=meta)
    return ExpectationSuite(name=SUITE_NAME, expectations=[has_rows, *_expectations(rules)])


def _of_measure(measure: Measure, rules: RuleBook) -> Iterator[Check]:
    with_frames_only = not measure.silent
    if measure.scope is Scope.NOBODY:
        yield Check(measure.code, measure.column, rules.severity(measure.code, Severity.WARNING), (), with_frames_only)
        return
    column = _SCOPE_COLUMN[measure.scope]
    inside = rules.severity(measure.code, Severity.ERROR)
    yield Check(measure.code, measure.column, inside, ((column, True),), with_frames_only)
    if not measure.only_scope:
        outside = rules.severity(measure.code, Severity.WARNING)
        yield Check(measure.code, measure.column, outside, ((column, False),), with_frames_only)


def _expectations(rules: RuleBook) -> Iterator[Any]:
    from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull

    for check in checks(rules):
        entry, condition, severity = rules[check.code], _condition(check), _gx_severity(check.severity)
        yield ExpectColumnValuesToBeBetween(
            column=check.column,
            min_value=entry.threshold if entry.bound is Bound.AT_LEAST else None,
            max_value=entry.threshold if entry.bound is Bound.AT_MOST else None,
            row_condition=condition,
            severity=severity,
            meta=_meta(check.code, check.severity, Kind.BOUND),
        )
        yield ExpectColumnValuesToNotBeNull(
            column=check.column,
            row_condition=condition,
            severity=severity,
            meta=_meta(check.code, check.severity, Kind.KNOWN),
        )


def _condition(check: Check) -> Any:
    from great_expectations.expectations.row_conditions import Column

    terms: list[Condition] = [Column(name) == value for name, value in check.where]
    if check.with_frames_only:
        terms.append(Column("frames_read") > 0)
    return functools.reduce(operator.and_, terms) if terms else None


def _gx_severity(severity: Severity) -> FailureSeverity:
    from great_expectations.expectations.metadata_types import FailureSeverity

    return FailureSeverity.CRITICAL if severity is Severity.ERROR else FailureSeverity.WARNING


def _meta(code: str, severity: Severity, kind: Kind) -> dict[str, str]:
    return {"rule_id": code, "severity": severity.value, "kind": kind.value}
