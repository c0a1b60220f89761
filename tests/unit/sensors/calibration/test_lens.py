"""From directions to pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.calibration.lens import Lens, distorted, fold_radius
from sensors.rig import Intrinsics

PLAIN = Intrinsics(640, 360, 450.0, 460.0, 320.0, 180.0)
BARREL = Intrinsics(640, 360, 450.0, 460.0, 320.0, 180.0, (-0.3, 0.1, 1e-3, -1e-3, 0.0))


def test_a_point_on_the_axis_is_the_principal_point() -> None:
    u, v = Lens(PLAIN, 1).pixels(np.array([[0.0, 0.0, 7.0]]))
    assert (u[0], v[0]) == (320.0, 180.0)


@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
def test_shrinking_keeps_the_place_in_the_image(shrink: int) -> None:
    whole, small = Lens(PLAIN, 1).pixels(np.array([[1.0, -0.4, 5.0]])), Lens(PLAIN, shrink).pixels(np.array([[1.0, -0.4, 5.0]]))
    # The corner of the image, half a pixel beyond the first centre, stays where it is.
    assert small[0] == pytest.approx((whole[0] + 0.5) / shrink - 0.5)
    assert small[1] == pytest.approx((whole[1] + 0.5) / shrink - 0.5)


def test_what_is_behind_the_camera_has_no_pixel() -> None:
    u, v = Lens(BARREL, 1).pixels(np.array([[0.0, 0.0, -1.0], [0.1, 0.1, 0.0]]))
    assert np.isnan(u).all() and np.isnan(v).all()


@given(st.floats(-0.6, 0.6), st.floats(-0.4, 0.4))
def test_distortion_is_that_of_the_formula(x: float, y: float) -> None:
    k1, k2, p1, p2, k3 = BARREL.distortion
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    expected = (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y)
    found = distorted(np.array([x]), np.array([y]), BARREL.distortion)
    assert (found[0][0], found[1][0]) == pytest.approx(expected)


def test_a_barrel_folds_where_its_radius_no_longer_grows() -> None:
    # r (1 - 0.5 r^2) is largest at r = sqrt(2 / 3).
    assert fold_radius((-0.5,), 2.0) == pytest.approx(math.sqrt(2 / 3), abs=2.0 / 63)
    assert math.isinf(fold_radius((0.1,), 2.0))


def test_what_lies_beyond_the_fold_is_not_seen() -> None:
    folding = Intrinsics(640, 360, 300.0, 300.0, 320.0, 180.0, (-0.5,))
    u, _ = Lens(folding, 1).pixels(np.array([[0.5, 0.0, 1.0], [1.5, 0.0, 1.0]]))
    assert np.isfinite(u[0]) and np.isnan(u[1])
