"""Files of `gold.scenes` with payload that does not compress, so that bytes can be counted."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lake.tables.scene_key import SceneKey
from lake.tables.schemas import SCENES

LIDAR_BYTES, IMAGE_BYTES, RADAR_BYTES = 40_000, 20_000, 1_000


def noise(seed: int, size: int) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def scene(key: SceneKey) -> dict[str, Any]:
    """A scene with one lidar, two cameras and one radar."""
    match = {"stamp_ns": key.anchor_ns, "offset_ns": 0, "residual_ns": 0, "sweep": 0}
    seed = key.anchor_ns % 2**32
    images = [
        {"sensor": name, **match, "encoding": "jpeg", "image": noise(seed + 1 + at, IMAGE_BYTES)}
        for at, name in enumerate(("left", "right"))
    ]
    return {
        "scene_id": str(key),
        "vehicle_id": key.drive.vehicle_id,
        "drive_id": key.drive.drive_id,
        "revision": "r1",
        "day": key.day,
        "anchor_sensor": "lidar",
        "anchor_ns": key.anchor_ns,
        "complete": True,
        "missing": [],
        "quality_flags": ["SYN003"],
        "lidars": [{"sensor": "lidar", **match, "num_points": 2500, "points": noise(seed, LIDAR_BYTES)}],
        "cameras": images,
        "radars": [{"sensor": "radar", **match, "num_points": 25, "points": noise(seed + 3, RADAR_BYTES)}],
        "sources": [{"key": "k", "version_id": "v", "sha256": "s"}],
        "calibration": "{}",
        "code_version": "c",
        "config_hash": "h",
    }


def parquet(
    keys: Sequence[SceneKey], scenes_a_group: int, *, statistics: bool | list[str] = True, dictionary: bool = False
) -> bytes:
    """A file with row groups of `scenes_a_group` scenes; `dictionary`: columns begin with a page of their distinct values."""
    table = pa.Table.from_pylist([scene(key) for key in keys], schema=SCENES)
    body = io.BytesIO()
    pq.write_table(table, body, row_group_size=scenes_a_group, use_dictionary=dictionary, write_statistics=statistics)
    return body.getvalue()
