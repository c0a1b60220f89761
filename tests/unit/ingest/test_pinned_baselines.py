"""A drive pins the baseline of its vehicle when it is first queued and when it is reprocessed on purpose, and never otherwise."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import boto3
import pytest

from ingest.errors import StoreError
from ingest.handler import handle
from ingest.ledger.records import DriveRecord
from ingest.ledger.states import DriveState
from ingest.s3_objects import S3Objects
from lake.documents import MAX_BASELINE_BYTES
from lake.drive_input import DriveInput, InputObject, baseline_key, input_key
from lake.overrides import Override, Verdict, scene_target
from tests.unit.ingest.ingest_fakes import DRIVE, RAW, World, drive_files, s3_body

FILES = drive_files()
LAST = [key for key in FILES if "/lidar/" in key][-1]


def land(world: World) -> None:
    for key, body in FILES.items():
        world.objects.put(key, body)
        handle(json.loads(s3_body(key)), world.registrar(), RAW)


def seen(world: World) -> DriveRecord:
    found = world.ledger.drive(DRIVE)
    assert found is not None
    return found


def pinned(world: World) -> DriveInput:
    revision = seen(world).revision or ""
    return DriveInput.parse(world.objects.inputs[input_key(DRIVE, revision)], revision)


def baseline(body: bytes, number: int) -> InputObject:
    return InputObject(baseline_key(DRIVE.vehicle_id), f"b{number}", hashlib.sha256(body).hexdigest())


def published(*baselines: bytes) -> World:
    world = World()
    world.objects.baselines += baselines
    land(world)
    world.finish(DRIVE)
    return world


def test_the_newest_version_is_pinned_and_counts_in_the_revision() -> None:
    world, without = published(b"first", b"second"), published()
    assert pinned(world).baseline == seen(world).baseline == baseline(b"second", 2)
    assert pinned(without).baseline is None
    assert seen(world).revision != seen(without).revision
    assert pinned(world).base == pinned(without).base


def test_a_new_baseline_alone_makes_no_new_revision() -> None:
    world = published(b"first")
    world.objects.baselines.append(b"second")
    before = world.outcome()
    for key in FILES:  # every event once more, and a sweep
        handle(json.loads(s3_body(key)), world.registrar(), RAW)
    world.clock.advance(7200)
    world.sweep().run()
    assert world.outcome() == before
    assert len(world.queue.sent) == 1


def test_neither_does_the_first_baseline_of_a_vehicle() -> None:
    world = published()
    world.objects.baselines.append(b"first")
    land(world)  # the same bytes again: other versions, and so another revision, of the same content
    assert (seen(world).generation > 1, pinned(world).baseline) == (True, None)


def test_other_data_is_compared_with_what_the_drive_pinned_first() -> None:
    world = published(b"first")
    world.objects.baselines.append(b"second")
    world.objects.put(LAST, FILES[LAST][::-1])
    handle(json.loads(s3_body(LAST)), world.registrar(), RAW)
    assert (seen(world).generation, pinned(world).baseline) == (2, baseline(b"first", 1))


def test_reprocessing_pins_the_newest_and_keeps_decisions() -> None:
    world = published(b"first")
    override = Override(Verdict.REJECT, pinned(world).base, (scene_target(1),), ("SYN001",), "kim", "a parked car")
    world.desk().reject(DRIVE, seen(world).revision or "", [override])
    world.objects.baselines.append(b"second")
    record = world.desk().reprocess(DRIVE)
    assert (record.generation, record.baseline) == (2, baseline(b"second", 2))
    assert pinned(world).baseline == baseline(b"second", 2)
    assert pinned(world).overrides == {override.to_string()}
    world.finish(DRIVE, DriveState.PUBLISHED)
    assert world.registrar().evaluate(DRIVE).generation == 2, "evaluated again, it keeps what it pinned"


def test_a_release_keeps_the_baseline_that_the_reviewer_saw() -> None:
    world = published(b"first")
    world.objects.baselines.append(b"second")
    override = Override(Verdict.RELEASE, pinned(world).base, (scene_target(1),), ("SYN001",), "kim", "a parked car")
    world.desk().release(DRIVE, seen(world).revision or "", [override])
    assert (seen(world).generation, pinned(world).baseline) == (2, baseline(b"first", 1))


# ---- the adapter ----


@pytest.fixture
def s3(aws: None) -> Any:
    client = boto3.client("s3")
    for bucket in ("raw", "lake", "quarantine"):
        client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    return client


def test_a_vehicle_has_the_newest_version_or_none(s3: Any) -> None:
    objects, key = S3Objects(s3, "raw", "lake", "quarantine"), baseline_key("car-1")
    assert objects.baseline("car-1") is None
    for body in (b"first", b"second"):
        version = s3.put_object(Bucket="lake", Key=key, Body=body)["VersionId"]
    assert objects.baseline("car-1") == InputObject(key, version, hashlib.sha256(b"second").hexdigest())
    assert objects.baseline("car-2") is None
    s3.delete_object(Bucket="lake", Key=key)
    assert objects.baseline("car-1") is None


def test_one_that_is_too_large_is_an_error_and_not_read(s3: Any) -> None:
    objects, key = S3Objects(s3, "raw", "lake", "quarantine"), baseline_key("car-1")
    s3.put_object(Bucket="lake", Key=key, Body=b" " * MAX_BASELINE_BYTES)
    assert objects.baseline("car-1") is not None
    s3.put_object(Bucket="lake", Key=key, Body=b" " * (MAX_BASELINE_BYTES + 1))
    with pytest.raises(StoreError, match="exceeds"):
        objects.baseline("car-1")
