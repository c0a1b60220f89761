"""Motion compensation of a recorded synthetic drive against the world that it was recorded in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions
from fleet.synthetic.world import World
from scenes.build.motion import WindowPoses, place
from sensors.container.mcap import scan
from sensors.container.recorded import StoredMessage
from sensors.decode.messages import decode_points, decode_pose
from sensors.decode.points import PointCloud
from sensors.rig import Rig

SPEC = DriveSpec("car-7", "drive-1", seed=5, duration_s=2.0, rig=RigOptions(cameras=(), lidar_rings=8, lidar_columns=180))
LIDAR = "lidar_top"


def messages(folder: Path, sensor: str) -> list[bytes]:
    (path,) = folder.glob(f"*/{sensor}/*.mcap")
    with path.open("rb") as stream:
        return [bytes(found.data) for found in scan(stream) if isinstance(found, StoredMessage)]


def recorded_track(folder: Path, rig: Rig) -> WindowPoses:
    (name,) = [sensor.name for sensor in rig.sensors if sensor.modality == "pose"]
    samples = [decode_pose(cdr) for cdr in messages(folder, name)]
    poses = np.array([[*one.odom_SE3_ego.translation_m, *one.odom_SE3_ego.wxyz] for one in samples])
    return WindowPoses(np.array([one.stamp_ns for one in samples]), poses, ["pose"] * len(samples), rig.policy.pose_bracket_ns)


def in_world(cloud: PointCloud, rig: Rig, times_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Points (N, 3) where the simulated car really was at the given time of each."""
    road, mounting = World(SPEC.seed, SPEC.duration_s).road, rig[LIDAR].ego_SE3_sensor
    assert mounting is not None
    xyz_m = cloud.xyz_m().astype(np.float64)
    moments, of_point = np.unique(times_ns, return_inverse=True)
    world_m = np.empty_like(xyz_m)
    for number, moment_ns in enumerate(moments.tolist()):
        here = of_point == number
        world_m[here] = (road.world_SE3_ego(moment_ns - SPEC.start_ns) @ mounting).apply(xyz_m[here])
    return world_m


def test_compensated_points_are_where_the_world_is(tmp_path: Path) -> None:
    folder = generate(SPEC, tmp_path / "drive").path
    rig = Rig.from_dict(json.loads((folder / "calibration.json").read_bytes()))
    track = recorded_track(folder, rig)
    errors_mm, skews_mm, left = [], [], 0
    for cdr in messages(folder, LIDAR):
        cloud = decode_points(cdr)
        placed = place(cloud, rig[LIDAR], cloud.stamp_ns, track)
        if placed.reference_ns is None:
            left += 1
            continue
        offsets_ns = cloud.time_offset_ns()
        assert offsets_ns is not None
        true_m = in_world(cloud, rig, cloud.stamp_ns + offsets_ns)
        at_anchor = np.full(cloud.num_points, cloud.stamp_ns)
        moved_m = in_world(dataclasses.replace(cloud, data=placed.points), rig, at_anchor)
        errors_mm.append(1000 * np.linalg.norm(moved_m - true_m, axis=1).max())
        skews_mm.append(1000 * np.linalg.norm(in_world(cloud, rig, at_anchor) - true_m, axis=1).max())
    assert len(errors_mm) >= 18
    assert left <= 1, "but for the last sweep, every sweep has poses around it"
    assert min(skews_mm) > 500, "the car moves half a metre and more during a sweep"
    assert max(errors_mm) < 1.0
