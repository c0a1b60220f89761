"""A whole deployment in this process, except Airflow: provisioned resources, the registrar, the four jobs, the review."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import msgspec
from pyspark.sql import SparkSession
from scenelake_airflow.lease import Lease
from scenelake_airflow.lease_steps import finish_drive, take
from scenelake_airflow.results import PublicationSummary, parse_result
from scenelake_airflow.settings import SchedulingSettings

from bench.own_step import own_step
from ingest.ledger.records import DriveRecord
from ingest.ledger.repository import Ledger
from ingest.queues import WorkQueue
from ingest.register import Registrar
from ingest.review import ReviewDesk
from ingest.s3_objects import S3Objects
from lake.drive_input import DriveInput, input_key
from lake.iceberg.catalog import open_catalog
from lake.landing import DriveId
from lake.quarantined_keys import read_keys
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.creation import ensure_tables
from lake.tables.rows import RecordRow
from ops.audit import lake_reader
from ops.audit.run import Auditor
from quality.evaluators.drive import GateVerdict
from scenes.accounting.drive_sources import AuditSources
from scenes.accounting.tally import AuditResultDocument
from scenes.work_area import WorkArea
from spark_jobs.audit import audit_drive
from spark_jobs.build_scenes import build_drive
from spark_jobs.inspect import inspect_drive
from spark_jobs.publish import publish_drive


class Station:
    """`run` does what `process_drive` does for every waiting message; nothing else runs on its own."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.settings = Settings.from_env({**os.environ, **variables})
        self.s3, self.sqs = boto3.client("s3"), boto3.client("sqs")
        self.ledger = Ledger(boto3.client("dynamodb"), self.settings.ledger_table)
        objects = S3Objects(self.s3, self.settings.raw_bucket, self.settings.lake_bucket, self.settings.quarantine_bucket)
        self.queue = WorkQueue(self.sqs, self.settings.drive_work_url)
        self.registrar = Registrar(objects, self.ledger, self.queue)
        self.desk = ReviewDesk(self.registrar, self.ledger)
        self.catalog = open_catalog(self.settings)
        ensure_tables(self.catalog)
        self.runs = 0
        self.worked: list[str] = []

    def land(self, folder: Path, drive: DriveId) -> DriveRecord:
        """Put a drive's files, the manifest last, and register each."""
        paths = sorted(
            path for path in folder.rglob("*") if path.suffix in (".mcap", ".json") and "ground_truth" not in path.parts
        )
        for path in sorted(paths, key=lambda path: path.name == "manifest.json"):
            key = f"{drive}/{path.relative_to(folder)}"
            self.s3.put_object(Bucket=self.settings.raw_bucket, Key=key, Body=path.read_bytes())
            self.registrar.register(key)
        return self.registrar.evaluate(drive)

    def take(self) -> list[Lease]:
        """Lease the waiting messages."""
        self.runs += 1
        return take(self.queue, self.ledger, self.settings.lake_bucket, f"run-{self.runs}", SchedulingSettings())

    def run(self, spark: SparkSession) -> list[str]:
        """Bring every waiting drive to its end, one run after another; their final states."""
        states: list[str] = []
        while leases := self.take():
            states += [self.work(spark, leased) for leased in leases]
        return states

    def work(self, spark: SparkSession, leased: Lease) -> str:
        """The steps of one leased drive."""
        self.worked.append(str(leased.drive))
        area = WorkArea(ObjectStore.connect(), ObjectVersion.from_uri(leased.work))
        drive_input = self.drive_input(leased.drive, leased.revision)
        step = own_step(self.settings, area, drive_input)
        if inspect_drive(spark, step).inspection.verdict is GateVerdict.BUILD:
            build_drive(spark, step)
        audit_drive(step)
        report = json.loads(msgspec.json.encode(publish_drive(self.catalog, step, leased.generation)))
        publication = parse_result(report, PublicationSummary, "publish")
        quarantined = read_keys(ObjectStore.connect(), publication.quarantined_objects)
        return finish_drive(self.queue, self.ledger, leased, publication, drive_input, quarantined)

    def drive_input(self, drive: DriveId, revision: str) -> DriveInput:
        body = ObjectStore.connect().read(ObjectVersion(self.settings.lake_bucket, input_key(drive, revision)))
        return DriveInput.parse(body, revision)

    def drive(self, drive: DriveId) -> DriveRecord:
        found = self.ledger.drive(drive)
        assert found is not None
        return found

    def records(self, drive: DriveId | None = None) -> tuple[RecordRow, ...]:
        return lake_reader.records(self.catalog, drive)

    def scenes(self, drive: DriveId | None = None) -> list[dict[str, Any]]:
        rows = self.catalog.load_table("gold.scenes").scan().to_arrow().to_pylist()
        return [
            row for row in rows if drive is None or (row["vehicle_id"], row["drive_id"]) == (drive.vehicle_id, drive.drive_id)
        ]

    def audit(self) -> AuditResultDocument:
        sources = AuditSources(self.settings, self.s3, self.ledger, self.catalog)
        return Auditor(sources, self.ledger, None, "test").everything().result

    def check_balance(self) -> None:
        """P1, as `scenelake audit` computes it."""
        assert self.audit().failures == ()
