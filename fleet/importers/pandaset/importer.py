"""PandaSet (Hesai and Scale AI): one sequence folder, with the lidar as Parquet.

Layout: `lidar/NN.parquet` (x, y, z, intensity, t_ns, lidar_id), `lidar/{poses,timestamps}.json`,
`camera/*_camera/{NN.jpg,intrinsics.json,poses.json,timestamps.json}`, `meta/{gps,timestamps}.json`. The published lidar
files are pandas pickles, which are refused: opening one runs code.

Conventions that the source leaves open:

- The ego frame is the frame of `lidar/poses.json`: x right, y forward, z up, metres. By the heights of the cameras in it
  (1.5 to 1.8 m) it lies near the ground, not in the lidar (scaleapi/pandaset-devkit, issue 60). Where the lidars sit is
  not in the source, so clouds are given in the ego frame and `ego_SE3_lidar` is the identity.
- Points are published in the world frame, freed of the vehicle's motion (issues 67 and 84 there). All points of a sweep are
  moved into the ego frame at its stamp, so they are compensated to it, and declared so. Placing each where its lidar saw it
  needs a pose at its own time, which the source has for none before the first stamp: those points would mean something else.
- The lidar's stamp is the END of the sweep of lidar 0, the spinning Pandar64. Both lidars stay in one cloud, distinguished
  by `lidar_id` (1: PandarGT, which runs free). `t` is int32 nanoseconds relative to the stamp: below 0 before it.
- A camera's expected delay is the median of its stamp minus that of the lidar frame with the same number.
- `ego_SE3_camera` comes from the camera's pose and the ego pose interpolated to the camera's stamp, for the first image
  that lies between two lidar poses: the pose of the lidar frame with the same number is up to 100 ms younger.
- Stamps are decimal seconds in JSON, read digit by digit, never as floats. The source has no record times: log time is
  the stamp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fleet import Progress, silent
from fleet.drive_folder import DriveFolder, write_calibration, write_manifest
from fleet.drive_layout import claim
from fleet.encode import encode_fix, encode_image, encode_points
from fleet.errors import SourceError
from fleet.importers.clock_findings import clock_findings, delay_words
from fleet.importers.import_findings import ImportFindings
from fleet.importers.new_folder import into_new_folder
from fleet.importers.pandaset.rig import (
    NAME,
    CameraFolder,
    LidarPoses,
    Track,
    build_rig,
    mounting_spread_m,
    mountings,
    no_frame_of_a_stamp,
    read_camera,
    read_track,
)
from fleet.importers.source import (
    MAX_FRAMES,
    MAX_IMAGE_BYTES,
    PICKLES,
    ImportResult,
    RowFaults,
    counted,
    number_in,
    pose_frames,
    position,
    read_bounded,
    read_list,
    read_times,
    refuse_pickles,
)
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from lake.landing import DriveId
from sensors.decode.messages import FIX, IMAGE, ODOMETRY, POINT_CLOUD
from sensors.decode.points import point_fields
from sensors.rig import Modality

RECORDER = "scenelake-import-pandaset"
RECORDER_VERSION = "1"
MAX_POINTS = 5_000_000
HOW_TO_CONVERT = (
    "convert the lidar frames, in a place that you trust, to Parquet with the columns x, y, z (float), intensity (uint8), "
    "t_ns (int64 nanoseconds) and lidar_id (uint8), named lidar/00.parquet and so on"
)
COLUMNS = ("x", "y", "z", "intensity", "t_ns", "lidar_id")
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("t", "<i4"), ("intensity", "u1"), ("lidar_id", "u1")])


@dataclass(slots=True)
class _Spans:
    """Earliest and latest `t` of each lidar in the first sweep and over all; points in all.

    `step_ns`: the resolution of times within a sweep.
    """

    first_ns: dict[int, tuple[int, int]] = field(default_factory=dict)
    widest_ns: dict[int, tuple[int, int]] = field(default_factory=dict)
    points: int = 0
    step_ns: int = 0

    def see(self, lidar_id: int, low_ns: int, high_ns: int) -> None:
        self.first_ns.setdefault(lidar_id, (low_ns, high_ns))
        low, high = self.widest_ns.get(lidar_id, (low_ns, high_ns))
        self.widest_ns[lidar_id] = (min(low, low_ns), max(high, high_ns))


@into_new_folder
def import_drive(src: Path, out: Path, vehicle_id: str, drive_id: str, progress: Progress | None = None) -> ImportResult:
    """Write the sequence `src` as a drive; see `fleet.importers.registry.Importer`."""
    drive = DriveId(vehicle_id, drive_id)
    report = progress or silent
    refuse_pickles(src / "lidar", HOW_TO_CONVERT)
    findings = ImportFindings()
    folders = [folder for folder in sorted((src / "camera").glob("*_camera")) if folder.is_dir()]
    faults = RowFaults()
    poses = read_track(src / "lidar", faults, ascends=True)
    shots = {folder: read_track(folder, faults) for folder in folders}
    fixes = _fixes(src / "meta", faults, findings)
    faults.refuse()
    track = _track(src / "lidar", poses, findings)
    if not folders:
        raise SourceError(f"{src / 'camera'} holds no *_camera folder; is this the folder of one PandaSet sequence?")
    cameras = [read_camera(folder, shot, findings) for folder, shot in shots.items()]
    claim(out)
    spans = _Spans()
    lidar = SensorStream(NAME, Modality.LIDAR, POINT_CLOUD)
    write_stream(out, lidar, counted(NAME, _sweeps(src / "lidar", track, spans), len(track.stamps_ns), report))
    for camera in cameras:
        stream = SensorStream(camera.name, Modality.CAMERA, IMAGE)
        write_stream(out, stream, counted(camera.name, _images(camera), len(camera.stamps_ns), report))
    moved = pose_frames(zip(track.stamps_ns, track.world_SE3_ego, strict=True))
    write_stream(out, SensorStream("pose", Modality.POSE, ODOMETRY), moved)
    has_gnss = bool(write_stream(out, SensorStream("gnss", Modality.GNSS, FIX), fixes))
    write_calibration(out, build_rig(track, cameras, has_gnss).to_dict())
    sweeps = [index for index in range(len(track.stamps_ns)) if (src / "lidar" / f"{index:02d}.parquet").is_file()]
    findings += _stated(track, cameras, spans, sweeps) + _left_out(src)
    write_manifest(out, drive, RECORDER, RECORDER_VERSION, findings.losses)
    return ImportResult(DriveFolder.load(out), tuple(findings))


def _track(folder: Path, track: Track, findings: ImportFindings) -> LidarPoses:
    stamps_ns, poses = track.stamps_ns, track.world_SE3_sensor
    files = {path.stem: path for path in folder.glob("*.parquet")}
    if len(stamps_ns) != len(poses) or len(stamps_ns) > MAX_FRAMES:
        raise SourceError(f"{folder} has {len(stamps_ns)} stamps and {len(poses)} poses; there must be one of each per frame")
    missing = [f"{index:02d}" for index in range(len(stamps_ns)) if f"{index:02d}" not in files]
    if len(missing) == len(stamps_ns) and files:
        raise SourceError(no_frame_of_a_stamp(folder, len(stamps_ns), files))
    if len(missing) == len(stamps_ns):
        raise SourceError(f"{folder} holds no lidar frame such as 00.parquet; {HOW_TO_CONVERT}")
    if missing:
        words = f"lidar: {len(missing)} of {len(stamps_ns)} stamps have no frame and are left out: {', '.join(missing)}"
        findings.lose(NAME, len(missing), words)
    extra = sorted(set(files) - {f"{index:02d}" for index in range(len(stamps_ns))})
    if extra:
        findings.lose(NAME, len(extra), f"lidar: {len(extra)} files have no stamp and are left out: {', '.join(extra)}")
    findings += clock_findings(NAME, stamps_ns)
    return LidarPoses(stamps_ns, poses)


def _sweeps(folder: Path, track: LidarPoses, spans: _Spans) -> Iterator[RecordedFrame]:
    for index, stamp_ns in enumerate(track.stamps_ns):
        path = folder / f"{index:02d}.parquet"
        if path.is_file():
            points = _ego_points(path, track, index)
            spans.points += len(points)
            spans.step_ns = math.gcd(spans.step_ns, int(np.gcd.reduce(np.diff(np.unique(points["t"])), initial=0)))
            for lidar_id in np.unique(points["lidar_id"]):
                t_ns = points["t"][points["lidar_id"] == lidar_id]
                spans.see(int(lidar_id), int(t_ns.min()), int(t_ns.max()))
            yield RecordedFrame(stamp_ns, stamp_ns, encode_points(stamp_ns, NAME, point_fields(POINT), points))


def _ego_points(path: Path, track: LidarPoses, index: int) -> np.ndarray[Any, np.dtype[np.void]]:
    column = _columns(path)
    stamp_ns = track.stamps_ns[index]
    t_ns = column["t_ns"].astype(np.int64)
    if len(t_ns) and max(stamp_ns - int(t_ns.min()), int(t_ns.max()) - stamp_ns) > np.iinfo(np.int32).max:
        raise SourceError(f"{path} holds points more than 2.1 s away from its stamp {stamp_ns} ns; are t_ns nanoseconds?")
    world_m = np.column_stack([column["x"], column["y"], column["z"]]).astype(np.float64)
    ego_m = track.world_SE3_ego[index].inverse().apply(world_m)
    points = np.zeros(len(t_ns), dtype=POINT)
    points["x"], points["y"], points["z"] = ego_m.T
    points["t"] = t_ns - stamp_ns
    points["intensity"], points["lidar_id"] = column["intensity"], column["lidar_id"]
    return points


def _columns(path: Path) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > MAX_POINTS:
            raise SourceError(f"{path} has {file.metadata.num_rows} points, the limit is {MAX_POINTS}")
        absent = [name for name in COLUMNS if name not in file.schema_arrow.names]
        if absent:
            raise SourceError(f"{path} lacks the columns {', '.join(absent)}; {HOW_TO_CONVERT}")
        table = file.read(columns=list(COLUMNS))
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is not a Parquet file: {error}") from error
    for name in COLUMNS:
        kind, empty = table[name].type, table[name].null_count
        whole = name not in ("x", "y", "z")
        if empty or not (pa.types.is_integer(kind) or (not whole and pa.types.is_floating(kind))):
            raise SourceError(f"{path}: the column {name} is {kind} with {empty} empty cells; {HOW_TO_CONVERT}")
    return {name: table[name].to_numpy() for name in COLUMNS}


def _images(camera: CameraFolder) -> Iterator[RecordedFrame]:
    for index, stamp_ns in enumerate(camera.stamps_ns):
        path = camera.folder / f"{index:02d}.jpg"
        if path.is_file():
            data = read_bounded(path, MAX_IMAGE_BYTES)
            yield RecordedFrame(stamp_ns, stamp_ns, encode_image(stamp_ns, camera.name, "jpeg", data))


def _fixes(folder: Path, faults: RowFaults, findings: list[str]) -> list[RecordedFrame]:
    path = folder / "gps.json"
    if not path.is_file():
        findings.append("gnss: the source has no meta/gps.json")
        return []
    rows, stamps_ns = faults.attempt(read_list, path) or [], read_times(folder / "timestamps.json", faults)
    if len(rows) != len(stamps_ns):
        faults.add(f"{folder} has {len(rows)} positions and {len(stamps_ns)} stamps; there must be one of each per frame")
    findings.append("gnss: xvel and yvel of meta/gps.json have no place in NavSatFix and are left out")
    places = [faults.attempt(_place, row, f"{path}: entry {number}") for number, row in enumerate(rows)]
    return [
        RecordedFrame(stamp_ns, stamp_ns, encode_fix(stamp_ns, *place))
        for stamp_ns, place in zip(stamps_ns, places, strict=False)
        if stamp_ns is not None and place is not None
    ]


def _place(row: object, place: str) -> tuple[float, float, float]:
    try:
        return position(number_in(row, "lat"), number_in(row, "long"), number_in(row, "height"))
    except ValueError as error:
        raise SourceError(f"{place}: {error}") from error


def _stated(track: LidarPoses, cameras: list[CameraFolder], spans: _Spans, sweeps: Sequence[int]) -> list[str]:
    """What is known and measured; `sweeps`: the numbers of those that are there."""
    up_m = [float(mountings(track, camera)[0].translation_m[2]) for camera in cameras]
    heights = f"{min(up_m):.2f} to {max(up_m):.2f} m"
    found = [
        f"ego: the frame of lidar/poses.json (x right, y forward, z up); cameras stand {heights} above it, so it lies near the "
        "ground; the lidars' own place is not in the source, ego_SE3_lidar is the identity",
        f"lidar: all {spans.points} points moved from the world frame into the ego frame at the stamp of their sweep, which "
        "compensates the motion since each was measured (declared as compensated)",
        "lidar: the stamp is the end of lidar 0's sweep; point times `t` are int32 ns relative to it, "
        f"in steps of {spans.step_ns} ns: the source has them as float seconds",
    ]
    for lidar_id, (low, high) in sorted(spans.first_ns.items()):
        wide_low, wide_high = spans.widest_ns[lidar_id]
        found.append(
            f"lidar {lidar_id}: point times {low / 1e6:+.1f} to {high / 1e6:+.1f} ms in the first frame, "
            f"{wide_low / 1e6:+.1f} to {wide_high / 1e6:+.1f} ms over all"
        )
    for camera in cameras:
        delay_ns, spread_m = camera.delay_ns(track), mounting_spread_m(track, camera)
        mounting = "mounting seen once" if spread_m is None else f"mounting from poses varies by {spread_m * 1e3:.1f} mm"
        found.append(f"{camera.name}: {delay_ns / 1e6:+.2f} ms from the lidar stamp {delay_words(delay_ns)}; {mounting}")
        if wrong := camera.mispaired(track, sweeps):
            found.append(
                f"{camera.name}: the nearest stamp alone would give {wrong} of {len(sweeps)} sweeps another one's "
                "image; with its delay declared, equal numbers match"
            )
    found.append("cameras: which instant of the exposure a stamp means is not stated by the source; taken as its middle")
    found.append("log time: the source has no record times; they equal the stamps")
    return found


def _left_out(src: Path) -> list[str]:
    found = []
    if (src / "annotations").is_dir():
        found.append("annotations: not imported")
    for folder in sorted(path for path in src.iterdir() if path.is_dir()):
        count = sum(path.name.endswith(PICKLES) for path in folder.iterdir())
        if count:
            found.append(f"{folder.name}: {count} pickle(s), not opened")
    return found
