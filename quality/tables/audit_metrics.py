"""The per-drive metric table that is audited after the build: one row per sensor with all measurements, counts and residuals.

It joins the inspection's measurements, the fates of the frames, and the residuals of the matches. The column named by each
`Measure` holds the value that its rule judges, so that a validator needs no arithmetic of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from lake.tables.schemas import NS
from quality.accounting import SensorAccount, balance
from quality.errors import MetricsError
from quality.measurements.residuals import ToleratedResiduals
from quality.measurements.rule_measures import MEASURES, Bounds
from quality.measurements.sensor_metrics import METRICS, SensorMetrics

UNACCOUNTED = "unaccounted_frames"  # judged by ACC001
TOLERANCES = "residual_tolerances"  # judged by SYN004: the largest residual in units of the tolerance
CRITICAL = "critical"  # required, or the reference
MATCHED = "matched"  # has frames in gold that were matched to an anchor

AUDIT = pa.schema(
    [
        *METRICS,
        pa.field(CRITICAL, pa.bool_(), nullable=False),
        pa.field(MATCHED, pa.bool_(), nullable=False),
        pa.field("read", pa.int64()),
        pa.field("gold", pa.int64()),
        pa.field("quarantined", pa.int64()),
        pa.field("unmatched", pa.int64()),
        pa.field("residual_p50_ns", NS),
        pa.field("residual_p95_ns", NS),
        pa.field("residual_max_ns", NS),
        pa.field("tolerance_ns", NS),
        *(pa.field(measure.column, pa.float64()) for measure in MEASURES),
        pa.field(UNACCOUNTED, pa.float64()),
        pa.field(TOLERANCES, pa.float64()),
    ]
)


def audit_table(
    metrics: Sequence[SensorMetrics],
    accounts: Sequence[SensorAccount],
    residuals: Mapping[str, ToleratedResiduals | None],
    bounds: Bounds | None,
) -> pa.Table:
    """Rows of `AUDIT`, sorted by sensor.

    A sensor that has frames but no account, or whose account counts other frames than its metrics, is out of balance.

    Raises:
        MetricsError: A sensor is measured twice or accounted for twice, or is accounted for without having been measured.
    """
    names = [entry.sensor for entry in metrics]
    by_sensor = {entry.sensor: entry for entry in accounts}
    if len(set(names)) < len(names) or len(by_sensor) < len(accounts):
        raise MetricsError(f"a sensor is measured or accounted for twice: {', '.join(sorted(names))}")
    unmeasured = sorted(set(by_sensor) - set(names))
    if unmeasured:
        raise MetricsError(f"accounted for, but never measured: {', '.join(unmeasured)}")
    ordered = sorted(metrics, key=lambda entry: entry.sensor)
    rows = [_row(entry, by_sensor.get(entry.sensor), residuals.get(entry.sensor), bounds) for entry in ordered]
    return pa.Table.from_pylist(rows, schema=AUDIT)


def _row(
    metrics: SensorMetrics, account: SensorAccount | None, residuals: ToleratedResiduals | None, bounds: Bounds | None
) -> dict[str, Any]:
    if account is None and metrics.frames_read == 0:
        account = SensorAccount(metrics.sensor, 0, 0, 0, 0, {})
    in_gold = account is not None and account.gold > 0
    return {
        **asdict(metrics),
        CRITICAL: metrics.required or metrics.reference,
        MATCHED: in_gold and metrics.in_scene and not metrics.reference,
        "read": account and account.read,
        "gold": account and account.gold,
        "quarantined": account and account.quarantined,
        "unmatched": account and account.unmatched,
        "residual_p50_ns": residuals and residuals.sizes.p50_ns,
        "residual_p95_ns": residuals and residuals.sizes.p95_ns,
        "residual_max_ns": residuals and residuals.sizes.max_ns,
        "tolerance_ns": residuals and residuals.tolerance_ns,
        **{measure.column: measure.value(metrics, bounds) for measure in MEASURES},
        UNACCOUNTED: _unaccounted(metrics, account),
        TOLERANCES: residuals and residuals.tolerances,
    }


def _unaccounted(metrics: SensorMetrics, account: SensorAccount | None) -> int | None:
    if account is None:
        return None
    found = balance([account])
    if found:
        return found[0].frames
    return abs(metrics.frames_read - (account.read or 0))
