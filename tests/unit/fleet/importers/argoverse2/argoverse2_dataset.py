"""A small log folder in the layout of Argoverse 2, with values chosen so that the import can be checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather

from tests.unit.fleet.importers.public_datasets import image_bytes

S0_NS = 315_966_265_259_836_000
SWEEPS_NS = (S0_NS, S0_NS + 100_196_000, S0_NS + 200_300_000)
IMAGES_NS = {
    "ring_front_center": tuple(S0_NS + 1_500_000 + n * 50_000_000 for n in range(5)),
    "stereo_front_left": (S0_NS + 3_000_000,),
}
UNSEEN = "ring_side_left"
POSES_NS = (S0_NS - 7_000_000, S0_NS, S0_NS + 1, S0_NS + 5_000_000, S0_NS + 100_196_000, S0_NS + 200_300_000)
MOUNTED = ("ring_front_center", UNSEEN, "stereo_front_left", "up_lidar", "down_lidar")
RIGID = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
NAMES = ("x", "y", "z", "intensity", "laser_number", "offset_ns")


def points(sweep: int) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """The columns of a sweep, of the source's own types; offsets span 2.654 to 106.092 ms, longer than the period."""
    rng = np.random.default_rng(sweep)
    count = 70 + sweep
    columns = {axis: rng.uniform(-200, 200, count).astype(np.float16) for axis in "xyz"}
    columns["intensity"] = rng.integers(0, 256, count).astype(np.uint8)
    columns["laser_number"] = (np.arange(count) % 64).astype(np.uint8)
    columns["offset_ns"] = np.linspace(2_654_000, 106_092_000, count).astype(np.int32)
    return columns


def poses() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    half = 0.05 * np.arange(len(POSES_NS))
    zeros = np.zeros(len(POSES_NS))
    place = [5172.668216028519 + 0.7 * np.arange(len(POSES_NS)), zeros + 2419.102799750701, zeros + 66.92979846582436]
    return dict(
        zip(("timestamp_ns", *RIGID), (np.array(POSES_NS), np.cos(half), zeros, zeros, np.sin(half), *place), strict=True)
    )


def write_table(path: Path, columns: dict[str, object], chunk_rows: int = 40, compression: str = "lz4") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pa.table(columns), path, compression=compression, chunksize=chunk_rows)


def write_argoverse2(root: Path) -> Path:
    """A log with three sweeps, two cameras with images, one without, and annotations."""
    for number, stamp_ns in enumerate(SWEEPS_NS):
        write_table(root / "sensors" / "lidar" / f"{stamp_ns}.feather", dict(points(number)))
    for name, stamps_ns in IMAGES_NS.items():
        (root / "sensors" / "cameras" / name).mkdir(parents=True)
        for number, stamp_ns in enumerate(stamps_ns):
            (root / "sensors" / "cameras" / name / f"{stamp_ns}.jpg").write_bytes(image_bytes("JPEG", (64, 48), number))
    mountings: dict[str, object] = {"sensor_name": list(MOUNTED)}
    for column, value in zip(RIGID, (0.5, -0.5, 0.5, -0.5, 1.635, 0.002, 1.398), strict=True):
        mountings[column] = [value + (0.01 * number if column == "tz_m" else 0.0) for number in range(len(MOUNTED))]
    write_table(root / "calibration" / "egovehicle_SE3_sensor.feather", mountings)
    write_table(root / "calibration" / "intrinsics.feather", lenses())
    write_table(root / "city_SE3_egovehicle.feather", dict(poses()))
    boxes: dict[str, object] = {"timestamp_ns": [S0_NS - 5, S0_NS, S0_NS, SWEEPS_NS[1]], "category": ["BUS", "DOG", "BUS", "DOG"]}
    write_table(root / "annotations.feather", boxes)
    return root


def lenses() -> dict[str, object]:
    count = 3
    columns: dict[str, object] = {"sensor_name": list(MOUNTED[:count])}
    for name, value in {
        "fx_px": 1776.25,
        "fy_px": 1776.5,
        "cx_px": 31.5,
        "cy_px": 23.25,
        "k1": -0.24,
        "k2": -0.21,
        "k3": 0.33,
    }.items():
        columns[name] = [value] * count
    return columns | {size: np.array([px] * count, dtype=np.uint16) for size, px in (("height_px", 48), ("width_px", 64))}
