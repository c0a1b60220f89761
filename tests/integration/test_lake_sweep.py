"""Tags, expiry and the sweep on a real catalog and a versioned S3 endpoint: what is deleted is gone in every version."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

from lake.errors import LakeError
from lake.iceberg.catalog import open_catalog
from lake.landing import DriveId
from lake.maintenance.expire import ExpirePolicy, expire
from lake.maintenance.judgement import DriveProgress
from lake.maintenance.sweep import SweepPolicy, sweep
from lake.maintenance.sweep_report import LakeSweepReport
from lake.maintenance.swept_buckets import UnfinishedUpload
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.creation import ensure_tables
from lake.tables.publish import Batch, publish
from lake.tables.rows import PublicationFacts
from lake.tables.schemas import FRAMES, SCENES
from lake.versions.moments import load_together, resolve
from lake.versions.tags import create_tag
from ops.maintenance.deployed import swept_lake
from ops.maintenance.swept_bucket import SweptBucket
from tests.unit.lake.tables.fence_lake import frame, scene

DRIVE = DriveId("car-1", "drive-a")
DAY_NS = 86400 * 10**9
NOW = ExpirePolicy(max_age_s=0, keep_last=1)
LATER_NS = 10 * DAY_NS


class Finished:
    def of(self, drive: DriveId) -> DriveProgress:
        return DriveProgress(True, None)


class Lake:
    def __init__(self, settings: Settings) -> None:
        self.settings, self.catalog, self.store = settings, open_catalog(settings), ObjectStore.connect()
        self.s3 = boto3.client("s3")
        ensure_tables(self.catalog)
        self.files = 0

    def put(self, table: str, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> str:
        self.files += 1
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink, write_statistics=["vehicle_id", "drive_id", "day"])
        key = f"warehouse/{table.replace('.', '/')}/data/{DRIVE}/{self.files}.parquet"
        target = ObjectVersion(self.settings.lake_bucket, key)
        self.store.put(target, sink.getvalue().to_pybytes())
        return target.uri

    def publish(self, revision: str, generation: int, anchors: Sequence[int]) -> None:
        files = {
            "gold.scenes": [self.put("gold.scenes", [scene(DRIVE, revision, one) for one in anchors], SCENES)],
            "gold.frames": [self.put("gold.frames", [frame(DRIVE, revision, one) for one in anchors], FRAMES)],
        }
        facts = PublicationFacts(verdict="publish", scenes=len(anchors), frames=len(anchors), records=0)
        publish(self.catalog, Batch(DRIVE, revision, generation, files, facts))

    def versions(self, bucket: str | None = None) -> dict[str, int]:
        """Versions and delete markers by key."""
        found: dict[str, int] = {}
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket or self.settings.lake_bucket):
            for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                found[entry["Key"]] = found.get(entry["Key"], 0) + 1
        return found

    def sweep(self, now_ns: int) -> LakeSweepReport:
        """As of a time at which the tables have just changed."""
        swept = dataclasses.replace(swept_lake(self.settings), catalog=Changed(self.catalog, now_ns), attempts=Finished())
        return sweep(swept, SweepPolicy(), apply=True, clock=lambda: now_ns)


class Changed:
    """The catalog as it will be when every table has changed at a later time."""

    def __init__(self, inner: Any, now_ns: int) -> None:
        self._inner, self._now_ns = inner, now_ns
        self.commit_together = inner.commit_together

    def load_table(self, name: str) -> Any:
        table = self._inner.load_table(name)
        table.metadata = table.metadata.model_copy(update={"last_updated_ms": self._now_ns // 10**6})
        return table


@pytest.fixture
def lake(settings: Settings) -> Iterator[Lake]:
    yield Lake(settings)


def test_expired_files_leave_no_version_behind_and_pinned_ones_read_on(lake: Lake) -> None:
    lake.publish("r1", 1, (10, 20))
    create_tag(lake.catalog, "run-1")
    lake.publish("r2", 2, (30,))
    lake.publish("r3", 3, (40,))
    rewritten = f"warehouse/gold/scenes/data/{DRIVE}/3.parquet"
    lake.store.put(ObjectVersion(lake.settings.lake_bucket, rewritten), b"a second version")
    lake.store.delete(ObjectVersion(lake.settings.lake_bucket, rewritten))
    assert lake.versions()[rewritten] == 3
    expire(lake.catalog, NOW, apply=True)
    before = lake.versions()
    later = time.time_ns() + LATER_NS
    assert lake.sweep(later).candidates.objects > 3
    assert lake.versions().keys() >= before.keys()
    report = lake.sweep(later + DAY_NS)
    left = lake.versions()
    assert report.deleted.objects > 3
    assert rewritten not in left
    assert {key for key in left if f"data/{DRIVE}" in key and "gold/drives" not in key} == {
        f"warehouse/gold/{table}/data/{DRIVE}/{number}.parquet" for table, number in
        (("scenes", 1), ("frames", 2), ("scenes", 5), ("frames", 6))
    }  # fmt: skip
    tables = load_together(lake.catalog)
    pinned = tables["gold.scenes"].scan(snapshot_id=resolve(tables, "run-1").of("gold.scenes")).to_arrow()
    assert sorted(pinned["anchor_ns"].to_pylist()) == [10, 20]
    assert tables["gold.scenes"].scan().to_arrow()["anchor_ns"].to_pylist() == [40]
    lake.publish("r4", 4, (50,))


def test_a_bucket_lists_versions_in_key_order_the_latest_first(lake: Lake) -> None:
    bucket = lake.settings.quarantine_bucket
    keys = ["scenes/b", "scenes/a", "scenes/a/1", "scenes/\u00e9", "scenes/a.b"]
    for body in (b"1", b"22"):
        for key in keys:
            lake.s3.put_object(Bucket=bucket, Key=key, Body=body)
    lake.s3.delete_object(Bucket=bucket, Key="scenes/b")
    found = list(SweptBucket(lake.s3, bucket).keys("scenes/"))
    assert [one.key for one in found] == sorted(keys)
    by_key = {one.key: one.entries for one in found}
    assert [entry.bytes for entry in by_key["scenes/a"]] == [2, 1]
    assert [entry.is_marker for entry in by_key["scenes/b"]] == [True, False, False]
    assert abs(by_key["scenes/a"][0].modified_ns - time.time_ns()) < 60 * 10**9


def test_deleting_versions_again_is_no_error_and_a_missing_bucket_is(lake: Lake) -> None:
    bucket = SweptBucket(lake.s3, lake.settings.quarantine_bucket)
    version = lake.s3.put_object(Bucket=bucket.name, Key="scenes/a", Body=b"1")["VersionId"]
    for _ in range(2):
        bucket.delete([("scenes/a", version)])
    assert list(bucket.keys("")) == []
    missing = SweptBucket(lake.s3, "no-such-bucket-at-all")
    for call in (lambda: list(missing.keys("")), lambda: missing.delete([("a", "b")]), lambda: list(missing.uploads())):
        with pytest.raises(LakeError, match="no-such-bucket-at-all"):
            call()


def test_an_upload_that_was_left_is_found_and_aborted(lake: Lake) -> None:
    bucket = SweptBucket(lake.s3, lake.settings.lake_bucket)
    begun = lake.s3.create_multipart_upload(Bucket=bucket.name, Key="warehouse/big")["UploadId"]
    lake.s3.upload_part(Bucket=bucket.name, Key="warehouse/big", UploadId=begun, PartNumber=1, Body=b"x")
    (upload,) = bucket.uploads()
    assert (upload.key, upload.upload_id) == ("warehouse/big", begun)
    lake.sweep(time.time_ns() + LATER_NS)
    assert list(bucket.uploads()) == []
    bucket.abort(UnfinishedUpload(bucket.name, upload.key, upload.upload_id, 0))
    with pytest.raises(ClientError):
        lake.s3.list_parts(Bucket=bucket.name, Key="warehouse/big", UploadId=begun)
