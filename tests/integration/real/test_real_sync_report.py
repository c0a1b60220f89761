"""`sync-report` on real recordings, which are not part of the repository: figures as measured on the sources."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app
from fleet.importers.registry import IMPORTERS
from ops.sync.answer import InSync
from ops.sync.report import Options, SensorSync, SyncReport, sync_report
from ops.sync.streams import Stream
from ops.sync.timeline import TableLayout, Timeline, read_timeline
from sensors.clocks.delay import Phase
from sensors.rig import Modality
from tests.real_data import DATA

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs real recordings: SCENELAKE_TEST_DATA names their folder; not part of the repository"
)
MS = 1_000_000
PANDASET_MS = {
    "camera_front": -49.86,
    "camera_front_left": -60.66,
    "camera_front_right": -39.07,
    "camera_left": -81.23,
    "camera_right": -18.56,
    "camera_back": -99.92,
}
NUSCENES_MS = {
    "CAM_FRONT_LEFT": -43.4,
    "CAM_FRONT": -35.8,
    "CAM_FRONT_RIGHT": -27.8,
    "CAM_BACK_RIGHT": -20.2,
    "CAM_BACK": -10.7,
    "CAM_BACK_LEFT": -0.8,
}
NUSCENES = TableLayout(sensor="channel", stamp="timestamp_us", unit="us", sort=True)


def present(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{'/'.join(parts)} is not among the real recordings")
    return path


def imported(name: str, source: str, tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    result = IMPORTERS[name](present(source), tmp_path_factory.mktemp(name) / "drive", "car-1", name)
    return read_timeline(result.folder.path)


@pytest.fixture(scope="module")
def pandaset(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    return imported("pandaset", "pandaset_002", tmp_path_factory)


@pytest.fixture(scope="module")
def radiate(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    return imported("radiate", "radiate_tiny_foggy", tmp_path_factory)


def of(report: SyncReport, sensor: str) -> SensorSync:
    return next(one for one in report.sensors if one.sensor == sensor)


def delay_ms(one: SensorSync) -> float:
    assert one.delay is not None and one.delay.delay_ns is not None
    return one.delay.delay_ns / MS


def other_ms(one: SensorSync) -> float:
    assert one.delay is not None and one.delay.other_ns is not None
    return one.delay.other_ns / MS


def test_pandaset_is_in_sync_at_the_declared_delays(pandaset: Timeline) -> None:
    report, _ = sync_report(pandaset.streams, pandaset.rig)
    assert (report.answer.in_sync, report.findings, report.complete) == (InSync.YES, (), 10)
    for name, expected_ms in PANDASET_MS.items():
        camera = of(report, name)
        assert delay_ms(camera) == pytest.approx(expected_ms, abs=0.1)
        assert camera.residuals is not None and camera.residuals.max_ns < 0.1 * MS
        assert camera.delay_error_ns is not None and abs(camera.delay_error_ns) < 0.1 * MS
    assert other_ms(of(report, "camera_back")) == pytest.approx(0.11, abs=0.02)


def test_pandaset_without_its_rig_has_both_readings(pandaset: Timeline) -> None:
    """Nearest pairs image i+1 of the back camera with sweep i: that reading is reported, and the true one beside it."""
    report, _ = sync_report(pandaset.streams, None, Options(reference="lidar"))
    back = of(report, "camera_back")
    assert (delay_ms(back), other_ms(back)) == (pytest.approx(0.11, abs=0.02), pytest.approx(-99.92, abs=0.1))
    for name, expected_ms in PANDASET_MS.items():
        assert expected_ms in (
            pytest.approx(delay_ms(of(report, name)), abs=0.1),
            pytest.approx(other_ms(of(report, name)), abs=0.1),
        )


def test_radiate_has_its_faults(radiate: Timeline) -> None:
    report, _ = sync_report(radiate.streams, radiate.rig)
    gnss = of(report, "gnss")
    steps = [(one.frame + 1, round(one.step_ns / MS, 1)) for one in gnss.clock_steps.first]
    assert steps == [(29, -360.2), (51, 460.6)]
    assert (gnss.clock.duplicates, gnss.clock.regressions) == (60, 1)
    assert {"CLK001", "CLK002", "CLK008", "CMP005"} <= set(gnss.findings)
    camera, radar = of(report, "camera_left"), of(report, "radar")
    assert (camera.clock.gaps, round((camera.clock.max_gap_ns or 0) / MS, 1)) == (1, 133.6)
    assert (camera.clock_steps.count, of(report, "lidar").clock_steps.count) == (0, 0)
    for one in (camera, radar):
        assert one.delay is not None and one.delay.phase is Phase.FREE
    assert (radar.clock.period_p50_ns or 0) / MS == pytest.approx(243.7, abs=0.1)
    assert report.answer.in_sync is InSync.NO


@pytest.mark.parametrize(("tolerance_ms", "complete"), [(50.0, 283), (37.5, 0)])
def test_nuscenes_keyframes(tolerance_ms: float, complete: int) -> None:
    found = read_timeline(present("nuscenes_mini_timing", "keyframes.csv"), layout=NUSCENES)
    report, _ = sync_report(found.streams, None, Options(tolerance_ns=round(tolerance_ms * MS)))
    assert (report.reference, report.anchors, report.complete, report.pauses) == ("LIDAR_TOP", 283, complete, 6)
    for name, expected_ms in NUSCENES_MS.items():
        camera = of(report, name)
        assert camera.delay is not None and camera.delay.mean_ns is not None
        assert camera.delay.mean_ns / MS == pytest.approx(expected_ms, abs=0.05)
        assert delay_ms(camera) == pytest.approx(expected_ms, abs=0.4)
    radars = [one for one in report.sensors if one.modality is Modality.RADAR]
    assert [one.delay and one.delay.phase for one in radars] == [Phase.FREE] * 5
    lidar = of(report, "LIDAR_TOP").clock
    assert (lidar.period_p50_ns or 0) / MS == pytest.approx(499.9, abs=0.05)
    assert (lidar.max_gap_ns or 0) / MS == pytest.approx(600.0, abs=0.1)


def test_the_one_liner_for_the_nuscenes_table() -> None:
    path = present("nuscenes_mini_timing", "keyframes.csv")
    columns = ("--sensor-column", "channel", "--stamp-column", "timestamp_us", "--stamp-unit", "us", "--any-order")
    result = CliRunner().invoke(app, ["sync-report", str(path), *columns, "--estimated-delays", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    worst = {one["sensor"]: one["residuals"]["max_ns"] / MS for one in found["sensors"] if one["modality"] == "camera"}
    assert len(worst) == 6 and max(worst.values()) < 6


def seconds(path: Path) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    values = np.load(path, allow_pickle=False)
    return np.array([int(Decimal(repr(float(value))).scaleb(9)) for value in values], dtype=np.int64)


def test_comma2k19_counts_from_boot_and_its_radar_rows_are_bursts() -> None:
    root = present("comma2k19")
    streams = [
        Stream("camera", Modality.CAMERA, seconds(root / "global_pose" / "frame_times.npy"), None),
        Stream("imu", Modality.IMU, seconds(root / "processed_log" / "IMU" / "gyro" / "t.npy"), None),
        Stream("radar", Modality.RADAR, seconds(root / "processed_log" / "CAN" / "radar" / "t.npy"), None),
    ]
    report, _ = sync_report(streams, None, Options(reference="camera", tolerance_ns=25 * MS))
    assert [one.epoch for one in report.domains] == ["boot"]
    assert (of(report, "radar").matched, report.anchors) == (799, 800)
    assert of(report, "imu").clock.measured_rate_hz == pytest.approx(104.3, abs=0.2)
    assert [one.unit for one in report.sensors] == [None] * 3


def test_the_two_clocks_of_an_mcap_are_distinguished() -> None:
    report, _ = sync_report(read_timeline(present("mcap_ros1_ouster", "test.mcap")).streams)
    assert [one.epoch for one in report.domains] == ["1970", "boot"]
    (imu,) = [one for one in report.sensors if one.modality is Modality.IMU]
    assert report.domains[1].sensors == (imu.sensor,)
    assert imu.clock.period_p50_ns == pytest.approx(10 * MS, rel=0.01)
    (cloud,) = [one for one in report.sensors if one.modality is Modality.LIDAR]
    assert (cloud.log_offset_ns or 0) / 1e9 == pytest.approx(-4_758_204, abs=1)


def test_the_unit_of_a_dataset_of_the_year_2463_is_found(tmp_path: Path) -> None:
    """Ticks of 100 ns were written as microseconds; read as what they are, the step is 0.1 s and the camera 21 ms late."""
    (scene,) = present("dgp_test_scene").glob("scene_01/scene_*.json")
    rows = [(one["id"]["name"], ticks(one["id"]["timestamp"])) for one in json.loads(scene.read_text())["data"]]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("sensor", "stamp_ns"), *rows])
    columns = ("--stamp-unit", "us")
    result = CliRunner().invoke(app, ["sync-report", str(tmp_path / "t.csv"), *columns])
    assert result.exit_code == 1
    assert "--stamp-unit 100ns" in result.stderr
    found = json.loads(
        CliRunner().invoke(app, ["sync-report", str(tmp_path / "t.csv"), "--stamp-unit", "100ns", "--json"]).stdout
    )
    lidar = next(one for one in found["sensors"] if one["sensor"] == "LIDAR")
    camera = next(one for one in found["sensors"] if one["sensor"] == "CAMERA_01")
    assert lidar["clock"]["period_p50_ns"] / MS == pytest.approx(100, abs=0.1)
    assert camera["residuals"]["p50_ns"] / MS == pytest.approx(21.2, abs=0.1)


def ticks(written: str) -> int:
    """What was written as a date in microseconds since 1970."""
    moment = np.datetime64(written.removesuffix("Z"), "us")
    return int(moment.astype(np.int64))
