"""Mountings and lenses of a nuScenes scene's sensors, from `calibrated_sensor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fleet.importers.nuscenes.motion import rigid
from fleet.importers.nuscenes.shots import Channel
from fleet.importers.nuscenes.tables import Layout, Row, read_rows
from sensors.geometry import SE3
from sensors.rig import Intrinsics, Modality


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where a sensor sits and, for a camera, its lens; None where the source has nothing that can be used."""

    ego_SE3_sensor: SE3 | None
    lens: Intrinsics | None = None


def read_calibrations(layout: Layout, channels: Sequence[Channel], findings: list[str]) -> dict[str, Calibration]:
    """The calibration of each channel by name; whatever cannot be used is left out and is a finding."""
    wanted = {shot.calibration for channel in channels for shot in channel.rows}
    rows = {row["token"]: row for row in read_rows(layout.table("calibrated_sensor")) if row.get("token") in wanted}
    return {channel.name: _calibrated(channel, rows, findings) for channel in channels}


def _calibrated(channel: Channel, rows: Mapping[str, Row], findings: list[str]) -> Calibration:
    tokens = list(dict.fromkeys(shot.calibration for shot in channel.rows))
    if len(tokens) > 1:
        findings.append(f"{channel.name}: {len(tokens)} calibrations in one scene; the first is declared")
    row = rows[tokens[0]]
    try:
        mounting = rigid(row)
    except (LookupError, TypeError, ValueError) as error:
        findings.append(f"{channel.name}: its mounting cannot be used and is left out: {error}")
        mounting = None
    if channel.modality is not Modality.CAMERA:
        return Calibration(mounting)
    size_px = next((shot.size_px for shot in channel.rows if shot.size_px is not None), None)
    try:
        return Calibration(mounting, pinhole(row["camera_intrinsic"], size_px))
    except (LookupError, TypeError, ValueError) as error:
        findings.append(f"{channel.name}: its intrinsics cannot be used and are left out: {error}")
        return Calibration(mounting)


def pinhole(matrix: object, size_px: tuple[int, int] | None) -> Intrinsics:
    """The camera that a 3x3 matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] describes, without distortion.

    Raises:
        ValueError, TypeError: It is no such matrix, it is skewed, its centre lies outside of the image, or the image's size is
            not known.

    """
    values = np.array([[float(value) for value in line] for line in matrix])  # type: ignore[attr-defined]
    if values.shape != (3, 3) or not np.isfinite(values).all():
        raise ValueError(f"camera_intrinsic has shape {values.shape} instead of (3, 3), or holds what is not finite")
    fx_px, skew, cx_px, below, fy_px, cy_px = (float(value) for value in values[:2].ravel())
    if skew or below or values[2].tolist() != [0.0, 0.0, 1.0] or fx_px <= 0 or fy_px <= 0:
        raise ValueError(f"{values.tolist()} is no pinhole matrix without skew")
    if size_px is None:
        raise ValueError("the size of its images is not known")
    width_px, height_px = size_px
    if not (0 <= cx_px <= width_px and 0 <= cy_px <= height_px):
        raise ValueError(f"the principal point ({cx_px}, {cy_px}) px lies outside of the {width_px}x{height_px} px image")
    return Intrinsics(width_px, height_px, fx_px, fy_px, cx_px, cy_px)
