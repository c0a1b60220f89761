from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import TableError
from quality.errors import MetricsError
from quality.measurements.sensor_metrics import METRICS, SensorMetrics, coverage, metrics_table, read_metrics
from sensors.rig import Rig

Make = Callable[..., SensorMetrics]


def test_table_round_trip_keeps_nanoseconds_and_nulls(make_metrics: Make) -> None:
    lidar = make_metrics(first_ns=1_700_000_000_123_456_789, last_ns=1_700_000_000_123_456_790)
    camera = make_metrics("cam_front", "camera", frames_expected=None, measured_rate_hz=None, first_ns=None, last_ns=None)
    table = metrics_table([lidar, camera])
    assert table.schema == METRICS
    assert read_metrics(table) == (camera, lidar)


def test_a_sensor_twice_is_refused(make_metrics: Make) -> None:
    with pytest.raises(MetricsError, match="lidar_top"):
        metrics_table([make_metrics(), make_metrics()])


def test_another_schema_is_refused(make_metrics: Make) -> None:
    table = metrics_table([make_metrics()]).drop_columns(["coverage"])
    with pytest.raises(TableError, match="coverage: missing"):
        read_metrics(table.append_column("speed", pa.array([1.0])))


@pytest.mark.parametrize(
    "changed",
    [
        {"frames_read": -1},
        {"duplicates": -1},
        {"coverage": 1.01},
        {"coverage": float("nan")},
        {"measured_rate_hz": float("nan")},
        {"measured_rate_hz": 0.0},
        {"nominal_rate_hz": float("inf")},
        {"last_ns": 5},
        {"clock_steps": -1},
        {"drift_ppm": float("inf")},
        {"delay_uncertainty_ns": -1},
    ],
)
def test_values_that_cannot_be_are_refused(make_metrics: Make, changed: dict[str, Any]) -> None:
    with pytest.raises(MetricsError, match=next(iter(changed))):
        make_metrics(**changed)


def test_silent_sensor(rig: Rig) -> None:
    entry = SensorMetrics.silent(rig["cam_front"], rig, frames_expected=7)
    assert (entry.frames_read, entry.frames_expected, entry.required, entry.reference) == (0, 7, True, False)
    assert (entry.measured_rate_hz, entry.first_ns, entry.coverage) == (None, None, 0.0)


@pytest.mark.parametrize(
    ("first_ns", "last_ns", "expected"),
    [(5, 95, 1.0), (0, 100, 1.0), (5, 45, 0.5), (50, 50, 0.1), (-500, -400, 0.0), (-50, 250, 1.0)],
)
def test_coverage(first_ns: int, last_ns: int, expected: float) -> None:
    assert coverage(first_ns, last_ns, 10, 0, 100) == pytest.approx(expected)


def test_coverage_of_a_drive_without_length_is_unknown() -> None:
    assert coverage(0, 0, 10, 100, 100) is None


@given(st.integers(-1000, 1000), st.integers(0, 1000), st.integers(1, 50), st.integers(1, 500))
def test_coverage_is_a_share(first_ns: int, length_ns: int, period_ns: int, drive_ns: int) -> None:
    value = coverage(first_ns, first_ns + length_ns, period_ns, 0, drive_ns)
    assert value is not None
    assert 0 <= value <= 1
