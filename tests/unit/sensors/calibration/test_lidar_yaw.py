"""The yaw of a lidar from two sweeps and the vehicle's motion, against scenes of which it is known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from sensors.calibration.lidar_yaw import MIN_PAIRS, SweepPair, lidar_yaw, sweep_pair, turn_scores
from sensors.calibration.result import Estimate, Unobservable
from sensors.geometry import SE3

Floats = npt.NDArray[np.float64]
TRUE = SE3.from_wxyz((1.2, 0.3, 1.9), (1.0, 0.0, 0.0, 0.0))


def about_z(degrees: float, translation_m: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> SE3:
    half = math.radians(degrees) / 2
    return SE3.from_wxyz(translation_m, (math.cos(half), 0.0, 0.0, math.sin(half)))


def posts(seed: int, count: int = 60) -> Floats:
    """Thin posts around the origin, ten points each, from 0.5 to 3 m above the ground, in the world."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-35, 35, (count, 2))
    z = np.linspace(0.5, 3.0, 10)
    return np.column_stack([np.repeat(xy, len(z), axis=0), np.tile(z, count)])


def pair(
    declared: SE3,
    seed: int,
    heading_deg: float = 30.0,
    turned_deg: float = 0.0,
    moved_m: float = 6.0,
    world: Floats | None = None,
) -> SweepPair:
    """Two sweeps of a lidar mounted as `TRUE`, by a vehicle that drives ahead and turns; read by the declared mounting."""
    earlier = about_z(heading_deg)
    later = earlier @ about_z(turned_deg, (moved_m, 0.5 * moved_m * math.radians(turned_deg), 0.0))
    points = posts(seed) if world is None else world
    noise = np.random.default_rng(seed + 1000)
    seen = [(pose @ TRUE).inverse().apply(points) + noise.normal(0, 0.03, points.shape) for pose in (earlier, later)]
    found = sweep_pair(seen[0], seen[1], declared, later.inverse() @ earlier, 0.0)
    assert found is not None
    return found


@pytest.mark.parametrize("turned_deg", [0.0, 8.0])
@pytest.mark.parametrize("error_deg", [0.0, 1.0, -3.0, 25.0, 90.0, 179.0, -120.0])
def test_the_error_of_the_declared_yaw_is_found(error_deg: float, turned_deg: float) -> None:
    declared = SE3.from_wxyz(TRUE.translation_m, about_z(error_deg).wxyz)
    found = lidar_yaw([turn_scores(pair(declared, seed, 17.0 * seed, turned_deg)) for seed in range(8)])
    assert isinstance(found, Estimate)
    assert found.error == pytest.approx(error_deg, abs=0.5)
    assert abs(found.error - error_deg) <= found.uncertainty < 1.5


def test_a_road_between_two_walls_is_no_measurement() -> None:
    along = np.repeat(np.arange(-60.0, 60.0, 0.1), 2)
    world = np.column_stack([along, np.tile([-6.0, 6.0], along.size // 2), np.full(along.size, 1.5)])
    found = lidar_yaw([turn_scores(pair(TRUE, seed, 0.0, world=world)) for seed in range(8)])
    assert isinstance(found, Unobservable)
    assert "stands out" in found.reason


def test_few_pairs_are_no_measurement() -> None:
    found = lidar_yaw([turn_scores(pair(TRUE, seed)) for seed in range(MIN_PAIRS - 1)])
    assert isinstance(found, Unobservable)
    assert f"fewer than {MIN_PAIRS}" in found.reason
    assert isinstance(lidar_yaw([]), Unobservable)


def test_sweeps_of_other_places_agree_on_nothing() -> None:
    pairs = []
    for seed in range(8):
        one, other = pair(TRUE, seed), pair(TRUE, 100 + seed)
        pairs.append(turn_scores(SweepPair(one.before_m, other.after_m, one.moved_m)))
    found = lidar_yaw(pairs)
    assert isinstance(found, Unobservable)


def test_ground_alone_gives_no_pair() -> None:
    ground = np.column_stack([np.random.default_rng(1).uniform(-20, 20, (5000, 2)), np.full(5000, -1.9)])
    assert sweep_pair(ground, ground, TRUE, SE3.identity(), 0.0) is None
    assert sweep_pair(ground, ground, TRUE, SE3.identity(), None) is None


def test_the_ground_is_found_where_the_rig_does_not_say() -> None:
    ground = np.column_stack([np.random.default_rng(1).uniform(-20, 20, (5000, 2)), np.full(5000, -1.9)])
    seen = np.vstack([ground, TRUE.inverse().apply(posts(1))])
    by_rig, by_points = (sweep_pair(seen, seen, TRUE, SE3.identity(), ground_z_m) for ground_z_m in (0.0, None))
    assert by_rig is not None
    assert by_points is not None
    np.testing.assert_array_equal(by_rig.after_m, by_points.after_m)
