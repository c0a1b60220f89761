"""Argoverse 2 (Argo AI), sensor dataset: one log folder.

Layout: `sensors/lidar/STAMP.feather` (x, y, z float16; intensity, laser_number uint8; offset_ns int32),
`sensors/cameras/NAME/STAMP.jpg`, `calibration/{egovehicle_SE3_sensor,intrinsics}.feather`, `city_SE3_egovehicle.feather`,
`annotations.feather`. Stamps are integer nanoseconds in names and columns.

Conventions and their sources (user guide of the dataset, "Sensor Dataset"; `av2/structures/sweep.py`):

- The ego frame is the dataset's egovehicle frame, and all points are given in it: the returns of `up_lidar` and
  `down_lidar` (32 beams each, 180 degrees apart) are merged into one sweep and distinguished by `laser_number`, 0 to 63. So
  there is one lidar here and `ego_SE3_lidar` is the identity; the positions of the two are in the source and the findings.
- A sweep's stamp is its START. Its points have been moved to where the vehicle saw them at the stamp: the rig says
  `compensated`, and a compensation to another anchor treats the sweep as taken at its stamp. When a point was measured,
  stamp + `offset_ns` of the source, is kept as `measured_offset_ns`, a name that `sensors.decode.point_times` does not know:
  a consumer that compensates by point times without checking the rig must not move these points a second time.
- float16 coordinates become float32, which holds each exactly.
- A camera's stamp is the MIDDLE of its exposure, which is centred on the lidar's passing. Images are published undistorted:
  k1, k2, k3 describe the lens, not the images, and are not declared as the camera's distortion. Expected delays are 0 and the
  tolerance 25 ms, as in the dataset's own matching.
- Poses are city_SE3_egovehicle, all rows, with stamps as close as 1 ns to each other.
- Rates are measured where a sensor has two frames, else as documented (lidar 10 Hz, cameras 20 Hz).
- Stamps count from another instant than 1970, the same one for all sensors: read as dates they fall on 1980. The rig says
  `time_base: other`, so that they are judged by the log's own start and end.
- The source has no record times: log time is the stamp. It has no radar. Annotations and the map are not imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fleet import Progress, silent
from fleet.drive_folder import DriveFolder, write_calibration, write_manifest
from fleet.drive_layout import claim
from fleet.encode import encode_image, encode_points
from fleet.importers.argoverse2.feather import read_rows
from fleet.importers.argoverse2.findings import findings_of
from fleet.importers.argoverse2.tables import Log, annotated_stamps_ns, read_log
from fleet.importers.clock_findings import half_period_ns, mean_hz, rate_hz, within
from fleet.importers.import_findings import ImportFindings
from fleet.importers.new_folder import into_new_folder
from fleet.importers.source import MAX_IMAGE_BYTES, ImportResult, counted, median_ns, pose_frames, read_bounded
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from lake.landing import DriveId
from sensors.decode.messages import IMAGE, ODOMETRY, POINT_CLOUD
from sensors.decode.points import point_fields
from sensors.geometry import SE3
from sensors.policy import Policy
from sensors.rig import DEFAULT_WARN_RESIDUAL_NS, Modality, Rig, Sensor, Stamp, Sync, TimeBase
from sensors.stamps import plausible

LIDAR, POSE = "lidar", "pose"
LIDAR_HZ, CAMERA_HZ, POSE_HZ = 10.0, 20.0, 170.0  # user guide, "Sensor Suite"; the poses' is measured on a log of 15.95 s
CAMERA_TOLERANCE_NS = 25_000_000  # half a camera's period, as the dataset's own synchronisation database has it


def build_rig(log: Log) -> Rig:
    """The rig: the merged lidar as reference, cameras with images required, incomplete scenes published (images do lack)."""
    sweep_hz = rate_hz(list(log.sweeps), LIDAR_HZ)
    lidar_sync = Sync(Stamp.START, 0, half_period_ns(sweep_hz), DEFAULT_WARN_RESIDUAL_NS, required=True, compensated=True)
    sensors = [Sensor(LIDAR, Modality.LIDAR, sweep_hz, lidar_sync, SE3.identity())]
    for name, images in log.cameras.items():
        terms = Sync(Stamp.MIDDLE, 0, CAMERA_TOLERANCE_NS, DEFAULT_WARN_RESIDUAL_NS, required=True)
        intrinsics = log.lenses[name].intrinsics if name in log.lenses else None
        hz = rate_hz(list(images), CAMERA_HZ)
        sensors.append(Sensor(name, Modality.CAMERA, hz, terms, log.mountings.get(name), intrinsics))
    pose_hz = within(mean_hz(log.pose_stamps_ns.tolist()) or 0.0, POSE_HZ)
    pose_sync = Sync(Stamp.MIDDLE, 0, half_period_ns(pose_hz), DEFAULT_WARN_RESIDUAL_NS, required=False)
    sensors.append(Sensor(POSE, Modality.POSE, pose_hz, pose_sync, SE3.identity()))
    time_base = TimeBase.UTC if plausible(median_ns(list(log.sweeps))) else TimeBase.OTHER
    return Rig("argoverse2", LIDAR, tuple(sensors), Policy(publish_incomplete=True), time_base=time_base)


RECORDER = "scenelake-import-argoverse2"
RECORDER_VERSION = "1"
MAX_POINTS = 2_000_000
SWEEP = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("offset_ns", "<i4"), ("intensity", "u1"), ("laser_number", "u1")])
POINT = np.dtype([(name.replace("offset_ns", "measured_offset_ns"), SWEEP[name]) for name in SWEEP.names or ()])


@dataclass(slots=True)
class PointsSeen:
    """Statistics of the sweeps. `low_ns`, `high_ns`: the extremes of offset_ns over all points."""

    points: int = 0
    empty_sweeps: int = 0
    low_ns: int = np.iinfo(np.int32).max
    high_ns: int = np.iinfo(np.int32).min
    lasers: int = 0


@into_new_folder
def import_drive(src: Path, out: Path, vehicle_id: str, drive_id: str, progress: Progress | None = None) -> ImportResult:
    """Write the log `src` as a drive; see `fleet.importers.registry.Importer`."""
    drive = DriveId(vehicle_id, drive_id)
    report = progress or silent
    findings = ImportFindings()
    log = read_log(src, findings)
    annotated_ns = annotated_stamps_ns(src / "annotations.feather")
    claim(out)
    seen = PointsSeen()
    lidar = SensorStream(LIDAR, Modality.LIDAR, POINT_CLOUD)
    write_stream(out, lidar, counted(LIDAR, _sweeps(log.sweeps, seen), len(log.sweeps), report))
    for name, images in log.cameras.items():
        write_stream(out, SensorStream(name, Modality.CAMERA, IMAGE), counted(name, _images(name, images), len(images), report))
    pose = SensorStream(POSE, Modality.POSE, ODOMETRY)
    poses = pose_frames(zip(log.pose_stamps_ns.tolist(), log.city_SE3_ego, strict=True))
    write_stream(out, pose, counted(POSE, poses, len(log.city_SE3_ego), report))
    write_calibration(out, build_rig(log).to_dict())
    findings += findings_of(log, seen.low_ns, seen.high_ns, seen.lasers, annotated_ns)
    if seen.empty_sweeps:
        findings.append(f"lidar: {seen.empty_sweeps} sweeps have no point; kept")
    if log.without_images:
        findings.record_loss(None, None, f"calibrated cameras without images: {', '.join(log.without_images)}")
    write_manifest(out, drive, RECORDER, RECORDER_VERSION, findings.losses)
    return ImportResult(DriveFolder.load(out), tuple(findings))


def _sweeps(files: Mapping[int, Path], seen: PointsSeen) -> Iterator[RecordedFrame]:
    for stamp_ns, path in files.items():
        points = read_rows(path, SWEEP, MAX_POINTS)
        seen.points += len(points)
        if len(points):
            seen.low_ns = min(seen.low_ns, int(points["offset_ns"].min()))
            seen.high_ns = max(seen.high_ns, int(points["offset_ns"].max()))
            seen.lasers = max(seen.lasers, int(points["laser_number"].max()) + 1)
        else:
            seen.empty_sweeps += 1
        yield RecordedFrame(stamp_ns, stamp_ns, encode_points(stamp_ns, LIDAR, point_fields(POINT), points))


def _images(name: str, files: Mapping[int, Path]) -> Iterator[RecordedFrame]:
    for stamp_ns, path in files.items():
        yield RecordedFrame(stamp_ns, stamp_ns, encode_image(stamp_ns, name, "jpeg", read_bounded(path, MAX_IMAGE_BYTES)))
