"""What a vehicle's baseline is learned from, and what is kept from teaching."""

from __future__ import annotations

import random

import pytest

from lake.errors import LandingError
from lake.vehicle_baseline import BaselineStatistic, SensorBaseline, VehicleBaseline, parse_baseline
from scenes.documents import CalibrationRow, DriveStatistics, Provenance, SensorStatistics
from scenes.outcome.learning import learn

VEHICLE, DAY_NS = "car-1", 86_400_000_000_000


def lidar(returns: float, *suspect: str, frames: float = 100, modality: str = "lidar") -> SensorStatistics:
    values = {"returns": returns, "intensity": 20.0, "rate_hz": 10.0, "frames": frames}
    return SensorStatistics(sensor="top", modality=modality, values=values, suspect=suspect)


def drive(number: int, *sensors: SensorStatistics, yaw: float | None = 0.1) -> DriveStatistics:
    verdict, reason = ("not observable", "the vehicle hardly moves") if yaw is None else ("ok", "")
    row = CalibrationRow(
        sensor="top",
        quantity="lidar_yaw",
        verdict=verdict,
        unit="deg",
        error=yaw,
        uncertainty=0.1,
        frames=8,
        items=8,
        reason=reason,
    )
    return DriveStatistics(
        vehicle_id=VEHICLE,
        drive_id=f"d-{number}",
        revision=f"{number:064x}",
        first_ns=number * DAY_NS,
        baseline=None,
        provenance=Provenance(f"code-{number}", "config", "lock"),
        sensors=sensors,
        calibration=(row,),
    )


def of_top(baseline: VehicleBaseline) -> SensorBaseline:
    found = baseline.of("top", "lidar")
    assert found is not None
    return found


def returns(baseline: VehicleBaseline) -> BaselineStatistic:
    found = of_top(baseline).statistic("returns")
    assert found is not None
    return found


def test_each_drive_counts_once_with_its_median() -> None:
    baseline = learn(VEHICLE, [drive(n, lidar(value)) for n, value in enumerate((100, 110, 90, 120, 105))], "code").baseline
    assert returns(baseline) == BaselineStatistic("returns", 105, pytest.approx(1.4826 * 5), 90, 120, 105, 112.5)
    assert [entry.drive_id for entry in baseline.drives] == ["d-0", "d-1", "d-2", "d-3", "d-4"]
    assert [entry.code_version for entry in baseline.drives] == [f"code-{n}" for n in range(5)]
    assert parse_baseline(baseline.to_bytes(), VEHICLE) == baseline


def test_the_order_of_the_drives_does_not_matter() -> None:
    drives = [drive(n, lidar(100 + n)) for n in range(7)]
    bodies = {learn(VEHICLE, random.Random(seed).sample(drives, 7), "code").baseline.to_bytes() for seed in range(5)}
    assert len(bodies) == 1


@pytest.mark.parametrize("dead", [0.0, 10.0, 45.0])
def test_a_dead_sensor_that_no_rule_found_teaches_nothing(dead: float) -> None:
    lesson = learn(VEHICLE, [*(drive(n, lidar(100)) for n in range(4)), drive(4, lidar(dead))], "code")
    assert (of_top(lesson.baseline).drives, returns(lesson.baseline).least) == (4, 100)
    assert [(one.drive_id, one.sensor, one.reason) for one in lesson.left_out] == [
        ("d-4", "top", "differs from the other drives")
    ]
    assert "d-4" not in {entry.drive_id for entry in lesson.baseline.drives}


def test_a_suspect_sensor_teaches_nothing_and_the_others_of_its_drive_do() -> None:
    camera = SensorStatistics(sensor="cam", modality="camera", values={"mean_luma": 90.0, "frames": 50}, suspect=())
    drives = [drive(n, lidar(100), camera) for n in range(3)] + [drive(3, lidar(100, "CLK008"), camera)]
    lesson = learn(VEHICLE, drives, "code")
    assert of_top(lesson.baseline).drives == 3
    known = lesson.baseline.of("cam", "camera")
    assert known is not None
    assert known.drives == 4
    assert [(one.drive_id, one.reason) for one in lesson.left_out] == [("d-3", "failed CLK008")]


def test_what_departed_from_an_earlier_baseline_teaches_only_on_request() -> None:
    drives = [drive(n, lidar(40, "LID010")) for n in range(3)]
    with pytest.raises(LandingError, match="no sensor was sound in 3 of them"):
        learn(VEHICLE, drives, "code")
    assert returns(learn(VEHICLE, drives, "code", departed=True).baseline).median == 40
    both = [drive(n, lidar(40, "LID010", "LID007")) for n in range(3)]
    with pytest.raises(LandingError):
        learn(VEHICLE, both, "code", departed=True)


def test_too_few_drives_or_frames_are_no_baseline() -> None:
    for drives in ([], [drive(n, lidar(100)) for n in range(2)], [drive(n, lidar(100, frames=7)) for n in range(5)]):
        with pytest.raises(LandingError, match="no sensor was sound"):
            learn(VEHICLE, drives, "code")


def test_a_sensor_that_was_replaced_by_another_kind_begins_anew() -> None:
    drives = [drive(n, lidar(100)) for n in range(5)] + [drive(5, lidar(30, modality="radar"))]
    with pytest.raises(LandingError):
        learn(VEHICLE, drives, "code")


def test_a_slow_drift_shows_in_the_halves() -> None:
    entry = returns(learn(VEHICLE, [drive(n, lidar(100 - 4 * n)) for n in range(10)], "code").baseline)
    assert (entry.older, entry.newer) == (92, 72)


def test_the_history_of_the_calibration_counts_what_was_observable() -> None:
    drives = [drive(n, lidar(100), yaw=yaw) for n, yaw in enumerate((0.1, None, 0.3, 0.2))]
    (history,) = of_top(learn(VEHICLE, drives, "code").baseline).calibration
    assert (history.quantity, history.drives, history.observed, history.median) == ("lidar_yaw", 4, 3, 0.2)
