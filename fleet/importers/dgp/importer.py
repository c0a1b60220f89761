"""TRI DGP (Toyota Research Institute; the format of DDAD): one scene folder.

Layout: `scene_*.json` (data, samples), `calibration/KEY.json`, and files that the scene names:
`point_cloud/NAME/*.npz` (key `data`, N x columns float64), `rgb/NAME/*.jpg` or `.png`.

Conventions and their sources (`dgp/proto/*.proto`, README of TRI-ML/DDAD, and measurements):

- Times are text in UTC, read as integers. Scenes exist whose ticks of 100 ns were written as microseconds, in the year 2463:
  no stamp reaches there, so they are read as ticks, if and only if every file is named by the digits of its time. That is
  reported as a finding, with both readings; without that evidence the scene is refused. Other times stay as written.
- The ego frame is the vehicle frame that the calibration's extrinsics lead to (metres). Each datum has its own pose, which is
  that of its sensor in the world at its own time: the pose of the vehicle is `world_SE3_sensor @ sensor_SE3_ego`, one for each
  distinct time, the lidar's and the cameras' alike, and how far they disagree is reported.
- Points are in the lidar's frame, as its extrinsic says (identity where the cloud is merged from several in the ego frame).
  float64 coordinates become float32; the largest change is reported. Whether the cloud has been freed of the vehicle's motion is
  not stated by the source; it has no point times, so nothing is moved.
- Which instant a stamp means is not stated either: taken as the end of a sweep and the middle of an exposure. A sensor's
  expected delay is the median of its stamp minus the reference's in the same sample.
- Links (`prev_key`, `next_key`) are checked and not followed; samples serve for the delays alone.
- The source has no record times: log time is the stamp. Annotations and ontologies are not imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fleet import Progress, silent
from fleet.drive_folder import DriveFolder, write_calibration, write_manifest
from fleet.drive_layout import claim
from fleet.importers.clock_findings import clock_findings, delay_words, overlap_findings
from fleet.importers.dgp.payload import PayloadSeen, clouds, image_size_px, images
from fleet.importers.dgp.rig import POSE, Shots, build_rig, ego_poses, median_delays_ns, read_calibration, reference_of
from fleet.importers.dgp.scene import Datum, DgpScene, find_unit, read_scene
from fleet.importers.import_findings import ImportFindings
from fleet.importers.new_folder import into_new_folder
from fleet.importers.source import ImportResult, RowFaults, counted, pose_frames
from fleet.mcap_writer import SensorStream, write_stream
from lake.landing import DriveId
from sensors.decode.messages import IMAGE, ODOMETRY, POINT_CLOUD
from sensors.rig import Modality

RECORDER = "scenelake-import-dgp"
RECORDER_VERSION = "1"
MESSAGES = {Modality.LIDAR: POINT_CLOUD, Modality.CAMERA: IMAGE}

STATED = (
    "stamps: which instant they mean is not stated by the source; taken as the end of a sweep and the middle of an exposure",
    "lidar: no per-point time, and not stated whether the points are compensated for the vehicle's motion; left as they are",
    "radar: the scene's format has a place for it, this importer reads none",
    "log time: the source has no record times; they equal the stamps",
    "annotations and ontologies: not imported",
)

Timed = Sequence[tuple[int, Datum]]


@into_new_folder
def import_drive(src: Path, out: Path, vehicle_id: str, drive_id: str, progress: Progress | None = None) -> ImportResult:
    """Write the scene `src` as a drive; see `fleet.importers.registry.Importer`."""
    drive = DriveId(vehicle_id, drive_id)
    report = progress or silent
    findings = ImportFindings()
    faults = RowFaults()
    scene = read_scene(src, faults, findings)
    calibration = read_calibration(scene, faults, findings)
    faults.refuse()
    unit = find_unit(scene.data, findings)
    stamps_ns = [unit.stamp_ns(datum) for datum in scene.data]
    by_name: dict[str, list[tuple[int, Datum]]] = {}
    for stamp_ns, datum in zip(stamps_ns, scene.data, strict=True):
        by_name.setdefault(datum.name, []).append((stamp_ns, datum))
    sensors = [_shots(timed, findings) for timed in by_name.values()]
    delays_ns = median_delays_ns(_groups(scene, stamps_ns), reference_of(sensors).sensor)
    poses = ego_poses(scene, stamps_ns, calibration, findings)
    rig = build_rig(sensors, delays_ns, calibration, poses, findings)
    claim(out)
    seen = PayloadSeen()
    for shots in sensors:
        timed = by_name[shots.name]
        frames = clouds(timed, seen) if shots.modality is Modality.LIDAR else images(timed)
        stream = SensorStream(shots.sensor, shots.modality, MESSAGES[shots.modality])
        write_stream(out, stream, counted(shots.sensor, frames, len(timed), report))
    write_stream(out, SensorStream(POSE, Modality.POSE, ODOMETRY), counted(POSE, pose_frames(poses), len(poses), report))
    write_calibration(out, rig.to_dict())
    findings += _clocks(sensors, delays_ns) + seen.findings()
    write_manifest(out, drive, RECORDER, RECORDER_VERSION, findings.losses)
    return ImportResult(DriveFolder.load(out), (*findings, *STATED))


def _shots(timed: Timed, findings: list[str]) -> Shots:
    first = timed[0][1]
    size_px = image_size_px(first, findings) if first.modality is Modality.CAMERA else None
    return Shots(first.name, first.sensor, first.modality, tuple(stamp_ns for stamp_ns, _ in timed), size_px)


def _groups(scene: DgpScene, stamps_ns: Sequence[int]) -> list[dict[str, int]]:
    """Per sample: the stamp of each of its sensors."""
    by_key = {datum.key: (datum.sensor, stamp_ns) for datum, stamp_ns in zip(scene.data, stamps_ns, strict=True)}
    return [dict(by_key[key] for key in keys if key in by_key) for keys in scene.samples]


def _clocks(sensors: Sequence[Shots], delays_ns: dict[str, int]) -> list[str]:
    found = [entry for shots in sensors for entry in clock_findings(shots.name, shots.stamps_ns)]
    found += overlap_findings({shots.name: shots.stamps_ns for shots in sensors})
    for shots in sensors:
        if shots.sensor in delays_ns:
            delay_ns = delays_ns[shots.sensor]
            found.append(f"{shots.name}: {delay_ns / 1e6:+.2f} ms after the reference in its sample {delay_words(delay_ns)}")
    return found
