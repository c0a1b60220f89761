"""Generated drives: sound ones teach a baseline, and a sensor that was hurt throughout a drive departs from it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import spark_jobs.audit
from bench.folder_settings import SETTINGS
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DEFAULT_START_NS, DriveSpec, RigOptions
from lake.documents import Manifest
from lake.drive_input import DriveInput, InputObject
from lake.landing import CALIBRATION, MANIFEST
from lake.vehicle_baseline import VehicleBaseline
from quality.evaluators.departure import evaluate_departures
from quality.rules.findings import Finding
from quality.rules.rulebook import RuleBook
from scenes.documents import BuiltWindows, DriveStatistics
from scenes.outcome.learning import learn
from scenes.work_area import BUILT, STATISTICS
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import Landed
from tests.unit.spark_jobs.test_baseline import nothing_to_report

RIG = RigOptions(cameras=("camera_front",), width_px=320, height_px=180, lidar_rings=16, lidar_columns=180)
HOUR_NS = 3_600_000_000_000


def landed(number: int, *faults: str) -> tuple[Landed, DriveInput]:
    """A generated drive in memory."""
    spec = DriveSpec(
        "veh-1",
        f"d-{number}",
        seed=number,
        duration_s=1.6,
        start_ns=DEFAULT_START_NS + number * HOUR_NS,
        rig=RIG,
        faults=tuple(map(Fault.parse, faults)),
    )
    drive = Landed(FakeS3(), spec.drive)
    with tempfile.TemporaryDirectory(prefix="generated-drive-") as folder:
        root = Path(folder) / "drive"
        generate(spec, root)
        manifest = Manifest.parse((root / MANIFEST).read_bytes(), spec.drive)
        for entry in manifest.objects:
            drive.land_bytes(entry.key, (root / entry.key.removeprefix(spec.drive.prefix)).read_bytes())
        pinned = {
            name: drive.s3.put_object(Bucket="raw", Key=spec.drive.prefix + name, Body=(root / name).read_bytes())["VersionId"]
            for name in (CALIBRATION, MANIFEST)
        }
    calibration = InputObject(spec.drive.calibration_key, pinned[CALIBRATION], manifest.calibration_sha256)
    manifest_object = InputObject(spec.drive.manifest_key, pinned[MANIFEST], "")
    return drive, DriveInput(spec.drive, frozenset(drive.objects.values()), manifest_object, calibration)


@pytest.fixture(scope="module")
def sound() -> list[DriveStatistics]:
    """The statistics of three drives without a fault."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark_jobs.audit, "run_checkpoint", nothing_to_report)
        for number in range(3):
            drive, drive_input = landed(number)
            serial_jobs.inspect(drive, drive_input)
            serial_jobs.build(drive, drive_input)
            assert serial_jobs.audit(drive, drive_input).verdict == "publish"
            found.append(drive.area.read_document(STATISTICS, DriveStatistics))
    return found


@pytest.fixture(scope="module")
def baseline(sound: list[DriveStatistics]) -> VehicleBaseline:
    return learn("veh-1", sound, "test").baseline


def departures(baseline: VehicleBaseline, *faults: str) -> list[Finding]:
    drive, drive_input = landed(3, *faults)
    serial_jobs.inspect(drive, drive_input)
    serial_jobs.build(drive, drive_input)
    statistics = drive.area.read_document(BUILT, BuiltWindows).statistics
    rig = spark_jobs.audit._documents(serial_jobs.step_of(drive, drive_input))[0]
    assert rig is not None
    return list(evaluate_departures(rig, baseline, statistics, RuleBook.of(rig.policy)))


def test_every_sensor_of_a_sound_drive_teaches(sound: list[DriveStatistics], baseline: VehicleBaseline) -> None:
    assert {entry.sensor: entry.suspect for drive in sound for entry in drive.sensors if entry.suspect} == {}
    assert {entry.modality for entry in baseline.sensors} >= {"lidar", "camera", "radar", "pose"}
    assert SETTINGS.lake_bucket not in baseline.to_bytes().decode()


def test_each_sensor_that_was_hurt_throughout_departs(baseline: VehicleBaseline) -> None:
    found = departures(baseline, "drop_points:lidar_top:0.6", "drop_points:radar_front:0.9", "blur:camera_front:4")
    assert {(one.rule_id, one.sensor) for one in found} == {
        ("LID010", "lidar_top"), ("RAD006", "radar_front"), ("CAM011", "camera_front"),
    }  # fmt: skip
    assert all("3 earlier drives" in one.message for one in found)
    lidar = next(one for one in found if one.rule_id == "LID010")
    assert lidar.measured == pytest.approx(0.4, abs=0.05)


def test_a_camera_without_colour_departs(baseline: VehicleBaseline) -> None:
    (found,) = departures(baseline, "grey_image:camera_front")
    assert (found.rule_id, found.sensor, found.outcome) == ("CAM011", "camera_front", "failed")


def test_neither_a_sound_lidar_nor_half_of_the_light_is_a_departure(baseline: VehicleBaseline) -> None:
    assert departures(baseline, "underexpose:camera_front:0.5") == []
