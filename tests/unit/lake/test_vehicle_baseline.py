"""The baseline document: read back to what was written, and refused with a reason where it is not one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lake.documents import MAX_BASELINE_BYTES
from lake.errors import LandingError
from lake.vehicle_baseline import (
    BaselineStatistic,
    CalibrationHistory,
    LearnedFrom,
    SensorBaseline,
    VehicleBaseline,
    parse_baseline,
)

RETURNS = BaselineStatistic("returns", 100.0, 3.5, 90.0, 120.0, 100.0, 101.0)
YAW = CalibrationHistory("lidar_yaw", 4, 3, 0.1, 0.05)
TOP = SensorBaseline("top", "lidar", 4, (RETURNS,), (YAW,))
WHOLE = VehicleBaseline("car-1", "code", tuple(LearnedFrom(f"d-{n}", f"{n:064x}", "code") for n in range(4)), (TOP,))


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(WHOLE.to_bytes())
    return found


def test_what_is_written_is_read_back() -> None:
    assert parse_baseline(WHOLE.to_bytes(), "car-1") == WHOLE
    assert WHOLE.of("top", "lidar") == TOP
    assert WHOLE.of("top", "radar") is None
    assert WHOLE.of("rear", "lidar") is None
    assert (TOP.statistic("returns"), TOP.statistic("range")) == (RETURNS, None)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda doc: doc.update(schema_version=2), "schema"),
        (lambda doc: doc.update(vehicle_id="car-2"), "about the vehicle 'car-2'"),
        (lambda doc: doc.update(note="x"), "schema"),
        (lambda doc: doc.update(drives=doc["drives"][:2]), "schema"),
        (lambda doc: doc.update(drives=doc["drives"] * 26), "schema"),
        (lambda doc: doc.update(drives=doc["drives"][:3] * 2), "drive named twice: d-0, d-1, d-2"),
        (lambda doc: doc.update(sensors=doc["sensors"] * 2), "sensor named twice: top"),
        (lambda doc: doc["sensors"][0].update(drives=2), "schema"),
        (lambda doc: doc["sensors"][0].update(statistics=[]), "schema"),
        (lambda doc: doc["sensors"][0].update(statistics=doc["sensors"][0]["statistics"] * 2), "statistic of top named twice"),
        (lambda doc: doc["sensors"][0].update(calibration=doc["sensors"][0]["calibration"] * 2), "quantity of top named twice"),
        (lambda doc: doc["sensors"][0]["statistics"][0].update(spread=-1), "schema"),
        (lambda doc: doc["sensors"][0]["statistics"][0].update(median=130), "not between the least and the most"),
        (lambda doc: doc["sensors"][0]["statistics"][0].update(median="100"), "schema"),
        (lambda doc: doc["sensors"][0]["calibration"][0].update(observed=5), "contradicts its counts"),
        (lambda doc: doc["sensors"][0]["calibration"][0].update(median=None), "contradicts its counts"),
    ],
)
def test_what_is_no_baseline_is_refused_with_the_reason(change: Callable[[dict[str, Any]], None], problem: str) -> None:
    changed = document()
    change(changed)
    with pytest.raises(LandingError, match=problem):
        parse_baseline(json.dumps(changed).encode(), "car-1")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[" * 100_000, b" " * (MAX_BASELINE_BYTES + 1), b'{"median": NaN}'])
def test_hostile_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(LandingError):
        parse_baseline(body)


def test_a_value_that_is_not_finite_is_refused() -> None:
    body = WHOLE.to_bytes().replace(b'"spread":3.5', b'"spread":1e999')
    with pytest.raises(LandingError, match="finite"):
        parse_baseline(body)
