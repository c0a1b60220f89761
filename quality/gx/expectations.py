"""Compiles the suites into those of Great Expectations: each check becomes a bound on its column.

A bound on each value comes with an expectation that the column is filled: Great Expectations ignores nulls in a bound, and an
unknown value must not pass. `build_suite` imports Great Expectations itself, because the import takes seconds.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from quality.gx.context import load
from quality.gx.suites import ColumnCheck, ExpectationKind, Statistic, Suite
from quality.rules.catalogue import Bound, Severity
from quality.rules.rulebook import RuleBook

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.metadata_types import FailureSeverity
    from great_expectations.expectations.row_conditions import Condition


def build_suite(suite: Suite, rules: RuleBook) -> ExpectationSuite:
    """The suite with the limits of a drive's `rules`; each expectation's `meta` names `rule_id`, `severity` and `kind`.

    Where an empty table fails a rule, the first expectation is of that rule: a drive without sensors passes nothing.
    """
    load()
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.core.expect_table_row_count_to_be_between import ExpectTableRowCountToBeBetween

    expectations: list[Any] = []
    if suite.filled is not None:
        meta = _meta(suite.filled, Severity.ERROR, ExpectationKind.BOUND)
        expectations.append(ExpectTableRowCountToBeBetween(min_value=1, severity=_gx_severity(Severity.ERROR), meta=meta))
    expectations += [entry for check in suite.checks for entry in _expectations(check, rules)]
    return ExpectationSuite(name=suite.name, expectations=expectations)


def _expectations(check: ColumnCheck, rules: RuleBook) -> Iterator[Any]:
    from great_expectations.expectations.core.expect_column_mean_to_be_between import ExpectColumnMeanToBeBetween
    from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull

    entry, condition, severity = rules[check.code], _condition(check), _gx_severity(check.severity)
    limit = entry.threshold if check.limit is None else check.limit
    bound = ExpectColumnMeanToBeBetween if check.statistic is Statistic.MEAN else ExpectColumnValuesToBeBetween
    bounds = (
        f"{entry.bound.value} {limit:g}" + (f" {entry.unit}" if check.limit is None else "") if limit is not None else "unknown"
    )
    if ExpectationKind.BOUND in check.kinds:
        yield bound(
            column=check.column,
            description=f"{check.code} ({check.severity}) {entry.name}: {entry.sentence} Limit: {bounds}.",
            min_value=limit if entry.bound is Bound.AT_LEAST else None,
            max_value=limit if entry.bound is Bound.AT_MOST else None,
            row_condition=condition,
            severity=severity,
            meta=_meta(check.code, check.severity, ExpectationKind.BOUND),
        )
    if ExpectationKind.KNOWN in check.kinds and check.statistic is Statistic.EACH:
        yield ExpectColumnValuesToNotBeNull(
            column=check.column,
            description=f"{check.code} ({check.severity}) {entry.name}: the value is known.",
            row_condition=condition,
            severity=severity,
            meta=_meta(check.code, check.severity, ExpectationKind.KNOWN),
        )


def _condition(check: ColumnCheck) -> Any:
    from great_expectations.expectations.row_conditions import Column

    terms: list[Condition] = [Column(name) == value for name, value in check.where]
    if check.with_frames_only:
        terms.append(Column("frames_read") > 0)
    return functools.reduce(operator.and_, terms) if terms else None


def _gx_severity(severity: Severity) -> FailureSeverity:
    from great_expectations.expectations.metadata_types import FailureSeverity

    return FailureSeverity.CRITICAL if severity is Severity.ERROR else FailureSeverity.WARNING


def _meta(code: str, severity: Severity, kind: ExpectationKind) -> dict[str, str]:
    return {"rule_id": code, "severity": severity.value, "kind": kind.value}
