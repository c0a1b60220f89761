"""The machine's limit: hash the raw bytes, and write scenes that are in memory, ready and matched.

Each process hashes its share of the objects and then writes its half of the scenes. Nothing is parsed, matched or copied
during the measurement: the Arrow tables, one per row group, are made before, from payload that is already in memory. The
layout is that of `scenes.build.scene_file`, payload uncompressed, and the writer is pyarrow's. Objects are dealt by size, so
that the processes end together; none waits for another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.build_scenes.contest import Task, Work, run
from bench.build_scenes.library_file import payload_array, shared_leaves
from bench.build_scenes.raw import Ints, ObjectIndex, RawRig, anchors_of, index_object, raw_objects
from bench.build_scenes.workers import started
from scenes.build.scene_file import row_groups, scene_writer
from scenes.build.scene_table import scene_table
from sensors.match.nearest import match_nearest

IDENTITY = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
HASH = "0" * 64
POINT_FIELDS = [{"name": name, "offset": 4 * at, "datatype": 7, "count": 1} for at, name in enumerate("xyz")]


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The work of one process: objects to hash, and scenes as (sensor, object, offset, length, stamp, residual) per match."""

    objects: tuple[Path, ...]
    anchors_ns: tuple[int, ...]
    scenes: tuple[tuple[tuple[str, str, int, int, int, int], ...], ...]
    name: str
    calibration: str


@contextmanager
def limit(task: Task) -> Iterator[Work]:
    """Processes that hold their scenes in memory, and write them once for each folder that they receive."""
    with started(task.processes) as pool:
        objects = pool.map(index_object, raw_objects(task.drive), chunksize=1)
    context = get_context("spawn")
    ends, processes = [], []
    for share in shares(task, objects):
        ours, theirs = context.Pipe()
        process = context.Process(target=_write_share, args=(share, theirs), daemon=True)
        process.start()
        theirs.close()  # so that the death of a process ends the wait for its answer
        ends.append(ours)
        processes.append(process)
    try:
        for end in ends:
            end.recv()
        # It has nothing to warm up with another drive.
        yield lambda request: _go(ends, request.out) if request.drive == task.drive else {}
    finally:
        for process in processes:
            process.kill()


def shares(task: Task, objects: list[ObjectIndex]) -> list[Share]:
    """An equal part of the work for each process."""
    dealt: list[list[Path]] = [[] for _ in range(task.processes)]
    held = [0] * task.processes
    for path in raw_objects(task.drive):
        least = held.index(min(held))
        dealt[least].append(path)
        held[least] += path.stat().st_size
    anchors_ns, scenes = match(objects, task.rig, task.mode)
    edges = [len(scenes) * number // task.processes for number in range(task.processes + 1)]
    calibration = (task.drive / "calibration.json").read_text()
    return [
        Share(
            tuple(dealt[number]),
            tuple(anchors_ns[edges[number] : edges[number + 1]]),
            tuple(scenes[edges[number] : edges[number + 1]]),
            f"{number:05d}",
            calibration,
        )
        for number in range(task.processes)
    ]


def match(
    objects: list[ObjectIndex], rig: RawRig, mode: str
) -> tuple[list[int], list[tuple[tuple[str, str, int, int, int, int], ...]]]:
    """Anchors, and the matches of each, by the project's matcher."""
    frames = {name: _frames(objects, name) for name in rig.names}
    stamps_ns, paths, places = frames[rig.reference]
    anchors_ns = anchors_of(stamps_ns, mode)
    scenes: list[list[tuple[str, str, int, int, int, int]]] = [[] for _ in anchors_ns]
    for row, at in enumerate(np.searchsorted(stamps_ns, anchors_ns).tolist()):
        scenes[row].append((rig.reference, paths[at], *places[at].tolist(), int(stamps_ns[at]), 0))
    for sensor in rig.others:
        stamps_ns, paths, places = frames[sensor.name]
        found = match_nearest(anchors_ns, stamps_ns, sensor.delay_ns, sensor.tolerance_ns)
        for row in np.flatnonzero(found.matched).tolist():
            at = int(found.index[row])
            residual_ns = int(found.residual_ns[row])
            scenes[row].append((sensor.name, paths[at], *places[at].tolist(), int(stamps_ns[at]), residual_ns))
    return anchors_ns.tolist(), [tuple(scene) for scene in scenes]


def _frames(objects: list[ObjectIndex], sensor: str) -> tuple[Ints, list[str], Ints]:
    parts = sorted((entry for entry in objects if entry.sensor == sensor), key=lambda entry: entry.path)
    stamps_ns = np.concatenate([entry.stamps_ns for entry in parts])
    paths = [entry.path for entry in parts for _ in entry.stamps_ns]
    places = np.concatenate([np.column_stack([entry.offsets, entry.lengths]) for entry in parts])
    return stamps_ns, paths, places


def _go(ends: list[Connection], out: Path) -> Mapping[str, str]:
    for end in ends:
        end.send(out)
    hashes: dict[str, str] = {}
    for end in ends:
        hashes |= end.recv()
    return hashes


def _write_share(share: Share, end: Connection) -> None:
    rows = _rows(share)
    tables, shared = (
        [scene_table(group, lambda _, values: payload_array(values)) for group in row_groups(rows)],
        shared_leaves(rows),
    )
    end.send(None)  # ready
    while True:
        target = end.recv() / f"{share.name}.parquet"
        hashes = {}
        for path in share.objects:
            with path.open("rb") as stream:
                hashes[str(path)] = hashlib.file_digest(stream, "sha256").hexdigest()
        schema = tables[0].schema
        with pa.OSFile(str(target), "wb") as sink, scene_writer(sink, schema, shared, compress_points=False) as writer:
            for table in tables:
                writer.write_table(table)
        end.send(hashes)


def _rows(share: Share) -> list[dict[str, Any]]:
    payloads: dict[tuple[str, int], bytes] = {}
    for scene in share.scenes:
        for _, path, place, length, *_ in scene:
            if (path, place) not in payloads:
                with Path(path).open("rb") as stream:
                    stream.seek(place)
                    payloads[path, place] = stream.read(length)
    return [_row(share, *scene, payloads) for scene in zip(share.anchors_ns, share.scenes, strict=True)]


def _row(
    share: Share, anchor_ns: int, matches: tuple[tuple[str, str, int, int, int, int], ...], payloads: dict[tuple[str, int], bytes]
) -> dict[str, Any]:
    lists: dict[str, list[dict[str, Any]]] = {"lidars": [], "cameras": [], "radars": []}
    for sensor, path, place, length, stamp_ns, residual_ns in matches:
        modality = Path(path).parts[-3]
        entry: dict[str, Any] = {"sensor": sensor, "stamp_ns": stamp_ns, "offset_ns": stamp_ns - anchor_ns}
        entry |= {"residual_ns": residual_ns, "sweep": 0, "ego_pose": IDENTITY}
        if modality == "camera":
            entry |= {"width_px": 1600, "height_px": 900, "encoding": "jpeg", "image": payloads[path, place]}
        else:
            step = 20 if modality == "lidar" else 43
            entry |= {"num_points": length // step, "points": payloads[path, place], "point_layout": "rows", "point_step": step}
            entry |= {"point_fields": POINT_FIELDS, "is_bigendian": False, "invalid_points": 0}
        lists[f"{modality}s"].append(entry)
    keys = sorted({path for _, path, *_ in matches})
    return {
        "scene_id": f"bench.{share.name}.{anchor_ns}",
        "vehicle_id": "bench",
        "drive_id": "drive",
        "revision": HASH,
        "day": anchor_ns // (86_400 * 1_000_000_000),
        "anchor_sensor": "lidar_top",
        "anchor_ns": anchor_ns,
        "ego_pose": IDENTITY,
        "complete": True,
        "missing": [],
        "quality_flags": [],
        **lists,
        "sources": [{"key": key, "version_id": "1", "sha256": HASH} for key in keys],
        "calibration": share.calibration,
        "code_version": HASH[:40],
        "config_hash": HASH,
        "released": [],
    }


if __name__ == "__main__":
    run(limit)
