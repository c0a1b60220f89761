"""The audit of the whole lake on Spark: the same answer as in one process, for a lake with every fault and for a sound one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
import msgspec
import pytest
from pyspark.sql import SparkSession

import ops.audit.run
import spark_jobs.audit_lake
from bench.folder_settings import SETTINGS
from bench.lake_audit.lake import SmallLake
from ingest.ledger.repository import Ledger
from lake.landing import DriveId
from lake.storage import ObjectStore
from ops.audit.run import Auditor
from scenes.accounting.tally import AuditResultDocument, read_result
from scenes.accounting.watermark import WatermarkStore
from spark_jobs.audit_lake import main
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings
from tests.unit.localstack.stack_tools import table_arguments
from tests.unit.scenes.accounting.lake_faults import DAY, FAULTS, STRAY, refuse

SECRET = "a secret of auditors"
LATER_NS = 3600 * 10**9
DRIVES = {name: DriveId("car-1", f"d-{number:02d}") for number, name in enumerate(FAULTS)}


@pytest.fixture(scope="module")
def spark(endpoint: str) -> Iterator[SparkSession]:
    session = start_spark(spark_properties("tests", SparkSettings.from_env()))
    yield session
    session.stop()


@pytest.fixture
def lake(endpoint: str, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> SmallLake:
    """A sound lake; the job's environment leads to it, and its Spark is the module's."""
    s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
    for bucket in (SETTINGS.raw_bucket, SETTINGS.lake_bucket, SETTINGS.quarantine_bucket):
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    dynamodb.create_table(**table_arguments())
    for name in ("raw_bucket", "lake_bucket", "quarantine_bucket", "object_events_url", "drive_work_url"):
        monkeypatch.setenv(f"SCENELAKE_{name.upper()}", getattr(SETTINGS, name))
    monkeypatch.setenv("SCENELAKE_LEDGER_TABLE", table_arguments()["TableName"])
    monkeypatch.setenv("SCENELAKE_CATALOG_URI", f"sqlite:///{tmp_path}/catalog.db")
    monkeypatch.setenv("SCENELAKE_AUDIT_KEY", SECRET)

    @contextmanager
    def session(properties: Mapping[str, str]) -> Iterator[SparkSession]:
        yield spark

    monkeypatch.setattr(spark_jobs.audit_lake, "spark_session", session)
    monkeypatch.setattr(spark_jobs.audit_lake, "GROUP", 4)  # several tasks
    for module in (spark_jobs.audit_lake, ops.audit.run):
        monkeypatch.setattr(module, "begin_ns", lambda: time.time_ns() + LATER_NS)
    made = SmallLake(tmp_path, s3, Ledger(dynamodb, table_arguments()["TableName"]))
    for drive in DRIVES.values():
        made.add(drive, DAY)
    refuse(made, STRAY)
    return made


def run(folder: Path) -> tuple[int, AuditResultDocument]:
    status = main(["--result", str(folder / "result.json"), "--signed-by", "ada"])
    return status, read_result((folder / "result.json").read_bytes())


def in_one_process(lake: SmallLake) -> AuditResultDocument:
    return Auditor(lake.sources, lake.ledger, None, "test").everything().result


def timeless(result: AuditResultDocument) -> AuditResultDocument:
    return msgspec.structs.replace(result, as_of_ns=0)


def test_spark_says_what_one_process_says(lake: SmallLake, tmp_path: Path) -> None:
    watermarks = WatermarkStore(ObjectStore(lake.s3), SETTINGS.lake_bucket, SECRET)
    status, sound = run(tmp_path)
    assert (status, sound.balanced, sound.drives) == (0, True, len(DRIVES))
    assert timeless(sound) == timeless(in_one_process(lake))
    signed = watermarks.read()
    assert signed is not None and (signed.signed_by, signed.as_of_ns, signed.drives) == ("ada", sound.as_of_ns, len(DRIVES))

    for name, fault in FAULTS.items():
        fault.do(lake, DRIVES[name])
    status, faulty = run(tmp_path)
    assert status == 1 and faulty.unbalanced_drives >= len(FAULTS) - 3
    assert timeless(faulty) == timeless(in_one_process(lake))
    assert watermarks.read() == signed, "what does not balance is not signed off"
    stored = sorted(ObjectStore(lake.s3).list(SETTINGS.lake_bucket, "audit/results/"))
    assert stored == [f"audit/results/{one.as_of_ns}.json" for one in (sound, faulty)]
