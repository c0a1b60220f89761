"""The sync report on timelines whose numbers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ops.errors import InputError
from ops.sync.answer import InSync
from ops.sync.report import Options, SensorSync, SyncReport, sync_report
from ops.sync.streams import Stream, guessed_modality
from sensors.clocks.delay import Phase
from sensors.policy import Policy, RuleOverride
from sensors.rig import Modality, Rig, Sensor, Stamp, Sync
from tests.unit.ops.lake_builders import EPOCH_NS

MS = 1_000_000
S = 1_000_000_000
LIDAR_NS = EPOCH_NS + 100 * MS * np.arange(10, dtype=np.int64)
LONG_NS = EPOCH_NS + 100 * MS * np.arange(200, dtype=np.int64)
Stamps = np.ndarray[tuple[int], np.dtype[np.int64]]


def rig(delay_ns: int, tolerance_ns: int) -> Rig:
    def sensor(name: str, modality: Modality, delay: int) -> Sensor:
        return Sensor(name, modality, 10.0, Sync(Stamp.MIDDLE, delay, tolerance_ns, 25 * MS, required=True))

    return Rig("rig-1", "lidar_top", (sensor("lidar_top", Modality.LIDAR, 0), sensor("cam", Modality.CAMERA, delay_ns)))


def streams_of(stamps: dict[str, Stamps], late_ns: int | None = None) -> tuple[Stream, ...]:
    return tuple(
        Stream(name, guessed_modality(name), one, None if late_ns is None else one + late_ns) for name, one in stamps.items()
    )


def timeline() -> dict[str, Stamps]:
    """A camera 30 ms late whose frame 4 is 10 ms later still, and whose frame 7 was dropped."""
    camera = LIDAR_NS + 30 * MS
    camera[4] += 10 * MS
    return {"cam": np.delete(camera, 7), "lidar_top": LIDAR_NS}


def make(stamps: dict[str, Stamps], rig: Rig | None = None, late_ns: int | None = None, **options: object) -> SyncReport:
    return sync_report(streams_of(stamps, late_ns), rig, Options(**options))[0]  # type: ignore[arg-type]


def of(report: SyncReport, sensor: str) -> SensorSync:
    return next(one for one in report.sensors if one.sensor == sensor)


def test_without_a_rig_the_delay_is_estimated() -> None:
    report = make(timeline())
    camera = of(report, "cam")
    assert (report.reference, report.anchors, report.complete) == ("lidar_top", 10, 9)
    assert (camera.matched, camera.outside_tolerance, camera.no_frame) == (9, 1, 0)
    assert (camera.expected_delay_ns, camera.tolerance_ns, camera.declared_delay_ns) == (0, 50 * MS, None)
    assert camera.delay is not None
    assert (camera.delay.phase, camera.delay.delay_ns, camera.delay.other_ns) == (Phase.LOCKED, 30 * MS, -70 * MS)
    assert camera.residuals is not None
    assert (camera.residuals.p50_ns, camera.residuals.p95_ns, camera.residuals.max_ns) == (30 * MS, 40 * MS, 40 * MS)
    assert (camera.clock.gaps, camera.clock.max_gap_ns, camera.clock.period_p50_ns) == (1, 200 * MS, 100 * MS)
    assert report.answer.in_sync is InSync.NO
    assert report.answer.sentence.startswith("No: cam has no frame for 1 of 10 frames of lidar_top within 50.0 ms")


def test_a_rig_takes_the_delay_out_of_the_residual() -> None:
    camera = of(make(timeline(), rig(30 * MS, 5 * MS)), "cam")
    assert camera.residuals is not None
    assert (camera.residuals.p50_ns, camera.residuals.max_ns) == (0, 0)
    assert (camera.matched, camera.outside_tolerance) == (8, 2)


def test_estimated_delays_do_so_without_a_rig() -> None:
    report = make({"lidar": LONG_NS, "cam": LONG_NS + 40 * MS, "radar": LONG_NS - 3 * MS}, estimated_delays=True)
    assert report.answer.in_sync is InSync.YES
    assert report.answer.sentence == (
        "Yes: for each of the 200 frames of lidar all 2 other sensors have a frame, at most 0.0 ms from where it is expected."
    )
    assert (of(report, "cam").expected_delay_ns, of(report, "radar").expected_delay_ns) == (40 * MS, -3 * MS)


def test_a_delay_that_the_rig_contradicts_is_a_warning_with_both_readings() -> None:
    report = make({"lidar_top": LONG_NS, "cam": LONG_NS - 91 * MS}, rig(-100 * MS, 50 * MS))
    camera = of(report, "cam")
    assert camera.delay is not None
    assert (camera.delay.delay_ns, camera.delay.other_ns, camera.delay_error_ns) == (-91 * MS, 9 * MS, 9 * MS)
    assert (camera.verdict, camera.findings) == ("warning", ("CLK010",))
    assert report.answer.sentence == (
        "Yes, with reservations: cam: its delay is at least 9.0 ms from the declared one, more than 5 ms."
    )


def test_rules_are_those_that_the_rig_sets() -> None:
    own = replace(
        rig(-100 * MS, 50 * MS), policy=Policy(rules=(RuleOverride("CLK010", 10.0), RuleOverride("SYN002", None, "error")))
    )
    stamps = {"lidar_top": LONG_NS, "cam": LONG_NS - 91 * MS}
    assert of(make(stamps, own), "cam").findings == ()
    late = make({"lidar_top": LONG_NS, "cam": LONG_NS - 60 * MS}, own)
    assert [(one.rule_id, one.severity.value) for one in late.findings if one.rule_id == "SYN002"] == [("SYN002", "error")]


def test_the_tolerance_can_be_given() -> None:
    stamps = {"lidar": LONG_NS, "cam": LONG_NS + 20 * MS}
    assert (make(stamps, tolerance_ns=20 * MS).complete, make(stamps, tolerance_ns=20 * MS - 1).complete) == (200, 0)


def test_the_reference_can_be_chosen() -> None:
    report = make(timeline(), reference="cam")
    assert (report.reference, report.anchors) == ("cam", 9)
    with pytest.raises(InputError, match="'radar' is not one of the streams"):
        make(timeline(), reference="radar")


def test_the_first_lidar_is_the_reference_and_else_the_first_stream() -> None:
    assert make({"cam": LONG_NS, "velo_points": LONG_NS}).reference == "velo_points"
    assert make({"b": LONG_NS, "a": LONG_NS}).reference == "b"


def test_clocks_are_judged_by_the_rules_of_the_pipeline() -> None:
    boot = LONG_NS - EPOCH_NS + 1000 * S
    stepped = LONG_NS.copy()
    stepped[50:] -= 600 * MS
    report = make({"lidar": LONG_NS, "cam": LONG_NS // 1000, "imu": boot, "gnss": stepped, "pose": np.repeat(LONG_NS, 2)})
    found = {(one.sensor, one.rule_id) for one in report.findings}
    assert {("cam", "CLK006"), ("imu", "CLK007"), ("gnss", "CLK001"), ("gnss", "CLK008"), ("pose", "CLK002")} <= found
    assert of(report, "cam").unit == "microseconds taken for ns"
    assert of(report, "cam").verdict == "error"
    assert [one.epoch for one in report.domains] == ["1970", "boot"]
    assert report.answer.in_sync is InSync.NO


def test_drift_is_reported_with_its_uncertainty() -> None:
    logs = LONG_NS + 5 * MS
    drifting = EPOCH_NS + (LONG_NS - EPOCH_NS) * 1_000_400 // 1_000_000
    streams = [Stream("lidar", Modality.LIDAR, LONG_NS, logs), Stream("imu", Modality.IMU, drifting, logs)]
    report, _ = sync_report(streams)
    imu = of(report, "imu")
    assert (imu.drift_ppm, report.logged) == (pytest.approx(400, abs=0.1), True)
    assert imu.findings == ("CLK009",)
    assert of(report, "lidar").log_offset_ns == -5 * MS


def test_a_stream_that_does_not_overlap_is_reported() -> None:
    report = make({"lidar": LONG_NS, "cam": LONG_NS + 64 * S, "gnss": LONG_NS + 64 * S})
    assert [(one.rule_id, one.sensor, one.severity.value) for one in report.findings] == [
        ("CMP005", "cam", "error"),
        ("CMP005", "gnss", "warning"),
    ]


def test_pauses_of_all_sensors_are_not_gaps() -> None:
    """Three recordings in one table, a day apart."""
    stamps = np.concatenate([LONG_NS, LONG_NS + 86_400 * S, LONG_NS + 2 * 86_400 * S])
    report = make({"lidar": stamps, "cam": stamps + 2 * MS})
    assert (report.pauses, report.findings) == (2, ())
    assert (of(report, "cam").clock.gaps, of(report, "cam").clock.measured_rate_hz) == (0, 10.0)
    assert of(report, "cam").clock.last_ns == int(stamps[-1]) + 2 * MS
    alone = make({"lidar": stamps, "cam": stamps + 2 * MS, "radar": np.arange(stamps[0], stamps[-1], 10 * S)}, tolerance_ns=S)
    assert alone.pauses == 0


def test_findings_of_one_rule_are_reported_once_worst_first() -> None:
    base = {"lidar": LONG_NS}
    gaps = {f"cam{n}": np.delete(LONG_NS, range(20, 21 + n)) for n in (1, 4, 2)}
    report = make(base | gaps, tolerance_ns=S)
    assert report.answer.sentence == (
        "Yes, with reservations: cam4: the longest gap is 6.00 nominal periods, more than 2 (also cam2, cam1)."
    )


def test_nothing_to_compare_and_stamps_out_of_range_are_reported() -> None:
    with pytest.raises(InputError, match="no stream"):
        sync_report(())
    with pytest.raises(InputError, match="no stream"):
        make({"imu": LONG_NS})
    far = np.array([9 * 10**18], dtype=np.int64)
    with pytest.raises(InputError, match="cannot be compared"):
        sync_report((Stream("lidar", Modality.LIDAR, far, far),))
    assert make({"lidar": LONG_NS}).answer.sentence == "Nothing to compare lidar with; its own clock is sound."


def test_a_sensor_that_the_rig_does_not_know_is_matched_with_defaults() -> None:
    report = make({"lidar_top": LONG_NS, "cam": LONG_NS, "cam_rear": LONG_NS + MS}, rig(0, 5 * MS))
    rear = of(report, "cam_rear")
    assert (rear.declared_delay_ns, rear.tolerance_ns, rear.matched) == (None, 50 * MS, 200)
    assert replace(report, findings=()).complete == 200


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("CAM_FRONT", Modality.CAMERA),
        ("/ouster/points", Modality.LIDAR),
        ("RADAR_BACK", Modality.RADAR),
        ("gps_fix", Modality.GNSS),
        ("odometry", Modality.POSE),
        ("/imu/data", Modality.IMU),
        ("topic", None),
    ],
)
def test_names_tell_what_a_sensor_is(name: str, modality: Modality | None) -> None:
    assert guessed_modality(name) is modality
