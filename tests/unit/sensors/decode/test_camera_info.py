"""Lenses from CameraInfo: read where a rig can represent them, else the reason why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sensors.decode.camera_info import decode_camera_info
from sensors.errors import DecodeError
from sensors.rig import Intrinsics
from tests.unit.sensors.decode import ros1_messages as made

LENS = Intrinsics(8, 6, 10.0, 11.0, 4.0, 3.0, (0.1, -0.2, 0.0, 0.01, 0.0))


def decoded(**changes: Any) -> Any:
    message = made.camera_info()
    for name, value in changes.items():
        setattr(message, name, value)
    return decode_camera_info(made.as_cdr(message))


def test_a_plumb_bob_lens_arrives() -> None:
    assert decoded() == ("camera", LENS, "")
    assert decoded(D=np.zeros(5)).intrinsics.distortion == ()
    assert decoded(D=np.zeros(0), distortion_model="").intrinsics.distortion == ()
    assert decoded(D=np.zeros(8), distortion_model="rational_polynomial").intrinsics.distortion == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"K": np.zeros(9)}, "is of a camera that was not calibrated"),
        ({"width": 0}, "is of a camera that was not calibrated"),
        ({"K": np.array([10.0, 0, 99, 0, 11, 3, 0, 0, 1])}, "has its principal point (99, 3) outside of the image"),
        ({"K": np.array([10.0, 0.5, 4, 0, 11, 3, 0, 0, 1])}, "has a skew of 0.5 px"),
        ({"K": np.array([np.nan, 0, 4, 0, 11, 3, 0, 0, 1])}, "holds a value that is not finite"),
        ({"distortion_model": "equidistant"}, "has distortion 'equidistant' of 5 coefficients, a rig holds 'plumb_bob' of 5"),
        (
            {"distortion_model": "equidistant", "D": np.zeros(4)},
            "has distortion 'equidistant' of 4 coefficients, a rig holds 'plumb_bob' of 5",
        ),
        (
            {"distortion_model": "equidistant", "D": np.zeros(0)},
            "has distortion 'equidistant' of 0 coefficients, a rig holds 'plumb_bob' of 5",
        ),
        (
            {"distortion_model": "fisheye", "D": np.zeros(4)},
            "has distortion 'fisheye' of 4 coefficients, a rig holds 'plumb_bob' of 5",
        ),
        ({"D": np.ones(8)}, "has distortion 'plumb_bob' of 8 coefficients, a rig holds 'plumb_bob' of 5"),
        ({"binning_x": 2}, "is of a binned or cropped image"),
    ],
)
def test_a_lens_that_a_rig_cannot_hold_is_left_open_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    assert decoded(**changes) == ("camera", None, reason)


def test_a_message_that_is_cut_or_hostile_is_refused() -> None:
    whole = made.as_cdr(made.camera_info())
    for cut in range(len(whole) - 3):
        with pytest.raises(DecodeError):
            decode_camera_info(whole[:cut])
    with pytest.raises(DecodeError, match="65 distortion coefficients, the limit is 64"):
        decoded(D=np.ones(65))
