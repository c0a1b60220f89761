"""Checks of a calibration by itself: impossible lenses, and changes since the previous one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensors.calibration.changes import CalibrationChange, changes, turned_deg
from sensors.calibration.lens import contradictions
from sensors.calibration.result import CalibrationVerdict, Checked, ErrorLimits, Estimate, Quantity, Unobservable, judge, worst
from sensors.geometry import SE3
from sensors.rig import Intrinsics, Modality, Rig, Sensor, Stamp, Sync

LENS = Intrinsics(1600, 900, 1266.0, 1266.0, 816.0, 491.0, (-0.2, 0.05, 0.0, 0.0, 0.0))
SYNC = Sync(Stamp.MIDDLE, 0, 1, 1, True)


def rig(lens: Intrinsics | None = LENS, pose: SE3 | None = None, name: str = "camera_front") -> Rig:
    mounting = pose or SE3.identity()
    lidar = Sensor("lidar_top", Modality.LIDAR, 10.0, SYNC, SE3.identity())
    return Rig("rig", "lidar_top", (lidar, Sensor(name, Modality.CAMERA, 10.0, SYNC, mounting, lens)))


def test_a_usual_lens_contradicts_nothing() -> None:
    assert contradictions(LENS, (1600, 900)) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fx_px": 20.0, "fy_px": 20.0}, "the field of view is 177.1 degrees wide, outside 3 to 175"),
        ({"fx_px": 90_000.0, "fy_px": 90_000.0}, "the field of view is 1.0 degrees wide"),
        ({"cx_px": 1500.0}, "the principal point is 44% of an image that is 1600 px wide off its middle"),
        ({"fy_px": 900.0}, "focal lengths 1266.0 and 900.0 px differ by 41%"),
        ({"distortion": (-3.0,)}, "the distortion folds back at"),
    ],
)
def test_a_lens_that_cannot_be_is_explained(change: dict[str, float], message: str) -> None:
    assert message in "; ".join(contradictions(replace(LENS, **change)))


def test_an_image_of_another_size_is_a_contradiction() -> None:
    assert contradictions(LENS, (800, 450)) == ("images are 800 x 450 px, the calibration says 1600 x 900",)


def turned(yaw_deg: float, x_m: float = 0.0) -> SE3:
    matrix = SE3.identity().matrix
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    matrix[:2, :2] = [[c, -s], [s, c]]
    matrix[0, 3] = x_m
    return SE3.from_matrix(matrix)


def test_an_equal_rig_has_not_changed() -> None:
    assert changes(rig(), rig()) == ()
    assert changes(rig(), rig(pose=turned(0.09, 0.019))) == ()


@pytest.mark.parametrize(
    ("current", "what"),
    [
        (rig(pose=turned(0.5)), [CalibrationChange("camera_front", "turned", pytest.approx(0.5, abs=1e-6), "deg")]),
        (rig(pose=turned(0.0, 0.05)), [CalibrationChange("camera_front", "moved", pytest.approx(0.05), "m")]),
        (
            rig(replace(LENS, fx_px=1300.0)),
            [CalibrationChange("camera_front", "focal length", pytest.approx(34 / 1266), "share")],
        ),
        (rig(replace(LENS, cx_px=820.0)), [CalibrationChange("camera_front", "principal point", pytest.approx(4.0), "px")]),
        (rig(replace(LENS, width_px=800)), [CalibrationChange("camera_front", "image size", 1.0, "change")]),
        (rig(replace(LENS, distortion=())), [CalibrationChange("camera_front", "distortion", 1.0, "change")]),
        (rig(None), [CalibrationChange("camera_front", "intrinsics given or taken away", 1.0, "change")]),
        (
            rig(name="camera_new"),
            [
                CalibrationChange("camera_front", "removed", 1.0, "change"),
                CalibrationChange("camera_new", "added", 1.0, "change"),
            ],
        ),
    ],
)
def test_what_changed_is_named_with_its_size(current: Rig, what: list[CalibrationChange]) -> None:
    assert list(changes(rig(), current)) == what


def test_the_angle_between_orientations_is_small_or_large_alike() -> None:
    assert turned_deg(turned(10.0), turned(10.0)) == 0.0
    assert turned_deg(turned(0.0), turned(179.0)) == pytest.approx(179.0)
    assert turned_deg(turned(0.001), turned(0.0)) == pytest.approx(0.001)


LIMITS = ErrorLimits(suspect=0.2, bad=0.5, widest=0.4)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (Estimate(0.3, 0.1, 5, 100), CalibrationVerdict.OK),
        (Estimate(-0.31, 0.1, 5, 100), CalibrationVerdict.SUSPECT),
        (Estimate(0.6, 0.1, 5, 100), CalibrationVerdict.SUSPECT),
        (Estimate(-0.61, 0.1, 5, 100), CalibrationVerdict.BAD),
        (Estimate(0.0, 0.41, 5, 100), CalibrationVerdict.NOT_OBSERVABLE),
        (Estimate(0.0, float("nan"), 5, 100), CalibrationVerdict.NOT_OBSERVABLE),
        (Estimate(float("inf"), 0.1, 5, 100), CalibrationVerdict.NOT_OBSERVABLE),
        (Unobservable("fog", 1, 2), CalibrationVerdict.NOT_OBSERVABLE),
    ],
)
def test_only_what_is_proven_is_called(measured: Estimate | Unobservable, verdict: CalibrationVerdict) -> None:
    checked = judge("camera_front", Quantity.CAMERA_YAW, measured, LIMITS)
    assert checked.verdict is verdict
    assert bool(checked.reason) == (verdict is CalibrationVerdict.NOT_OBSERVABLE)
    assert (checked.proven is None) == (verdict is CalibrationVerdict.NOT_OBSERVABLE)


def test_a_sensor_is_as_good_as_its_worst_quantity_and_never_ok_unseen() -> None:
    def of(verdict: CalibrationVerdict) -> Checked:
        return Checked("s", Quantity.CAMERA_YAW, verdict, None, None, 0, 0, "")

    assert (
        worst([of(CalibrationVerdict.OK), of(CalibrationVerdict.BAD), of(CalibrationVerdict.SUSPECT)]) is CalibrationVerdict.BAD
    )
    assert worst([of(CalibrationVerdict.NOT_OBSERVABLE), of(CalibrationVerdict.OK)]) is CalibrationVerdict.OK
    assert worst([of(CalibrationVerdict.NOT_OBSERVABLE)]) is worst([]) is CalibrationVerdict.NOT_OBSERVABLE
