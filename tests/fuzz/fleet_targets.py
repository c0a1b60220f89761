"""Targets of the importers: files of third-party datasets."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from fleet.errors import SourceError
from fleet.importers.argoverse2.feather import read_rows as read_feather
from fleet.importers.dgp.scene import read_scene
from fleet.importers.import_findings import ImportFindings
from fleet.importers.npz_array import read_array
from fleet.importers.nuscenes.tables import read_rows as read_table
from fleet.importers.pandaset.rig import read_poses
from fleet.importers.radiate.motion import read_motion
from fleet.importers.radiate.points import read_points as read_radiate_points
from fleet.importers.radiate.rig import build_rig
from fleet.importers.source import RowFaults, exact_ns, read_json
from fleet.recordings.files import recording_files
from tests.fuzz.mutation import Mutate, with_tokens
from tests.fuzz.structures import json_mutation, line_mutation
from tests.fuzz.target import MIB, Target, proportional
from tests.unit.fleet.importers.dgp.dgp_dataset import write_dgp

DEFLATE_RATIO = 1032  # the most that a byte of deflate can stand for (zlib technical details)
YAML_FACTOR = 2000  # objects that PyYAML makes of a character
MAX_ROWS = 1000
FEATHER = np.dtype([("name", "O"), ("x", "f8"), ("t", "i8")])


@cache
def _feathers() -> list[bytes]:
    columns = {"name": ["a", "b", "c"], "x": [1.0, 2.0, 3.0], "t": pa.array([1, 2, 3], pa.int64()), "more": [True, None, False]}
    found = []
    for codec in (None, "lz4", "zstd"):
        table, sink = pa.table(columns), pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
            writer.write_table(table, max_chunksize=2)
        found.append(sink.getvalue().to_pybytes())
    return found


def _feather(path: Path) -> str:
    rows = read_feather(path, FEATHER, MAX_ROWS)
    assert len(rows) <= MAX_ROWS
    return f"{len(rows)} rows"


def _archives() -> list[bytes]:
    found = []
    for save, array in ((np.savez, np.arange(12.0)), (np.savez_compressed, np.zeros((40, 5), np.float32))):
        stream = io.BytesIO()
        save(stream, data=array, other=np.arange(3))
        found.append(stream.getvalue())
    return found


def _archive(path: Path) -> str:
    """numpy reads every accepted archive to the same values."""
    array = read_array(path, "data")
    try:
        with np.load(path, allow_pickle=False) as theirs:
            assert np.array_equal(array, theirs["data"], equal_nan=True)
    except ValueError:
        return "alone"  # numpy wants an archive to begin with its first member, which zip does not ask for
    return f"{array.ndim} dimensions of {array.dtype.kind}"


def _table(path: Path) -> str:
    """The rows are those of the standard parser, if that can read the document."""
    found = list(read_table(path))
    assert [dict(row) for row in found] == read_json(path)
    return f"{min(len(found), 5)} rows"


def _stamps(path: Path) -> str:
    document = read_json(path)
    if not isinstance(document, list):
        return "no list"
    times_ns = [exact_ns(value) for value in document]
    assert all(0 <= time_ns < 2**62 for time_ns in times_ns)
    return f"{min(len(times_ns), 5)} stamps"


def _motion(path: Path) -> str:
    folder = path.parent / "GPS_IMU_Twist"
    folder.mkdir(exist_ok=True)
    (path.parent / "GPS_IMU_Twist.txt").write_text("Frame: 000001 Time: 1574859771.744660272\n")
    (folder / "000001.txt").write_bytes(path.read_bytes())
    faults = RowFaults()
    samples = read_motion(path.parent, ImportFindings(), faults)
    faults.refuse()
    return f"{len(samples)} samples"


def _poses(path: Path) -> str:
    faults = RowFaults()
    poses = read_poses(path, faults)
    faults.refuse()
    return f"{len(poses) > 0}"


def _radiate_points(path: Path) -> str:
    faults = RowFaults()
    points = read_radiate_points(path, faults)
    faults.refuse()
    return f"{points is not None and len(points) > 0}"


def _metadata(path: Path) -> str:
    """A folder with the metadata and one file that it may name; names lead nowhere else."""
    folder = path.parent / "bag"
    folder.mkdir(exist_ok=True)
    (folder / "drive_0.mcap").write_bytes(b"\x89MCAP0\r\n")
    (folder / "metadata.yaml").write_bytes(path.read_bytes())
    files, _ = recording_files(folder)
    assert [file.path for file in files] == [folder / "drive_0.mcap"]
    return f"{len(files)} files"


@cache
def _dgp_scene() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_dgp(Path(folder))
        (path,) = Path(folder).glob("scene_*.json")
        return path.read_bytes()


def _scene(path: Path) -> str:
    folder = path.parent / "dgp"
    if not folder.exists():
        write_dgp(folder)
    (scene,) = folder.glob("scene_*.json")
    scene.write_bytes(path.read_bytes())
    faults = RowFaults()
    scene = read_scene(folder, faults, ImportFindings())
    faults.refuse()
    return f"{len(scene.data) > 0}"


def _file(
    name: str, file: str, seeds: Callable[[], list[bytes]], read: Callable[[Path], str], mutate: Mutate, **more: Any
) -> Target:
    """A target that reads a file called `file`."""

    def run(data: bytes, folder: Path) -> str:
        path = folder / file
        path.write_bytes(data)
        return read(path)

    options: dict[str, Any] = {"memory_bytes": proportional(400, 2 * MIB), "slice_inputs": 400}
    return Target(name, seeds, run, (SourceError,), mutate, **options | more)


def _json(*documents: Any) -> Callable[[], list[bytes]]:
    return lambda: [json.dumps(document).encode() for document in documents]


def _text(*lines: Iterable[str]) -> Callable[[], list[bytes]]:
    return lambda: ["\n".join(one).encode() for one in lines]


_ROWS = [{"token": "a", "x": 1.5}, {"token": "b"}]
_POSE = {"position": {"x": 1.0, "y": 2.0, "z": 3.0}, "heading": {"w": 1.0, "x": 0.0, "y": 0.0, "z": 0.0}}
_LENS = "{R: [1, 2, 3], T: [0, 0, 1], fx: 300, fy: 300, cx: 320, cy: 180, k1: 0, k2: 0, p1: 0, p2: 0, k3: 0, res: [640, 376]}"
_RADIATE = ("lidar_calib: {R: [0, 0, 0], T: [0.6, -0.3, 0]}", f"left_cam_calib: {_LENS}", f"right_cam_calib: {_LENS}")
_METADATA = ("rosbag2_bagfile_information:", "  version: 5", "  relative_file_paths:", "    - drive_0.mcap")
_YAML = line_mutation(b"&a", b"*a", b"- ", b"[", b"{", b"!!python/object", b"!!timestamp", b".inf", b".nan", b"|", b"<<:")
_NUMBERS = line_mutation(b"nan", b"inf", b"1e400", b",", b"#")

TARGETS = (
    _file("feather", "a.feather", _feathers, _feather, with_tokens(b"ARROW1"), native_bytes=1024 * MIB),
    _file(
        "npz",
        "a.npz",
        _archives,
        _archive,
        with_tokens(b"PK\x01\x02", b"'shape': (", b"descr", b"|O", b"data.npy"),
        memory_bytes=proportional(4 * DEFLATE_RATIO, 2 * MIB),
    ),
    _file("nuscenes.table", "a.json", _json(_ROWS, []), _table, json_mutation("token"), memory_bytes=proportional(400, 8 * MIB)),
    _file("pandaset.poses", "poses.json", _json([_POSE] * 3), _poses, json_mutation("x")),
    _file(
        "source.stamps",
        "stamps.json",
        _json([1557539924.49981, 1557539924], [0]),
        _stamps,
        with_tokens(b"e9", b"1e308", b".", b"1e9999999999999999999"),
    ),
    _file(
        "radiate.points",
        "a.csv",
        _text(["1.5,2.5,-1,10,3", "0,0,0,0,31"], [""]),
        _radiate_points,
        _NUMBERS,
    ),
    _file(
        "radiate.motion",
        "a.txt",
        _text(["55.9,-3.1,90", "", "", "", "0,0,0,1", "0,0,0.1", "0,0,9.8"]),
        _motion,
        _NUMBERS,
        slice_inputs=150,
    ),
    _file(
        "radiate.rig",
        "default-calib.yaml",
        _text(_RADIATE),
        lambda path: build_rig(path).rig_id,
        _YAML,
        memory_bytes=proportional(YAML_FACTOR, 2 * MIB),
        slice_inputs=300,
    ),
    _file(
        "rosbag2.metadata",
        "a.yaml",
        _text(_METADATA),
        _metadata,
        _YAML,
        memory_bytes=proportional(YAML_FACTOR, 2 * MIB),
        slice_inputs=300,
    ),
    _file("dgp.scene", "scene.json", lambda: [_dgp_scene()], _scene, json_mutation("datum", "key", "id"), slice_inputs=400),
)
