"""Runs the audit suite over a drive's metric table with Great Expectations: in memory, no telemetry, no files, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lake.tables import check_schema
from quality.audit import AUDIT
from quality.catalogue import Outcome, Severity
from quality.expectations import SUITE_NAME, Kind, build_suite
from quality.gx import load
from quality.rulebook import DEFAULT_RULES, RuleBook

if TYPE_CHECKING:
    import pandas as pd

WHOLE_DRIVE = "*"  # in place of a sensor, where an expectation speaks of the table or could not be evaluated at all


@dataclass(frozen=True, slots=True)
class CheckpointResult:
    """What the checkpoint found.

    `success`: no error rule failed or was unknown. `evaluated` counts the expectations. `failed` and `flagged` give the sorted
    ids of the error and warning rules that did not pass, for each sensor (`*`: the whole drive). `document` is the whole
    result as JSON, free of clock values and random ids: equal tables have equal documents.
    """

    success: bool
    evaluated: int
    failed: Mapping[str, tuple[str, ...]]
    flagged: Mapping[str, tuple[str, ...]]
    document: dict[str, Any]


def run_checkpoint(table: pa.Table, rules: RuleBook = DEFAULT_RULES) -> CheckpointResult:
    """Validate rows of `quality.audit.AUDIT` by the drive's `rules`.

    The first call in a process takes seconds: it imports Great Expectations.

    Raises:
        TableError: The table does not have the schema `AUDIT`.
    """
    check_schema(table.schema, AUDIT, "audit table")
    gx = load()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("drive_metrics").add_dataframe_asset("sensors")
    suite = context.suites.add(build_suite(rules))
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name=SUITE_NAME, data=asset.add_batch_definition_whole_dataframe("drive"), suite=suite)
    )
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name=SUITE_NAME,
            validation_definitions=[definition],
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["sensor"]},
        )
    )
    outcome = checkpoint.run(batch_parameters={"dataframe": _dataframe(table)})
    return _result([entry for run in outcome.run_results.values() for entry in run.results])


def _dataframe(table: pa.Table) -> pd.DataFrame:
    import pandas as pd

    integers = {pa.int64(): pd.Int64Dtype()}  # a nullable column of nanoseconds must not pass through floats
    frame: pd.DataFrame = table.to_pandas(types_mapper=integers.get)
    return frame


def _result(results: Iterable[Any]) -> CheckpointResult:
    entries = sorted(
        (_entry(result) for result in results),
        key=lambda entry: (entry["rule_id"], entry["severity"], entry["kind"], str(entry["column"])),
    )
    broken = [entry for entry in entries if not entry["success"]]
    failed = _by_sensor(entry for entry in broken if entry["severity"] == Severity.ERROR.value)
    flagged = _by_sensor(entry for entry in broken if entry["severity"] == Severity.WARNING.value)
    success = bool(entries) and not failed
    document = {
        "suite": SUITE_NAME,
        "success": success,
        "evaluated": len(entries),
        "failed": {sensor: list(codes) for sensor, codes in failed.items()},
        "flagged": {sensor: list(codes) for sensor, codes in flagged.items()},
        "expectations": entries,
    }
    return CheckpointResult(success, len(entries), failed, flagged, document)


def _entry(result: Any) -> dict[str, Any]:
    config = result.expectation_config
    success = bool(result.success)  # may be a numpy bool
    sensors = sorted({str(row["sensor"]) for row in result.result.get("unexpected_index_list") or ()})
    raised = not result.result
    known = config.meta["kind"] == Kind.BOUND.value and not raised
    return {
        **config.meta,
        "expectation": config.type,
        "column": config.kwargs.get("column"),
        "limits": {name: config.kwargs[name] for name in ("min_value", "max_value") if config.kwargs.get(name) is not None},
        "success": success,
        "outcome": Outcome.PASSED.value if success else (Outcome.FAILED if known else Outcome.UNKNOWN).value,
        "sensors": [] if success else sensors or [WHOLE_DRIVE],
    }


def _by_sensor(entries: Iterable[dict[str, Any]]) -> Mapping[str, tuple[str, ...]]:
    codes: dict[str, set[str]] = {}
    for entry in entries:
        for sensor in entry["sensors"]:
            codes.setdefault(sensor, set()).add(entry["rule_id"])
    return MappingProxyType({sensor: tuple(sorted(found)) for sensor, found in sorted(codes.items())})
