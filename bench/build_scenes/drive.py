"""A raw drive like that of a nuScenes vehicle, in the landing layout: about 1.5 GB per minute, the same bytes in every run.

    python -m bench.build_scenes.drive [--size 1.0] [--seconds 60] [--cache build/bench]

MCAP, profile `ros2`, CDR; chunks of about 1 MiB, uncompressed, with checksums; one object per sensor and 20 s.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from mcap.writer import CompressionType

from bench.build_scenes.signals import LIDAR_POINT, RADAR_POINT, Camera, Lidar, radar_scan
from bench.build_scenes.timing import START_NS, Ints, rig, timing
from bench.figures import PROJECT
from fleet.drive_folder import write_calibration, write_manifest
from fleet.encode import encode_image, encode_points, encode_pose
from fleet.mcap_writer import RecordedFrame, SensorStream, write_stream
from lake.landing import MANIFEST, DriveId
from sensors.decode.messages import IMAGE, ODOMETRY, POINT_CLOUD
from sensors.decode.points import point_fields
from sensors.geometry import SE3
from sensors.rig import Modality, Sensor
from sensors.time_units import NS_PER_S

VERSION = 3  # of the bytes: a folder of another version is rewritten
SECONDS = 60.0
SEGMENT_NS = 20 * NS_PER_S
LOG_DELAY_NS = 2_000_000
SPEED_M_S = 8.0
CACHE = PROJECT / "build" / "bench"


@dataclass(frozen=True, slots=True)
class DriveSpec:
    """A drive of `size` times `base_seconds`, with this seed."""

    size: float = 1.0
    base_seconds: float = SECONDS
    seed: int = 1

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.size * self.base_seconds

    @property
    def name(self) -> str:
        """Folder of the drive in the cache."""
        return f"drive-v{VERSION}-{round(self.seconds * 1000)}ms-{self.seed}"


def drive_folder(spec: DriveSpec, cache: Path = CACHE, processes: int = 2) -> Path:
    """The folder of the drive; written now unless it is complete (the manifest comes last)."""
    folder = cache / spec.name
    if (folder / MANIFEST).is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stamps = timing(spec.seconds, spec.seed).stamps_ns
    write_calibration(folder, rig().to_dict())
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        written = [
            pool.submit(_write_sensor, folder, spec.seed, number, sensor, stamps[sensor.name])
            for number, sensor in enumerate(rig().sensors, start=1)
        ]
        for task in written:
            task.result()
    write_manifest(folder, DriveId("bench", spec.name), "scenelake-bench", str(VERSION))
    return folder


def drive_bytes(folder: Path) -> int:
    """Bytes of the drive's raw objects."""
    return sum(path.stat().st_size for path in folder.glob("*/*/*.mcap"))


def _write_sensor(folder: Path, seed: int, number: int, sensor: Sensor, stamps_ns: Ints) -> None:
    random = np.random.default_rng(np.random.SeedSequence([seed, number]))
    kinds = {Modality.CAMERA: (IMAGE, _images), Modality.POSE: (ODOMETRY, _poses)}
    message_type, make = kinds.get(sensor.modality, (POINT_CLOUD, _clouds))
    messages = zip(stamps_ns.tolist(), make(sensor, stamps_ns, random), strict=True)
    frames = (RecordedFrame(stamp_ns, stamp_ns + LOG_DELAY_NS, cdr) for stamp_ns, cdr in messages)
    write_stream(folder, SensorStream(sensor.name, sensor.modality, message_type), frames, SEGMENT_NS, CompressionType.NONE)


def _images(sensor: Sensor, stamps_ns: Ints, random: np.random.Generator) -> Iterator[bytes]:
    camera = Camera(random)
    for stamp_ns in stamps_ns.tolist():
        yield encode_image(stamp_ns, sensor.name, "jpeg", camera.measure())


def _clouds(sensor: Sensor, stamps_ns: Ints, random: np.random.Generator) -> Iterator[bytes]:
    is_lidar = sensor.modality is Modality.LIDAR
    fields = point_fields(LIDAR_POINT if is_lidar else RADAR_POINT)
    lidar = Lidar(random)
    for stamp_ns in stamps_ns.tolist():
        points = lidar.measure((stamp_ns - START_NS) / NS_PER_S) if is_lidar else radar_scan(random)
        yield encode_points(stamp_ns, sensor.name, fields, points)


def _poses(sensor: Sensor, stamps_ns: Ints, random: np.random.Generator) -> Iterator[bytes]:
    del sensor, random  # a straight road
    for stamp_ns in stamps_ns.tolist():
        driven_m = SPEED_M_S * (stamp_ns - START_NS) / NS_PER_S
        yield encode_pose(stamp_ns, SE3.from_wxyz((driven_m, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)))


def main() -> None:
    """Write the drive, say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=1.0, help="times the default length")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length at size 1")
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    folder = drive_folder(DriveSpec(arguments.size, arguments.seconds), arguments.cache)
    print(f"{folder}  {drive_bytes(folder) / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
