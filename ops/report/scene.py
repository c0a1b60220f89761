"""From a row of `gold.scenes` to the pictures of a scene."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lake.tables.drive_walk import LoadsTables
from lake.tables.rows import CameraFrame, CloudFrame, RadarFrame, SceneFields, SceneRow
from ops.audit import lake_reader
from ops.report import picture
from ops.report.birdseye import birdseye
from ops.report.cloud import Cloud, in_ego_frame
from ops.report.facts import CameraView, SceneView
from ops.report.motion import EgoMotion, looking_forward
from ops.report.projection import project
from sensors.decode.images import decode_pixels
from sensors.errors import SensorDataError
from sensors.rig import Rig

NOT_COMPENSATED = "SYN003"  # flags scenes whose lidar is not motion-compensated


def scene_view(row: SceneRow, motion: EgoMotion | None = None) -> SceneView:
    """Draw a scene. What cannot be drawn becomes a note and does not stop the rest."""
    rig = Rig.from_dict(json.loads(row.calibration))
    notes: list[str] = []
    anchor_ns = row.anchor_ns
    motion = motion or EgoMotion(())
    lidars = _clouds(row.lidars, rig, notes, None if NOT_COMPENSATED in row.quality_flags else anchor_ns)
    radars = _clouds(row.radars, rig, notes, None)
    return SceneView(
        scene_id=row.scene_id,
        anchor_sensor=row.anchor_sensor,
        anchor_ns=anchor_ns,
        complete=row.complete,
        missing=tuple((entry.sensor, entry.reason) for entry in row.missing),
        flags=row.quality_flags,
        birdseye=_from_above(lidars, radars, anchor_ns, motion, rig) if lidars or radars else None,
        cameras=tuple(_camera(frame, rig, lidars, motion) for frame in row.cameras),
        detections=sum(len(radar.ego_m) for radar in radars),
        polar=tuple(_polar(row.radars, notes)),
        notes=tuple(notes),
    )


def rig_of(catalog: LoadsTables, facts: Sequence[SceneFields]) -> Rig | None:
    """The rig of a drive, from the first of its scenes; None if it has none."""
    first = lake_reader.scene(catalog, facts[0].scene_id) if facts else None
    return None if first is None else Rig.from_dict(json.loads(first.calibration))


def _from_above(lidars: Sequence[Cloud], radars: Sequence[Cloud], anchor_ns: int, motion: EgoMotion, rig: Rig) -> bytes:
    sweeps, scans = ([replace(one, ego_m=motion.at(one, anchor_ns)[0]) for one in clouds] for clouds in (lidars, radars))
    forward = motion.forward(anchor_ns) or looking_forward(rig)
    return birdseye(sweeps, scans, forward, motion.velocity_m_s(anchor_ns))


def _clouds(frames: Sequence[CloudFrame], rig: Rig, notes: list[str], compensated_to_ns: int | None) -> list[Cloud]:
    clouds = []
    for frame in frames:
        try:
            cloud = in_ego_frame(frame, rig, compensated_to_ns)
        except (SensorDataError, ValueError) as error:
            notes.append(f"{frame.sensor} cannot be drawn: {error}")
            continue
        if cloud is None:
            continue
        if not cloud.calibrated:
            notes.append(f"{cloud.sensor} has no extrinsics: drawn as if mounted at the ego origin")
        clouds.append(cloud)
    return clouds


def _polar(frames: Sequence[RadarFrame], notes: list[str]) -> list[tuple[str, bytes]]:
    images = []
    for frame in frames:
        if frame.image is not None:
            pixels, note = _pixels(frame.image)
            if pixels is None:
                notes.append(f"{frame.sensor}: {note}")
            else:
                images.append((frame.sensor, picture.thumbnail(pixels)))
    return images


def _camera(frame: CameraFrame, rig: Rig, lidars: Sequence[Cloud], motion: EgoMotion) -> CameraView:
    pixels, note = _pixels(frame.image)
    projected = None
    if pixels is not None:
        projected, note = _projected(pixels, frame, rig, lidars, motion)
    image = None if pixels is None else picture.thumbnail(pixels)
    return CameraView(frame.sensor, frame.offset_ns, frame.residual_ns, image, projected, note)


def _projected(
    pixels: npt.NDArray[np.uint8], frame: CameraFrame, rig: Rig, lidars: Sequence[Cloud], motion: EgoMotion
) -> tuple[bytes | None, str]:
    camera = next((sensor for sensor in rig.sensors if sensor.name == frame.sensor), None)
    if camera is None or camera.ego_SE3_sensor is None or camera.intrinsics is None:
        return None, "no lidar drawn: the camera has no calibration"
    moved = [motion.at(cloud, frame.stamp_ns) for cloud in lidars if cloud.calibrated]
    if not moved:
        return None, "no lidar drawn: this scene has none with extrinsics"
    found = project(np.concatenate([ego_m for ego_m, _ in moved]), camera.ego_SE3_sensor.inverse(), camera.intrinsics)
    note = f"{len(found.index)} points" + ("" if all(complete for _, complete in moved) else ", some not motion-compensated")
    return picture.overlay(pixels, found), note


def _pixels(image: bytes | None) -> tuple[npt.NDArray[np.uint8] | None, str]:
    if image is None:
        return None, "no image"
    try:
        return decode_pixels(image), ""
    except SensorDataError as error:
        return None, f"does not decode: {error}"
