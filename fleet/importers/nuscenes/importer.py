"""nuScenes (Motional), and datasets with its schema: one scene, keyframes and sweeps.

Layout: tables `v1.0-*/{scene,sample,sample_data,calibrated_sensor,sensor,ego_pose,log}.json` and the files that `sample_data`
names, below `samples/` and `sweeps/`. A folder with one keyframe and `calibration_and_pose.json` is read too
(`fleet.importers.nuscenes.keyframe`).

Conventions:

- The ego frame is x forward, y left, z up; `calibrated_sensor` maps sensor to ego. Poses are the vehicle's in the map's
  frame. Each measurement has a pose of its own; of those with equal stamps one is kept.
- Stamps are integer microseconds. The lidar's is the END of the sweep; its points are compensated to it by the source and
  have no times of their own. A camera is triggered while the sweep passes the middle of its view, and its stamp is that
  trigger: the START of the exposure. The radars' is not described; taken as the end (nuScenes, "Data collection", and
  nutonomy/nuscenes-devkit, issue 1100).
- The expected delay of a camera is the median of its stamp minus the lidar's, over keyframes of the same sample. Radars run
  free: 0.
- A version other than `v1.0-*` shares the schema alone: that its points are compensated, and what its stamps mean, is not
  known then, and reported.
- Points are unchanged, byte for byte, including those that the dataset's own reader leaves out. Images are not decoded.
- The source has no record times: log time is the stamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fleet import Progress, silent
from fleet.drive_folder import DriveFolder, write_calibration, write_manifest
from fleet.drive_layout import claim
from fleet.errors import SourceError
from fleet.importers.clock_findings import named, overlap_findings
from fleet.importers.import_findings import ImportFindings
from fleet.importers.new_folder import into_new_folder
from fleet.importers.nuscenes.keyframe import DOCUMENT, import_keyframe
from fleet.importers.nuscenes.motion import describe as describe_poses
from fleet.importers.nuscenes.motion import read_poses
from fleet.importers.nuscenes.payload import Seen, frames
from fleet.importers.nuscenes.payload import describe as describe_payload
from fleet.importers.nuscenes.rig import NUSCENES, Convention, build_rig, convention_of, read_calibrations, reference_of
from fleet.importers.nuscenes.shots import Channel, files_without_rows, read_channels
from fleet.importers.nuscenes.tables import DatasetLayout, NuscenesScene, choose_scene, find_layout
from fleet.importers.source import ImportResult, RowFaults, counted, pose_frames
from fleet.mcap_writer import SensorStream, write_stream
from lake.landing import DriveId
from sensors.decode.messages import IMAGE, ODOMETRY, POINT_CLOUD
from sensors.rig import Modality

RECORDER = "scenelake-import-nuscenes"
RECORDER_VERSION = "1"

KNOWN = (
    "ego: x forward, y left, z up, metres; poses map it to the frame of the dataset's map",
    "lidar: the stamp is the end of the sweep; points are motion-compensated to it by the source and have no time of their "
    "own (declared as compensated)",
    "cameras: the stamp is the trigger, declared as the start of the exposure; images are rectified: no distortion",
    "radar: which instant its stamp means is not stated by the source; taken as the end of the scan",
)
UNKNOWN = (
    "ego: the axes are those of calibrated_sensor, which this version does not describe; taken as in nuScenes",
    "stamps: which instant they mean, and whether points are motion-compensated, is not stated by this version; taken as the "
    "end of each measurement, not compensated",
    "lidar: the fifth value of a point is not described; kept as value_4 where the file is not a .pcd.bin",
)
ALWAYS = ("log time: the source has no record times; they equal the stamps",)


@into_new_folder
def import_drive(
    src: Path, out: Path, vehicle_id: str, drive_id: str, progress: Progress | None = None, scene: str | None = None
) -> ImportResult:
    """Write one scene of `src` as a drive; see `fleet.importers.registry.Importer`. `scene`: name or token, else the first."""
    drive = DriveId(vehicle_id, drive_id)
    report = progress or silent
    if (src / DOCUMENT).is_file():
        return import_keyframe(src, out, drive, report)
    layout = find_layout(src)
    chosen = choose_scene(layout, scene)
    findings = ImportFindings([f"scene: {chosen.name}, {chosen.samples} keyframes" + (f" ({chosen.log})" if chosen.log else "")])
    faults = RowFaults()
    channels = read_channels(layout, chosen, faults, findings)
    convention = convention_of(layout)
    first = reference_of([channel for channel in channels if channel.shots] or channels)
    poses = read_poses(layout, sorted(channels, key=lambda channel: (channel is not first, channel.name)), faults, findings)
    faults.refuse()
    _refuse_without_files(layout, chosen, channels, findings)
    claim(out)
    written, seen, dead = _write(out, channels, report, findings)
    if not written:
        raise SourceError("\n".join([f"no file of scene {chosen.name} can be read:", *findings, *seen]))
    moved = pose_frames(((pose.stamp_ns, pose.map_SE3_ego) for pose in poses), frame_id="map")
    write_stream(out, SensorStream("pose", Modality.POSE, ODOMETRY), moved)
    calibrations = read_calibrations(layout, written, findings)
    rig = build_rig(convention, written, calibrations, [pose.stamp_ns for pose in poses], findings, dead)
    write_calibration(out, rig.to_dict())
    findings += seen + overlap_findings({channel.name: channel.stamps_ns for channel in written})
    findings += [*describe_poses(poses), *_stated(convention), *_left_out(layout, channels, written)]
    write_manifest(out, drive, RECORDER, RECORDER_VERSION, findings.losses)
    return ImportResult(DriveFolder.load(out), tuple(findings))


def _write(
    out: Path, channels: Sequence[Channel], report: Progress, findings: ImportFindings
) -> tuple[list[Channel], list[str], set[str]]:
    """Write all sensors; returns those that have a frame, the findings on their payloads, and the names of dead sensors."""
    written, notes, dead = [], [], set()
    for channel in channels:
        seen = Seen()
        stream = SensorStream(channel.sensor, channel.modality, IMAGE if channel.modality is Modality.CAMERA else POINT_CLOUD)
        files = write_stream(out, stream, counted(channel.sensor, frames(channel, seen), len(channel.shots), report))
        if files:
            written.append(channel)
        notes += describe_payload(channel, seen)
        if seen.broken:
            findings.record_loss(
                channel.sensor if files else None, len(seen.broken), f"files that cannot be read: {'; '.join(seen.broken[:3])}"
            )
        if seen.empty:
            dead.add(channel.name)
    return written, notes, dead


def _refuse_without_files(
    layout: DatasetLayout, scene: NuscenesScene, channels: Sequence[Channel], findings: Sequence[str]
) -> None:
    if any(channel.shots for channel in channels):
        return
    rows = sum(len(channel.rows) for channel in channels)
    strangers = files_without_rows(layout, channels)
    beside = (
        f"beside them lie {len(strangers)} files that no row names ({named(strangers)})" if strangers else "nothing lies there"
    )
    raise SourceError(
        "\n".join(
            [
                f"none of the {rows} files that the tables name for scene {scene.name} is below {layout.root}; {beside}. "
                "Unpack the archive with this scene's samples and sweeps there, or choose another scene. Found so far:",
                *(f"  - {finding}" for finding in findings),
            ]
        )
    )


def _stated(convention: Convention) -> tuple[str, ...]:
    return (*(KNOWN if convention is NUSCENES else UNKNOWN), *ALWAYS)


def _left_out(layout: DatasetLayout, channels: Sequence[Channel], written: Sequence[Channel]) -> list[str]:
    found = []
    empty = [channel.name for channel in channels if channel not in written]
    if empty:
        found.append(f"rig: {', '.join(empty)} have rows but no file, and are not in it")
    kinds = {channel.modality for channel in written}
    found += [
        f"rig: the source has no {kind.value}" for kind in (Modality.LIDAR, Modality.CAMERA, Modality.RADAR) if kind not in kinds
    ]
    if all(shot.is_keyframe for channel in written for shot in channel.shots):
        found.append("sweeps: the source has keyframes alone")
    tables = [name for name in ("sample_annotation", "instance", "map") if layout.table(name).is_file()]
    if tables:
        found.append(f"{', '.join(tables)}: not imported")
    return found
