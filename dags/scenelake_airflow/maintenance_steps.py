"""The steps of `maintain_lake`. Each does what its command does, and logs a line for each thing that it keeps.

A step imports what it needs when it runs: this module is read whenever the DAG is parsed.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lake.settings import Settings
from scenelake_airflow.errors import PayloadError

if TYPE_CHECKING:
    from lake.iceberg.publisher import Publisher
    from lake.maintenance.compaction_plan import MergeJob, RunBudget
    from lake.maintenance.sweep import SweptLake

Parameters = Mapping[str, Any]
HOUR_S = 3600.0
_log = logging.getLogger(__name__)


def run(step: str, settings: Settings, parameters: Parameters) -> dict[str, Any]:
    """Run a step of `STEPS` on a deployment; what it did, in numbers.

    Raises:
        PayloadError: There is no such step.
        ScenelakeError: It stopped; the next try goes on.
    """
    if step not in STEPS:
        raise PayloadError(f"there is no step {step!r}, only {', '.join(STEPS)}")
    found = STEPS[step](settings, parameters)
    _log.info("%s%s: %s", step, " (a dry run: nothing was changed)" if parameters["dry_run"] else "", found)
    return found


def _expire(settings: Settings, parameters: Parameters) -> dict[str, Any]:
    from lake.iceberg.catalog import open_catalog

    return expire_snapshots(open_catalog(settings), parameters)


def expire_snapshots(catalog: Publisher, parameters: Parameters) -> dict[str, Any]:
    """`expire` with its port."""
    from lake.maintenance.expire import ExpirePolicy, expire

    policy = ExpirePolicy(float(parameters["older_than_h"]) * HOUR_S, int(parameters["keep_last"]))
    plans = expire(catalog, policy, apply=not parameters["dry_run"])
    for kept in (one for plan in plans for one in plan.kept):
        _log.info("%s: %d kept, %s", kept.table, kept.snapshots, kept.reason)
    return {plan.table: {"expired": len(plan.expired), "forgotten": list(plan.forgotten)} for plan in plans}


def _compact(settings: Settings, parameters: Parameters) -> dict[str, Any]:
    from lake.iceberg.catalog import open_catalog

    return compact_days(open_catalog(settings), parameters)


def compact_days(catalog: Publisher, parameters: Parameters, budget: RunBudget | None = None) -> dict[str, Any]:
    """`compact` with its port: the days of the drives published lately, oldest first, and the metadata of all tables."""
    from lake.maintenance.compaction_plan import DEFAULT_SIZES, RunBudget, plan
    from lake.maintenance.metadata import merge_metadata
    from lake.maintenance.recent_days import recent_days

    since_ns = time.time_ns() - int(float(parameters["published_h"]) * HOUR_S * 1e9)
    of_run = budget or RunBudget()
    outcomes: Counter[str] = Counter()
    for day in recent_days(catalog, since_ns):
        planned = plan(catalog, DEFAULT_SIZES, day)
        for table, reasons in planned.left.items():
            for why, left in reasons.items():
                _log.info("%s, %s: %d files kept, %d bytes, %s", table, day, left.files, left.size, why)
        for job in filter(None, map(of_run.take, planned.jobs)):
            outcomes["to be merged" if parameters["dry_run"] else _merged(catalog, job)] += len(job.files)
    if of_run.waiting.files:
        _log.warning(
            "%d files (%d bytes) wait for the next run: this one merges %d bytes at most, the oldest days first",
            *(of_run.waiting.files, of_run.waiting.size, of_run.most),
        )
    merged = {"files": dict(outcomes), "bytes": of_run.taken, "files waiting": of_run.waiting.files}
    return {**merged, **merge_metadata(catalog, apply=not parameters["dry_run"])}


def _merged(catalog: Publisher, job: MergeJob) -> str:
    from lake.maintenance.compact import MergeOutcome, compact
    from lake.maintenance.compaction_plan import DEFAULT_SIZES

    done = compact(catalog, job, DEFAULT_SIZES)
    if done.reason:
        level = logging.ERROR if done.outcome is MergeOutcome.REFUSED else logging.INFO
        _log.log(level, "%s: %s, %s", job, done.outcome.value, done.reason)
    return done.outcome.value


def _sweep(settings: Settings, parameters: Parameters) -> dict[str, Any]:
    from ops.maintenance.deployed import swept_lake

    return sweep_files(swept_lake(settings), parameters)


def sweep_files(swept: SweptLake, parameters: Parameters) -> dict[str, Any]:
    """`sweep` with its ports."""
    from lake.maintenance.sweep import SweepPolicy, sweep

    report = sweep(swept, SweepPolicy(), apply=not parameters["dry_run"])
    for line in (*report.hidden, *report.lines):
        _log.log(logging.ERROR if line.hidden else logging.INFO, "%s/%s: kept, %s", line.bucket, line.key, line.reason)
    for reason, amount in sorted(report.kept_by.items()):
        _log.info("kept, %s: %d objects, %d bytes", reason, amount.objects, amount.bytes)
    for note in report.notes:
        _log.warning("%s", note)
    amounts = {"due": report.due, "deleted": report.deleted, "listed": report.candidates}
    found: dict[str, Any] = {name: {"objects": one.objects, "bytes": one.bytes} for name, one in amounts.items()}
    return found | {"hidden": len(report.hidden), "uploads_aborted": report.aborted}


STEPS: Mapping[str, Callable[[Settings, Parameters], dict[str, Any]]] = {  # in their order
    "expire": _expire,
    "compact": _compact,
    "sweep": _sweep,
}
