"""From a row of `gold.scenes` to the pictures of a scene."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ops.report import picture
from ops.report.birdseye import birdseye
from ops.report.cloud import Cloud, in_ego_frame
from ops.report.facts import CameraView, SceneView
from ops.report.motion import EgoMotion, looking_forward
from ops.report.projection import project
from sensors.decode.images import decode_pixels
from sensors.errors import SensorDataError
from sensors.rig import Rig

NOT_COMPENSATED = "SYN003"  # the flag of scenes whose lidar lies as it was measured


def scene_view(row: Mapping[str, Any], motion: EgoMotion | None = None) -> SceneView:
    """Draw a scene. What cannot be drawn is said in a note; the rest is drawn all the same."""
    rig = Rig.from_dict(json.loads(row["calibration"]))
    notes: list[str] = []
    anchor_ns = row["anchor_ns"]
    motion = motion or EgoMotion(())
    lidars = _clouds(row["lidars"], rig, notes, None if NOT_COMPENSATED in row["quality_flags"] else anchor_ns)
    radars = _clouds(row["radars"], rig, notes, None)
    return SceneView(
        scene_id=row["scene_id"],
        anchor_sensor=row["anchor_sensor"],
        anchor_ns=row["anchor_ns"],
        complete=row["complete"],
        missing=tuple((entry["sensor"], entry["reason"]) for entry in row["missing"]),
        flags=tuple(row["quality_flags"]),
        birdseye=_from_above(lidars, radars, anchor_ns, motion, rig) if lidars or radars else None,
        cameras=tuple(_camera(entry, rig, lidars, motion) for entry in row["cameras"]),
        detections=sum(len(radar.ego_m) for radar in radars),
        polar=tuple(_polar(row["radars"], notes)),
        notes=tuple(notes),
    )


def _from_above(lidars: Sequence[Cloud], radars: Sequence[Cloud], anchor_ns: int, motion: EgoMotion, rig: Rig) -> bytes:
    sweeps, scans = ([replace(one, ego_m=motion.at(one, anchor_ns)[0]) for one in clouds] for clouds in (lidars, radars))
    forward = motion.forward(anchor_ns) or looking_forward(rig)
    return birdseye(sweeps, scans, forward, motion.velocity_m_s(anchor_ns))


def _clouds(entries: Sequence[Mapping[str, Any]], rig: Rig, notes: list[str], compensated_to_ns: int | None) -> list[Cloud]:
    clouds = []
    for entry in entries:
        try:
            cloud = in_ego_frame(entry, rig, compensated_to_ns)
        except (SensorDataError, ValueError) as error:
            notes.append(f"{entry['sensor']} cannot be drawn: {error}")
            continue
        if cloud is None:
            continue
        if not cloud.calibrated:
            notes.append(f"{cloud.sensor} has no extrinsics: drawn as if it sat at the ego origin")
        clouds.append(cloud)
    return clouds


def _polar(entries: Sequence[Mapping[str, Any]], notes: list[str]) -> list[tuple[str, bytes]]:
    images = []
    for entry in entries:
        if entry["image"] is not None:
            pixels, note = _pixels(entry["image"])
            if pixels is None:
                notes.append(f"{entry['sensor']}: {note}")
            else:
                images.append((str(entry["sensor"]), picture.thumbnail(pixels)))
    return images


def _camera(entry: Mapping[str, Any], rig: Rig, lidars: Sequence[Cloud], motion: EgoMotion) -> CameraView:
    sensor = str(entry["sensor"])
    pixels, note = _pixels(entry["image"])
    projected = None
    if pixels is not None:
        projected, note = _projected(pixels, entry, rig, lidars, motion)
    image = None if pixels is None else picture.thumbnail(pixels)
    return CameraView(sensor, entry["offset_ns"], entry["residual_ns"], image, projected, note)


def _projected(
    pixels: npt.NDArray[np.uint8], entry: Mapping[str, Any], rig: Rig, lidars: Sequence[Cloud], motion: EgoMotion
) -> tuple[bytes | None, str]:
    name = str(entry["sensor"])
    camera = next((sensor for sensor in rig.sensors if sensor.name == name), None)
    if camera is None or camera.ego_SE3_sensor is None or camera.intrinsics is None:
        return None, "no lidar drawn: the camera has no calibration"
    moved = [motion.at(cloud, entry["stamp_ns"]) for cloud in lidars if cloud.calibrated]
    if not moved:
        return None, "no lidar drawn: none with extrinsics in this scene"
    found = project(np.concatenate([ego_m for ego_m, _ in moved]), camera.ego_SE3_sensor.inverse(), camera.intrinsics)
    note = f"{len(found.index)} points" + ("" if all(complete for _, complete in moved) else ", own motion not removed from all")
    return picture.overlay(pixels, found), note


def _pixels(image: bytes) -> tuple[npt.NDArray[np.uint8] | None, str]:
    try:
        return decode_pixels(image), ""
    except SensorDataError as error:
        return None, f"does not decode: {error}"
