"""Fault texts: their meaning, their round trip, and the errors for invalid ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import SpecError
from fleet.fault_kinds import FaultKind
from fleet.faults import Fault

SHARES = st.floats(min_value=1e-9, max_value=1.0, exclude_min=True)
FRAMES = SHARES | st.lists(st.integers(0, 10**6), min_size=1, max_size=5).map(tuple)
SENSORS = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
AFTER = st.integers(0, 86_400 * 10**9)
OFFSETS = st.integers(-(10**18), 10**18)
K = FaultKind


def amounts(*names: str) -> st.SearchStrategy[tuple[tuple[str, float], ...]]:
    sizes = st.floats(-9.0, 9.0).filter(lambda size: size not in (0.0, 1.0))
    return st.dictionaries(st.sampled_from(names), sizes, min_size=1).map(lambda found: tuple(found.items()))


FAULTS = st.one_of(
    st.builds(Fault, st.sampled_from([K.CUT_JPEG, K.DROP_FRAMES, K.DUPLICATE_STAMPS]), SENSORS, frames=FRAMES),
    st.builds(Fault, st.just(K.NAN_POINTS), SENSORS, share=SHARES, frames=st.none() | FRAMES),
    st.builds(Fault, st.just(K.DEAD_SENSOR), SENSORS, after_ns=AFTER),
    st.builds(Fault, st.just(K.CLOCK_OFFSET), SENSORS, offset_ns=OFFSETS),
    st.builds(Fault, st.just(K.TRUNCATE_OBJECT), SENSORS, share=SHARES),
    st.builds(Fault, st.sampled_from([K.WRONG_CHECKSUM, K.EMPTY_OBJECT, K.ABSENT_OBJECT, K.UNKNOWN_MESSAGE_TYPE]), SENSORS),
    st.builds(Fault, st.just(K.BAD_CALIBRATION), st.none() | SENSORS),
    st.builds(Fault, st.just(K.ROTATE_EXTRINSIC), SENSORS, turn_deg=amounts("roll", "pitch", "yaw")),
    st.builds(Fault, st.just(K.SHIFT_EXTRINSIC), SENSORS, shift_cm=amounts("x", "y", "z")),
    st.builds(Fault, st.just(K.WRONG_INTRINSICS), SENSORS, lens=amounts("focal", "size", "centre_x", "centre_y")),
    st.builds(Fault, st.sampled_from([K.STRAY_FILE, K.NO_MANIFEST])),
)


@given(FAULTS)
def test_a_written_fault_reads_back_equal(fault: Fault) -> None:
    assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cut_jpeg:camera_front:0.1", Fault(K.CUT_JPEG, "camera_front", frames=0.1)),
        ("cut_jpeg:camera_front:3,7", Fault(K.CUT_JPEG, "camera_front", frames=(3, 7))),
        ("nan_points:lidar_top:0.4", Fault(K.NAN_POINTS, "lidar_top", share=0.4)),
        ("nan_points:lidar_top:0.4:5", Fault(K.NAN_POINTS, "lidar_top", share=0.4, frames=(5,))),
        ("dead_sensor:radar_front:2.5", Fault(K.DEAD_SENSOR, "radar_front", after_ns=2_500_000_000)),
        ("dead_sensor:radar_front:0.1", Fault(K.DEAD_SENSOR, "radar_front", after_ns=100_000_000)),
        ("clock_offset:camera_front:-40000000", Fault(K.CLOCK_OFFSET, "camera_front", offset_ns=-40_000_000)),
        ("bad_calibration", Fault(K.BAD_CALIBRATION)),
        ("stray_file", Fault(K.STRAY_FILE)),
        ("rotate_extrinsic:camera_front:yaw=0.5deg", Fault(K.ROTATE_EXTRINSIC, "camera_front", turn_deg=(("yaw", 0.5),))),
        ("shift_extrinsic:lidar_top:x=5cm,z=-2cm", Fault(K.SHIFT_EXTRINSIC, "lidar_top", shift_cm=(("x", 5.0), ("z", -2.0)))),
        ("wrong_intrinsics:camera_front:focal=1.05", Fault(K.WRONG_INTRINSICS, "camera_front", lens=(("focal", 1.05),))),
    ],
)
def test_texts_mean_what_the_table_says(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("melt:camera_front", "no fault is called 'melt'; known are cut_jpeg, "),
        ("cut_jpeg:camera_front", "write cut_jpeg:SENSOR:FRAMES"),
        ("cut_jpeg:camera_front:", "write cut_jpeg:SENSOR:FRAMES"),
        ("cut_jpeg:camera_front:0.1:9", "write cut_jpeg:SENSOR:FRAMES"),
        ("cut_jpeg:camera_front:some", "'some' is neither a share such as 0.1 nor indices such as 3,7"),
        ("cut_jpeg:camera_front:1.5", "a share must be above 0 and at most 1, got 1.5"),
        ("cut_jpeg:camera_front:0.0", "a share must be above 0"),
        ("cut_jpeg:camera_front:-3", "indices from 0"),
        ("nan_points:lidar_top:many", "'many' is not a share between 0 and 1"),
        ("nan_points:lidar_top:nan", "a share must be above 0"),
        ("dead_sensor:radar_front:soon", "'soon' is not a number of seconds"),
        ("dead_sensor:radar_front:-1", "AFTER_S must be 0 to 86400"),
        ("dead_sensor:radar_front:inf", "'inf' is not a number of seconds"),
        ("clock_offset:camera_front:4ms", "'4ms' is not a whole number of nanoseconds"),
        ("no_manifest:lidar_top", "write no_manifest"),
        ("rotate_extrinsic:camera_front", "write rotate_extrinsic:SENSOR:TURN"),
        ("rotate_extrinsic:camera_front:yaw=0.5", "'yaw=0.5' is not one of roll=Ndeg, pitch=Ndeg, yaw=Ndeg"),
        ("rotate_extrinsic:camera_front:yaw=1deg,yaw=2deg", "each at most once"),
        ("rotate_extrinsic:camera_front:yaw=fardeg", "'fardeg' is not a number of deg"),
        ("rotate_extrinsic:camera_front:yaw=0deg", "yaw must be at most 180 either way and not 0, got 0.0"),
        ("rotate_extrinsic:camera_front:yaw=nandeg", "yaw must be at most 180"),
        ("shift_extrinsic:camera_front:x=5m", "'x=5m' is not one of x=Ncm"),
        ("wrong_intrinsics:camera_front:zoom=2", "not one of focal=N, size=N"),
        ("wrong_intrinsics:camera_front:focal=1", "focal must be at most 10 either way and not 1"),
        ("", "no fault is called ''"),
    ],
)
def test_wrong_texts_are_explained(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        Fault.parse(text)
    assert message in str(caught.value)


def test_a_fault_refuses_sizes_its_kind_does_not_have() -> None:
    with pytest.raises(SpecError, match="stray_file has no SENSOR"):
        Fault(K.STRAY_FILE, "lidar_top")
    with pytest.raises(SpecError, match="clock_offset needs NS"):
        Fault(K.CLOCK_OFFSET, "lidar_top")


def test_seven_kinds_are_applied_to_files() -> None:
    assert {kind for kind in K if kind.on_files} == {
        K.TRUNCATE_OBJECT,
        K.WRONG_CHECKSUM,
        K.WRONG_COUNT,
        K.EMPTY_OBJECT,
        K.ABSENT_OBJECT,
        K.STRAY_FILE,
        K.NO_MANIFEST,
    }
