"""All clocks of a recording together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.clocks.delay import Phase
from sensors.clocks.survey import ClockStream, survey
from sensors.clocks.units import UnitError, UnitEvidence

MS = 1_000_000
S = 1_000_000_000
EPOCH_NS = 1_700_000_000_000_000_000
LIDAR = EPOCH_NS + 100 * MS * np.arange(300, dtype=np.int64)
CAMERA = LIDAR - 30 * MS


def logged(sensor: str, stamps: np.ndarray[tuple[int], np.dtype[np.int64]], late_ns: int = 5 * MS, **more: object) -> ClockStream:
    return ClockStream(sensor, stamps, stamps + late_ns, **more)  # type: ignore[arg-type]


def test_delay_against_the_declared_one() -> None:
    found = survey(
        [logged("lidar", LIDAR), logged("cam", CAMERA, expected_delay_ns=-37 * MS), logged("pose", LIDAR, delayed=False)], "lidar"
    )
    assert found.sensors["cam"].delay is not None
    assert found.sensors["cam"].delay.phase is Phase.LOCKED
    assert found.sensors["cam"].delay_error_ns == 7 * MS
    assert (found.sensors["lidar"].delay, found.sensors["pose"].delay, found.sensors["lidar"].delay_error_ns) == (
        None,
        None,
        None,
    )
    assert found.logged


def test_drift_is_against_the_reference_though_the_recorder_drifts_too() -> None:
    logs = EPOCH_NS + (LIDAR - EPOCH_NS) * 1_000_300 // 1_000_000
    camera = EPOCH_NS + (LIDAR - EPOCH_NS) * 999_900 // 1_000_000
    found = survey([ClockStream("lidar", LIDAR, logs), ClockStream("cam", camera, logs)], "lidar")
    assert found.sensors["cam"].drift_ppm == pytest.approx(-100, abs=0.1)
    assert found.sensors["lidar"].drift_ppm == pytest.approx(0)
    assert found.sensors["lidar"].fit is not None and found.sensors["lidar"].fit.drift_ppm == pytest.approx(-299.9, abs=0.1)


def test_a_clock_that_was_set_drifts_only_between_the_settings() -> None:
    stamps = LIDAR.copy()
    stamps[100:] += 2 * S
    found = survey([logged("lidar", LIDAR), ClockStream("cam", stamps, LIDAR + 5 * MS)], "lidar").sensors["cam"]
    assert [one.frame for one in found.steps.first] == [100]
    assert found.drift_ppm == pytest.approx(0, abs=0.01)
    assert found.fit is not None and found.fit.offset_ns == 2 * S - 5 * MS


def test_log_times_that_equal_the_stamps_are_none() -> None:
    found = survey([ClockStream("lidar", LIDAR, LIDAR), ClockStream("cam", CAMERA, CAMERA)], "lidar")
    assert not found.logged
    assert (found.sensors["cam"].fit, found.sensors["cam"].drift_ppm) == (None, None)
    assert found.sensors["cam"].report.log_offset_p50_ns == 0
    assert survey([ClockStream("lidar", LIDAR, None)], "lidar").sensors["lidar"].report.log_offset_p50_ns is None


def test_domains_with_and_without_log_times() -> None:
    boot = LIDAR - EPOCH_NS + 1622 * S
    by_log = survey([logged("lidar", LIDAR), ClockStream("imu", boot, LIDAR + MS)], "lidar")
    bare = survey(
        [ClockStream("lidar", LIDAR, None), ClockStream("imu", boot, None), ClockStream("gnss", LIDAR + 64 * S, None)], "lidar"
    )
    assert [one.sensors for one in by_log.domains] == [("lidar",), ("imu",)]
    assert by_log.sensors["imu"].domain_offset_ns == 1622 * S - EPOCH_NS + 4 * MS
    assert [one.sensors for one in bare.domains] == [("gnss", "lidar"), ("imu",)]
    assert (bare.sensors["imu"].domain, bare.sensors["gnss"].domain_offset_ns) == (1, 0)


def test_one_wild_stamp_does_not_make_two_domains_one() -> None:
    boot = LIDAR - EPOCH_NS
    wild = boot.copy()
    wild[7] = EPOCH_NS
    assert len(survey([ClockStream("lidar", LIDAR, None), ClockStream("imu", wild, None)], "lidar").domains) == 2


def test_a_wrong_unit_is_not_drift() -> None:
    found = survey([logged("lidar", LIDAR), ClockStream("cam", CAMERA // 1000, CAMERA + MS)], "lidar").sensors["cam"]
    assert found.unit == UnitError(-3, UnitEvidence.LOG_TIME)
    assert found.drift_ppm is None


def test_no_reference_and_no_stream() -> None:
    assert survey([], None).domains == ()
    found = survey([logged("cam", CAMERA)], "lidar").sensors["cam"]
    assert (found.delay, found.drift_ppm, found.domain) == (None, None, 0)


def test_a_stamp_that_does_not_fit_counts_for_nothing_else() -> None:
    stamps = LIDAR.copy()
    stamps[3], stamps[-1] = 0, LIDAR[-1] + 10**17
    one = survey([ClockStream("lidar", stamps, LIDAR + 5 * MS, 10.0)], "lidar").sensors["lidar"]
    assert (one.stamps_off, one.report.frames, one.report.regressions, one.steps.count) == (2, LIDAR.size, 0, 0)
    assert (one.report.first_ns, one.report.last_ns) == (LIDAR[0], LIDAR[-2])


def test_stamps_outside_the_drive_do_not_fit_where_they_are_few() -> None:
    stamps = LIDAR.copy()
    stamps[-1] += 100_000 * MS
    within_ns = int(LIDAR[0]), int(LIDAR[-1])
    found = survey([ClockStream("lidar", stamps, None, 10.0)], "lidar", within_ns)
    assert found.frames["lidar"].line.off.nonzero()[0].tolist() == [LIDAR.size - 1]
    late = survey([ClockStream("lidar", stamps + 10**12, None, 10.0)], "lidar", within_ns)
    assert not late.frames["lidar"].line.off.any()


@pytest.mark.parametrize("at", [LIDAR.size // 4, 3 * LIDAR.size // 4])
@pytest.mark.parametrize("shift_s", [-2, 2, -1_700_000_000])
def test_the_setting_that_agrees_with_the_others_is_trusted(at: int, shift_s: int) -> None:
    number = np.arange(LIDAR.size)
    logs = LIDAR + 5 * MS
    for wrong in (number >= at, number < at):
        camera = np.where(wrong, LIDAR + shift_s * 1000 * MS, LIDAR)
        found = survey([ClockStream("lidar", LIDAR, logs, 10.0), ClockStream("cam", camera, logs, 10.0)], "lidar")
        assert found.frames["cam"].setting_ns == pytest.approx(np.where(wrong, camera - LIDAR, 0), abs=1)
        assert found.sensors["cam"].domain == 0
        assert not found.frames["lidar"].setting_ns.any()


def test_without_log_times_a_clock_is_right_until_it_is_set() -> None:
    camera = np.where(np.arange(LIDAR.size) < 10, LIDAR, LIDAR - 2000 * MS)
    found = survey([ClockStream("lidar", LIDAR, None, 10.0), ClockStream("cam", camera, None, 10.0)], "lidar")
    assert found.frames["cam"].setting_ns.tolist() == [-2000 * MS if number >= 10 else 0 for number in range(LIDAR.size)]


def test_log_times_at_another_pace_are_no_witness() -> None:
    logs = LIDAR[0] + 10**16 + (LIDAR - LIDAR[0]) // 9
    found = survey([ClockStream("lidar", LIDAR, logs, 10.0), ClockStream("cam", CAMERA, logs, 10.0)], "lidar")
    assert found.logged is False
    assert found.sensors["cam"].log_pace == pytest.approx(9.0, rel=0.01)
    assert (len(found.domains), found.sensors["cam"].unit) == (1, None)


@pytest.mark.parametrize("speed", [1.4, 1.5, 1.8, 0.6])
def test_a_playback_at_another_speed_is_no_witness(speed: float) -> None:
    logs = LIDAR[0] + 10**16 + ((LIDAR - LIDAR[0]) / speed).astype(np.int64)
    kept = np.delete(np.arange(LIDAR.size), [60, 61, 62, 63])[150:]
    found = survey([ClockStream("lidar", LIDAR, logs, 10.0), ClockStream("cam", LIDAR[kept], logs[kept], 10.0)], "lidar")
    assert (found.logged, len(found.domains), found.sensors["cam"].steps.count) == (False, 1, 0)


def test_log_times_of_one_instant_are_none() -> None:
    logs = np.full(LIDAR.size, EPOCH_NS)
    found = survey([ClockStream("lidar", LIDAR, logs, 10.0), ClockStream("cam", LIDAR[200:], logs[200:], 10.0)], "lidar")
    assert (found.logged, len(found.domains)) == (False, 1)
    assert (found.sensors["cam"].log_pace, found.sensors["cam"].steps.count) == (None, 0)


def test_a_step_that_only_log_times_show_needs_another_sensor_that_lacks_it() -> None:
    number = np.arange(LIDAR.size)
    logs = LIDAR + 5 * MS
    recorder_set = np.where(number < 100, logs, logs + 2 * S)
    for streams in (["lidar"], ["lidar", "cam"], ["lidar", "cam", "odo"]):
        found = survey([ClockStream(name, LIDAR, recorder_set, 10.0) for name in streams], "lidar")
        assert not any(one.steps.count for one in found.sensors.values())
        assert not any(one.setting_ns.any() for one in found.frames.values())
    counted = np.where(number < 100, LIDAR, LIDAR - 500 * MS)[np.delete(number, range(100, 105))]
    camera = ClockStream("cam", counted, np.delete(logs, range(100, 105)), 10.0)
    found = survey([ClockStream("lidar", LIDAR, logs, 10.0), camera], "lidar")
    assert [one.frame for one in found.sensors["cam"].steps.first] == [100]
    assert found.frames["cam"].setting_ns.tolist() == [0] * 100 + [-500 * MS] * 195


@pytest.mark.parametrize("shift_s", [3600, -3600, -619_315_200])
def test_a_clock_that_was_set_is_measured_where_it_was_right(shift_s: int) -> None:
    camera = np.where(np.arange(LIDAR.size) < 200, LIDAR, LIDAR + shift_s * S)
    found = survey([logged("lidar", LIDAR), ClockStream("cam", camera, LIDAR + 5 * MS, 10.0)], "lidar").sensors["cam"].report
    assert (found.first_ns, found.last_ns) == (LIDAR[0], LIDAR[199])
    assert (found.max_gap_ns, found.gaps, found.lost) == (100 * MS, 0, 0)
    assert (found.regressions, found.measured_rate_hz) == (int(shift_s < 0), pytest.approx(10.0))


def test_rows_of_a_scan_are_measured_by_the_scan() -> None:
    rows = (LIDAR[:, None] + MS * np.arange(20)).ravel()
    lost = np.delete(rows, range(20 * 50, 20 * 53))
    for rate_hz in (10.0, None):
        found = survey([logged("lidar", LIDAR), ClockStream("radar", lost, lost + 5 * MS, rate_hz)], "lidar").sensors["radar"]
        assert (found.report.measured_rate_hz, found.report.max_gap_ns) == (pytest.approx(10.0), 400 * MS)
        assert (found.report.gaps, found.report.lost, found.report.frames) == (1, 60, lost.size)
    by_row = survey([ClockStream("radar", rows, rows + 5 * MS, 1000.0)], None).sensors["radar"].report
    assert by_row.measured_rate_hz == pytest.approx(1000.0)


@given(
    st.lists(st.tuples(*[st.integers(-4 * 10**18, 4 * 10**18)] * 2), min_size=1, max_size=60),
    st.lists(st.integers(-(10**6), 10**6), min_size=60, max_size=60),
    st.booleans(),
)
def test_whatever_stamps_and_log_times_are_nothing_overflows(wild: list[tuple[int, int]], jitter: list[int], mixed: bool) -> None:
    stamps = LIDAR[: len(wild)] + np.array(jitter[: len(wild)])
    far = np.array(wild, dtype=np.int64)
    places = np.arange(len(wild)) % 5 == 0 if mixed else np.ones(len(wild), bool)
    logs = np.sort(np.where(places, far[:, 1], stamps))
    with np.errstate(all="raise"):
        found = survey(
            [ClockStream("lidar", stamps, stamps + MS), ClockStream("cam", np.where(places, far[:, 0], stamps), logs)], "lidar"
        )
    assert found.frames["cam"].setting_ns.size == len(wild)
    assert all(step.shift_ns for step in found.sensors["cam"].steps.first)
