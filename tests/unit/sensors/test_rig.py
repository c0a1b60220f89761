"""The rig document: round trip, defaults, contradictions."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from sensors.errors import RigError
from sensors.geometry import SE3
from sensors.rig import Modality, Rig, Stamp

DOCUMENT: dict[str, Any] = {
    "schema_version": 1,
    "rig_id": "rig_a",
    "reference": "lidar_top",
    "sensors": [
        {
            "name": "lidar_top",
            "modality": "lidar",
            "rate_hz": 10.0,
            "ego_SE3_sensor": {"translation_m": [1.0, 0.0, 1.8], "rotation_wxyz": [1.0, 0.0, 0.0, 0.0]},
            "sync": {"stamp": "end", "expected_delay_ns": 0, "tolerance_ns": 0, "warn_residual_ns": 0, "required": True},
        },
        {
            "name": "cam_front",
            "modality": "camera",
            "rate_hz": 15.0,
            "ego_SE3_sensor": None,
            "intrinsics": {
                "width_px": 640,
                "height_px": 480,
                "fx_px": 500.0,
                "fy_px": 500.0,
                "cx_px": 320.0,
                "cy_px": 240.0,
                "distortion": [0.1, -0.2],
            },
            "sync": {"stamp": "middle", "expected_delay_ns": -50_000_000, "required": False},
        },
        {
            "name": "pose",
            "modality": "pose",
            "rate_hz": 100.0,
            "sync": {"stamp": "middle", "expected_delay_ns": 0, "required": False},
        },
    ],
    "policy": {"publish_incomplete": True},
}


def edited(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    target: Any = document
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return document


def test_a_document_is_read_with_its_defaults() -> None:
    rig = Rig.from_dict(DOCUMENT)
    lidar, camera = rig["lidar_top"], rig["cam_front"]
    assert (rig.policy.publish_incomplete, rig.policy.pose_required, rig.policy.pose_bracket_ns) == (True, False, 50_000_000)
    assert (lidar.modality, lidar.period_ns, lidar.sync.stamp) == (Modality.LIDAR, 100_000_000, Stamp.END)
    assert lidar.ego_SE3_sensor == SE3.from_wxyz((1.0, 0.0, 1.8), (1.0, 0.0, 0.0, 0.0))
    assert (lidar.sync.tolerance_ns, lidar.sync.warn_residual_ns) == (0, 0)  # a stated 0 is not a missing value
    assert (camera.sync.tolerance_ns, camera.sync.warn_residual_ns) == (33_333_333, 25_000_000)
    assert camera.intrinsics is not None
    assert (camera.intrinsics.distortion, camera.ego_SE3_sensor) == ((0.1, -0.2), None)


def test_the_document_written_back_is_the_same_rig() -> None:
    rig = Rig.from_dict(DOCUMENT)
    assert Rig.from_dict(rig.to_dict()) == rig
    assert Rig.from_dict(rig.to_dict()).to_dict() == rig.to_dict()


def test_sensors_are_found_by_name() -> None:
    rig = Rig.from_dict(DOCUMENT)
    assert "pose" in rig
    assert "radar" not in rig
    with pytest.raises(KeyError, match="radar"):
        rig["radar"]


def test_scenes_hold_lidar_camera_and_radar() -> None:
    assert {kind for kind in Modality if kind.in_scene} == {Modality.LIDAR, Modality.CAMERA, Modality.RADAR}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (edited(("sensors", 1, "name"), "lidar_top"), "named twice: lidar_top"),
        (edited(("reference",), "lidar_rear"), "reference 'lidar_rear' is none of its sensors"),
        (edited(("reference",), "pose"), "must be a lidar, camera or radar"),
        (
            edited(("sensors", 0, "ego_SE3_sensor", "rotation_wxyz"), [0.9, 0, 0, 0]),
            "sensor lidar_top: ego_SE3_sensor: .*0.900000",
        ),
        (edited(("sensors", 1, "intrinsics", "cx_px"), 641.0), r"principal point \(641.0, 240.0\) px lies outside its 640x480"),
        (edited(("sensors", 1, "intrinsics", "fx_px"), math.inf), "not finite"),
    ],
)
def test_a_contradiction_is_named(document: dict[str, Any], message: str) -> None:
    with pytest.raises(RigError, match=message):
        Rig.from_dict(document)
