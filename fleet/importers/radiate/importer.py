"""RADIATE (Heriot-Watt University): one sequence folder with scanning radar, lidar, stereo camera, GPS and IMU.

Layout: `NAME.txt` with rows `Frame: 000018 Time: 1574859771.700975000` beside the folder `NAME/` with one file per frame:
`Navtech_Polar` (PNG, 8 bit: a row per range bin, a column per azimuth), `velo_lidar` (CSV x, y, z, intensity, ring),
`zed_left` and `zed_right` (PNG), `GPS_IMU_Twist` (18 lines of text); `default-calib.yaml`.

Conventions that the source leaves open:

- The ego frame is the radar's, the origin of the calibration: x right, y forward, z up, metres, as the dataset's own
  projection uses it (lidar points are given so). Rotations R are Euler angles in degrees about the camera's (for the
  lidar: its own) x, y, z axes, applied in that order.
- Which instant of a measurement a stamp means is not stated: taken as its end. Point times do not exist. Sensors run
  free, so the expected delays are 0.
- A pose is the GPS position in metres east, north and up of the first one, with the source's quaternion unchanged.
  Stamps of GPS and IMU are unchanged: late, duplicated, stepping back.
- Stamps are decimal text, read digit by digit, never as floats. The source has no record times: log time is the stamp.
- Only frames with an index row and a file are imported. `Navtech_Cartesian` is rendered from the polar image and left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from fleet import Progress, silent
from fleet.drive_folder import DriveFolder, write_calibration, write_manifest
from fleet.drive_layout import claim
from fleet.encode import encode_image, encode_points
from fleet.importers.clock_findings import mean_hz, overlap_findings
from fleet.importers.import_findings import ImportFindings
from fleet.importers.new_folder import into_new_folder
from fleet.importers.radiate.index import Index, read_index
from fleet.importers.radiate.motion import MotionSample, read_motion, write_motion
from fleet.importers.radiate.points import POINT, read_points
from fleet.importers.radiate.rig import CAMERAS, LIDAR, RADAR, build_rig
from fleet.importers.source import MAX_IMAGE_BYTES, ImportResult, RowFaults, counted, read_bounded
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from lake.landing import DriveId
from sensors.decode.messages import IMAGE, POINT_CLOUD
from sensors.decode.points import point_fields
from sensors.rig import Modality, Rig

RECORDER = "scenelake-import-radiate"
RECORDER_VERSION = "1"

SOURCES = {RADAR: "Navtech_Polar", LIDAR: "velo_lidar"} | {name: folder for name, (folder, _) in CAMERAS.items()}

STATED = (
    "ego: the radar's frame (x right, y forward, z up); calibration angles read as degrees, its translations as metres in "
    "that frame, which the source does not state",
    "stamps: which instant they mean is not stated by the source; taken as the end of each measurement",
    "lidar: no per-point time, so motion within the sweep cannot be compensated, and the source does not say that it is "
    "(declared as not compensated)",
    "radar: the polar image has no time of its own for each azimuth; a turn takes a quarter of a second",
    "delays: the sensors run free of each other; expected delays are declared as 0",
    "log time: the source has no record times; they equal the stamps",
    "Navtech_Cartesian: drawn from the polar image, not imported",
)


@into_new_folder
def import_drive(src: Path, out: Path, vehicle_id: str, drive_id: str, progress: Progress | None = None) -> ImportResult:
    """Write the sequence `src` as a drive; see `fleet.importers.registry.Importer`."""
    drive = DriveId(vehicle_id, drive_id)
    report = progress or silent
    findings = ImportFindings()
    rig = build_rig(src / "default-calib.yaml")
    faults = RowFaults()
    radar = read_index(src, "Navtech_Polar", RADAR, ".png", findings, faults)
    lidar = read_index(src, "velo_lidar", LIDAR, ".csv", findings, faults)
    cameras = {name: read_index(src, folder, name, ".png", findings, faults) for name, (folder, _) in CAMERAS.items()}
    motion = read_motion(src, findings, faults)
    faults.refuse()
    claim(out)
    write_stream(
        out, SensorStream(RADAR, Modality.RADAR, IMAGE), counted(RADAR, _images(RADAR, radar), len(radar.frames), report)
    )
    sweeps = counted(LIDAR, _sweeps(lidar, faults), len(lidar.frames), report)
    write_stream(out, SensorStream(LIDAR, Modality.LIDAR, POINT_CLOUD), sweeps)
    faults.refuse()
    for name, index in cameras.items():
        write_stream(
            out, SensorStream(name, Modality.CAMERA, IMAGE), counted(name, _images(name, index), len(index.frames), report)
        )
    write_motion(out, motion)
    write_calibration(out, rig.to_dict())
    streams = {RADAR: radar, LIDAR: lidar, **cameras}
    findings += _timing(rig, {name: [frame.stamp_ns for frame in index.frames] for name, index in streams.items()})
    findings += _pose_apart(motion, max(index.frames[-1].stamp_ns for index in streams.values()))
    write_manifest(out, drive, RECORDER, RECORDER_VERSION, findings.losses)
    return ImportResult(DriveFolder.load(out), (*findings, *STATED))


def _timing(rig: Rig, streams: Mapping[str, list[int]]) -> list[str]:
    found = overlap_findings({SOURCES[name]: stamps_ns for name, stamps_ns in streams.items()})
    for name, stamps_ns in streams.items():
        measured_hz = mean_hz(stamps_ns)
        if measured_hz is not None:
            found.append(f"{SOURCES[name]}: declared {rig[name].rate_hz:g} Hz, measured {measured_hz:.2f} Hz")
    return found


def _pose_apart(motion: list[MotionSample], others_end_ns: int) -> list[str]:
    if not motion or motion[0].stamp_ns <= others_end_ns:
        return []
    late_s = (motion[0].stamp_ns - others_end_ns) / 1e9
    return [f"GPS_IMU_Twist: begins {late_s:.1f} s after the last frame of any other sensor: no frame has a pose"]


def _images(sensor: str, index: Index) -> Iterator[RecordedFrame]:
    for row in index.frames:
        data = read_bounded(row.path, MAX_IMAGE_BYTES)
        yield RecordedFrame(row.stamp_ns, row.stamp_ns, encode_image(row.stamp_ns, sensor, "png", data))


def _sweeps(index: Index, faults: RowFaults) -> Iterator[RecordedFrame]:
    for row in index.frames:
        points = faults.attempt(read_points, row.path, faults)
        if points is not None:
            yield RecordedFrame(row.stamp_ns, row.stamp_ns, encode_points(row.stamp_ns, LIDAR, point_fields(POINT), points))
