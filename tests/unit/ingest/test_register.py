from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ingest.errors import ContentionError
from ingest.handler import handle
from ingest.ledger.records import DriveRecord, ObjectHead, ObjectRecord
from ingest.ledger.states import DriveState
from ingest.ledger.work_message import DriveWork, WorkReason
from ingest.retries import CONTENTION_ATTEMPTS
from lake.drive_input import DriveInput, input_key
from lake.landing import DriveId
from tests.unit.ingest.ingest_fakes import DRIVE, RAW, FakeLedger, World, drive_files, s3_body, sqs_event

FILES = drive_files()
SENSOR_KEYS = [key for key in FILES if key.endswith(".mcap")]


def land(world: World, *keys: str, files: dict[str, bytes] | None = None) -> None:
    """Put the files and handle one event for each, in this order."""
    for key in keys:
        world.objects.put(key, (files or FILES)[key])
        assert handle(json.loads(s3_body(key)), world.registrar(), RAW) == {"batchItemFailures": []}


def record(world: World, drive: DriveId = DRIVE) -> DriveRecord:
    found = world.ledger.drive(drive)
    assert found is not None
    return found


def test_a_drive_is_queued_once_when_the_last_object_is_there() -> None:
    world = World()
    land(world, *list(FILES)[:-1])
    assert record(world).state is DriveState.LANDING
    assert world.queue.sent == []
    land(world, DRIVE.manifest_key)
    queued = record(world)
    assert (queued.state, queued.generation, queued.reason, queued.settling, queued.unsent) == (
        DriveState.QUEUED, 1, WorkReason.COMPLETE, False, False,
    )  # fmt: skip
    assert queued.revision is not None
    assert world.queue.sent == [DriveWork(DRIVE, queued.revision, WorkReason.COMPLETE)]


def test_the_kept_input_names_exactly_the_versions_and_hashes() -> None:
    world = World()
    land(world, *FILES)
    [(key, body)] = world.objects.inputs.items()
    revision = record(world).revision
    assert revision is not None
    found = DriveInput.parse(body, revision)
    assert key == input_key(DRIVE, revision)
    assert {entry.key for entry in found.objects} == set(SENSOR_KEYS)
    manifest = json.loads(FILES[DRIVE.manifest_key])
    declared = {entry["key"]: entry["sha256"] for entry in manifest["objects"]}
    assert {entry.key: entry.sha256 for entry in found.objects} == declared
    assert found.calibration is not None
    assert found.calibration.sha256 == manifest["calibration_sha256"]
    for entry in (*found.objects, found.calibration, found.manifest):
        assert entry is not None
        head = world.objects.head(entry.key)
        assert head is not None
        assert entry.version_id == head.version_id


def test_duplicates_change_nothing() -> None:
    world = World()
    land(world, *FILES)
    before = world.outcome()
    for key in FILES:
        handle(sqs_event({"a": s3_body(key), "b": s3_body(key, key)}), world.registrar(), RAW)
    assert world.outcome() == before
    assert len(world.queue.sent) == 1


def test_a_new_version_after_publishing_is_a_new_revision() -> None:
    world = World()
    land(world, *FILES)
    first = record(world)
    world.finish(DRIVE)
    key = SENSOR_KEYS[0]
    land(world, key, files={key: FILES[key].swapcase()})  # equal size: complete at once
    second = record(world)
    assert (second.state, second.generation, second.reason) == (DriveState.QUEUED, 2, WorkReason.REPROCESS)
    assert second.revision != first.revision
    assert [work.revision for work in world.queue.sent] == [first.revision, second.revision]


def test_a_new_version_of_another_size_waits_for_its_manifest_and_is_found_when_overdue() -> None:
    world = World()
    land(world, *FILES)
    world.finish(DRIVE)
    key = SENSOR_KEYS[0]
    land(world, key, files={key: b"longer than before, by far"})
    assert (record(world).state, record(world).settling) == (DriveState.PUBLISHED, True)
    world.clock.advance(world.limits.overdue_after_s + 1)
    assert world.sweep().run().evaluated == 1
    assert (record(world).state, record(world).generation, record(world).reason) == (DriveState.QUEUED, 2, WorkReason.OVERDUE)


def test_an_event_for_an_object_that_is_not_there_yet_is_passed_over() -> None:
    world = World()
    assert handle(sqs_event({"early": s3_body(SENSOR_KEYS[0])}), world.registrar(), RAW) == {"batchItemFailures": []}
    assert world.ledger.drive(DRIVE) is None
    land(world, *FILES)
    assert record(world).state is DriveState.QUEUED


@pytest.mark.parametrize(
    "manifest",
    [b"not json", b"{}", b"", drive_files(DriveId("car-2", "other"))[DriveId("car-2", "other").manifest_key]],
    ids=["no-json", "no-schema", "empty", "of-another-drive"],
)
def test_an_unusable_manifest_queues_the_drive_with_its_fault(manifest: bytes) -> None:
    world = World()
    files = FILES | {DRIVE.manifest_key: manifest}
    land(world, *FILES, files=files)
    found = record(world)
    assert (found.state, found.generation, found.reason) == (DriveState.QUEUED, 1, WorkReason.COMPLETE)
    assert found.manifest_fault
    assert [work.revision for work in world.queue.sent] == [found.revision]
    repaired = FILES
    land(world, DRIVE.manifest_key, files=repaired)
    assert (record(world).generation, record(world).manifest_fault, record(world).reason) == (2, None, WorkReason.REPROCESS)


def test_a_manifest_whose_version_is_gone_is_a_fault_of_the_drive() -> None:
    world = World()
    files = drive_files(sensor_objects=1)
    for key, body in files.items():
        world.objects.put(key, body)
        world.registrar().register(key)
    world.objects.versions[DRIVE.manifest_key].clear()
    found = world.registrar().evaluate(DRIVE)
    assert (found.state, found.reason) == (DriveState.QUEUED, WorkReason.COMPLETE)
    assert found.manifest_fault is not None
    assert "no version" in found.manifest_fault


def test_objects_after_an_unusable_manifest_wait_until_overdue() -> None:
    world = World()
    files = FILES | {DRIVE.manifest_key: b"{}"}
    land(world, *reversed(FILES), files=files)
    assert record(world).generation == 1
    assert record(world).settling
    world.clock.advance(world.limits.overdue_after_s + 1)
    world.sweep().run()
    found = record(world)
    assert (found.generation, found.reason, found.settling) == (2, WorkReason.OVERDUE, False)
    assert found.revision is not None
    body = world.objects.inputs[input_key(DRIVE, found.revision)]
    assert {entry.key for entry in DriveInput.parse(body, found.revision).objects} == set(SENSOR_KEYS)


def test_a_manifest_above_the_limit_is_not_read() -> None:
    world = World()
    land(world, *list(FILES)[:-1])
    head = world.objects.put(DRIVE.manifest_key, FILES[DRIVE.manifest_key])
    world.objects.versions[DRIVE.manifest_key] = [(replace(head, size_bytes=64 * 1024 * 1024 + 1), b"unread")]
    handle(json.loads(s3_body(DRIVE.manifest_key)), world.registrar(), RAW)
    fault = record(world).manifest_fault
    assert fault is not None
    assert "exceeds" in fault


@pytest.mark.parametrize(
    "key",
    [f"{DRIVE}/model.pkl", "manifest.json", f"{DRIVE}/lidar/lidar_top/1.mcap", "Ünï code/+ %41", f"{DRIVE}/", "a" * 1024],
)
def test_an_object_outside_the_layout_is_kept_apart_unopened(key: str) -> None:
    world = World()
    land(world, *FILES)
    before = record(world)
    head = world.objects.put(key, b"\x80\x04.")
    for _ in range(3):
        assert handle(sqs_event({"m": s3_body(key)}), world.registrar(), RAW) == {"batchItemFailures": []}
    [refused] = world.ledger.refused_items.values()
    assert (refused.head, refused.rule_id) == (head, "KEY001")
    assert refused.message.endswith("VEHICLE/DRIVE/manifest.json")
    assert len(refused.message) <= 500
    assert list(world.objects.refused) == [refused.payload_uri]
    assert record(world) == before


def test_another_version_of_a_refused_object_is_refused_too() -> None:
    world = World()
    key = f"{DRIVE}/model.pkl"
    for body in (b"1", b"2"):
        world.objects.put(key, body)
        handle(json.loads(s3_body(key)), world.registrar(), RAW)
    assert len(world.ledger.refused_items) == 2


class RacingLedger(FakeLedger):
    """Between a registrar's read and its write, others register `races` more versions."""

    races = 0

    def objects(self, drive: DriveId) -> list[ObjectRecord]:
        found = super().objects(drive)
        if self.races:
            self.races -= 1
            self.touch(drive)
        return found


def test_a_stale_snapshot_cannot_be_queued() -> None:
    world = World()
    world.ledger = RacingLedger(world.clock)
    land(world, *list(FILES)[:-1])
    world.ledger.races = 5
    land(world, DRIVE.manifest_key)
    assert len(world.queue.sent) == 1
    assert record(world).generation == 1
    assert len(world.sleeps) == 5
    world.ledger.races = 1000
    world.ledger.touch(DRIVE)
    with pytest.raises(ContentionError, match=f"{DRIVE} kept changing while it was being evaluated"):
        world.registrar().evaluate(DRIVE)
    assert 1000 - world.ledger.races == CONTENTION_ATTEMPTS


def test_an_object_that_others_keep_replacing_is_contention() -> None:
    world = World()

    class Lost(FakeLedger):
        def put_object(self, *_: object) -> bool:
            return False

    world.ledger = Lost(world.clock)
    world.objects.put(SENSOR_KEYS[0], b"one")
    with pytest.raises(ContentionError, match=f"{SENSOR_KEYS[0]}' kept changing while it was being registered"):
        world.registrar().register(SENSOR_KEYS[0])
    assert len(world.sleeps) == CONTENTION_ATTEMPTS - 1


class NewerMeanwhile(FakeLedger):
    """Another handler registers version 2 just before the first one writes version 1."""

    rival: ObjectHead | None = None

    def put_object(self, drive: DriveId, head: ObjectHead, previous: ObjectRecord | None) -> bool:
        if self.rival is not None:
            rival, self.rival = self.rival, None
            assert super().put_object(drive, rival, previous)
        return super().put_object(drive, head, previous)


def test_an_older_observation_never_overwrites_a_newer_one() -> None:
    world = World()
    key = SENSOR_KEYS[0]
    ledger = NewerMeanwhile(world.clock)
    world.ledger = ledger
    world.objects.put(key, b"one")
    registrar = world.registrar()
    seen_by_rival = world.objects.put(key, b"two")
    [(first, body), second] = world.objects.versions[key]
    world.objects.versions[key] = [(first, body)]
    ledger.rival = seen_by_rival

    original = world.objects.head

    def head_then_upload(name: str) -> ObjectHead | None:
        found = original(name)
        world.objects.versions[key] = [(first, body), second]
        return found

    world.objects.head = head_then_upload  # type: ignore[method-assign]
    assert registrar.register(key) == DRIVE
    registered = ledger.object_of(DRIVE, key)
    assert registered is not None
    assert registered.version_id == seen_by_rival.version_id
