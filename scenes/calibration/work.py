"""A worker's part in the calibration check: read the chosen frames by reference, and return their measurements.

A sweep's edges go to the work area, where the worker that reads the images finds them: no payload passes through the JVM,
and each frame is read once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.storage import ObjectStore
from scenes.build.payloads import fetch
from scenes.calibration.plan import NO_SWEEP, ImageTask, PairTask, ScanTask, SweepTask
from scenes.plan.window_table import FrameRef
from scenes.work_area import WorkArea
from sensors.calibration.alignment import View
from sensors.calibration.doppler import RadarScan, range_rates
from sensors.calibration.ground import GroundPlane, ground_plane
from sensors.calibration.image_edges import edge_maps, shrink_of
from sensors.calibration.lens import Lens
from sensors.calibration.lidar_edges import LidarEdges
from sensors.calibration.lidar_yaw import turn_scores
from sensors.calibration.result import Checked, Quantity
from sensors.calibration.scene import PoseSamples, edges_seen, seen_twice
from sensors.calibration.verdicts import camera_verdicts, radar_verdicts, unobserved
from sensors.decode.images import decode_luma, read_header
from sensors.decode.messages import IMAGE, POINT_CLOUD, MessageMemory, decode_image, decode_points
from sensors.decode.points import PointCloud
from sensors.errors import DecodeError, SensorDataError
from sensors.geometry import Floats
from sensors.rig import Rig, Sensor

CAMERA = (Quantity.CAMERA_ROLL, Quantity.CAMERA_PITCH, Quantity.CAMERA_YAW)
EDGES = pa.schema(
    [("camera", pa.string()), ("kind", pa.uint8()), ("x_m", pa.float64()), ("y_m", pa.float64()), ("z_m", pa.float64())]
)


class Raw(NamedTuple):
    """Location of the frames: the bucket, and the version of each key."""

    bucket: str
    versions: Mapping[str, str]


class SweepResult(NamedTuple):
    """The result for one sweep: the ground, and for each camera without edges the reason."""

    lidar: str
    plane: GroundPlane | None
    without_edges: Mapping[str, str]


class SensorResult(NamedTuple):
    """The verdicts on a camera or radar, and the size that most of the images that were read have; None if none was read."""

    checks: tuple[Checked, ...]
    size_px: tuple[int, int] | None = None


def check_sweep(store: ObjectStore, raw: Raw, area: WorkArea, rig: Rig, task: SweepTask) -> SweepResult:
    """Compare one sweep with the ground, and write its edges for the cameras.

    An unusable sweep gives only its reason: DEC006 reports it where the frame is built into a scene.
    """
    lidar = rig[task.frame.sensor]
    try:
        cloud = _cloud(store, raw, task.frame)
        placed_m = cloud.xyz_m()[~cloud.invalid()]
    except SensorDataError as error:
        area.write_table(_edges_name(task.number), EDGES.empty_table())
        return SweepResult(lidar.name, None, {image.camera: str(error) for image in task.images})
    plane = None
    if task.forward is not None and lidar.ego_SE3_sensor is not None:
        plane = ground_plane(lidar.ego_SE3_sensor.apply(placed_m), task.forward, task.place)
    track = PoseSamples(task.pose_stamps_ns, task.poses, rig.policy.pose_bracket_ns)
    seen = {image.camera: edges_seen(cloud, lidar, rig[image.camera], image.stamp_ns, track) for image in task.images}
    tables = [_edge_table(camera, edges) for camera, edges in seen.items() if isinstance(edges, LidarEdges)]
    area.write_table(_edges_name(task.number), pa.concat_tables([EDGES.empty_table(), *tables]))
    return SweepResult(lidar.name, plane, {camera: edges for camera, edges in seen.items() if isinstance(edges, str)})


def check_pair(store: ObjectStore, raw: Raw, rig: Rig, task: PairTask) -> tuple[str, Floats | None]:
    """The lidar, and the scores of its yaw by two of its sweeps; None where they show nothing."""
    lidar = rig[task.first.sensor]
    try:
        first, second = (_cloud(store, raw, frame) for frame in (task.first, task.second))
    except SensorDataError:
        return lidar.name, None  # DEC006 reports it where the frame is built into a scene
    track = PoseSamples(task.pose_stamps_ns, task.poses, rig.policy.pose_bracket_ns)
    pair = seen_twice(first, second, lidar, track, rig.ground_z_m)
    return lidar.name, None if pair is None else turn_scores(pair)


def check_images(
    store: ObjectStore, raw: Raw, area: WorkArea, camera: Sensor, tasks: Sequence[ImageTask], without_edges: Sequence[str]
) -> SensorResult:
    """Compare a camera's images with the edges of their sweeps; `without_edges`: why sweeps have none."""
    by_frame = {task.frame.frame_id: task for task in tasks}
    views, memory = [], MessageMemory()
    sizes: Counter[tuple[int, int]] = Counter()
    for frame, cdr in fetch(store, raw.bucket, raw.versions, [task.frame for task in tasks]):
        task = by_frame[frame.frame_id]
        try:
            if frame.message_type != IMAGE:
                continue
            data = decode_image(cdr, memory).data
            info = read_header(data)
            sizes[info.width_px, info.height_px] += 1
            edges = _edges(area, task.sweep, camera.name)
            if edges is None or camera.intrinsics is None or not _fits(camera, info.width_px, info.height_px):
                continue
            shrink = shrink_of(camera.intrinsics)
            maps = edge_maps(decode_luma(data, shrink), camera.intrinsics.fx_px / shrink)
            views.append(View(edges, maps, task.place, np.array(task.velocity_m_s), np.array(task.turn_rad_s)))
        except SensorDataError:
            continue  # DEC005 or DEC007 reports it where the frame is built into a scene
    usual_px = max(sizes, key=lambda size_px: (sizes[size_px], size_px), default=None)
    if camera.intrinsics is None or not views:
        reason = next(iter(without_edges), "no image of the declared size was taken near a sweep whose poses are known")
        return SensorResult(unobserved(camera.name, CAMERA, reason), usual_px)
    lens = Lens(camera.intrinsics, shrink_of(camera.intrinsics))
    return SensorResult(camera_verdicts(camera.name, views, lens), usual_px)


def check_scans(store: ObjectStore, raw: Raw, radar: Sensor, tasks: Sequence[ScanTask]) -> SensorResult:
    """Compare a radar's range rates with the vehicle's motion; a scan that was read before says nothing new (RAD004)."""
    own = {task.frame.frame_id: task.own_m_s for task in tasks}
    scans, memory = [], MessageMemory()
    read: set[bytes] = set()
    for frame, cdr in fetch(store, raw.bucket, raw.versions, [task.frame for task in tasks]):
        if frame.message_type != POINT_CLOUD:
            continue
        try:
            found = range_rates(decode_points(cdr, memory))
        except SensorDataError:
            continue  # DEC006 reports it where the frame is built into a scene
        content = b"" if found is None else b"".join(values.tobytes() for values in found)
        if found is not None and content not in read:
            read.add(content)
            scans.append(RadarScan(*found, own[frame.frame_id]))
    if not scans:
        return SensorResult(unobserved(radar.name, (Quantity.RADAR_YAW,), "its frames hold no range rates"))
    return SensorResult(radar_verdicts(radar.name, scans))


def _cloud(store: ObjectStore, raw: Raw, ref: FrameRef) -> PointCloud:
    for frame, cdr in fetch(store, raw.bucket, raw.versions, [ref]):
        if frame.message_type == POINT_CLOUD:
            return decode_points(cdr)
    raise DecodeError("the frame is not a point cloud")


def _fits(camera: Sensor, width_px: int, height_px: int) -> bool:
    lens = camera.intrinsics
    return lens is not None and (lens.width_px, lens.height_px) == (width_px, height_px)


def _edges_name(number: int) -> str:
    return f"calibration/{number:05d}.arrow"


def _edge_table(camera: str, edges: LidarEdges) -> pa.Table:
    columns = {name: pa.array(edges.points_m[:, axis]) for axis, name in enumerate(("x_m", "y_m", "z_m"))}
    names = pa.repeat(pa.scalar(camera, pa.string()), len(edges.kind))
    return pa.Table.from_pydict({"camera": names, "kind": pa.array(edges.kind), **columns}, schema=EDGES)


def _edges(area: WorkArea, sweep: int, camera: str) -> LidarEdges | None:
    if sweep == NO_SWEEP:
        return None
    table = area.read_table(_edges_name(sweep))
    rows = table.filter(pc.equal(table["camera"], camera))
    if len(rows) == 0:
        return None
    points_m = np.stack([rows[name].to_numpy() for name in ("x_m", "y_m", "z_m")], axis=1)
    return LidarEdges(points_m, rows["kind"].to_numpy())
