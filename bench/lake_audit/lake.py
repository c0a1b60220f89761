"""A lake of small drives that balances: raw objects, ledger, tables, and copies of what was kept out.

Its files are made by hand: few bytes, no payload, as many rows as asked for. S3 and the ledger are whatever the clients reach;
the tables are in a folder.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.folder_settings import SETTINGS
from ingest.ledger.detail import RunResult
from ingest.ledger.records import ObjectHead, ObjectOutcome, Requeue
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import WorkReason
from lake.documents import Manifest, ManifestObject
from lake.iceberg.catalog import CATALOG_NAME
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables.creation import ensure_tables
from lake.tables.publish import Batch, publish
from lake.tables.rows import PublicationFacts
from lake.tables.scene_key import SceneKey
from lake.tables.schemas import FRAMES, RECORDS, SCENES
from scenes.accounting.drive_sources import AuditSources
from sensors.time_units import NS_PER_DAY, NS_PER_MS

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

EPOCH = date(1970, 1, 1)
PERIOD_NS = 100 * NS_PER_MS
CAMERA = "cam_front"
# As the scene files of the pipeline: bounds where readers prune, in full.
BOUNDED = {"vehicle_id", "drive_id", "day", "anchor_ns", "stamp_ns", "revision"}


@dataclass(frozen=True, slots=True)
class Size:
    """How much a drive holds; one frame more than scenes is quarantined. Frames of a support sensor are in no scene."""

    scenes: int = 4
    support_frames: int = 20


@dataclass(frozen=True, slots=True)
class SmallLake:
    """The lake in a folder; its buckets and its ledger exist."""

    folder: Path
    s3: S3Client
    ledger: Ledger

    def __post_init__(self) -> None:
        ensure_tables(self.catalog())

    def catalog(self) -> LakeCatalog:
        """The catalog, opened anew."""
        return self.catalog_in(self.folder)

    @staticmethod
    def catalog_in(folder: Path) -> LakeCatalog:
        """The catalog of the lake in a folder."""
        return LakeCatalog(CATALOG_NAME, uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")

    @property
    def sources(self) -> AuditSources:
        """The four sources of an audit."""
        return AuditSources(SETTINGS, self.s3, self.ledger, self.catalog())

    def put(self, key: str, body: bytes = b"raw") -> ObjectHead:
        """Upload an object to the raw bucket; the ledger does not hear of it."""
        answer = self.s3.put_object(Bucket=SETTINGS.raw_bucket, Key=key, Body=body)
        return ObjectHead(key, answer["VersionId"], len(body), answer["ETag"], 0)

    def register(self, drive: DriveId, head: ObjectHead) -> None:
        """Let the ledger know of an object."""
        assert self.ledger.put_object(drive, head, self.ledger.object_of(drive, head.key))

    def land(self, drive: DriveId, day: date, size: Size) -> list[ObjectHead]:
        """Upload and register a drive: a camera, a support sensor, its manifest."""
        begin_ns = (day - EPOCH).days * NS_PER_DAY
        counts = {("camera", CAMERA): size.scenes + 1, ("pose", "odom"): size.support_frames}
        heads, entries = [], []
        for (modality, sensor), frames in counts.items():
            key = f"{drive}/{modality}/{sensor}/{begin_ns:019d}.mcap"
            heads.append(self.put(key))
            digest = hashlib.sha256(b"raw").hexdigest()
            entries.append(ManifestObject(key, 3, digest, modality, sensor, begin_ns, begin_ns + 10**9, frames))
        manifest = Manifest(drive, "rig", begin_ns, begin_ns + 10**9, "bench", "1", "0" * 64, tuple(entries))
        heads.append(self.put(drive.manifest_key, manifest.to_bytes()))
        for head in heads:
            self.register(drive, head)
        return heads

    def commit(self, drive: DriveId, revision: str, generation: int, day: date, size: Size) -> None:
        """Publish a drive's rows; the ledger does not hear of it."""
        begin_ns = (day - EPOCH).days * NS_PER_DAY
        uri = f"s3://{SETTINGS.quarantine_bucket}/frames/{drive}/{revision[:12]}/0.bin"
        self.s3.put_object(Bucket=SETTINGS.quarantine_bucket, Key=uri.split("/", 3)[3], Body=b"bad")
        files = {
            "gold.scenes": [self._write(_scenes(drive, revision, begin_ns, size), SCENES)],
            "gold.frames": [self._write(_frames(drive, revision, begin_ns, size), FRAMES)],
            "quarantine.records": [self._write([_record(drive, revision, begin_ns, uri)], RECORDS)],
        }
        frames = size.scenes + 1 + size.support_frames
        facts = PublicationFacts(verdict="publish", scenes=size.scenes, frames=frames, records=1, sensors=(CAMERA, "odom"))
        publish(self.catalog(), Batch(drive, revision, generation, files, facts))

    def begin(self, drive: DriveId, revision: str) -> int:
        """Queue and begin a revision; its generation."""
        seen = self.ledger.drive(drive)
        assert seen is not None
        manifest = self.ledger.object_of(drive, drive.manifest_key)
        version = None if manifest is None else manifest.version_id
        queued = self.ledger.queue(seen, Requeue(revision, WorkReason.COMPLETE, version, None))
        assert queued is not None
        self.ledger.sent(queued)
        return self.ledger.begin(drive, revision).generation

    def acknowledge(self, drive: DriveId, revision: str) -> None:
        """Let the ledger know that a revision was published."""
        outcomes = [ObjectOutcome(one.key, one.version_id, ObjectState.PUBLISHED) for one in self.ledger.objects(drive)]
        self.ledger.finish(drive, revision, DriveState.PUBLISHED, outcomes, RunResult())

    def add(self, drive: DriveId, day: date, size: Size = Size(), revision: str = "a" * 64) -> None:
        """A drive on its whole way, from its landing to its publication."""
        self.land(drive, day, size)
        self.publish(drive, day, size, revision)

    def publish(self, drive: DriveId, day: date, size: Size = Size(), revision: str = "a" * 64) -> None:
        """Publish what has landed of a drive, as its next generation."""
        generation = self.begin(drive, revision)
        self.commit(drive, revision, generation, day, size)
        self.acknowledge(drive, revision)

    def _write(self, rows: list[dict[str, Any]] | pa.Table, schema: pa.Schema) -> str:
        folder = self.folder / "files"
        folder.mkdir(exist_ok=True)
        path = folder / f"{uuid.uuid4().hex}.parquet"
        made = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=schema)
        pq.write_table(made, path, write_statistics=sorted(BOUNDED & set(schema.names)))
        return f"file://{path}"


def _scenes(drive: DriveId, revision: str, begin_ns: int, size: Size) -> list[dict[str, Any]]:
    return [_scene(drive, revision, begin_ns + number * PERIOD_NS) for number in range(size.scenes)]


def _scene(drive: DriveId, revision: str, anchor_ns: int) -> dict[str, Any]:
    match = {"sensor": CAMERA, "stamp_ns": anchor_ns, "offset_ns": 0, "residual_ns": 0, "sweep": 0}
    return {
        "scene_id": str(SceneKey(drive, anchor_ns)),
        "vehicle_id": drive.vehicle_id,
        "drive_id": drive.drive_id,
        "revision": revision,
        "day": datetime.fromtimestamp(anchor_ns // 10**9, UTC).date(),
        "anchor_sensor": CAMERA,
        "anchor_ns": anchor_ns,
        "complete": True,
        "missing": [],
        "quality_flags": [],
        "lidars": [],
        "cameras": [match],
        "radars": [],
        "sources": [],
        "calibration": "{}",
        "code_version": "c",
        "config_hash": "h",
    }


def _frames(drive: DriveId, revision: str, begin_ns: int, size: Size) -> pa.Table:
    cameras, support = size.scenes + 1, size.support_frames
    count = cameras + support
    stamps = [begin_ns + number * PERIOD_NS for number in (*range(cameras), *range(support))]
    fates = ["gold"] * size.scenes + ["quarantined"] + ["gold"] * support
    columns: dict[str, Any] = {
        "vehicle_id": [drive.vehicle_id] * count,
        "drive_id": [drive.drive_id] * count,
        "revision": [revision] * count,
        "day": [datetime.fromtimestamp(begin_ns // 10**9, UTC).date()] * count,
        "sensor": [CAMERA] * cameras + ["odom"] * support,
        "modality": ["camera"] * cameras + ["pose"] * support,
        "stamp_ns": stamps,
        "key": [f"{drive}/camera/{CAMERA}/{begin_ns:019d}.mcap"] * cameras
        + [f"{drive}/pose/odom/{begin_ns:019d}.mcap"] * support,
        "chunk_offset": [0] * count,
        "message_offset": list(range(count)),
        "fate": fates,
        "reason": [None if fate == "gold" else "DEC005" for fate in fates],
        "scenes": [1] * size.scenes + [0] * (support + 1),
    }
    return pa.table(columns, schema=FRAMES)


def _record(drive: DriveId, revision: str, begin_ns: int, uri: str) -> dict[str, Any]:
    return {
        "record_id": hashlib.sha256(f"{drive}{revision}".encode()).hexdigest(),
        "level": "object",
        "vehicle_id": drive.vehicle_id,
        "drive_id": drive.drive_id,
        "revision": revision,
        "day": datetime.fromtimestamp(begin_ns // 10**9, UTC).date(),
        "sensor": CAMERA,
        "stamp_ns": begin_ns,
        "rule_ids": ["DEC005"],
        "findings": [{"rule_id": "DEC005", "measured": 1.0, "threshold": 0.0, "message": "cut short"}],
        "source": {"key": None, "version_id": None, "offset": None},
        "payload_uri": uri,
        "frames": 1,
        "status": "quarantined",
        "code_version": "c",
        "config_hash": "h",
    }
