"""Edge maps: where they are largest, and their invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.calibration.image_edges import edge_maps, shrink_of, values_at
from sensors.rig import Intrinsics

FOCAL_PX = 450.0


def step(low: int, high: int, at: int = 100) -> np.ndarray:
    image = np.full((120, 200), low, dtype=np.uint8)
    image[:, at:] = high
    return image


def test_an_upright_edge_is_found_where_it_is_and_is_not_level() -> None:
    maps = edge_maps(step(60, 120), FOCAL_PX)
    assert np.argmax(maps.upright[60]) in (99, 100)
    assert maps.upright[60, 99] > 50
    assert maps.level.max() == 0
    assert (maps.any == maps.upright).all()


def test_contrast_hardly_changes_an_edge() -> None:
    weak, strong = edge_maps(step(60, 90), FOCAL_PX).upright, edge_maps(step(20, 230), FOCAL_PX).upright
    assert weak.max() == pytest.approx(strong.max(), rel=0.25)


def test_bushes_are_weaker_edges_than_a_wall() -> None:
    bush = np.random.default_rng(0).integers(0, 255, (120, 200)).astype(np.uint8)
    assert edge_maps(bush, FOCAL_PX).upright.mean() < 0.6 * edge_maps(step(60, 120), FOCAL_PX).upright.max()


@given(st.floats(-2, 12), st.floats(-2, 9))
def test_values_between_pixels_are_bilinear(u: float, v: float) -> None:
    field = np.random.default_rng(1).integers(0, 255, (8, 11)).astype(np.uint8)
    found = float(values_at(field, np.array([u]), np.array([v]))[0])
    if not (0 <= u < 10 and 0 <= v < 7):
        assert np.isnan(found)
        return
    left, top = int(u), int(v)
    a, b = u - left, v - top
    near = field[top : top + 2, left : left + 2].astype(float)
    expected = (1 - b) * ((1 - a) * near[0, 0] + a * near[0, 1]) + b * ((1 - a) * near[1, 0] + a * near[1, 1])
    assert found == pytest.approx(expected)


def test_no_place_has_no_value() -> None:
    assert np.isnan(values_at(np.zeros((4, 4), dtype=np.uint8), np.array([np.nan]), np.array([1.0])))[0]


@pytest.mark.parametrize(("fx_px", "shrink"), [(300.0, 1), (457.0, 1), (1266.0, 2), (1970.0, 4), (4000.0, 8)])
def test_images_are_shrunk_to_what_the_angle_needs(fx_px: float, shrink: int) -> None:
    assert shrink_of(Intrinsics(1920, 1080, fx_px, fx_px, 960.0, 540.0)) == shrink
