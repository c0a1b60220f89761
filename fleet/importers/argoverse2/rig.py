"""The rig of an Argoverse 2 log, from its calibration and the stamps of its frames."""

from __future__ import annotations

from fleet.importers.argoverse2.tables import Log
from fleet.importers.clock_findings import rate_hz, within
from sensors.geometry import SE3
from sensors.policy import Policy
from sensors.rig import DEFAULT_WARN_RESIDUAL_NS, NS_PER_S, Modality, Rig, Sensor, Stamp, Sync

LIDAR, POSE = "lidar", "pose"
LIDAR_HZ, CAMERA_HZ, POSE_HZ = 10.0, 20.0, 170.0  # user guide, "Sensor Suite"; the poses' is measured on a log of 15.95 s
CAMERA_TOLERANCE_NS = 25_000_000  # half a camera's period, as the dataset's own synchronisation database has it


def build_rig(log: Log) -> Rig:
    """The rig: the merged lidar as reference, cameras with images required, incomplete scenes published (images do lack)."""
    sweep_hz = rate_hz(list(log.sweeps), LIDAR_HZ)
    half_sweep_ns = round(NS_PER_S / sweep_hz / 2)
    lidar_sync = Sync(Stamp.START, 0, half_sweep_ns, DEFAULT_WARN_RESIDUAL_NS, required=True, compensated=True)
    sensors = [Sensor(LIDAR, Modality.LIDAR, sweep_hz, lidar_sync, SE3.identity())]
    for name, images in log.cameras.items():
        terms = Sync(Stamp.MIDDLE, 0, CAMERA_TOLERANCE_NS, DEFAULT_WARN_RESIDUAL_NS, required=True)
        intrinsics = log.lenses[name].intrinsics if name in log.lenses else None
        hz = rate_hz(list(images), CAMERA_HZ)
        sensors.append(Sensor(name, Modality.CAMERA, hz, terms, log.mountings.get(name), intrinsics))
    stamps_ns = [int(stamp_ns) for stamp_ns in log.pose_stamps_ns]
    span_ns = max(stamps_ns) - min(stamps_ns)
    pose_hz = within((len(stamps_ns) - 1) * NS_PER_S / span_ns if span_ns else 0.0, POSE_HZ)
    pose_sync = Sync(Stamp.MIDDLE, 0, round(NS_PER_S / pose_hz / 2), DEFAULT_WARN_RESIDUAL_NS, required=False)
    sensors.append(Sensor(POSE, Modality.POSE, pose_hz, pose_sync, SE3.identity()))
    return Rig("argoverse2", LIDAR, tuple(sensors), Policy(publish_incomplete=True))
