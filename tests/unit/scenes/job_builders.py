"""Frames, recordings and whole drives in memory, for the tests of the jobs. Nothing here needs Spark or a socket."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from mcap.writer import CompressionType, Writer
from PIL import Image

from fleet.encode import encode_image, encode_points, encode_pose, message_definition
from lake.documents import Manifest, ManifestObject, canonical_json
from lake.drive_input import DriveInput, InputObject
from lake.landing import DriveId, SensorKey
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.schemas import FRAME_INDEX
from scenes.documents import Provenance
from scenes.scan.frame_rows import FrameRows
from scenes.scan.motion_samples import POSES
from scenes.scan.object_scan import ObjectScan
from scenes.work_area import WorkArea
from sensors.decode.messages import IMAGE, ODOMETRY, POINT_CLOUD
from sensors.decode.points import point_fields
from sensors.geometry import SE3
from sensors.rig import Rig
from tests.unit.lake.fake_s3 import FakeS3

T0 = 1_700_000_000_123_456_789
MS = 1_000_000
DRIVE = DriveId("car-1", "d-1")
REVISION = "f" * 64
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "u1")])
PROVENANCE = Provenance("code", "config", "lock")

# ---- rig ----


def sensor(
    name: str, modality: str, rate_hz: float = 10, delay_ns: int = 0, required: bool = False, **sync: Any
) -> dict[str, Any]:
    terms = {"stamp": "end", "expected_delay_ns": delay_ns, "required": required, **sync}
    return {"name": name, "modality": modality, "rate_hz": rate_hz, "sync": terms}


def rig_document(*sensors: Mapping[str, Any], reference: str = "top", **policy: Any) -> dict[str, Any]:
    return {"schema_version": 1, "rig_id": "rig-1", "reference": reference, "sensors": list(sensors), "policy": policy}


def make_rig(*sensors: Mapping[str, Any], reference: str = "top", **policy: Any) -> Rig:
    return Rig.from_dict(rig_document(*sensors, reference=reference, **policy))


# ---- frame index ----


class F(NamedTuple):
    """One row of a frame index, with defaults for values that a test does not need."""

    sensor: str
    stamp_ns: int
    modality: str = "camera"
    key: str = ""
    chunk_offset: int = 0
    message_offset: int = 0
    chunk_bytes: int = 100
    message_bytes: int = 50
    compression: str = ""
    chunk_raw_bytes: int = 100
    message_type: str = IMAGE
    log_ns: int | None = None
    readable: bool = True


def frame_index(frames: Iterable[F]) -> pa.Table:
    """Rows in the order of the contract, numbered; written without the code under test."""
    placed = [frame._replace(key=frame.key or f"{frame.sensor}.mcap", log_ns=frame.log_ns or frame.stamp_ns) for frame in frames]
    ordered = sorted(placed, key=lambda f: (f.sensor, f.stamp_ns, f.key, f.chunk_offset, f.message_offset))
    rows = [{"frame_id": number, **frame._asdict()} for number, frame in enumerate(ordered)]
    return pa.Table.from_pylist(rows, schema=FRAME_INDEX)


def pose_table(stamps_ns: Sequence[int]) -> pa.Table:
    rows = [
        dict(zip(POSES.names, (stamp_ns, float(stamp_ns - T0) / 1e9, 0, 0, 1, 0, 0, 0), strict=True)) for stamp_ns in stamps_ns
    ]
    return pa.Table.from_pylist(rows, schema=POSES)


# ---- messages and recordings ----


def cloud(stamp_ns: int, points: int = 12, not_finite: int = 0) -> bytes:
    values = np.ones(points, dtype=POINT)
    values["x"] += np.arange(points)
    values["intensity"] = stamp_ns // MS % 251
    values["x"][:not_finite] = np.nan
    return encode_points(stamp_ns, "lidar", point_fields(POINT), values)


@cache
def jpeg(shade: int = 0) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("L", (24, 16), shade % 256)
    other = 255 - shade % 256 if shade % 256 not in range(96, 160) else 0  # an image of one shade is blank
    image.paste(other, (0, 0, 12, 8))
    image.paste(other, (12, 8, 24, 16))
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def image(stamp_ns: int, cut: bool = False) -> bytes:
    data = jpeg(stamp_ns // MS)
    return encode_image(stamp_ns, "cam", "jpeg", data[: len(data) // 2] if cut else data)


def pose(stamp_ns: int) -> bytes:
    return encode_pose(stamp_ns, SE3.from_wxyz(((stamp_ns - T0) / 1e9, 0, 0), (1, 0, 0, 0)))


def recording(
    message_type: str,
    frames: Iterable[tuple[int, bytes]],
    compression: CompressionType = CompressionType.ZSTD,
    chunk_bytes: int = 400,
    encoding: str = "cdr",
    log_ns: Sequence[int] | None = None,
) -> bytes:
    """An MCAP file of (stamp, CDR); logged 2 ms later, or at `log_ns`."""
    stream = io.BytesIO()
    writer = Writer(stream, chunk_size=chunk_bytes, compression=compression, enable_data_crcs=True)
    writer.start(profile="ros2", library="test")
    definition = message_definition(message_type) if message_type in _KNOWN else "uint8 x"
    schema = writer.register_schema(message_type, "ros2msg", definition.encode())
    channel = writer.register_channel("/frames", encoding, schema)
    for number, (stamp_ns, cdr) in enumerate(frames):
        logged_ns = stamp_ns + 2 * MS if log_ns is None else log_ns[number]
        writer.add_message(channel, log_time=logged_ns, data=cdr, publish_time=stamp_ns)
    writer.finish()  # type: ignore[no-untyped-call]
    return stream.getvalue()


_KNOWN = (IMAGE, ODOMETRY, POINT_CLOUD)
_TYPES = {"lidar": POINT_CLOUD, "camera": IMAGE, "radar": POINT_CLOUD, "pose": ODOMETRY}


# ---- drives ----


@dataclass
class Landed:
    """A drive in a bucket in memory. Land objects, then ask for its input."""

    s3: FakeS3 = field(default_factory=FakeS3)
    drive: DriveId = DRIVE
    objects: dict[str, InputObject] = field(default_factory=dict)
    entries: list[ManifestObject] = field(default_factory=list)

    @property
    def store(self) -> ObjectStore:
        return ObjectStore(self.s3)  # type: ignore[arg-type]

    @property
    def area(self) -> WorkArea:
        return WorkArea(self.store, ObjectVersion("lake", f"work/{self.drive}/1"))

    def land(self, name: str, modality: str, frames: Sequence[tuple[int, bytes]], **more: Any) -> str:
        """One object of a sensor, as the manifest will declare it; returns its key."""
        start_ns = min(stamp_ns for stamp_ns, _ in frames)
        key = str(SensorKey(self.drive, modality, name, start_ns))
        self.land_bytes(key, recording(_TYPES[modality], frames, **more), len(frames), max(stamp_ns for stamp_ns, _ in frames))
        return key

    def land_bytes(self, key: str, body: bytes, frames: int = 0, end_ns: int | None = None) -> None:
        parts = key.split("/")
        start_ns = int(parts[4].removesuffix(".mcap"))
        sha256 = hashlib.sha256(body).hexdigest()
        version_id = self.s3.put_object(Bucket="raw", Key=key, Body=body)["VersionId"]
        self.objects[key] = InputObject(key, version_id, sha256)
        self.entries.append(
            ManifestObject(key, len(body), sha256, parts[2], parts[3], start_ns, start_ns if end_ns is None else end_ns, frames)
        )

    def declare_other_checksum(self, key: str) -> None:
        self.entries = [replace(entry, sha256="0" * 64) if entry.key == key else entry for entry in self.entries]

    def finish(self, rig: Mapping[str, Any], end_ns: int, with_manifest: bool = True, start_ns: int = T0) -> DriveInput:
        """Land calibration and manifest, and pin everything."""
        calibration = canonical_json(rig)
        sha256 = hashlib.sha256(calibration).hexdigest()
        version_id = self.s3.put_object(Bucket="raw", Key=self.drive.calibration_key, Body=calibration)["VersionId"]
        pinned = InputObject(self.drive.calibration_key, version_id, sha256)
        manifest = None
        if with_manifest:
            body = Manifest(self.drive, "rig-1", start_ns, end_ns, "test", "1", sha256, tuple(self.entries)).to_bytes()
            version_id = self.s3.put_object(Bucket="raw", Key=self.drive.manifest_key, Body=body)["VersionId"]
            manifest = InputObject(self.drive.manifest_key, version_id, "")
        return DriveInput(self.drive, frozenset(self.objects.values()), manifest, pinned)


def index_of(key: SensorKey, found: ObjectScan) -> pa.Table:
    """The frames of one object as `OBJECT_INDEX`."""
    rows = FrameRows()
    rows.add(key, found.frames)
    return rows.table()
