"""A whole deployment in this process, with drives that left traces in every place that the system writes to."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.ledger.detail import RunResult
from ingest.ledger.records import ObjectOutcome
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import DriveWork, WorkReason
from ingest.queues import WorkQueue
from ingest.register import Registrar
from ingest.s3_objects import S3Objects
from lake.drive_input import input_key
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.publish import Batch, publish
from lake.tables.rows import PublicationFacts
from lake.tables.schemas import FRAMES, PUBLISHED, RECORDS, SCENES
from ops.erasure.forget import Erasure, ErasureWorld
from scenes.targets import DriveTargets
from tests.unit.ingest.ingest_fakes import FakeClock, drive_files
from tests.unit.lake.tables.empty_lake import make_empty_lake
from tests.unit.lake.tables.fence_lake import BOUNDED, frame, record, scene
from tests.unit.localstack.stack_tools import table_arguments

RAW, LAKE, QUARANTINE = "test-raw", "test-lake", "test-quarantine"
DRIVE = DriveId("veh-1", "zebra-crossing-0417")
NEIGHBOUR = DriveId("veh-1", "zebra-crossing-0417b")  # a name that begins with the other's
TWIN = DriveId("veh-2", "zebra-crossing-0417")  # another vehicle's drive of the same name
REQUEST, BASIS = "F-2026-17", "request of a person who was recorded"


@dataclass
class Deployed:
    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    scenes_in_file: int = 100

    def __post_init__(self) -> None:
        self.s3 = boto3.client("s3")
        self.dynamodb = boto3.client("dynamodb")
        self.sqs = boto3.client("sqs")
        self.sqs.meta.events.register("provide-client-params.sqs.ReceiveMessage", _without_waiting)
        for bucket in (RAW, LAKE, QUARANTINE):
            self.s3.create_bucket(Bucket=bucket)
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        self.dynamodb.create_table(**table_arguments())
        self.queues = {name: self._queue(name) for name in ("drive-work", "object-events")}
        self.settings = Settings(
            raw_bucket=RAW,
            lake_bucket=LAKE,
            quarantine_bucket=QUARANTINE,
            ledger_table=table_arguments()["TableName"],
            drive_work_url=self.queues["drive-work"],
            object_events_url=self.queues["object-events"],
            catalog_uri=f"sqlite:///{self.folder}/catalog.db",  # type: ignore[arg-type]
        )
        self.store = ObjectStore(self.s3)
        make_empty_lake(self.catalog())

    def _queue(self, name: str) -> str:
        dead = self.sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
        return str(self.sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy})["QueueUrl"])

    def catalog(self) -> LakeCatalog:
        """Opened anew, as every process does."""
        return LakeCatalog(
            "unit",
            uri=f"sqlite:///{self.folder}/catalog.db",
            warehouse=self.settings.warehouse,
            **{"py-io-impl": "tests.unit.ops.erasure.bucket_io.BucketIO"},
        )

    def ledger(self) -> Ledger:
        return Ledger(self.dynamodb, self.settings.ledger_table, self.clock)

    def world(self) -> ErasureWorld:
        return ErasureWorld(self.settings, self.s3, self.dynamodb, self.sqs, self.catalog(), self.clock)

    def erasure(self, drive: DriveId = DRIVE) -> Erasure:
        return Erasure(self.world(), drive, lambda *_: None)

    def registrar(self) -> Registrar:
        objects = S3Objects(self.s3, RAW, LAKE, QUARANTINE)
        return Registrar(objects, self.ledger(), WorkQueue(self.sqs, self.queues["drive-work"]), self.clock, lambda _: None)

    def put(self, bucket: str, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)

    # What the parts of the system do with a drive

    def land(self, drive: DriveId, times: int = 1) -> None:
        """Every object, each of them `times` times, and one upload that its vehicle gave up."""
        registrar = self.registrar()
        for _ in range(times):
            for key, body in drive_files(drive).items():
                self.put(RAW, key, body)
                found = registrar.register(key)
                if found is not None:
                    registrar.evaluate(found)
        stray = f"{drive}/notes.txt"
        self.put(RAW, stray, b"a file that no layout knows")
        registrar.register(stray)
        self.s3.create_multipart_upload(Bucket=RAW, Key=f"{drive}/lidar/lidar_top/{7:019d}.mcap")

    def begin(self, drive: DriveId) -> tuple[str, int]:
        """A run takes the drive: its revision and generation."""
        record = self.ledger().drive(drive)
        assert record is not None and record.revision is not None
        begun = self.ledger().begin(drive, record.revision)
        return record.revision, begun.generation

    def process(self, drive: DriveId, anchors: Sequence[int]) -> None:
        """One run from its lease to its acknowledgement, with everything that its steps leave behind."""
        revision, generation = self.begin(drive)
        targets = DriveTargets(drive, revision, RAW, LAKE, QUARANTINE)
        self._work(drive, revision)
        self._quarantine(targets, drive)
        publish(self.catalog(), self.batch(drive, revision, generation, anchors))
        self.store.put(targets.statistics(1), json.dumps({"vehicle_id": drive.vehicle_id, "drive_id": drive.drive_id}).encode())
        outcome = ObjectOutcome(drive.manifest_key, "any", ObjectState.PUBLISHED)
        result = RunResult(snapshot_id=1, scenes=len(anchors), records=1)
        self.ledger().finish(drive, revision, DriveState.PUBLISHED, [outcome], result, generation=generation)
        for message in WorkQueue(self.sqs, self.queues["drive-work"]).receive(10):
            if message.work.drive == drive:
                self.sqs.delete_message(QueueUrl=self.queues["drive-work"], ReceiptHandle=message.receipt_handle)
            else:
                self.sqs.change_message_visibility(
                    QueueUrl=self.queues["drive-work"], ReceiptHandle=message.receipt_handle, VisibilityTimeout=0
                )

    def again(self, drive: DriveId) -> None:
        """The drive is to be processed again: an object has landed again."""
        key = next(iter(drive_files(drive)))
        self.put(RAW, key, drive_files(drive)[key])
        registrar = self.registrar()
        assert registrar.register(key) == drive
        registrar.evaluate(drive)

    def _work(self, drive: DriveId, revision: str) -> None:
        for attempt in ("a-0-1", "b-0-2"):
            self.put(LAKE, f"work/{drive}/{revision}/{attempt}/inspection.json", json.dumps({"drive": str(drive)}).encode())
        self.s3.delete_object(Bucket=LAKE, Key=f"work/{drive}/{revision}/a-0-1/inspection.json")

    def _quarantine(self, targets: DriveTargets, drive: DriveId) -> None:
        key = next(iter(drive_files(drive)))
        raw = drive_files(drive)[key]
        self.store.put(targets.quarantined_object(key), raw)
        self.store.put(targets.quarantined_frame("1.bin"), raw)
        self.store.put(targets.quarantined_drive(), b"{}")
        self.store.put(targets.quarantined_scenes(targets.unique_name("parquet")), self._scenes(drive, "q", (5,)))
        self.store.put(targets.validations(), gzip.compress(json.dumps({"drive": str(drive)}).encode()))
        self.store.put(targets.quarantined_keys(), json.dumps({"keys": [key]}).encode())
        self.store.put(targets.data_file("gold.scenes", targets.unique_name("parquet")), self._scenes(drive, "lost", (6,)))

    def batch(self, drive: DriveId, revision: str, generation: int, anchors: Sequence[int]) -> Batch:
        targets = DriveTargets(drive, revision, RAW, LAKE, QUARANTINE)
        windows = [anchors[at : at + self.scenes_in_file] for at in range(0, len(anchors), self.scenes_in_file)]
        bodies = {
            "gold.scenes": [self._scenes(drive, revision, some) for some in windows],
            "gold.frames": [parquet([frame(drive, revision, anchor) for anchor in anchors], FRAMES)],
            "quarantine.records": [parquet([record(drive, revision, anchors[0])], RECORDS)],
        }
        files: dict[str, list[str]] = {name: [] for name in bodies}
        for name, body in ((name, body) for name, some in bodies.items() for body in some):
            place = targets.data_file(name, targets.unique_name("parquet"))
            self.store.put(place, body)
            files[name].append(place.uri)
        facts = PublicationFacts(
            verdict="publish",
            scenes=len(anchors),
            frames=len(anchors),
            records=1,
            code_version="c",
            validations=targets.validations().uri,
        )
        return Batch(drive, revision, generation, files, facts)

    def _scenes(self, drive: DriveId, revision: str, anchors: Sequence[int]) -> bytes:
        rows = []
        for anchor in anchors:
            seen = payload(drive, anchor)
            match = {"stamp_ns": anchor, "offset_ns": 0, "residual_ns": 0, "sweep": 0}
            camera = {"sensor": "front", **match, "encoding": "jpeg", "image": seen}
            sources = [{"key": next(iter(drive_files(drive))), "version_id": "v", "sha256": "s"}]
            rows.append(scene(drive, revision, anchor) | {"cameras": [camera], "sources": sources})
        return parquet(rows, SCENES)

    # Traces that have no place of the drive's own

    def traces(self, drive: DriveId) -> None:
        learned = {"vehicle_id": drive.vehicle_id, "drives": [{"drive_id": drive.drive_id, "revision": "r"}]}
        self.put(LAKE, f"baselines/{drive.vehicle_id}.json", json.dumps(learned).encode())
        self.put(LAKE, "audit/watermark.json", json.dumps({"open_drives": [str(drive)]}).encode())
        self.put(LAKE, "maintenance/candidates.json.gz", gzip.compress(json.dumps([f"work/{drive}/x"]).encode()))
        mixed = parquet([frame(drive, "r", 1), frame(NEIGHBOUR, "r", 1)], FRAMES)
        self.put(LAKE, f"warehouse/gold/frames/data/day=2024-05-01/{hashlib.sha256(mixed).hexdigest()}.parquet", mixed)
        work = DriveWork(drive, "ab" * 32, WorkReason.COMPLETE).to_message()
        self.sqs.send_message(QueueUrl=f"{self.queues['drive-work']}-dead", MessageBody=work)
        event = {"Records": [{"s3": {"object": {"key": f"{drive.vehicle_id}%2F{drive.drive_id}%2Fx"}}}]}
        self.sqs.send_message(QueueUrl=f"{self.queues['object-events']}-dead", MessageBody=json.dumps(event))

    def tag(self, name: str) -> None:
        catalog = self.catalog()
        for table in map(catalog.load_table, PUBLISHED):
            current = table.current_snapshot()
            if current is not None:
                table.manage_snapshots().create_tag(current.snapshot_id, name).commit()

    # What is there

    def everything(self) -> dict[tuple[str, str, str], bytes]:
        """Every version in every bucket with its bytes; a delete marker has none."""
        found = {}
        for bucket in (RAW, LAKE, QUARANTINE):
            for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                for one in page.get("Versions", ()):
                    body = self.s3.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
                    found[bucket, one["Key"], one["VersionId"]] = body
                for marker in page.get("DeleteMarkers", ()):
                    found[bucket, marker["Key"], marker["VersionId"]] = b""
        return found

    def items(self) -> list[dict[str, Any]]:
        return [
            item
            for page in self.dynamodb.get_paginator("scan").paginate(TableName=self.settings.ledger_table)
            for item in page["Items"]
        ]

    def uploads(self) -> list[str]:
        return [one["Key"] for one in self.s3.list_multipart_uploads(Bucket=RAW).get("Uploads", ())]

    def rows(self, drive: DriveId, ref: str = "main") -> dict[str, list[dict[str, Any]]]:
        """The drive's rows in every table."""
        catalog, found = self.catalog(), {}
        for name in PUBLISHED:
            table = catalog.load_table(name)
            if table.current_snapshot() is None or "drive_id" not in table.schema().column_names:
                continue
            scan = table.scan(row_filter=f"vehicle_id == '{drive.vehicle_id}' and drive_id == '{drive.drive_id}'")
            found[name] = sorted((scan.use_ref(ref)).to_arrow().to_pylist(), key=str)
        return found

    def place(self, key: str) -> ObjectVersion:
        return ObjectVersion(LAKE, key)

    def input(self, drive: DriveId, revision: str) -> bytes:
        return self.store.read(ObjectVersion(LAKE, input_key(drive, revision)))


def _without_waiting(params: dict[str, Any], **_: object) -> dict[str, Any]:
    """Nothing else sends here: a queue that is empty stays so, and a long poll would only take its second."""
    return params | {"WaitTimeSeconds": 0}


def payload(drive: DriveId, anchor: int) -> bytes:
    return hashlib.sha512(f"{drive} {anchor}".encode()).digest() * 4


def parquet(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> bytes:
    sink = io.BytesIO()
    bounded = [name for name in BOUNDED if name in schema.names]
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink, write_statistics=bounded)
    return sink.getvalue()
