"""One nuScenes keyframe in a folder: `LOG__CHANNEL__MICROSECONDS.{jpg,pcd.bin}` and `calibration_and_pose.json`.

The document holds 4x4 matrices (ego2global, lidar2ego, cam2ego, lidar2cam) and 3x3 cam2img. Its stamps are float seconds;
file names have whole microseconds and are what counts. There is one ego pose, the lidar's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fleet import Progress
from fleet.drive_folder import DriveFolder, write_calibration, write_manifest
from fleet.drive_layout import claim
from fleet.errors import SourceError
from fleet.importers.nuscenes.payload import Seen, describe, frames
from fleet.importers.nuscenes.rig import NUSCENES, CalibratedSensor, build_rig, pinhole
from fleet.importers.nuscenes.shots import Channel, SampleData
from fleet.importers.nuscenes.tables import KEYFRAME_DOCUMENT
from fleet.importers.source import (
    MAX_IMAGE_BYTES,
    MICROSECONDS,
    ImportResult,
    counted,
    exact_ns,
    inside,
    pose_frames,
    read_bounded,
    read_json,
)
from fleet.mcap_writer import SensorStream, write_stream
from lake.landing import DriveId
from sensors.decode.images import read_header
from sensors.decode.messages import IMAGE, ODOMETRY, POINT_CLOUD
from sensors.errors import DecodeError
from sensors.geometry import SE3
from sensors.rig import Modality

DOCUMENT = KEYFRAME_DOCUMENT
RECORDER = "scenelake-import-nuscenes-keyframe"
RECORDER_VERSION = "1"
LIDAR = "LIDAR_TOP"
MAX_CAMERAS = 64

_NAME = re.compile(r"(?P<log>.{1,128})__(?P<channel>[A-Z0-9_]{1,32})__(?P<us>[0-9]{1,16})\.(?:jpe?g|png|pcd\.bin)")

STATED = (
    "ego: x forward, y left, z up, metres; the pose maps it to the frame of the dataset's map",
    "stamps: whole µs of the file names; the document's float seconds are compared with them, not used",
    "lidar: the stamp is the end of the sweep; points are motion-compensated to it by the source (declared as compensated)",
    "cameras: the stamp is the trigger, declared as the start of the exposure; images are rectified: no distortion",
    "pose: one, the lidar's; a camera's own ego pose is not in the source",
    "rig: the source has no radar; delays are those of a single keyframe",
    "log time: the source has no record times; they equal the stamps",
)


def import_keyframe(src: Path, out: Path, drive: DriveId, report: Progress) -> ImportResult:
    """Write the keyframe in `src` as a drive with one frame of each sensor.

    Raises:
        SourceError: The document is incomplete, or a file is missing or misnamed.
        FleetError: `out` is not empty.

    """
    document = read_json(src / DOCUMENT)
    findings = []
    try:
        entries: Mapping[str, Any] = document["images"]
        if len(entries) > MAX_CAMERAS:
            raise ValueError(f"it has {len(entries)} images, the limit is {MAX_CAMERAS}")
        map_SE3_ego = _matrix(document["ego2global"])
        lidar_path, ego_SE3_lidar = document["lidar_points"]["lidar_path"], _matrix(document["lidar_points"]["lidar2ego"])
        mountings = {name: _matrix(entry["cam2ego"]) for name, entry in entries.items()}
        findings.append(f"keyframe: {document['token']} of {document['dataset']} {document['version']}")
        lidar = _channel(src, LIDAR, Modality.LIDAR, lidar_path, document["timestamp"], findings)
        cameras = {
            name: _channel(src, name, Modality.CAMERA, entry["img_path"], entry["timestamp"], findings)
            for name, entry in sorted(entries.items())
        }
        lenses = {name: pinhole(entries[name]["cam2img"], _size_px(camera)) for name, camera in cameras.items()}
        findings += _moved(ego_SE3_lidar, {name: (mountings[name], _matrix(entries[name]["lidar2cam"])) for name in cameras})
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise SourceError(f"{src / DOCUMENT} does not describe a keyframe: {error!r}") from error
    claim(out)
    channels = [*cameras.values(), lidar]
    for channel in channels:
        seen = Seen()
        stream = SensorStream(channel.sensor, channel.modality, IMAGE if channel.modality is Modality.CAMERA else POINT_CLOUD)
        if not write_stream(out, stream, counted(channel.sensor, frames(channel, seen), 1, report)):
            raise SourceError(f"{channel.shots[0].path} cannot be read: {'; '.join(seen.broken)}")
        findings += describe(channel, seen)
    stamp_ns = lidar.stamps_ns[0]
    write_stream(out, SensorStream("pose", Modality.POSE, ODOMETRY), pose_frames([(stamp_ns, map_SE3_ego)], frame_id="map"))
    calibrations = {name: CalibratedSensor(mountings[name], lenses[name]) for name in cameras} | {
        LIDAR: CalibratedSensor(ego_SE3_lidar)
    }
    write_calibration(out, build_rig(NUSCENES, channels, calibrations, [stamp_ns], findings).to_dict())
    write_manifest(out, drive, RECORDER, RECORDER_VERSION)
    return ImportResult(DriveFolder.load(out), (*findings, *STATED))


def _channel(src: Path, name: str, modality: Modality, filename: str, seconds: object, findings: list[str]) -> Channel:
    path = src / inside(filename, src / DOCUMENT)
    match = _NAME.fullmatch(path.name)
    if match is None or match["channel"] != name:
        raise SourceError(f"{src / DOCUMENT} names {filename[:120]!r} for {name}; LOG__{name}__MICROSECONDS was expected")
    if not path.is_file():
        raise SourceError(f"{path} is missing; {DOCUMENT} names it")
    stamp_ns = exact_ns(int(match["us"]), MICROSECONDS, str(path))
    stated_ns = exact_ns(seconds, place=f"{src / DOCUMENT}: {name}: timestamp")
    if stated_ns != stamp_ns:
        findings.append(f"{name}: the document's stamp is {(stated_ns - stamp_ns) / 1e3:+.1f} µs from the file name's")
    shot = SampleData("", "keyframe", stamp_ns, path, True, "", "", "", "", None)
    return Channel(name, modality, (shot,), (shot,))


def _size_px(camera: Channel) -> tuple[int, int] | None:
    try:
        info = read_header(read_bounded(camera.shots[0].path, MAX_IMAGE_BYTES))
    except DecodeError as error:
        raise ValueError(f"{camera.shots[0].path.name}: {error}") from error
    return info.width_px, info.height_px


def _matrix(rows: object) -> SE3:
    return SE3.from_matrix(np.array(rows, dtype=np.float64))


def _moved(ego_SE3_lidar: SE3, cameras: Mapping[str, tuple[SE3, SE3]]) -> list[str]:
    """How far lidar2cam deviates from the mountings: by the vehicle's motion between the two stamps."""
    apart_m = {}
    for name, (ego_SE3_camera, camera_SE3_lidar) in cameras.items():
        by_mountings = ego_SE3_lidar.inverse() @ ego_SE3_camera
        by_document = camera_SE3_lidar.inverse()
        apart_m[name] = float(np.linalg.norm(by_document.translation_m - by_mountings.translation_m))
    if not apart_m:
        return []
    widest = max(apart_m, key=lambda name: apart_m[name])
    return [
        f"lidar2cam: places cameras up to {apart_m[widest]:.3f} m ({widest}) from where cam2ego and lidar2ego do: it "
        "holds the way of the vehicle between the stamps; the mountings are declared"
    ]
