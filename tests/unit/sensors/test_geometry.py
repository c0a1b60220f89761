"""Laws of rigid transforms and of SLERP."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.geometry import SE3, multiply, slerp

Floats = npt.NDArray[np.float64]
QUATERNIONS = (
    st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: math.hypot(*q) > 0.1).map(lambda q: np.array(q) / math.hypot(*q))
)
TRANSFORMS = st.builds(SE3.from_wxyz, st.tuples(*[st.floats(-1e4, 1e4)] * 3), QUATERNIONS)
POINTS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3], [-5, 7, 11]])


@given(TRANSFORMS)
def test_the_inverse_undoes(dst_SE3_src: SE3) -> None:
    there = dst_SE3_src.apply(POINTS)
    np.testing.assert_allclose(dst_SE3_src.inverse().apply(there), POINTS, rtol=0, atol=1e-9)
    np.testing.assert_allclose((dst_SE3_src @ dst_SE3_src.inverse()).matrix, np.eye(4), rtol=0, atol=1e-9)


@given(TRANSFORMS, TRANSFORMS, TRANSFORMS)
def test_composition_is_application_in_turn_and_associative(a: SE3, b: SE3, c: SE3) -> None:
    np.testing.assert_allclose((a @ b).apply(POINTS), a.apply(b.apply(POINTS)), rtol=0, atol=1e-8)
    np.testing.assert_allclose(((a @ b) @ c).matrix, (a @ (b @ c)).matrix, rtol=0, atol=1e-8)


@given(TRANSFORMS)
def test_a_matrix_leads_back_to_its_transform(transform: SE3) -> None:
    back = SE3.from_matrix(transform.matrix)
    np.testing.assert_allclose(back.matrix, transform.matrix, rtol=0, atol=1e-12)


@given(TRANSFORMS)
def test_rotations_are_orthonormal_and_do_not_mirror(transform: SE3) -> None:
    np.testing.assert_allclose(transform.rotation @ transform.rotation.T, np.eye(3), rtol=0, atol=1e-12)
    assert np.linalg.det(transform.rotation) > 0


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    turn = SE3.from_wxyz((0, 0, 1), (math.sqrt(0.5), 0, 0, math.sqrt(0.5)))
    np.testing.assert_allclose(turn.apply(np.array([[1.0, 0, 0]])), [[0, 1, 1]], atol=1e-15)


@given(QUATERNIONS, QUATERNIONS, st.floats(0, 1))
def test_slerp_turns_at_constant_speed_along_the_shorter_arc(start: Floats, end: Floats, fraction: float) -> None:
    found = slerp(start[None], end[None], np.array([fraction]))[0]
    whole = rotation_angle(start, end)
    assert abs(np.linalg.norm(found) - 1) < 1e-12
    assert whole <= math.pi + 1e-9
    if whole < math.pi - 1e-3:  # at half a turn there are two shortest ways
        assert abs(rotation_angle(start, found) - fraction * whole) < 1e-6
        assert abs(rotation_angle(found, end) - (1 - fraction) * whole) < 1e-6


def rotation_angle(a: Floats, b: Floats) -> float:
    between = multiply(a * np.array([1, -1, -1, -1]), b)
    return 2 * math.atan2(float(np.linalg.norm(between[1:])), abs(float(between[0])))


def test_slerp_of_nearly_equal_rotations_keeps_its_digits() -> None:
    angle = 1e-7
    start, end = np.array([[1.0, 0, 0, 0]]), np.array([[math.cos(angle / 2), 0, 0, math.sin(angle / 2)]])
    found = slerp(start, end, np.array([0.25]))[0]
    assert math.isclose(2 * math.asin(found[3]), angle / 4, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("translation", "wxyz", "message"),
    [
        ((0, 0, 0), (0, 0, 0, 0), "its length is 0.000000"),
        ((0, 0, 0), (1.002, 0, 0, 0), "its length is 1.002000"),
        ((0, 0, math.nan), (1, 0, 0, 0), "not finite"),
        ((0, 0), (1, 0, 0, 0), "needs 4 rotation and 3 translation values"),
    ],
)
def test_what_is_not_a_transform_is_refused(translation: tuple[float, ...], wxyz: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SE3.from_wxyz(translation, wxyz)


@pytest.mark.parametrize("matrix", [np.diag([1.0, 1, -1, 1]), np.diag([2.0, 1, 1, 1])])
def test_a_mirror_and_a_stretch_are_not_rotations(matrix: Floats) -> None:
    with pytest.raises(ValueError, match="no rotation"):
        SE3.from_matrix(matrix)


def test_values_are_read_only_and_compare_by_content() -> None:
    one, other = SE3.identity(), SE3.identity()
    assert one == other
    assert hash(one) == hash(other)
    assert one != SE3.from_wxyz((1, 0, 0), (1, 0, 0, 0))
    with pytest.raises(ValueError, match="read-only"):
        one.translation_m[0] = 1.0


@pytest.mark.parametrize("huge", [1e200, 1.7e308, -1e160])
def test_a_quaternion_whose_square_overflows_is_refused_like_any_other(huge: float) -> None:
    with pytest.raises(ValueError, match="no unit quaternion"):
        SE3.from_wxyz((0.0, 0.0, 0.0), (huge, huge, 0.0, 1.0))
