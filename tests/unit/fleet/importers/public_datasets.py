"""Small dataset folders in the layouts of PandaSet and RADIATE, with values chosen so that the import can be checked."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from sensors.geometry import SE3

T0_NS = 1_557_539_956_500_022_000
PERIOD_NS = 100_041_000
FRAMES = 5
SPEED_M_S = 12.0
YAW_RATE_RAD_S = 0.2
CAMERA_DELAYS_NS = {"front_camera": -49_860_000, "back_camera": -99_920_000}
CAMERA_IN_EGO = {
    "front_camera": SE3.from_wxyz((0.1, 0.8, 1.8), (0.70710678, -0.70710678, 0.0, 0.0)),
    "back_camera": SE3.from_wxyz((0.0, -0.3, 1.6), (0.0, 0.0, 0.70710678, 0.70710678)),
}


def stamp_ns(frame: int) -> int:
    return T0_NS + frame * PERIOD_NS


def ego_pose(at_ns: int) -> SE3:
    """Straight ahead along world x with a slow turn: between two frames linear, as poses are interpolated."""
    seconds = (at_ns - T0_NS) * 1e-9
    half = YAW_RATE_RAD_S * seconds / 2
    return SE3.from_wxyz((SPEED_M_S * seconds, 2.0, 0.3), (np.cos(half), 0.0, 0.0, np.sin(half)))


def world_points(frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Static points in the world frame, their times, and their lidar ids: 40 of lidar 0, 20 of lidar 1, concatenated."""
    rng = np.random.default_rng(frame)
    points = rng.uniform(-30, 30, (60, 3))
    offsets = np.concatenate([np.linspace(-101_400_000, 1_500_000, 40), np.linspace(-60_000_000, 38_000_000, 20)])
    return points, stamp_ns(frame) + offsets.astype(np.int64), np.repeat([0, 1], [40, 20]).astype(np.uint8)


def write_pandaset(root: Path) -> Path:
    """A sequence with two cameras."""
    lidar = root / "lidar"
    lidar.mkdir(parents=True)
    for frame in range(FRAMES):
        points, times, ids = world_points(frame)
        table = {name: points[:, axis].astype(np.float32) for axis, name in enumerate("xyz")}
        table |= {"intensity": np.arange(60, dtype=np.uint8), "t_ns": times, "lidar_id": ids}
        pq.write_table(pa.table(table), lidar / f"{frame:02d}.parquet")
    stamps = [stamp_ns(frame) for frame in range(FRAMES)]
    _write_track(lidar, stamps, [ego_pose(stamp) for stamp in stamps])
    for name, delay in CAMERA_DELAYS_NS.items():
        folder = root / "camera" / name
        folder.mkdir(parents=True)
        shots = [stamp + delay for stamp in stamps]
        _write_track(folder, shots, [ego_pose(shot) @ CAMERA_IN_EGO[name] for shot in shots])
        (folder / "intrinsics.json").write_text('{"fx": 100.5, "fy": 100.25, "cx": 32.0, "cy": 24.0}')
        for frame in range(FRAMES):
            (folder / f"{frame:02d}.jpg").write_bytes(image_bytes("JPEG", (64, 48), frame))
    (root / "meta").mkdir()
    rows = [{"lat": 37.776 + frame, "long": -122.399, "height": 2.95, "xvel": 0.1, "yvel": 0.2} for frame in range(FRAMES)]
    (root / "meta" / "gps.json").write_text(json.dumps(rows))
    (root / "meta" / "timestamps.json").write_text(_seconds(stamps))
    return root


def image_bytes(kind: str, size: tuple[int, int], shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L" if kind == "PNG" else "RGB", size, shade * 20 if kind == "PNG" else (shade * 20,) * 3).save(buffer, kind)
    return buffer.getvalue()


def _write_track(folder: Path, stamps: list[int], poses: list[SE3]) -> None:
    (folder / "timestamps.json").write_text(_seconds(stamps))
    entries = []
    for pose in poses:
        position = dict(zip("xyz", pose.translation_m.tolist(), strict=True))
        entries.append({"position": position, "heading": dict(zip("wxyz", pose.wxyz.tolist(), strict=True))})
    (folder / "poses.json").write_text(json.dumps(entries))


def _seconds(stamps: list[int]) -> str:
    return "[" + ", ".join(f"{stamp // 10**9}.{stamp % 10**9:09d}".rstrip("0") for stamp in stamps) + "]"


CALIBRATION = """
lidar_calib:
    T: [0.6, -0.12, 0.25]
    R: [0.0, 0.0, 90.0]
left_cam_calib: &lens
    T: [0.34, -0.07, 0.29]
    R: [10.0, 0.0, 0.0]
    fx: 337.9
    fy: 338.6
    cx: 31.5
    cy: 23.5
    k1: -0.18
    k2: 0.03
    k3: 0
    p1: 0.001
    p2: 0.002
    res: [64, 48]
right_cam_calib:
    <<: *lens
    T: [0.46, -0.06, 0.29]
"""
R0_NS = 1_574_859_771_744_660_272


def index_row(frame: int, at_ns: int) -> str:
    return f"Frame: {frame:06d} Time: {at_ns // 10**9}.{at_ns % 10**9:09d}"


def write_radiate(root: Path) -> Path:
    """A sequence with the oddities of the real ones: unindexed files, a missing file, doubled and late GPS stamps."""
    root.mkdir(parents=True)
    (root / "default-calib.yaml").write_text(CALIBRATION)
    _write_sensor(root, "Navtech_Polar", ".png", [image_bytes("PNG", (40, 57), n) for n in range(3)], 243_700_000, first=1)
    for number, name in enumerate(("zed_left", "zed_right")):
        images = [image_bytes("PNG", (64, 48), n + number) for n in range(6)]
        _write_sensor(root, name, ".png", images, 66_750_000, first=1)
    sweeps = [f"1.5,{n}.25,-0.5,{n},17\n-2.0,3.0,0.125,255,31\n".encode() for n in range(5)]
    _write_sensor(root, "velo_lidar", ".csv", sweeps, 100_080_000, first=18)
    (root / "velo_lidar" / "000017.csv").write_bytes(sweeps[0])
    (root / "velo_lidar" / "000021.csv").unlink()
    late_ns = R0_NS + 64_000_000_000
    stamps = [late_ns, late_ns, late_ns + 50_000_000, late_ns - 310_000_000]
    (root / "GPS_IMU_Twist.txt").write_text("\n".join(index_row(n + 1, stamp) for n, stamp in enumerate(stamps)) + "\n")
    (root / "GPS_IMU_Twist").mkdir()
    for n in range(4):
        lines = [f"55.89{n},-3.32,209.25 ", *["0,0,0 "] * 3, "0.0,0.0,-0.6,0.8 ", "0.01,-0.02,0.03 ", "0.1,0.2,-0.3 "]
        (root / "GPS_IMU_Twist" / f"{n + 1:06d}.txt").write_text("\n".join(lines + ["0,0,0"] * 11))
    return root


def _write_sensor(root: Path, name: str, suffix: str, payloads: list[bytes], period_ns: int, first: int) -> None:
    (root / name).mkdir()
    rows = []
    for number, payload in enumerate(payloads):
        (root / name / f"{first + number:06d}{suffix}").write_bytes(payload)
        rows.append(index_row(first + number, R0_NS + number * period_ns))
    (root / f"{name}.txt").write_text("\n".join(rows) + "\n")
