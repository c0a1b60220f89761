"""Targets of the documents: input that arrives as JSON, as a key, as an event or as a table."""

from __future__ import annotations

import csv
import io
import json
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from aws_lambda_powertools.utilities.data_classes import SQSRecord

from ingest.errors import EventError, WorkError
from ingest.events import decode_key, is_sqs_batch, parse_message, parse_notification
from ingest.ledger.work_message import DriveWork, WorkReason
from lake.documents import Manifest, ManifestObject, parse_document
from lake.errors import LandingError
from lake.landing import DriveId, SensorKey, parse_raw_key
from ops.errors import InputError
from ops.sync.timeline import read_timeline
from sensors.errors import RigError
from sensors.rig import Rig
from tests.fuzz.mutation import with_tokens
from tests.fuzz.recordings import STAMP_NS
from tests.fuzz.structures import json_mutation, line_mutation
from tests.fuzz.target import MIB, Target, proportional

DRIVE = DriveId("car-1", "d-1")
JSON_BYTES = proportional(200, MIB)  # a list in a list costs 64 bytes for two characters, and a document is walked


def _manifests() -> list[bytes]:
    key = SensorKey(DRIVE, "lidar", "lidar_top", STAMP_NS)
    entry = ManifestObject(str(key), 10, "a" * 64, "lidar", "lidar_top", STAMP_NS, STAMP_NS + 10, 1)
    return [
        Manifest(DRIVE, "rig-1", STAMP_NS, STAMP_NS + 10, "recorder", "1.0", "b" * 64, objects).to_bytes()
        for objects in ((entry,), ())
    ]


def _manifest(data: bytes, _: Path) -> str:
    manifest = Manifest.parse(data, DRIVE)
    assert Manifest.parse(manifest.to_bytes(), DRIVE) == manifest
    return f"{len(manifest.objects)} objects"


def _calibrations() -> list[bytes]:
    sync = {"stamp": "end", "expected_delay_ns": 0, "tolerance_ns": 50_000_000, "required": True}
    pose = {"translation_m": [1.0, 0.0, 1.5], "rotation_wxyz": [1.0, 0.0, 0.0, 0.0]}
    lidar = {"name": "top", "modality": "lidar", "rate_hz": 10.0, "sync": sync, "ego_SE3_sensor": pose}
    intrinsics = {"width_px": 640, "height_px": 480, "fx_px": 500.0, "fy_px": 500.0, "cx_px": 320.0, "cy_px": 240.0}
    camera = lidar | {"name": "front", "modality": "camera", "intrinsics": intrinsics | {"distortion": [0.1, 0, 0, 0, 0]}}
    small = {"schema_version": 1, "rig_id": "rig-1", "reference": "top", "sensors": [lidar, camera]}
    whole = Rig.from_dict(parse_document(json.dumps(small).encode(), "calibration")).to_dict()
    return [json.dumps(document).encode() for document in (small, whole)]


def _calibration(data: bytes, _: Path) -> str:
    rig = Rig.from_dict(parse_document(data, "calibration"))
    again = Rig.from_dict(parse_document(json.dumps(rig.to_dict()).encode(), "calibration"))
    assert again.to_dict() == rig.to_dict()
    assert all(sensor.period_ns >= 0 for sensor in rig.sensors)
    return f"{len(rig.sensors)} sensors"


def _keys() -> list[bytes]:
    names = (f"lidar/lidar_top/{STAMP_NS:019d}.mcap", "manifest.json", "calibration.json")
    return [f"{DRIVE}/{name}".encode() for name in names]


def _key(data: bytes, _: Path) -> str:
    text = data.decode("utf-8", "surrogateescape")
    key = parse_raw_key(text)
    assert str(key) == text
    return type(key).__name__


def _quoted_key(data: bytes, _: Path) -> str:
    key = decode_key(data.decode("utf-8", "surrogateescape"))
    assert 0 < len(key.encode()) <= 1024
    return "key"


def _events() -> list[bytes]:
    found = {"key": f"{DRIVE}/manifest.json", "versionId": "v1", "sequencer": "00"}
    record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "raw"}, "object": found}}
    direct = {"Records": [record]}
    batch = {"Records": [{"eventSource": "aws:sqs", "messageId": "m-1", "body": json.dumps(direct)}] * 2}
    return [json.dumps(document).encode() for document in (direct, batch, {"Event": "s3:TestEvent"})]


def _event(data: bytes, _: Path) -> str:
    """The event as Lambda would hand it over, and the same bytes as the body of a message, which never raises."""
    delivery = parse_message(SQSRecord({"messageId": "m-1", "body": data.decode("utf-8", "surrogateescape")}))
    assert all(0 < len(notice.key.encode()) <= 1024 for notice in delivery.notices)
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return f"body of {min(len(delivery.notices), 3)} notices and {min(len(delivery.faults), 3)} faults"
    if not is_sqs_batch(event):
        return f"direct event, {len(parse_notification(event).notices)} notices"
    deliveries = [parse_message(SQSRecord(record)) for record in event["Records"]]
    return f"{len(deliveries)} deliveries, {sum(len(one.notices) for one in deliveries)} notices"


def _works() -> list[bytes]:
    return [DriveWork(DRIVE, "c" * 64, reason).to_message().encode() for reason in WorkReason]


def _work(data: bytes, _: Path) -> str:
    work = DriveWork.parse(data.decode("utf-8", "surrogateescape"))
    assert DriveWork.parse(work.to_message()) == work
    return work.reason


def _csvs() -> list[bytes]:
    rows = "".join(f"{sensor},{STAMP_NS + number * 10**8}\n" for number in range(5) for sensor in ("lidar", "camera"))
    return [b"sensor,stamp_ns\n" + rows.encode(), b'stamp_ns,sensor,more\r\n1,"a,b",x\r\n', b"sensor,stamp_ns\n"]


def _csv(data: bytes, folder: Path) -> str:
    """The integers read are those of the file: compared with the `csv` module where both can read it."""
    path = folder / "timeline.csv"
    path.write_bytes(data)
    streams = read_timeline(path).streams
    found = sorted((stream.sensor, int(stamp)) for stream in streams for stamp in stream.stamps_ns)
    if b'"' not in data and b"\r" not in data and b"\0" not in data and data.isascii():
        rows = csv.DictReader(io.StringIO(data.decode()), strict=True)
        expected = sorted((row["sensor"], int(row["stamp_ns"])) for row in rows)
        assert found == expected
    return f"{min(len(streams), 3)} streams"


@cache
def _parquets() -> list[bytes]:
    table = pa.table({"sensor": ["lidar", "camera"] * 4, "stamp_ns": pa.array(range(8), pa.int64())})
    found = []
    for codec in ("none", "zstd", "snappy"):
        sink = pa.BufferOutputStream()
        pa.parquet.write_table(table, sink, compression=codec, store_schema=codec == "zstd")
        found.append(sink.getvalue().to_pybytes())
    return found


def _parquet(data: bytes, folder: Path) -> str:
    path = folder / "timeline.parquet"
    path.write_bytes(data)
    return f"{min(len(read_timeline(path).streams), 3)} streams"


TARGETS = (
    Target("manifest", _manifests, _manifest, (LandingError,), json_mutation("lidar", "car-1"), JSON_BYTES, slice_inputs=1000),
    Target(
        "calibration",
        _calibrations,
        _calibration,
        (LandingError, RigError),
        json_mutation("policy", "sweeps", "camera", "end", "compensated", "topic", "distortion"),
        JSON_BYTES,
        slice_inputs=600,
    ),
    Target(
        "landing.key",
        _keys,
        _key,
        (LandingError,),
        with_tokens(b"/", b"..", b"//", b"\n", "١".encode(), b"camera", b".mcap"),
        proportional(16),
    ),
    Target(
        "ingest.key", _keys, _quoted_key, (EventError,), with_tokens(b"%", b"%2F", b"%ff", b"+", b"%C3", b"%00"), proportional(16)
    ),
    Target("ingest.event", _events, _event, (EventError,), json_mutation("aws:sqs", "aws:s3", "Records", "body"), JSON_BYTES),
    Target("ingest.ledger.work_message", _works, _work, (WorkError,), json_mutation("complete", "1"), JSON_BYTES),
    Target(
        "timeline.csv",
        _csvs,
        _csv,
        (InputError,),
        line_mutation(b"sensor", b"stamp_ns", b",", b"1e9"),
        proportional(64, 8 * MIB),
        slice_inputs=400,
    ),
    Target(
        "timeline.parquet",
        _parquets,
        _parquet,
        (InputError,),
        memory_bytes=proportional(64, 8 * MIB),
        native_bytes=512 * MIB,
        slice_inputs=400,
    ),
)
