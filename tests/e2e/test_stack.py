"""A drive lands in S3 and ends as scenes, or in quarantine, exactly once: through all real components, whichever is killed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from fleet.importers.registry import IMPORTERS
from ingest.ledger.states import DriveState
from lake.landing import DriveId
from tests.integration.gold_batches import batch_identities
from tests.real_data import DATA

from .conftest import Deployed, Trio, eventually
from .stack import SCHEDULER, tries

# The first test also starts the stack and waits for three drives; a busy machine needs minutes for that.
pytestmark = pytest.mark.timeout(900)

Make = Callable[..., Path]


def rules(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(rule for row in rows for rule in row["rule_ids"])


def scene_ids(local: Deployed, drive: DriveId) -> list[str]:
    return sorted(row["scene_id"] for row in local.table("gold.scenes", drive))


def test_three_drives_at_once_end_where_they_belong(local: Deployed, trio: Trio) -> None:
    states = {drive: local.ledger.drive(drive).state for drive in (trio.clean, trio.damaged, trio.broken)}  # type: ignore[union-attr]
    assert set(states.values()) == {DriveState.PUBLISHED}
    scenes = local.table("gold.scenes", trio.clean)
    assert len(scenes) == 20
    assert all(len(scene["lidars"]) == 1 and len(scene["cameras"]) == 3 for scene in scenes if scene["complete"])
    assert all(scene["ego_pose"] is not None for scene in scenes)
    assert local.table("quarantine.records", trio.clean) == []

    check_damage(local, trio.damaged, trio.damaged_folder)
    gaps = [{gap["sensor"] for gap in scene["missing"]} for scene in local.table("gold.scenes", trio.damaged)]
    assert any("radar_front" in gap for gap in gaps), "scenes after the radar's death are kept, and say that it is missing"

    records = local.table("quarantine.records", trio.broken)
    objects = {row["sensor"]: row["rule_ids"] for row in records if row["level"] == "object"}
    assert set(objects) == {"camera_front_left", "radar_rear"}
    assert {"DEC001", "DEC002"} <= set(objects["camera_front_left"])
    assert objects["radar_rear"] == ["DEC001"]
    # Every scene lacks a required camera then, and the rig does not publish such scenes.
    assert {row["level"] for row in records} == {"object", "scene"}
    local.check_audit()


def check_damage(local: Deployed, drive: DriveId, folder: Path) -> None:
    """Each frame that the generator damaged is quarantined by its rule, or not matched; none is in gold."""
    faults = {fault["kind"]: fault for fault in json.loads((folder / "ground_truth" / "faults.json").read_text())}
    for kind, rule in (("cut_jpeg", "DEC005"), ("nan_points", "LID001")):
        bad = set(faults[kind]["stamps_ns"])
        frames = [row for row in local.table("gold.frames", drive) if row["sensor"] == faults[kind]["sensor"]]
        by_rule = {row["stamp_ns"] for row in frames if rule in (row["reason"] or "").split("+")}
        fates = Counter(
            (row["fate"], rule if row["stamp_ns"] in by_rule else row["reason"]) for row in frames if row["stamp_ns"] in bad
        )
        assert sum(fates.values()) == len(bad)
        assert set(fates) <= {("quarantined", rule), ("unmatched", "not_nearest"), ("unmatched", "no_anchor")}
        assert fates["quarantined", rule] >= 1
        records = [
            row for row in local.table("quarantine.records", drive) if row["level"] == "object" and rule in row["rule_ids"]
        ]
        assert {row["stamp_ns"] for row in records} <= bad
        assert len(records) == fates["quarantined", rule]
        assert by_rule <= bad, "the rule blames no frame that is sound"


def test_events_that_come_again_change_nothing(local: Deployed, trio: Trio) -> None:
    drive = trio.clean
    before = scene_ids(local, drive)
    generation = local.ledger.drive(drive).generation  # type: ignore[union-attr]
    keys = [entry.key for entry in local.ledger.objects(drive)]
    sqs = boto3.client("sqs")
    event = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "awsRegion": "us-east-1", "eventVersion": "2.1"}
    for key in [*keys, *reversed(keys)]:
        record = event | {"s3": {"bucket": {"name": local.settings.raw_bucket}, "object": {"key": key, "size": 1}}}
        sqs.send_message(QueueUrl=local.settings.object_events_url, MessageBody=json.dumps({"Records": [record]}))
    eventually(lambda: drained(local), "the repeated events are consumed")
    assert local.ledger.drive(drive).generation == generation  # type: ignore[union-attr]
    assert scene_ids(local, drive) == before
    local.check_audit()


def drained(local: Deployed) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    depth = boto3.client("sqs").get_queue_attributes(QueueUrl=local.settings.object_events_url, AttributeNames=names)
    return all(depth["Attributes"][name] == "0" for name in names)


def test_what_does_not_belong_is_refused_and_accounted_for(local: Deployed) -> None:
    client = local.s3
    names = ("e2e/strays/lidar/top/1750000000000000000.pkl", "no drive at all.txt", "e2e/strays/../../etc/passwd")
    for name in names:
        client.put_object(Bucket=local.settings.raw_bucket, Key=name, Body=b"\x80\x04never opened")
    refused = eventually(
        lambda: (found := {entry.head.key: entry for entry in local.ledger.refused()}).keys() >= set(names) and found,
        "the strays are refused",
    )
    for name in names:
        assert refused[name].rule_id == "KEY001"
        bucket, _, key = refused[name].payload_uri.removeprefix("s3://").partition("/")
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"\x80\x04never opened"
    eventually(lambda: drained(local), "no message stays behind")
    local.check_audit()


def test_a_drive_that_never_gets_complete_is_quarantined_when_overdue(local: Deployed, make: Make) -> None:
    without_manifest = local.send(make("no-manifest", "no_manifest"), check=False)
    without_object = local.send(make("absent", "absent_object:radar_rear"), check=False)
    assert local.wait(without_manifest).state == DriveState.QUARANTINED
    (record,) = [row for row in local.table("quarantine.records", without_manifest) if row["level"] == "drive"]
    assert "CMP002" in record["rule_ids"]
    assert local.wait(without_object).state == DriveState.PUBLISHED
    (record,) = local.table("quarantine.records", without_object)
    assert (record["rule_ids"], record["sensor"], record["frames"]) == (["CMP001"], "radar_rear", 0)
    assert len(scene_ids(local, without_object)) == 20
    local.check_audit()


def test_the_scheduler_is_killed_while_a_drive_is_in_work(local: Deployed, make: Make) -> None:
    drive = local.send(make("scheduler-dies"))
    eventually(lambda: local.stack.runs_job("inspect", drive), "inspect runs")
    local.stack.kill(SCHEDULER)
    local.stack.up()
    assert local.wait(drive).state == DriveState.PUBLISHED
    check_once(local, drive)


def test_the_spark_driver_is_killed_while_a_drive_is_in_work(local: Deployed, make: Make) -> None:
    drive = local.send(make("driver-dies"))
    eventually(lambda: local.stack.kill_job("build_scenes", drive), "build_scenes runs")
    assert local.wait(drive).state == DriveState.PUBLISHED
    api = local.stack.airflow()
    try:
        assert tries(api, "build_scenes", drive) >= 2, "the step was tried again after its driver was killed"
    finally:
        api.close()
    check_once(local, drive)


def check_once(local: Deployed, drive: DriveId) -> None:
    ids = scene_ids(local, drive)
    assert len(ids) == len(set(ids)) == 20
    table = local.deployment.catalog().load_table("gold.scenes")
    assert [entry["drive"] for entry in batch_identities(table)].count(str(drive)) == 1
    local.check_audit()


def test_a_new_version_of_an_object_makes_a_new_revision(local: Deployed, trio: Trio, make: Make) -> None:
    drive = trio.damaged
    first = local.ledger.drive(drive)
    assert rules(local.table("quarantine.records", drive))["DEC005"] >= 1
    whole = make("whole")
    sent = local.s3
    for path in sorted((whole / "camera" / "camera_front").glob("*.mcap")):
        key = f"{drive}/{path.relative_to(whole)}"
        sent.put_object(Bucket=local.settings.raw_bucket, Key=key, Body=path.read_bytes())
    renamed = (whole / "manifest.json").read_text().replace("e2e/whole/", f"{drive}/")
    by_key = {entry["key"]: entry for entry in json.loads(renamed)["objects"]}
    old = json.loads((trio.damaged_folder / "manifest.json").read_text())
    old["objects"] = [by_key[entry["key"]] if "camera_front/" in entry["key"] else entry for entry in old["objects"]]
    sent.put_object(Bucket=local.settings.raw_bucket, Key=drive.manifest_key, Body=json.dumps(old).encode())
    local.wait(drive)
    second = local.ledger.drive(drive)
    assert first is not None
    assert second is not None
    assert second.generation > first.generation
    assert second.revision != first.revision
    assert rules(local.table("quarantine.records", drive))["DEC005"] == 0
    assert {row["revision"] for row in local.table("gold.scenes", drive)} == {second.revision}
    local.check_audit()


def test_lineage_tells_of_every_step_and_its_parent(local: Deployed, trio: Trio) -> None:
    drive = trio.clean
    events = [json.loads(line) for line in local.stack.lineage().splitlines()]
    manifest = f"{drive}/manifest.json"
    ours = [
        event
        for event in events
        if event.get("job", {}).get("namespace") == "scenelake"
        and any(
            manifest == dataset["name"] or dataset["name"].endswith(str(drive))
            for dataset in event.get("inputs", []) + event.get("outputs", [])
        )
    ]
    assert {event["job"]["name"] for event in ours} >= {"inspect", "build_scenes", "audit"}
    for event in ours:
        parent = event["run"]["facets"]["parent"]
        assert parent["job"]["name"].startswith("process_drive.drive.")
        assert parent["root"]["job"]["name"] == "process_drive"
        assert event["job"]["facets"]["sourceCodeLocation"]["version"]
    (build,) = [event for event in ours if event["job"]["name"] == "build_scenes" and event["eventType"] == "COMPLETE"]
    assert build["run"]["facets"]["spark_properties"]["properties"]["spark.master"].startswith(local.stack.spark_master)


@pytest.mark.skipif(
    not DATA.is_dir(), reason=f"needs real recordings in {DATA} (SCENELAKE_TEST_DATA), not part of the repository"
)
@pytest.mark.parametrize(
    ("name", "folder", "scenes", "complete", "worst_camera_ms"),
    [("pandaset", "pandaset_002", 10, 10, 0.1), ("radiate", "radiate_tiny_foggy", 23, None, 33.4)],
)
def test_real_recordings_go_the_whole_way(
    local: Deployed, tmp_path: Path, name: str, folder: str, scenes: int, complete: int | None, worst_camera_ms: float
) -> None:
    imported = IMPORTERS[name](DATA / folder, tmp_path / "drive", name, folder.replace("_", "-"))
    drive = local.send(tmp_path / "drive")
    assert drive == imported.folder.drive
    assert local.wait(drive).state == DriveState.PUBLISHED
    rows = local.table("gold.scenes", drive)
    assert len(rows) == scenes
    if complete is not None:
        assert sum(row["complete"] for row in rows) == complete
    residuals = [abs(camera["residual_ns"]) for row in rows for camera in row["cameras"]]
    assert max(residuals) <= worst_camera_ms * 1e6
    local.check_audit()
