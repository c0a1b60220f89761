"""The ground truth of a synthetic drive, written beside it and never uploaded.

`ground_truth/drive.json`: the spec; `faults.json`: each fault and its effect; `poses.parquet`: `world_SE3_ego` every 10 ms;
`boxes.parquet`: every box at the true time of every reference frame; `frames.parquet`: every measurement with its true time,
its stamp and whether it was recorded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fleet.synthetic.schedule import Shot
from fleet.synthetic.spec import DriveSpec
from fleet.synthetic.vehicle import TAIL_NS
from fleet.synthetic.world import World
from sensors.rig import Rig

POSE_STEP_NS = 10_000_000


def write_ground_truth(folder: Path, spec: DriveSpec, rig: Rig, world: World, shots: Mapping[str, Sequence[Shot]]) -> None:
    """Write everything but `faults.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "drive.json", {**asdict(spec), "faults": [str(fault) for fault in spec.faults]})
    pq.write_table(_poses(spec, world), folder / "poses.parquet")
    pq.write_table(_boxes(spec, world, shots[rig.reference]), folder / "boxes.parquet")
    pq.write_table(_frames(spec, rig, shots), folder / "frames.parquet")


def write_json(path: Path, document: Any) -> None:
    """Write a document for people: indented, keys in the order given."""
    path.write_text(json.dumps(document, indent=1) + "\n")


def _poses(spec: DriveSpec, world: World) -> pa.Table:
    since_start_ns = np.arange(0, spec.duration_ns + TAIL_NS + 1, POSE_STEP_NS, dtype=np.int64)
    motion = world.road.at_ns(since_start_ns)
    flat = np.zeros(len(since_start_ns))
    return pa.table(
        {
            "stamp_ns": spec.start_ns + since_start_ns,
            "x_m": motion.position_m[:, 0],
            "y_m": motion.position_m[:, 1],
            "z_m": flat,
            "qw": np.cos(motion.yaw_rad / 2.0),
            "qx": flat,
            "qy": flat,
            "qz": np.sin(motion.yaw_rad / 2.0),
            "speed_m_s": np.linalg.norm(motion.velocity_m_s, axis=1),
            "yaw_rate_rad_s": motion.yaw_rate_rad_s,
        }
    )


def _boxes(spec: DriveSpec, world: World, anchors: Sequence[Shot]) -> pa.Table:
    true_ns = np.array([shot.true_ns for shot in anchors], dtype=np.int64)
    boxes = world.boxes_at(true_ns - spec.start_ns)
    times, count = boxes.yaw_rad.shape
    columns: dict[str, Any] = {
        "true_ns": np.repeat(true_ns, count),
        "box": np.tile(np.arange(count, dtype=np.int32), times),
        "label": [body.kind.label for body in world.bodies] * times,
        "moving": [body.pace != 0.0 for body in world.bodies] * times,
        "yaw_rad": boxes.yaw_rad.ravel(),
        "yaw_rate_rad_s": boxes.yaw_rate_rad_s.ravel(),
    }
    for axis, name in enumerate(("x", "y", "z")):
        columns[f"{name}_m"] = boxes.centre_m[..., axis].ravel()
        columns[f"v{name}_m_s"] = boxes.velocity_m_s[..., axis].ravel()
    for axis, name in enumerate(("length_m", "width_m", "height_m")):
        columns[name] = np.tile(boxes.size_m[:, axis], times)
    return pa.table(columns)


def _frames(spec: DriveSpec, rig: Rig, shots: Mapping[str, Sequence[Shot]]) -> pa.Table:
    rows = [
        {
            "sensor": sensor.name,
            "modality": sensor.modality.value,
            "frame": shot.index,
            "true_ns": shot.true_ns,
            "stamp_ns": shot.stamp_ns,
            "log_ns": shot.log_ns,
            "recorded": shot.recorded,
            "faults": [str(spec.faults[index]) for index in shot.faults],
        }
        for sensor in rig.sensors
        for shot in shots[sensor.name]
    ]
    whole = pa.int64()
    schema = pa.schema(
        [
            ("sensor", pa.string()),
            ("modality", pa.string()),
            ("frame", pa.int32()),
            ("true_ns", whole),
            ("stamp_ns", whole),
            ("log_ns", whole),
            ("recorded", pa.bool_()),
            ("faults", pa.list_(pa.string())),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)
