"""Completeness rules on synthetic drives: they report exactly what the generator left out."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pytest

from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions
from fleet.synthetic.vehicle import build_rig
from lake.landing import SensorKey, parse_raw_key
from quality.evaluators.drive import evaluate_drive
from quality.rules.findings import Finding
from scenes.scan.object_scan import scan_object
from scenes.scan.sensor_metrics import sensor_metrics
from spark_jobs.inspect import _number
from tests.unit.scenes.job_builders import index_of

TINY = RigOptions(width_px=16, height_px=16, lidar_rings=2, lidar_columns=8)


def completeness(folder: Path, seed: int, *faults: str) -> list[Finding]:
    spec = DriveSpec("car-1", "d-1", seed=seed, duration_s=4.0, rig=TINY, faults=tuple(Fault.parse(text) for text in faults))
    drive = generate(spec, folder / f"drive-{seed}")
    tables = []
    for file in drive.files():
        key = parse_raw_key(file.key)
        if isinstance(key, SensorKey):
            tables.append(index_of(key, scan_object(io.BytesIO(Path(file.path).read_bytes()), key)))
    rig = build_rig(TINY)
    metrics = sensor_metrics(_number(pa.concat_tables(tables)).combine_chunks(), rig, drive.manifest)
    return [found for found in evaluate_drive(rig, drive.manifest, metrics) if found.rule_id.startswith("CMP")]


@pytest.mark.parametrize("seed", range(3))
def test_a_clean_drive_is_complete(tmp_path: Path, seed: int) -> None:
    assert completeness(tmp_path, seed) == []


@pytest.mark.parametrize("seed", range(3))
def test_frames_that_were_measured_and_not_recorded_are_reported_by_share(tmp_path: Path, seed: int) -> None:
    found = completeness(tmp_path, seed, "drop_frames:camera_front:0.15", "drop_frames:radar_front:7")
    assert [(one.rule_id, one.sensor) for one in found] == [("CMP007", "camera_front")]
    assert found[0].measured == pytest.approx(0.15, abs=0.03)


def test_a_sensor_that_dies_covers_too_little_and_lost_nothing_in_gaps(tmp_path: Path) -> None:
    found = completeness(tmp_path, 5, "dead_sensor:camera_front:2")
    assert [(one.rule_id, one.sensor) for one in found] == [("CMP005", "camera_front")]
