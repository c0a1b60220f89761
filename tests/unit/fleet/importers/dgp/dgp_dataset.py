"""A small scene folder in the layout of TRI DGP, with values chosen so that the import can be checked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from sensors.geometry import SE3
from tests.unit.fleet.importers.public_datasets import image_bytes

T0_TICKS = 15_569_195_938_203_752  # 100 ns each: 2019-05-03, and as microseconds the year 2463
STEP_TICKS = 1_000_000
CAMERA_TICKS = 211_478
SAMPLES = 3
CAMERAS = {
    "CAMERA_01": SE3.from_wxyz((1.652, 0.245, 1.355), (0.5, -0.5, 0.5, -0.5)),
    "CAMERA_05": SE3.from_wxyz((1.649, 0.391, 1.363), (0.6, -0.64, 0.36, -0.32)),
}
LIDAR_IN_EGO = SE3.from_wxyz((0.25, 0.0, 1.5), (1.0, 0.0, 0.0, 0.0))
CALIBRATION_KEY = "c0e1a6f1c439b282be0066d8dfcad9dd54782030"


def ticks(sample: int, name: str) -> int:
    return T0_TICKS + sample * STEP_TICKS + (CAMERA_TICKS if name.startswith("CAMERA") else 0)


def ego_pose(at_ticks: int) -> SE3:
    """Straight ahead at 12 m/s, far from the origin, turned about the vertical axis."""
    seconds = (at_ticks - T0_TICKS) * 1e-7
    return SE3.from_wxyz((400.5 + 12.0 * seconds, -259.25, 12.5), (0.6, 0.0, 0.0, 0.8))


def points(sample: int) -> np.ndarray:  # type: ignore[type-arg]
    rng = np.random.default_rng(sample)
    return np.column_stack([rng.uniform(-230, 230, (50 + sample, 3)), rng.integers(0, 256, 50 + sample) / 255])


def written(at_us: int) -> str:
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}Z"


def message(pose: SE3) -> dict[str, dict[str, float]]:
    rotation = dict(zip(("qw", "qx", "qy", "qz"), pose.wxyz.tolist(), strict=True))
    return {"translation": dict(zip("xyz", pose.translation_m.tolist(), strict=True)), "rotation": rotation}


def scene(ticks_as_us: bool = True) -> dict[str, Any]:
    """The scene file. `ticks_as_us`: the fault that stands in the 25th century; otherwise whole microseconds of 2019."""
    data, samples = [], []
    for sample in range(SAMPLES):
        keys = []
        for name in ("LIDAR", *CAMERAS):
            at = ticks(sample, name)
            stem = at if ticks_as_us else at // 10
            key = f"{sample}{name}".encode().hex()
            keys.append(key)
            is_lidar = name == "LIDAR"
            mounting = LIDAR_IN_EGO if is_lidar else CAMERAS[name]
            value: dict[str, Any] = {"pose": message(ego_pose(at) @ mounting), "annotations": {}, "metadata": {}}
            if is_lidar:
                value |= {
                    "filename": f"point_cloud/LIDAR/{stem}.npz",
                    "point_format": ["X", "Y", "Z", "INTENSITY"],
                    "point_fields": [],
                }
            else:
                value |= {"filename": f"rgb/{name}/{stem}.jpg", "width": 64, "height": 48, "channels": 3}
            identity = {"index": "0", "log": "LOG", "name": name, "timestamp": written(stem)}
            datum = {"point_cloud" if is_lidar else "image": value}
            after = f"{sample + 1}{name}".encode().hex() if sample < SAMPLES - 1 else ""
            before = f"{sample - 1}{name}".encode().hex() if sample else ""
            data.append({"id": identity, "key": key, "datum": datum, "next_key": after, "prev_key": before})
        samples.append({"id": {}, "datum_keys": keys, "calibration_key": CALIBRATION_KEY, "metadata": {}})
    return {"name": "", "log": "LOG", "data": data, "samples": samples, "metadata": {}}


def calibration() -> dict[str, Any]:
    """Intrinsics of the lidar are zeros; CAMERA_05 leaves out skew, as proto3 JSON does with a default."""
    nothing = dict.fromkeys(("fx", "fy", "cx", "cy", "skew"), 0.0)
    lens = {"fx": 2167.5, "fy": 2156.25, "cx": 31.5, "cy": 23.25, "skew": 0.0}
    distorted = {
        "fx": 1062.5,
        "fy": 1056.75,
        "cx": 30.0,
        "cy": 24.0,
        "k1": -0.2,
        "k2": 0.05,
        "k3": 0.01,
        "p1": 0.001,
        "p2": -0.002,
    }
    mountings = [LIDAR_IN_EGO, *CAMERAS.values()]
    return {
        "names": ["LIDAR", *CAMERAS],
        "intrinsics": [nothing, lens, distorted],
        "extrinsics": [message(mounting) for mounting in mountings],
    }


def write_scene(root: Path, document: Any) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "scene_a8dc5ed1.json").write_text(json.dumps(document))


def write_dgp(root: Path, ticks_as_us: bool = True) -> Path:
    """Three samples of a lidar and two cameras."""
    document = scene(ticks_as_us)
    write_scene(root, document)
    (root / "calibration").mkdir()
    (root / "calibration" / f"{CALIBRATION_KEY}.json").write_text(json.dumps(calibration()))
    for number, entry in enumerate(document["data"]):
        cloud, image = entry["datum"].get("point_cloud"), entry["datum"].get("image")
        path = root / (cloud or image)["filename"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if cloud:
            np.savez_compressed(path, data=points(number // 3))
        else:
            path.write_bytes(image_bytes("JPEG", (64, 48), number))
    return root
