"""A small dataset in the nuScenes layout, with values chosen so that the import can be checked; tests may damage it first."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sensors.geometry import SE3
from tests.unit.fleet.importers.public_datasets import image_bytes

T0_US = 1_532_402_927_647_951
SWEEP_US = 50_000
SWEEPS = 21
KEY_SWEEPS = (0, 10, 20)
CAMERA_SWEEPS = (0, 2, 4, 5, 7, 9, 10, 12, 14, 15, 17, 19, 20)  # 12 exposures in 20 sweeps
CAMERA_OFFSETS_US = {"CAM_FRONT": (-35_800, -35_800, -35_801), "CAM_BACK_LEFT": (-800, 500, -1_000)}
RADAR_US = 76_923
RADAR_SCANS = 13
SPEED_M_S = 10.0
IMAGE_PX = (64, 36)
LENS = [[60.5, 0.0, 32.25], [0.0, 60.25, 18.75], [0.0, 0.0, 1.0]]
MOUNTED = {
    "LIDAR_TOP": SE3.from_wxyz((0.9437, 0.0, 1.84023), (0.70710678, 0.0, 0.0, -0.70710678)),
    "CAM_FRONT": SE3.from_wxyz((1.7, 0.016, 1.51), (0.5, -0.5, 0.5, -0.5)),
    "CAM_BACK_LEFT": SE3.from_wxyz((1.03, 0.48, 1.59), (0.70710678, -0.70710678, 0.0, 0.0)),
    "RADAR_FRONT": SE3.from_wxyz((3.412, 0.0, 0.5), (1.0, 0.0, 0.0, 0.0)),
}
RADAR_RECORD = struct.Struct("<fffbhfffffbbbbbbbb")
RADAR_HEADER = """# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z dyn_prop id rcs vx vy vx_comp vy_comp is_quality_valid ambig_state x_rms y_rms invalid_state pdh0 vx_rms vy_rms
SIZE 4 4 4 1 2 4 4 4 4 4 1 1 1 1 1 1 1 1
TYPE F F F I I F F F F F I I I I I I I I
COUNT 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1
WIDTH {points}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {points}
DATA binary
"""
RADAR_FIELDS = RADAR_HEADER.splitlines()[2].split()[1:]


def radar_rows(points: int, salt: int = 0) -> list[tuple[Any, ...]]:
    """Point n of scan `salt`; every tenth point is one that the dataset's own reader drops by default."""
    rows: list[tuple[Any, ...]] = []
    for n in range(points):
        flags = (1, 4, 19, -20, 7, 2, 15, 16) if n % 10 == 9 else (1, 3, 19, -20, 0, 2, 15, 16)
        rows.append((10.5 + n, -2.25, 0.0, 7 if n % 20 == 19 else n % 7, 1000 + n + salt, 5.5, 1.5, -0.5, 9.25, -8.75, *flags))
    return rows


def radar_file(rows: list[tuple[Any, ...]]) -> bytes:
    """The file as PCL pads it: 4096 + 43 N bytes, the tail full of what looks like numbers."""
    header = RADAR_HEADER.format(points=len(rows)).encode()
    return header + b"".join(RADAR_RECORD.pack(*row) for row in rows) + b"\x11" * (4096 - len(header))


def lidar_points(sweep: int) -> np.ndarray:  # type: ignore[type-arg]
    """60 points (N, 5) float32: x y z intensity ring; the first two nearer than 1 m."""
    points = np.random.default_rng(sweep).uniform(2.0, 40.0, (60, 5)).astype(np.float32)
    points[:2, :2] = 0.5
    points[:, 3] = np.arange(60)
    points[:, 4] = np.arange(60) % 32
    return points


def pose_at(stamp_us: float) -> SE3:
    """Straight ahead along the map's x, with a fixed heading and no height."""
    return SE3.from_wxyz((400.0 + SPEED_M_S * (stamp_us - T0_US) * 1e-6, 1180.0, 0.0), (0.6, 0.0, 0.0, 0.8))


@dataclass
class Dataset:
    """Tables and files, to be changed before `write`."""

    version: str = "v1.0-mini"
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def rows(self, channel: str, scene: str = "scene-0001") -> list[dict[str, Any]]:
        """The rows of `sample_data` of a channel, by stamp."""
        samples = {row["token"] for row in self.tables["sample"] if row["scene_token"] == f"token-{scene}"}
        return [
            row
            for row in self.tables["sample_data"]
            if row["calibrated_sensor_token"] == f"calibrated-{channel}" and row["sample_token"] in samples
        ]

    def stamps_ns(self, channel: str) -> list[int]:
        return [row["timestamp"] * 1000 for row in self.rows(channel)]

    def write(self, root: Path) -> Path:
        """Write the dataset; the order of rows in `sample_data` is arbitrary, as in the real tables."""
        tables = root / self.version
        tables.mkdir(parents=True)
        for name, rows in self.tables.items():
            ordered = sorted(rows, key=lambda row: str(row.get("token"))[::-1]) if name == "sample_data" else rows
            (tables / f"{name}.json").write_text(json.dumps(ordered, indent=0))
        for name, data in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return root


def make() -> Dataset:
    """Scene 1: 21 sweeps (3 of them keyframes), two cameras, a radar. Scene 2: one keyframe, lidar alone."""
    data = Dataset()
    modality = {"LIDAR": "lidar", "CAM": "camera", "RADAR": "radar"}
    data.tables = {
        "log": [{"token": "log-1", "logfile": "n015-2018", "vehicle": "n015", "date_captured": "2018-07-24", "location": "town"}],
        "sensor": [{"token": f"sensor-{name}", "channel": name, "modality": modality[name.split("_")[0]]} for name in MOUNTED],
        "calibrated_sensor": [
            {
                "token": f"calibrated-{name}",
                "sensor_token": f"sensor-{name}",
                "translation": mounting.translation_m.tolist(),
                "rotation": mounting.wxyz.tolist(),
                "camera_intrinsic": LENS if name.startswith("CAM") else [],
            }
            for name, mounting in MOUNTED.items()
        ],
        "scene": [],
        "sample": [],
        "sample_data": [],
        "ego_pose": [],
        "sample_annotation": [],
    }
    _add_scene(data, "scene-0001", [T0_US + sweep * SWEEP_US for sweep in KEY_SWEEPS])
    _add_scene(data, "scene-0002", [T0_US + 60_000_000])
    sweeps = [T0_US + sweep * SWEEP_US for sweep in range(SWEEPS)]
    payloads = [lidar_points(sweep).tobytes() for sweep in range(SWEEPS)]
    _add_channel(data, "LIDAR_TOP", sweeps, [sweep in KEY_SWEEPS for sweep in range(SWEEPS)], payloads, "pcd.bin")
    for channel, offsets_us in CAMERA_OFFSETS_US.items():
        stamps = [sweeps[sweep] + offsets_us[n % 3 if sweep not in KEY_SWEEPS else KEY_SWEEPS.index(sweep)]
                  for n, sweep in enumerate(CAMERA_SWEEPS)]  # fmt: skip
        images = [image_bytes("JPEG", IMAGE_PX, n) for n in range(len(stamps))]
        _add_channel(data, channel, stamps, [sweep in KEY_SWEEPS for sweep in CAMERA_SWEEPS], images, "jpg")
    scans = [T0_US + 10_000 + scan * RADAR_US for scan in range(RADAR_SCANS)]
    clouds = [radar_file(radar_rows(20 + scan, scan)) for scan in range(RADAR_SCANS)]
    _add_channel(data, "RADAR_FRONT", scans, [scan in (0, 6, 12) for scan in range(RADAR_SCANS)], clouds, "pcd")
    _add_channel(data, "LIDAR_TOP", [T0_US + 60_000_000], [True], [lidar_points(99).tobytes()], "pcd.bin", "scene-0002")
    return data


def keyframes_alone(data: Dataset) -> None:
    """The content of a download without the sweeps."""
    data.tables["sample_data"] = [row for row in data.tables["sample_data"] if row["is_key_frame"]]
    for row in data.tables["sample_data"]:
        row["prev"] = row["next"] = ""


def _add_scene(data: Dataset, name: str, stamps_us: list[int]) -> None:
    tokens = [f"sample-{name}-{n}" for n in range(len(stamps_us))]
    data.tables["scene"].append(
        {
            "token": f"token-{name}",
            "name": name,
            "log_token": "log-1",
            "nbr_samples": len(tokens),
            "first_sample_token": tokens[0],
            "last_sample_token": tokens[-1],
        }
    )
    for n, (token, stamp) in enumerate(zip(tokens, stamps_us, strict=True)):
        links = {"prev": tokens[n - 1] if n else "", "next": tokens[n + 1] if n + 1 < len(tokens) else ""}
        data.tables["sample"].append({"token": token, "scene_token": f"token-{name}", "timestamp": stamp, **links})


def _add_channel(
    data: Dataset,
    channel: str,
    stamps_us: list[int],
    key: list[bool],
    payloads: list[bytes],
    kind: str,
    scene: str = "scene-0001",
) -> None:
    tokens = [f"data-{channel}-{stamp}" for stamp in stamps_us]
    sample = -1
    for n, (stamp, is_key, payload) in enumerate(zip(stamps_us, key, payloads, strict=True)):
        sample += is_key
        filename = f"{'samples' if is_key else 'sweeps'}/{channel}/n015__{channel}__{stamp}.{kind}"
        pose = pose_at(stamp)
        token = f"pose-{channel}-{stamp}"
        data.tables["ego_pose"].append(
            {"token": token, "timestamp": stamp, "translation": pose.translation_m.tolist(), "rotation": pose.wxyz.tolist()}
        )
        size = dict(zip(("width", "height"), IMAGE_PX, strict=True)) if kind == "jpg" else {"width": 0, "height": 0}
        data.tables["sample_data"].append(
            {
                "token": tokens[n],
                "sample_token": f"sample-{scene}-{sample}",
                "ego_pose_token": token,
                "calibrated_sensor_token": f"calibrated-{channel}",
                "timestamp": stamp,
                "fileformat": kind.split(".")[0],
                "is_key_frame": is_key,
                "filename": filename,
                "prev": tokens[n - 1] if n else "",
                "next": tokens[n + 1] if n + 1 < len(tokens) else "",
                **size,
            }
        )
        data.files[filename] = payload
