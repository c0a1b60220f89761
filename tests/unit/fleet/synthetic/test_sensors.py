"""Every simulated sensor sees the same world at its own time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fleet.synthetic.camera import Camera
from fleet.synthetic.generate import simulator
from fleet.synthetic.lidar import SpinningLidar
from fleet.synthetic.radar import Radar
from fleet.synthetic.schedule import Shot, shots_of
from fleet.synthetic.spec import DriveSpec, RigOptions
from fleet.synthetic.vehicle import build_rig
from fleet.synthetic.world import World, is_light_square
from sensors.geometry import SE3

SPEC = DriveSpec("car-1", "drive-1", seed=5, duration_s=2.0, rig=RigOptions(radar_noise=False, imu_noise=False, gnss=True))
RIG = build_rig(SPEC.rig)
WORLD = World(SPEC.seed, SPEC.duration_s)


def shot_of(sensor: str, index: int) -> Shot:
    return shots_of(RIG[sensor], SPEC)[index]


def world_SE3_ego(true_ns: int) -> SE3:
    return WORLD.road.world_SE3_ego(true_ns - SPEC.start_ns)


def lidar_world_points(index: int, own_time: bool = True):  # type: ignore[no-untyped-def]
    """Points of a sweep in the world frame, with the pose of each point's own column (or of the stamp), and their times."""
    source = simulator(RIG["lidar_top"], WORLD, SPEC)
    assert isinstance(source, SpinningLidar)
    shot = shot_of("lidar_top", index)
    points = source.measure(shot)
    xyz = np.column_stack([points["x"], points["y"], points["z"]]).astype(np.float64)
    mount = RIG["lidar_top"].ego_SE3_sensor
    assert mount is not None
    world = np.empty_like(xyz)
    for t_ns in np.unique(points["t"]):
        chosen = points["t"] == t_ns
        world[chosen] = (world_SE3_ego(shot.true_ns + (int(t_ns) if own_time else 0)) @ mount).apply(xyz[chosen])
    return points, world, shot


def distance_to_surface_m(world: np.ndarray, since_start_ns: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Distance of points to the ground or the nearest box surface at each point's time."""
    nearest = np.abs(world[:, 2])
    boxes = WORLD.boxes_at(since_start_ns)
    for box in range(len(WORLD.bodies)):
        offset = world - boxes.centre_m[:, box]
        yaw = boxes.yaw_rad[:, box]
        local = np.column_stack(
            [
                np.cos(yaw) * offset[:, 0] + np.sin(yaw) * offset[:, 1],
                np.cos(yaw) * offset[:, 1] - np.sin(yaw) * offset[:, 0],
                offset[:, 2],
            ]
        )
        beyond = np.abs(local) - boxes.size_m[box] / 2
        outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
        nearest = np.minimum(nearest, np.where(outside > 0, outside, -beyond.max(axis=1)))
    return nearest


def test_lidar_points_lie_on_a_surface_at_their_own_time() -> None:
    points, world, shot = lidar_world_points(4)
    since = shot.true_ns - SPEC.start_ns + points["t"].astype(np.int64)
    assert distance_to_surface_m(world, since).max() < 1e-4
    assert 20_000 < len(points) <= 32 * 900


def test_lidar_sweep_is_skewed_by_the_motion_of_the_vehicle() -> None:
    points, world, shot = lidar_world_points(4, own_time=False)
    since = shot.true_ns - SPEC.start_ns + points["t"].astype(np.int64)
    late = points["t"] > 80_000_000
    upright = np.abs(world[:, 2]) > 0.05  # a shifted ground point still lies on the ground
    assert np.median(distance_to_surface_m(world, since)[late & upright]) > 0.05


def test_lidar_points_are_in_firing_order_and_within_the_sweep() -> None:
    points, _, _ = lidar_world_points(0)
    assert (np.diff(points["t"].astype(np.int64)) >= 0).all()
    assert points["t"].max() < 100_000_000
    assert set(np.unique(points["ring"])) <= set(range(32))
    assert len(np.unique(points["ring"])) > 25


def test_lidar_intensity_shows_the_checker() -> None:
    points, world, _ = lidar_world_points(2)
    on_ground = np.abs(world[:, 2]) < 1e-4
    light = is_light_square(world[on_ground, 0], world[on_ground, 1])
    expected = np.where(light, 0.55 * 255, 0.25 * 255)
    # A few points are walls met at their foot, or lie on the line between two squares.
    assert (np.abs(points["intensity"][on_ground] - expected) < 0.01).mean() > 0.995
    assert 0.3 < light.mean() < 0.7


def test_lidar_noise_is_along_the_ray_and_of_the_size_asked_for() -> None:
    noisy_spec = replace(SPEC, rig=replace(SPEC.rig, lidar_range_noise_m=0.05))
    shot = shot_of("lidar_top", 3)
    clean = SpinningLidar(WORLD, RIG["lidar_top"], SPEC).measure(shot)
    noisy = SpinningLidar(WORLD, RIG["lidar_top"], noisy_spec).measure(shot)
    delta = np.column_stack([noisy[name].astype(np.float64) - clean[name] for name in "xyz"])
    ray = np.column_stack([clean[name].astype(np.float64) for name in "xyz"])
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    along = np.einsum("nd,nd->n", delta, ray)
    assert along.std() == pytest.approx(0.05, rel=0.05)
    assert np.abs(delta - along[:, None] * ray).max() < 1e-4


@pytest.mark.parametrize("sensor", ["radar_front", "radar_rear"])
def test_range_rate_is_the_derivative_of_the_range(sensor: str) -> None:
    source = simulator(RIG[sensor], WORLD, SPEC)
    assert isinstance(source, Radar)
    mount = RIG[sensor].ego_SE3_sensor
    assert mount is not None
    step_ns = 100_000
    seen_moving = 0
    for index in range(0, 20, 4):
        shot = shot_of(sensor, index)
        since = shot.true_ns - SPEC.start_ns
        detections = source.measure(shot)
        assert len(detections) > 5
        here = np.column_stack([detections[name] for name in "xyz"]).astype(np.float64)
        world = (world_SE3_ego(shot.true_ns) @ mount).apply(here)
        boxes = WORLD.boxes_at(np.array([since - step_ns, since, since + step_ns]))
        for point, detection in zip(world, detections, strict=True):
            offsets = point - boxes.centre_m[1]
            yaw = boxes.yaw_rad[1]
            local_x = np.cos(yaw) * offsets[:, 0] + np.sin(yaw) * offsets[:, 1]
            local_y = np.cos(yaw) * offsets[:, 1] - np.sin(yaw) * offsets[:, 0]
            beyond = np.maximum(np.abs(local_x) - boxes.size_m[:, 0] / 2, np.abs(local_y) - boxes.size_m[:, 1] / 2)
            box = int(np.argmin(np.abs(beyond)))
            assert abs(beyond[box]) < 1e-3
            ranges = []
            for moment, turn in ((0, -step_ns), (2, step_ns)):
                angle = boxes.yaw_rad[moment, box]
                carried = boxes.centre_m[moment, box] + [
                    np.cos(angle) * local_x[box] - np.sin(angle) * local_y[box],
                    np.sin(angle) * local_x[box] + np.cos(angle) * local_y[box],
                    offsets[box, 2],
                ]
                origin = (world_SE3_ego(shot.true_ns + turn) @ mount).translation_m
                ranges.append(np.linalg.norm(carried - origin))
            rate = (ranges[1] - ranges[0]) / (2 * step_ns * 1e-9)
            assert detection["range_rate"] == pytest.approx(rate, abs=2e-3)
            seen_moving += WORLD.bodies[box].pace != 0.0
    assert seen_moving > 0


def test_radar_noise_moves_detections_a_little_and_keeps_their_number() -> None:
    shot = shot_of("radar_front", 3)
    clean = Radar(WORLD, RIG["radar_front"], SPEC).measure(shot)
    noisy = Radar(WORLD, RIG["radar_front"], replace(SPEC, rig=replace(SPEC.rig, radar_noise=True))).measure(shot)
    assert len(noisy) == len(clean)
    rate_change = np.abs(noisy["range_rate"] - clean["range_rate"])
    assert 0.0 < rate_change.max() < 0.3


@pytest.mark.parametrize("sensor", ["camera_front", "camera_front_left", "camera_front_right"])
def test_lidar_points_project_onto_the_pixels_of_their_own_box(sensor: str) -> None:
    """Points are taken at the world's time of the image, so that moving boxes and parallax are the only differences."""
    shot = shot_of(sensor, 6)
    camera = simulator(RIG[sensor], WORLD, SPEC)
    assert isinstance(camera, Camera)
    lens, mount = RIG[sensor].intrinsics, RIG[sensor].ego_SE3_sensor
    assert lens is not None and mount is not None
    sweep_start = shot.true_ns - RIG[sensor].sync.expected_delay_ns
    lidar = SpinningLidar(WORLD, RIG["lidar_top"], SPEC)
    points = lidar.measure(Shot(0, sweep_start, sweep_start, sweep_start))
    lidar_mount = RIG["lidar_top"].ego_SE3_sensor
    assert lidar_mount is not None
    xyz = np.column_stack([points["x"], points["y"], points["z"]]).astype(np.float64)
    # the beam looks the camera's way at the shutter: only columns within 2 ms of it are compared, with that pose
    around = np.abs(points["t"].astype(np.int64) - RIG[sensor].sync.expected_delay_ns) < 2_000_000
    assert around.sum() > 100
    world = np.empty((0, 3))
    for t_ns in np.unique(points["t"][around]):
        column = points["t"] == t_ns
        world = np.concatenate([world, (world_SE3_ego(sweep_start + int(t_ns)) @ lidar_mount).apply(xyz[column])])
    in_camera = (world_SE3_ego(shot.true_ns) @ mount).inverse().apply(world)
    u = np.rint(lens.fx_px * in_camera[:, 0] / in_camera[:, 2] + lens.cx_px).astype(int)
    v = np.rint(lens.fy_px * in_camera[:, 1] / in_camera[:, 2] + lens.cy_px).astype(int)
    shown = (u >= 0) & (u < lens.width_px) & (v >= 0) & (v < lens.height_px)
    far = shown & (in_camera[:, 2] > 10.0)  # nearer, the lidar and the camera see a point from different sides
    assert far.sum() > 30
    assert (np.abs(u[far] - lens.cx_px) < 90).all()  # the expected delay is true: the beam is where the camera looks
    seen = camera.seen(shot.true_ns)[v[shown], u[shown]]
    on_ground = np.abs(world[shown, 2]) < 1e-3
    assert (seen[on_ground] == -1).mean() > 0.95
    distances = [_distance_to_box_m(point, int(box), shot.true_ns) for point, box in zip(world[shown], seen, strict=True)]
    on_box = ~on_ground & (seen >= 0)
    assert on_box.sum() > 30
    # The rest is seen past an edge by one of the two only: they do not sit in one place.
    assert (np.array(distances)[on_box] < 0.05).mean() > 0.9


def _distance_to_box_m(point: np.ndarray, box: int, true_ns: int) -> float:  # type: ignore[type-arg]
    if box < 0:
        return float("inf")
    boxes = WORLD.boxes_at(np.array([true_ns - SPEC.start_ns]))
    offset, yaw = point - boxes.centre_m[0, box], boxes.yaw_rad[0, box]
    local = np.array(
        [np.cos(yaw) * offset[0] + np.sin(yaw) * offset[1], np.cos(yaw) * offset[1] - np.sin(yaw) * offset[0], offset[2]]
    )
    return float(np.linalg.norm(np.maximum(np.abs(local) - boxes.size_m[box] / 2, 0.0)))


def test_a_box_fills_the_hull_of_its_projected_corners() -> None:
    sensor = "camera_front"
    camera = simulator(RIG[sensor], WORLD, SPEC)
    assert isinstance(camera, Camera)
    lens, mount = RIG[sensor].intrinsics, RIG[sensor].ego_SE3_sensor
    assert lens is not None and mount is not None
    shot = shot_of(sensor, 3)
    seen = camera.seen(shot.true_ns)
    boxes = WORLD.boxes_at(np.array([shot.true_ns - SPEC.start_ns]))
    signs = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5])).reshape(3, -1).T
    compared = 0
    for box in np.unique(seen[seen >= 0]):
        yaw = boxes.yaw_rad[0, box]
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        corners = (signs * boxes.size_m[box]) @ turn.T + boxes.centre_m[0, box]
        in_camera = (world_SE3_ego(shot.true_ns) @ mount).inverse().apply(corners)
        if in_camera[:, 2].min() < 0.5:
            continue
        u = lens.fx_px * in_camera[:, 0] / in_camera[:, 2] + lens.cx_px
        v = lens.fy_px * in_camera[:, 1] / in_camera[:, 2] + lens.cy_px
        rows, columns = np.nonzero(seen == box)
        assert columns.min() >= np.floor(u.min()) and columns.max() <= np.ceil(u.max())
        assert rows.min() >= np.floor(v.min()) and rows.max() <= np.ceil(v.max())
        compared += 1
    assert compared > 8


def test_pixels_show_the_colours_of_ground_sky_and_boxes() -> None:
    camera = simulator(RIG["camera_front"], WORLD, SPEC)
    assert isinstance(camera, Camera)
    shot = shot_of("camera_front", 3)
    pixels, seen = camera.render(shot.true_ns), camera.seen(shot.true_ns)
    assert pixels.shape == (360, 640, 3)
    top_row_sky = seen[0] == -1
    assert (pixels[0][top_row_sky][:, 2] > pixels[0][top_row_sky][:, 0]).all()
    bottom = pixels[-1][seen[-1] == -1].astype(int)
    assert {bool(value > 80) for value in bottom[:, 0]} == {True, False}
    for box in np.unique(seen[seen >= 0]):
        body = np.array(WORLD.bodies[box].rgb)
        ratios = pixels[seen == box] / np.maximum(body, 1)
        assert 0.6 < np.median(ratios) < 1.2


def test_imu_is_the_derivative_of_the_poses() -> None:
    source = simulator(RIG["imu"], WORLD, SPEC)
    shot = shot_of("imu", 57)
    sample = source.measure(shot)
    step_ns = 1_000_000
    motions = WORLD.road.at_ns(np.array([shot.true_ns - SPEC.start_ns + shift for shift in (-step_ns, 0, step_ns)]))
    change = (motions.velocity_m_s[2] - motions.velocity_m_s[0]) / (2 * step_ns * 1e-9)
    yaw = motions.yaw_rad[1]
    forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    np.testing.assert_allclose(sample, [0, 0, motions.yaw_rate_rad_s[1], change @ forward, change @ left, 9.80665], atol=1e-4)


def test_satellite_positions_are_as_far_apart_as_the_vehicle_moved() -> None:
    source = simulator(RIG["gnss"], WORLD, SPEC)
    first, last = (source.measure(shot_of("gnss", index)) for index in (0, 15))
    # Haversine on a sphere of the mean radius: independent of the conversion, right to the ellipsoid's flattening.
    lat1, lon1, lat2, lon2 = np.radians([first[0], first[1], last[0], last[1]])
    a = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    moved_m = np.linalg.norm(WORLD.road.at_ns(np.array([1_500_000_000])).position_m[0])
    assert 2 * 6_371_008.8 * np.arcsin(np.sqrt(a)) == pytest.approx(moved_m, rel=5e-3)
    assert first == (48.0, 11.0, 500.0)


def test_poses_are_exact() -> None:
    source = simulator(RIG["pose"], WORLD, SPEC)
    shot = shot_of("pose", 30)
    assert source.measure(shot) == world_SE3_ego(shot.true_ns)
