"""A small, flawless rig and drive; each test breaks the one thing that it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lake.documents import Manifest, ManifestObject
from lake.landing import DriveId, SensorKey
from quality.measurements.sensor_metrics import SensorMetrics
from sensors.rig import Rig

START_NS = 1_700_000_000_000_000_000
END_NS = START_NS + 10_000_000_000
DRIVE = DriveId("car-1", "drive-1")
SENSORS = (("lidar_top", "lidar", 10.0, True), ("cam_front", "camera", 10.0, True), ("radar_front", "radar", 13.0, False))


def rig_document(**policy: Any) -> dict[str, Any]:
    """`calibration.json` of a lidar (reference), a required camera, an optional radar and an optional pose source."""
    return {
        "schema_version": 1,
        "rig_id": "rig-1",
        "reference": "lidar_top",
        "sensors": [
            {
                "name": name,
                "modality": modality,
                "rate_hz": rate_hz,
                "sync": {"stamp": "end", "expected_delay_ns": 0, "required": required, "warn_residual_ns": 25_000_000},
            }
            for name, modality, rate_hz, required in (*SENSORS, ("odometry", "pose", 100.0, False))
        ],
        "policy": policy,
    }


@pytest.fixture
def make_rig() -> Callable[..., Rig]:
    """Build the rig with another policy: `make_rig(pose_required=True)`."""
    return lambda **policy: Rig.from_dict(rig_document(**policy))


@pytest.fixture
def rig() -> Rig:
    return Rig.from_dict(rig_document())


@pytest.fixture
def manifest() -> Manifest:
    key = SensorKey(DRIVE, "lidar", "lidar_top", START_NS)
    entry = ManifestObject(str(key), 1000, "a" * 64, "lidar", "lidar_top", START_NS, END_NS, 100)
    return Manifest(DRIVE, "rig-1", START_NS, END_NS, "recorder", "1", "c" * 64, (entry,))


@pytest.fixture
def make_metrics() -> Callable[..., SensorMetrics]:
    """Build flawless metrics of ten seconds of a sensor, with some values changed."""

    def build(sensor: str = "lidar_top", modality: str = "lidar", rate_hz: float = 10.0, **changed: Any) -> SensorMetrics:
        frames = round(10 * rate_hz)
        values: dict[str, Any] = {
            "sensor": sensor,
            "modality": modality,
            "required": sensor != "radar_front" and modality != "pose",
            "reference": sensor == "lidar_top",
            "frames_expected": frames,
            "frames_read": frames,
            "nominal_rate_hz": rate_hz,
            "measured_rate_hz": rate_hz,
            "first_ns": START_NS,
            "last_ns": END_NS,
            "coverage": 1.0,
            "max_gap_ns": round(1e9 / rate_hz),
            "gaps": 0,
            "duplicates": 0,
            "regressions": 0,
            "jitter_p95_ns": 1_000,
            "log_offset_p50_ns": 2_000_000,
        }
        return SensorMetrics(**{**values, **changed})

    return build


@pytest.fixture
def clean(make_metrics: Callable[..., SensorMetrics]) -> tuple[SensorMetrics, ...]:
    """Flawless metrics of the whole rig."""
    return (
        make_metrics(),
        make_metrics("cam_front", "camera"),
        make_metrics("radar_front", "radar", 13.0),
        make_metrics("odometry", "pose", 100.0),
    )
