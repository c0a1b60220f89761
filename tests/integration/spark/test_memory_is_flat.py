"""A worker's memory depends on the size of a window, not on the length of the drive: measured in a process of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from mcap.writer import CompressionType

import spark_jobs.build_scenes
import spark_jobs.calibration_check
import spark_jobs.inspect
from bench.own_step import own_step
from fleet.encode import encode_points
from lake.documents import Manifest, ManifestObject, canonical_json
from lake.drive_input import DriveInput, InputObject
from lake.landing import DriveId, SensorKey
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from scenes.plan.windows import cut
from scenes.work_area import WorkArea
from sensors.decode.messages import ODOMETRY, POINT_CLOUD
from sensors.decode.points import point_fields
from spark_jobs.build_scenes import build_drive
from spark_jobs.inspect import inspect_drive
from tests.integration.conftest import new_settings
from tests.integration.spark.worker_memory import CLEAR_REFS, Usage, run_apart
from tests.unit.scenes.job_builders import MS, POINT, T0, pose, recording, rig_document, sensor

MIB = 1024 * 1024
DRIVE = DriveId("car-1", "d-1")
POINTS = 40_000  # 520 kB a sweep
SHORT, LONG = 30, 300  # sweeps: 16 MB and 156 MB
WINDOW_BYTES = 4 * MIB
CHUNK_BYTES = 2 * MIB
NOISE_BYTES = 16 * MIB  # allocators keep what they got; a tenth of what the long drive has more
FIXED_BYTES = 64 * MIB  # libraries and connections that the first task loads, and buffers for requests
# A window lies in memory as it was fetched, as rows, as planes and as Parquet pages; a chunk as stored and as read.
WINDOW_FACTOR, CHUNK_FACTOR = 8, 4

pytestmark = pytest.mark.skipif(not CLEAR_REFS.exists(), reason="the peak of resident memory is read from /proc")


@dataclass(frozen=True, slots=True)
class Measured:
    """The memory of a drive's workers."""

    windows: int
    scan: Usage
    build: Usage


def sweep(stamp_ns: int) -> bytes:
    points = np.zeros(POINTS, dtype=POINT)
    rng = np.random.default_rng(stamp_ns)
    for axis in ("x", "y", "z"):
        points[axis] = rng.uniform(-80, 80, POINTS)
    points["intensity"] = rng.integers(0, 256, POINTS)
    return encode_points(stamp_ns, "top", point_fields(POINT), points)


def land(settings: Settings, sweeps: int) -> DriveInput:
    """A drive of one lidar at 10 Hz and a pose at 20 Hz, one object each."""
    stamps_ns = [T0 + number * 100 * MS for number in range(sweeps)]
    pose_stamps_ns = range(T0 - 50 * MS, stamps_ns[-1] + 51 * MS, 50 * MS)
    bodies = {
        "top": ("lidar", recording(POINT_CLOUD, ((at, sweep(at)) for at in stamps_ns), CompressionType.NONE, CHUNK_BYTES)),
        "pose": ("pose", recording(ODOMETRY, ((at, pose(at)) for at in pose_stamps_ns), CompressionType.NONE, CHUNK_BYTES)),
    }
    client = boto3.client("s3")

    def put(key: str, body: bytes) -> str:
        return client.put_object(Bucket=settings.raw_bucket, Key=key, Body=body)["VersionId"]

    objects, entries = set(), []
    for name, (modality, body) in bodies.items():
        first_ns, last_ns = (stamps_ns[0], stamps_ns[-1]) if name == "top" else (pose_stamps_ns[0], pose_stamps_ns[-1])
        key = str(SensorKey(DRIVE, modality, name, first_ns))
        sha256 = hashlib.sha256(body).hexdigest()
        objects.add(InputObject(key, put(key, body), sha256))
        count = sweeps if name == "top" else len(pose_stamps_ns)
        entries.append(ManifestObject(key, len(body), sha256, modality, name, first_ns, last_ns, count))
    rig = rig_document(sensor("top", "lidar", required=True), sensor("pose", "pose", rate_hz=20))
    calibration = canonical_json(rig)
    digest = hashlib.sha256(calibration).hexdigest()
    manifest = Manifest(DRIVE, "rig-1", T0, stamps_ns[-1], "test", "1", digest, tuple(entries)).to_bytes()
    return DriveInput(
        DRIVE,
        frozenset(objects),
        InputObject(DRIVE.manifest_key, put(DRIVE.manifest_key, manifest), ""),
        InputObject(DRIVE.calibration_key, put(DRIVE.calibration_key, calibration), digest),
    )


def measure(folder: Path, sweeps: int) -> Measured:
    """Inspect and build a drive; the tasks run one after the other in a process that does nothing else."""
    settings = new_settings(folder)
    drive_input = land(settings, sweeps)
    area = WorkArea(ObjectStore.connect(), ObjectVersion(settings.lake_bucket, "work/1"))
    scan, build = Usage(), Usage()
    nowhere: Any = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark_jobs.inspect, "run_tasks", run_apart(scan))
        patch.setattr(spark_jobs.build_scenes, "run_tasks", run_apart(build))
        patch.setattr(spark_jobs.calibration_check, "run_tasks", run_apart(Usage()))
        patch.setattr(spark_jobs.build_scenes, "cut", lambda anchors, sizes: cut(anchors, sizes, WINDOW_BYTES))
        step = own_step(settings, area, drive_input)
        assert inspect_drive(nowhere, step).inspection.verdict == "build"
        counted = build_drive(nowhere, step)
    assert counted.gold == sweeps
    return Measured(counted.windows, scan, build)


@pytest.fixture(scope="module")
def short(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return measure(tmp_path_factory.mktemp("short"), SHORT)


@pytest.fixture(scope="module")
def long(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return measure(tmp_path_factory.mktemp("long"), LONG)


def test_a_drive_ten_times_as_long_has_more_windows_of_the_same_cost(short: Measured, long: Measured) -> None:
    assert long.windows > 8 * short.windows > 8 * 3
    assert long.build.taken_bytes <= short.build.taken_bytes + NOISE_BYTES
    assert short.build.taken_bytes <= FIXED_BYTES + WINDOW_FACTOR * WINDOW_BYTES


def test_an_object_ten_times_as_long_is_scanned_in_the_same_memory(short: Measured, long: Measured) -> None:
    assert long.scan.taken_bytes <= short.scan.taken_bytes + NOISE_BYTES
    assert short.scan.taken_bytes <= FIXED_BYTES + CHUNK_FACTOR * CHUNK_BYTES
