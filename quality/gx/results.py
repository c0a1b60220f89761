"""What validating a metric table found, by the rules (`SuiteResults`) and as Great Expectations reports it (`SuiteReport`).

Both are kept with every publication (`scenes.documents.ValidationResults`). Great Expectations' report is its own format: it
is stored as it comes, and `SuiteReport` reads the part of it that this project uses.
"""

from __future__ import annotations

from typing import Any

import msgspec

from quality.rules.rule import Outcome, Severity

Identity = tuple[str, str, str, str | None]
"""Rule, severity, kind and column: what tells the expectations of a suite apart."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One expectation of a suite, judged by its rule; `rows` are the first of the `failing` ones."""

    rule_id: str
    severity: Severity
    kind: str
    expectation: str
    column: str | None
    limits: dict[str, int | float]
    success: bool
    outcome: Outcome
    rows: tuple[str, ...]
    failing: int

    @property
    def identity(self) -> Identity:
        """Tells it apart from the others of its suite."""
        return (self.rule_id, self.severity.value, self.kind, self.column)


class SuiteResults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The expectations of one suite; `success`: every error rule passed."""

    success: bool
    evaluated: int
    expectations: tuple[Expectation, ...]


class ReportedMeta(msgspec.Struct, frozen=True):
    """`meta` of an expectation, as `quality.gx.expectations` sets it."""

    rule_id: str
    severity: str
    kind: str


class ReportedArguments(msgspec.Struct, frozen=True):
    """`kwargs` of an expectation."""

    column: str | None = None


class ReportedConfiguration(msgspec.Struct, frozen=True):
    """`expectation_config` of a result."""

    meta: ReportedMeta
    kwargs: ReportedArguments
    description: str | None = None


class ReportedValues(msgspec.Struct, frozen=True):
    """`result` of a result: the value of the whole table, or the rows that do not meet the expectation, each as its subject
    column and the column that was judged."""

    observed_value: Any = None
    unexpected_index_list: tuple[dict[str, Any], ...] | None = None


class ReportedResult(msgspec.Struct, frozen=True):
    """One of a report's `results`."""

    expectation_config: ReportedConfiguration
    result: ReportedValues

    @property
    def identity(self) -> Identity:
        """That of the `Expectation` that it is the report of."""
        meta = self.expectation_config.meta
        return (meta.rule_id, meta.severity, meta.kind, self.expectation_config.kwargs.column)


class SuiteReport(msgspec.Struct, frozen=True):
    """A validation result of Great Expectations."""

    results: tuple[ReportedResult, ...]
