"""Projection against values worked out by hand, and against the definition of the distortion."""

from __future__ import annotations

import numpy as np
import pytest

from ops.report.projection import coefficients, distort, fold_radius, project
from sensors.geometry import SE3
from sensors.rig import Intrinsics

CAMERA = Intrinsics(640, 400, 400.0, 500.0, 320.0, 200.0)
# x right, y down, z forward, for a camera that looks along +x of the ego frame from (1, 0, 1.5).
EGO_SE3_CAMERA = SE3.from_wxyz((1.0, 0.0, 1.5), (0.5, -0.5, 0.5, -0.5))


def test_a_known_point_lands_on_its_pixel() -> None:
    # 10 m ahead of the camera, 1 m to the left, 0.5 m above it: u = 320 - 400 * 0.1, v = 200 - 500 * 0.05.
    found = project(np.array([[11.0, 1.0, 2.0]]), EGO_SE3_CAMERA.inverse(), CAMERA)
    np.testing.assert_allclose(found.pixels_px, [[280.0, 175.0]], atol=1e-9)
    np.testing.assert_allclose(found.depth_m, [10.0])


def test_what_the_image_does_not_show_is_left_out() -> None:
    points_m = np.array([[11.0, 0, 1.5], [-9.0, 0, 1.5], [1.1, 0, 1.5], [11.0, 20.0, 1.5], [np.nan, 0, 0], [21.0, 0, 1.5]])
    found = project(points_m, EGO_SE3_CAMERA.inverse(), CAMERA)
    assert found.index.tolist() == [0, 5]


def test_distortion_of_a_point_by_hand() -> None:
    # x = 0.3, y = -0.4: r2 = 0.25; radial = 1 + 0.1 * 0.25 + 0.2 * 0.0625 + 0.4 * 0.015625 = 1.04375.
    # x' = 0.3 * 1.04375 + 2 * 0.01 * 0.3 * -0.4 + 0.02 * (0.25 + 2 * 0.09) = 0.313125 - 0.0024 + 0.0086
    # y' = -0.4 * 1.04375 + 0.01 * (0.25 + 2 * 0.16) + 2 * 0.02 * 0.3 * -0.4 = -0.4175 + 0.0057 - 0.0048
    found = distort(np.array([[0.3, -0.4]]), coefficients((0.1, 0.2, 0.01, 0.02, 0.4)))
    np.testing.assert_allclose(found, [[0.319325, -0.4166]], atol=1e-12)


def test_the_rational_model_divides() -> None:
    found = distort(np.array([[0.5, 0.0]]), coefficients((0.0, 0.0, 0.0, 0.0, 0.0, 1.0)))
    np.testing.assert_allclose(found, [[0.4, 0.0]])


def test_a_polynomial_that_turns_back_does_not_fold_far_points_into_the_image() -> None:
    barrel = (-0.3,)
    # d/dr (r - 0.3 r^3) = 0 at r = sqrt(1 / 0.9)
    assert fold_radius(coefficients(barrel)) == pytest.approx(np.sqrt(1 / 0.9), abs=0.003)
    # Undistorted radius 1.8 comes back to 0.05: without the check it would be drawn beside the centre.
    points_m = np.array([[1.8, 0.0, 1.0], [0.3, 0.0, 1.0]])
    wide = Intrinsics(640, 400, 200.0, 200.0, 320.0, 200.0, barrel)
    assert project(points_m, SE3.identity(), wide).index.tolist() == [1]


def test_no_distortion_never_folds() -> None:
    assert fold_radius(coefficients(())) == float("inf")
