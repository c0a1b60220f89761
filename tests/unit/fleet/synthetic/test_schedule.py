"""The schedule of sensors: the rig's sync terms are true, and faults of time have the specified effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fleet.errors import SpecError
from fleet.faults import Fault
from fleet.synthetic.damage import check_faults
from fleet.synthetic.schedule import Shot, shots_of
from fleet.synthetic.spec import DriveSpec, RigOptions
from fleet.synthetic.vehicle import build_rig, shutter_delay_ns
from sensors.match.nearest import match_nearest
from sensors.rig import Modality, Rig

SPEC = DriveSpec("car-1", "drive-1", seed=2, duration_s=6.0)
RIG = build_rig(SPEC.rig)


def stamps(shots: tuple[Shot, ...]) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([shot.stamp_ns for shot in shots if shot.recorded], dtype=np.int64)


def faulty(*texts: str, spec: DriveSpec = SPEC) -> DriveSpec:
    return replace(spec, faults=tuple(Fault.parse(text) for text in texts))


def test_a_six_second_drive_has_sixty_sweeps_from_30_ms_on() -> None:
    sweeps = stamps(shots_of(RIG["lidar_top"], SPEC))
    assert len(sweeps) == 60
    assert sweeps[0] == SPEC.start_ns + 30_000_000
    assert (np.diff(sweeps) == 100_000_000).all()


@pytest.mark.parametrize("sensor", [entry.name for entry in RIG.sensors if entry.modality.in_scene])
@pytest.mark.parametrize("seed", [2, 3, 77])
def test_every_sweep_finds_a_match_under_the_rigs_own_terms(sensor: str, seed: int) -> None:
    spec = replace(SPEC, seed=seed)
    anchors = stamps(shots_of(RIG["lidar_top"], spec))
    terms = RIG[sensor].sync
    matches = match_nearest(anchors, stamps(shots_of(RIG[sensor], spec)), terms.expected_delay_ns, terms.tolerance_ns)
    assert (matches.index >= 0).all()
    assert np.abs(matches.residual_ns).max() <= terms.warn_residual_ns
    assert np.abs(matches.residual_ns[0]) < 500_000  # the first frame is triggered by the first sweep


def test_camera_residuals_walk_through_the_beat_of_12_and_10_hz() -> None:
    anchors = stamps(shots_of(RIG["lidar_top"], SPEC))
    terms = RIG["camera_front"].sync
    matches = match_nearest(anchors, stamps(shots_of(RIG["camera_front"], SPEC)), terms.expected_delay_ns, terms.tolerance_ns)
    beat_ms = np.array([0.0, -16.667, -33.333, 33.333, 16.667])
    np.testing.assert_allclose(matches.residual_ns[:50] / 1e6, np.tile(beat_ms, 10), atol=0.11)


def test_expected_delays_are_when_the_beam_looks_the_cameras_way() -> None:
    delays = {name: RIG[name].sync.expected_delay_ns for name in SPEC.rig.cameras}
    assert delays == {"camera_front": 50_000_000, "camera_front_left": 33_333_333, "camera_front_right": 66_666_667}
    assert shutter_delay_ns(180.0, 10) == 0
    assert shutter_delay_ns(-110.0, 10) == 80_555_556


def test_lidar_and_cameras_are_required_radars_are_not() -> None:
    required = {sensor.name for sensor in RIG.sensors if sensor.sync.required}
    assert required == {"lidar_top", "camera_front", "camera_front_left", "camera_front_right"}


def test_supporting_sensors_bracket_every_sweep_from_start_to_end() -> None:
    anchors = stamps(shots_of(RIG["lidar_top"], SPEC))
    for sensor in ("pose", "imu"):
        samples = stamps(shots_of(RIG[sensor], SPEC))
        assert samples[0] < anchors[0] and samples[-1] > anchors[-1] + 100_000_000
        assert (np.diff(samples) == 10_000_000).all()


def test_recording_happens_after_the_measurement() -> None:
    for sensor in RIG.sensors:
        delays = np.array([shot.log_ns - shot.true_ns for shot in shots_of(sensor, SPEC)])
        at_least = 100_000_000 if sensor.modality is Modality.LIDAR else 0
        assert delays.min() > at_least and delays.max() < at_least + 60_000_000


def test_the_rig_survives_its_document() -> None:
    assert Rig.from_dict(RIG.to_dict()) == RIG


def test_a_dead_sensor_records_nothing_from_then_on() -> None:
    shots = shots_of(RIG["radar_front"], faulty("dead_sensor:radar_front:2.5"))
    assert {shot.recorded for shot in shots if shot.true_ns < SPEC.start_ns + 2_500_000_000} == {True}
    assert {shot.recorded for shot in shots if shot.true_ns >= SPEC.start_ns + 2_500_000_000} == {False}
    assert len(shots) == len(shots_of(RIG["radar_front"], SPEC))


def test_dropped_frames_are_measured_and_not_recorded() -> None:
    shots = shots_of(RIG["camera_front"], faulty("drop_frames:camera_front:4,9"))
    assert [shot.index for shot in shots if not shot.recorded] == [4, 9]


def test_a_share_of_frames_is_chosen_by_the_seed() -> None:
    chosen = {}
    for seed in (2, 3):
        spec = faulty("drop_frames:camera_front:0.2", spec=replace(SPEC, seed=seed))
        chosen[seed] = [shot.index for shot in shots_of(RIG["camera_front"], spec) if not shot.recorded]
    assert len(chosen[2]) == len(chosen[3]) == round(0.2 * len(shots_of(RIG["camera_front"], SPEC)))
    assert chosen[2] != chosen[3]


def test_duplicated_stamps_repeat_the_frame_before() -> None:
    shots = shots_of(RIG["camera_front"], faulty("duplicate_stamps:camera_front:1,2,7"))
    given = [shot.stamp_ns for shot in shots]
    assert given[1] == given[0] == given[2] and given[7] == given[6]
    assert [shot.index for shot in shots if shot.stamp_ns != shot.true_ns] == [1, 2, 7]


def test_a_clock_offset_moves_stamps_and_nothing_else() -> None:
    shots = shots_of(RIG["camera_front"], faulty("clock_offset:camera_front:60000000"))
    clean = shots_of(RIG["camera_front"], SPEC)
    assert {shot.stamp_ns - shot.true_ns for shot in shots} == {60_000_000}
    assert [(shot.true_ns, shot.log_ns) for shot in shots] == [(shot.true_ns, shot.log_ns) for shot in clean]


def test_an_offset_beyond_ros_time_is_refused() -> None:
    with pytest.raises(SpecError, match="cannot hold"):
        shots_of(RIG["camera_front"], faulty("clock_offset:camera_front:900000000000000000"))


def test_a_fault_touches_no_other_sensor() -> None:
    spec = faulty("drop_frames:camera_front:0.5", "clock_offset:camera_front:5")
    for sensor in RIG.sensors:
        if sensor.name != "camera_front":
            assert shots_of(sensor, spec) == shots_of(sensor, SPEC)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cut_jpeg:camera_top:0.1", "no sensor 'camera_top', only lidar_top, camera_front"),
        ("cut_jpeg:lidar_top:0.1", "lidar_top is not a camera"),
        ("nan_points:camera_front:0.1", "camera_front is not a lidar or radar"),
    ],
)
def test_faults_that_do_not_fit_the_rig_are_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_faults(faulty(text), RIG)


@pytest.mark.parametrize("text", ["drop_frames:lidar_top:60", "duplicate_stamps:lidar_top:0"])
def test_frames_that_the_sensor_does_not_have_are_refused(text: str) -> None:
    with pytest.raises(SpecError, match="lidar_top has frames"):
        shots_of(RIG["lidar_top"], faulty(text))


@pytest.mark.parametrize(
    "change",
    [
        {"vehicle_id": "Car 1"},
        {"drive_id": ""},
        {"duration_s": 0.0},
        {"duration_s": float("nan")},
        {"duration_s": 1e9},
        {"start_ns": 5},
        {"segment_s": 0.0},
        {"seed": -1},
    ],
)
def test_specs_out_of_range_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        replace(SPEC, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"width_px": 4}, {"lidar_rings": 0}, {"camera_rate_hz": 1000}, {"lidar_range_noise_m": -1.0}])
def test_rig_options_out_of_range_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=next(iter(change))):
        RigOptions(**change)  # type: ignore[arg-type]


def test_cameras_need_a_mount() -> None:
    with pytest.raises(SpecError, match="camera_front, camera_front_left"):
        build_rig(RigOptions(cameras=("camera_roof",)))
    with pytest.raises(SpecError):
        build_rig(RigOptions(cameras=("camera_front", "camera_front")))
