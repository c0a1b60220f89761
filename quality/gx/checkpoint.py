"""Validates a drive's metric tables with Great Expectations, in memory: one checkpoint per table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from lake.tables.schemas import check_schema
from quality.gx.context import ephemeral_context, load
from quality.gx.expectations import build_suite
from quality.gx.results import Expectation, ReportedMeta, SuiteResults
from quality.gx.suites import ExpectationKind, Suite
from quality.rules.catalogue import Outcome, Severity
from quality.rules.rulebook import DEFAULT_RULES, RuleBook

if TYPE_CHECKING:
    import pandas as pd

WHOLE_TABLE = "*"  # in place of a row, where an expectation speaks of the table or could not be evaluated at all
MAX_ROWS_NAMED = 20  # in a document, of those that fail one expectation; all are counted
Codes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ValidatedSuite:
    """One suite, evaluated on its table.

    `failed` and `flagged` give the sorted ids of the error and warning rules that did not pass, by row (`*`: the whole table).
    `report` is the validation result of Great Expectations as JSON (`quality.gx.results.SuiteReport`). Neither it nor
    `results` holds clock values or random ids: equal tables have equal ones.
    """

    name: str
    results: SuiteResults
    failed: Codes
    flagged: Codes
    report: msgspec.Raw


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """All suites, by name."""

    suites: Mapping[str, ValidatedSuite]

    @property
    def success(self) -> bool:
        """Whether every suite succeeded; without any, nothing did."""
        return bool(self.suites) and all(suite.results.success for suite in self.suites.values())


def run_checkpoint(
    tables: Sequence[tuple[Suite, pa.Table]], rules: RuleBook = DEFAULT_RULES, site: Path | None = None
) -> CheckpointResult:
    """Validate each table by its suite, with the limits of the drive's `rules`.

    The first call in a process takes seconds: it imports Great Expectations.

    Args:
        tables: Each with its suite.
        rules: Limits as the drive's rig sets them.
        site: Folder of a Data Docs site of Great Expectations that each checkpoint updates; none unless given.

    Raises:
        TableError: A table does not have the schema of its suite.
    """
    for suite, table in tables:
        check_schema(table.schema, suite.schema, f"metric table of {suite.name}")
    context = ephemeral_context(site)
    source = context.data_sources.add_pandas("metrics")
    return CheckpointResult(
        MappingProxyType({suite.name: _result(suite, _validate(context, source, suite, table, rules)) for suite, table in tables})
    )


def _validate(context: Any, source: Any, suite: Suite, table: pa.Table, rules: RuleBook) -> Any:
    """Run the checkpoint of one table: a checkpoint hands one dataframe to all its validations."""
    gx = load()
    batch = source.add_dataframe_asset(suite.name).add_batch_definition_whole_dataframe("drive")
    expectations = context.suites.add(build_suite(suite, rules))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=suite.name, data=batch, suite=expectations))
    checkpoint = gx.Checkpoint(
        name=suite.name,
        validation_definitions=[definition],
        actions=[gx.checkpoint.UpdateDataDocsAction(name="data_docs")] if context.get_site_names() else [],
        result_format={"result_format": "COMPLETE", "unexpected_index_column_names": [suite.subject]},
    )
    run = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": _dataframe(table)})
    (validation,) = run.run_results.values()
    return validation


def _dataframe(table: pa.Table) -> pd.DataFrame:
    import pandas as pd

    from quality.gx.frame import ConditionedFrame

    integers = {pa.int64(): pd.Int64Dtype()}  # a nullable column of nanoseconds must not pass through floats
    return ConditionedFrame(table.to_pandas(types_mapper=integers.get))


def _result(suite: Suite, validation: Any) -> ValidatedSuite:
    judged = [_judge(result, suite.subject) for result in validation.results]
    judged.sort(key=lambda pair: tuple(map(str, pair[0].identity)))
    entries = tuple(entry for entry, _ in judged)
    failed = _by_row(judged, Severity.ERROR)
    flagged = _by_row(judged, Severity.WARNING)
    results = SuiteResults(success=bool(entries) and not failed, evaluated=len(entries), expectations=entries)
    return ValidatedSuite(suite.name, results, failed, flagged, _report(validation))


def _judge(result: Any, subject: str) -> tuple[Expectation, list[str]]:
    """An expectation's result as our rules judge it, and the rows that do not meet it."""
    config = result.expectation_config
    meta = msgspec.convert(config.meta, ReportedMeta)
    success = bool(result.success)  # may be a numpy bool
    rows = sorted({str(row[subject]) for row in result.result.get("unexpected_index_list") or ()})
    evaluated = bool(result.result) and result.result.get("observed_value", 0) is not None
    known = meta.kind == ExpectationKind.BOUND.value and evaluated
    failing = [] if success else rows or [WHOLE_TABLE]
    entry = Expectation(
        rule_id=meta.rule_id,
        severity=Severity(meta.severity),
        kind=meta.kind,
        expectation=config.type,
        column=config.kwargs.get("column"),
        limits={name: config.kwargs[name] for name in ("min_value", "max_value") if config.kwargs.get(name) is not None},
        success=success,
        outcome=Outcome.PASSED if success else Outcome.FAILED if known else Outcome.UNKNOWN,
        rows=tuple(failing[:MAX_ROWS_NAMED]),
        failing=len(failing),
    )
    return entry, failing


def _by_row(judged: Iterable[tuple[Expectation, list[str]]], severity: Severity) -> Codes:
    codes: dict[str, set[str]] = {}
    for entry, failing in judged:
        for row in failing if entry.severity is severity else ():
            codes.setdefault(row, set()).add(entry.rule_id)
    return MappingProxyType({row: tuple(sorted(found)) for row, found in sorted(codes.items())})


def _report(validation: Any) -> msgspec.Raw:
    """The validation result as Great Expectations writes it, without clock values, random ids and rows beyond the first."""
    document: dict[str, Any] = validation.to_json_dict()
    kept = ("great_expectations_version", "active_batch_definition")
    document["meta"] = {name: document["meta"][name] for name in kept}
    del document["id"]
    for result in document["results"]:
        result["expectation_config"].pop("id", None)
        result["result"].pop("unexpected_index_query", None)
        for name in ("unexpected_list", "unexpected_index_list"):  # as long as the table
            if result["result"].get(name) is not None:
                result["result"][name] = result["result"][name][:MAX_ROWS_NAMED]
    return msgspec.Raw(msgspec.json.encode(_finite(document)))


def _finite(value: Any) -> Any:
    """JSON has no infinity: what is not finite becomes its name."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    if isinstance(value, float):  # numpy's, too
        return float(value) if math.isfinite(value) else str(value)
    return value
