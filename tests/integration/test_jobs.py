"""The four jobs on a real Spark and a real S3 endpoint: all recorded data is published, quarantined or explained."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import spark_jobs.build_scenes
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.rows import CloudFrame, row_of
from lake.tables.scene_reader import scene_cloud
from scenes.plan.windows import Window, cut
from sensors.container.mcap import scan
from sensors.container.recorded import StoredMessage
from sensors.decode.messages import decode_image, decode_points
from sensors.rig import Rig
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings
from tests.integration.drives import Processed, process, small_drive

DRIVE = DriveId("car-1", "d-1")


@pytest.fixture(scope="module")
def spark(endpoint: str) -> Iterator[SparkSession]:
    session = start_spark(spark_properties("tests", SparkSettings.from_env()))
    yield session
    session.stop()


def raw_messages(folder: Path, sensor: str) -> dict[int, bytes]:
    """CDR bytes by stamp, read from the recording itself."""
    (path,) = folder.glob(f"*/{sensor}/*.mcap")
    with path.open("rb") as stream:
        messages = [bytes(item.data) for item in scan(stream) if isinstance(item, StoredMessage)]
    decode = decode_image if sensor.startswith("camera") else decode_points
    return {decode(message).stamp_ns: message for message in messages}


def test_a_clean_drive_is_published_with_the_bytes_that_were_recorded(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    folder = small_drive(tmp_path / "drive")
    done = process(spark, settings, folder, DRIVE)
    done.check_identity()
    assert done.published.outcome == "published"
    scenes = done.rows("gold.scenes")
    lidar, front = raw_messages(folder, "lidar_top"), raw_messages(folder, "camera_front")
    assert sorted(scene["anchor_ns"] for scene in scenes) == sorted(lidar)
    truth = pq.read_table(folder / "ground_truth" / "poses.parquet").to_pylist()
    poses = {row["stamp_ns"]: row for row in truth}
    for scene in scenes:
        (top,) = scene["lidars"]
        cloud = decode_points(lidar[top["stamp_ns"]])
        stored = scene_cloud(row_of(CloudFrame, top))
        assert stored is not None
        assert (stored.num_points, stored.fields) == (cloud.num_points, cloud.fields)
        for name in cloud.names:
            if top["reference_ns"] is None or name not in ("x", "y", "z"):
                np.testing.assert_array_equal(stored.column(name), cloud.column(name))
        images = {entry["sensor"]: entry for entry in scene["cameras"]}
        if "camera_front" in images:
            assert images["camera_front"]["image"] == bytes(decode_image(front[images["camera_front"]["stamp_ns"]]).data)
            assert (images["camera_front"]["width_px"], images["camera_front"]["height_px"]) == (160, 90)
        true_pose = poses[scene["anchor_ns"]]
        for axis in ("x_m", "y_m", "z_m"):
            assert scene["ego_pose"][axis] == pytest.approx(true_pose[axis], abs=1e-3)
    check_matches_by_brute_force(folder, scenes)


def check_matches_by_brute_force(folder: Path, scenes: list[dict[str, Any]]) -> None:
    import json

    rig = Rig.from_dict(json.loads((folder / "calibration.json").read_text()))
    for name in ("camera_front", "camera_front_left", "radar_front"):
        stamps = sorted(raw_messages(folder, name))
        sync = rig[name].sync
        for scene in scenes:
            target = scene["anchor_ns"] + sync.expected_delay_ns
            nearest = min(stamps, key=lambda stamp: (abs(stamp - target), stamp))
            found = [entry for entry in scene["cameras"] + scene["radars"] if entry["sensor"] == name]
            if abs(nearest - target) <= sync.tolerance_ns:
                assert [(entry["stamp_ns"], entry["offset_ns"], entry["residual_ns"]) for entry in found] == [
                    (nearest, nearest - scene["anchor_ns"], nearest - target)
                ]
            else:
                assert found == []


def test_sources_name_the_raw_versions_and_their_hashes(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    folder = small_drive(tmp_path / "drive")
    done = process(spark, settings, folder, DRIVE)
    store = ObjectStore.connect()
    sources = {tuple(source.values()) for scene in done.rows("gold.scenes") for source in scene["sources"]}
    assert {key.split("/")[3] for key, _, _ in sources} == {
        "pose",
        "lidar_top",
        "camera_front",
        "camera_front_left",
        "camera_front_right",
        "radar_front",
        "radar_rear",
    }
    for key, version_id, sha256 in sources:
        body = store.read(ObjectVersion(settings.raw_bucket, key, version_id))
        assert hashlib.sha256(body).hexdigest() == sha256
    assert {scene["revision"] for scene in done.rows("gold.scenes")} == {done.drive_input.revision}


def test_damaged_frames_are_quarantined_with_their_bytes_and_the_rest_goes_on(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    folder = small_drive(
        tmp_path / "drive", "cut_jpeg:camera_front:4,5", "nan_points:lidar_top:1.0:5", "dead_sensor:radar_front:0.5"
    )
    done = process(spark, settings, folder, DRIVE)
    done.check_identity()
    assert done.published.outcome == "published"
    cut = raw_messages_by_index(folder, "camera_front")
    store = ObjectStore.connect()
    damaged = done.records("DEC005")
    assert damaged, "two images of which at least one is nearest to an anchor were cut"
    for record in damaged:
        assert (record["level"], record["sensor"], record["frames"], record["status"]) == (
            "object",
            "camera_front",
            1,
            "quarantined",
        )
        assert store.read(ObjectVersion.from_uri(record["payload_uri"])) == cut[record["stamp_ns"]]
        assert record["source"]["key"].startswith("car-1/d-1/camera/camera_front/")
    (nan,) = [record for record in done.records("LID001") if record["level"] == "object"]
    assert nan["findings"][0]["measured"] == 1.0
    scenes = done.rows("gold.scenes")
    dead = [scene for scene in scenes if {"sensor": "radar_front", "reason": "outside_tolerance"} in scene["missing"]]
    assert dead, "the radar died, so late scenes must say that it is missing"
    assert all(not scene["complete"] for scene in dead)
    quarantined = [row for row in done.rows("quarantine.records") if row["level"] == "scene"]
    assert {"SYN001"} <= {rule for row in quarantined for rule in row["rule_ids"]}
    payload = pq.read_table(pytest_payload(store, quarantined[0]["payload_uri"]))
    assert quarantined[0]["anchor_ns"] in payload["anchor_ns"].to_pylist()
    assert not {scene["anchor_ns"] for scene in scenes} & {row["anchor_ns"] for row in quarantined}


def raw_messages_by_index(folder: Path, sensor: str) -> dict[int, bytes]:
    (path,) = folder.glob(f"*/{sensor}/*.mcap")
    with path.open("rb") as stream:
        messages = [bytes(item.data) for item in scan(stream) if isinstance(item, StoredMessage)]
    return {decode_image(message).stamp_ns: message for message in messages}


def pytest_payload(store: ObjectStore, uri: str) -> Any:
    import io

    return io.BytesIO(store.read(ObjectVersion.from_uri(uri)))


@pytest.mark.parametrize(
    ("fault", "sensor", "rule_id", "whole"),
    [
        ("truncate_object:camera_front_left:0.5", "camera_front_left", "DEC002", False),
        ("wrong_checksum:radar_rear", "radar_rear", "DEC001", True),
        ("empty_object:radar_rear", "radar_rear", "DEC003", False),
        ("absent_object:radar_rear", "radar_rear", "CMP001", False),
        ("unknown_message_type:radar_rear", "radar_rear", "DEC004", True),
    ],
)
def test_a_bad_object_is_quarantined_whole_and_the_drive_goes_on(
    spark: SparkSession, settings: Settings, tmp_path: Path, fault: str, sensor: str, rule_id: str, whole: bool
) -> None:
    folder = small_drive(tmp_path / "drive", fault)
    done = process(spark, settings, folder, DRIVE)
    done.check_identity()
    (record,) = [row for row in done.records(rule_id) if row["level"] == "object"]
    assert record["sensor"] == sensor
    frames = [row for row in done.rows("gold.frames") if row["sensor"] == sensor]
    assert {row["fate"] for row in frames} <= {"quarantined"}
    assert record["frames"] == len(frames)
    if whole:
        assert len(frames) > 10, "every frame of the object was read and is accounted for"
    if fault.startswith("absent"):
        assert record["payload_uri"] is None
    else:
        (path,) = folder.glob(f"*/{sensor}/*.mcap")
        assert ObjectStore.connect().read(ObjectVersion.from_uri(record["payload_uri"])) == path.read_bytes()


@pytest.mark.parametrize(
    ("fault", "rule_id"),
    [("no_manifest", "CMP002"), ("bad_calibration:lidar_top", "CAL001"), ("absent_object:lidar_top", "CMP003")],
)
def test_a_drive_that_fails_as_a_whole_is_quarantined_before_it_is_built(
    spark: SparkSession, settings: Settings, tmp_path: Path, fault: str, rule_id: str
) -> None:
    done = process(spark, settings, small_drive(tmp_path / "drive", fault), DRIVE)
    done.check_identity()
    assert done.published.outcome == "quarantined"
    assert done.rows("gold.scenes") == []
    assert {row["fate"] for row in done.rows("gold.frames")} == {"quarantined"}
    (record,) = [row for row in done.rows("quarantine.records") if row["level"] == "drive"]
    assert rule_id in record["rule_ids"]


def test_content_depends_neither_on_windows_nor_on_the_attempt(
    spark: SparkSession, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_drive(tmp_path / "drive")
    one = process(spark, settings, folder, DRIVE)

    def narrow(anchors_ns: Any, scene_bytes: Any) -> list[Window]:
        return cut(anchors_ns, scene_bytes, limit=100_000)

    monkeypatch.setattr(spark_jobs.build_scenes, "cut", narrow)
    many = process(spark, settings, folder, DRIVE, attempt="2", generation=2)
    assert len(many.audit.files["gold.scenes"]) > len(one.audit.files["gold.scenes"]) == 1
    assert content(many) == content(one)
    assert len(many.rows("gold.scenes")) == len(one.rows("gold.scenes")), "the new revision replaced the old one"


def content(done: Processed) -> list[dict[str, Any]]:
    """Scenes without values assigned by S3 (version ids, and the revision that hashes over those)."""
    scenes = sorted(done.rows("gold.scenes"), key=lambda scene: scene["scene_id"])
    for scene in scenes:
        del scene["revision"]
        for source in scene["sources"]:
            del source["version_id"]
    return scenes
