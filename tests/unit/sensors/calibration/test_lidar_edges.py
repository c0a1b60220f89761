"""Edges of a board in front of a wall."""

from __future__ import annotations

import numpy as np
import pytest

from sensors.calibration.lidar_edges import EdgeKind, lidar_edges

REACH = (1.0, 0.5)
SPACING_DEG = 0.2
BOARD_M, WALL_M, HALF_DEG = 8.0, 20.0, 6.1


def scan() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of a lidar in the camera: azimuth, elevation and the points, a board of +-6.1 degrees before a wall."""
    azimuth, elevation = np.meshgrid(np.radians(np.arange(-30, 30, SPACING_DEG)), np.radians(np.arange(-8, 8, 0.5)))
    azimuth, elevation = azimuth.ravel(), elevation.ravel()
    on_board = np.abs(np.degrees(azimuth)) < HALF_DEG
    depth = np.where(on_board, BOARD_M, WALL_M)
    points = depth[:, None] * np.stack([np.tan(azimuth), np.tan(elevation) / np.cos(azimuth), np.ones_like(azimuth)], axis=1)
    return points, azimuth, on_board


def test_both_sides_of_the_board_are_edges_in_the_middle_of_the_gap() -> None:
    points, _, _ = scan()
    edges = lidar_edges(points, REACH)
    for kind, at_deg in ((EdgeKind.RIGHT, 6.1), (EdgeKind.LEFT, -6.1)):
        found = edges.of(kind)
        assert len(found) >= 20
        assert np.degrees(np.arctan2(found[:, 0], found[:, 2])) == pytest.approx(at_deg, abs=0.02)
        assert found[:, 2] == pytest.approx(BOARD_M, rel=0.02)


def test_the_order_of_points_does_not_matter() -> None:
    points, _, on_board = scan()
    shuffled = np.random.default_rng(0).permutation(len(points))
    first = lidar_edges(points, REACH, on_board.astype(float))
    second = lidar_edges(points[shuffled], REACH, on_board[shuffled].astype(float))
    for kind in EdgeKind:
        assert np.array_equal(np.sort(first.of(kind), axis=0), np.sort(second.of(kind), axis=0))


def test_a_change_of_intensity_on_one_surface_is_an_edge() -> None:
    points, azimuth, _ = scan()
    flat = points / points[:, 2:] * WALL_M
    stripe = (np.abs(np.degrees(azimuth) - 10.0) < 3.1).astype(float) * 100 + 20
    edges = lidar_edges(flat, REACH, stripe)
    found = np.degrees(np.arctan2(*edges.of(EdgeKind.INTENSITY)[:, [0, 2]].T))
    near = np.minimum(np.abs(found - 6.9), np.abs(found - 13.1))
    assert len(found) > 40
    assert near.max() < 0.11
    assert len(edges.of(EdgeKind.RIGHT)) == len(edges.of(EdgeKind.LEFT)) == 0


def test_noise_of_intensity_is_not_an_edge() -> None:
    points, _, _ = scan()
    noise = np.random.default_rng(0).uniform(0, 100, len(points))
    assert len(lidar_edges(points / points[:, 2:] * WALL_M, REACH, noise).kind) < 0.01 * len(points)


def test_nothing_in_front_of_the_camera_gives_no_edge() -> None:
    points, _, _ = scan()
    assert len(lidar_edges(-points, REACH, np.ones(len(points))).kind) == 0
    assert len(lidar_edges(np.empty((0, 3)), REACH, np.empty(0)).kind) == 0
