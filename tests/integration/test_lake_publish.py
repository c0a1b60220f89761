"""The commit fence on a real catalog and a real S3 endpoint: even with double or late runs, each scene is in gold once."""

from __future__ import annotations

import datetime
import threading
from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.errors import SupersededError
from lake.iceberg.catalog import AnyCatalog, open_catalog
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.creation import ensure_tables
from lake.tables.publish import Batch, PublishOutcome, publish
from lake.tables.rows import PublicationFacts
from lake.tables.schemas import FRAMES, PARTITIONS, PUBLISHED, SCENES, SORTING
from tests.integration.gold_batches import batch_identities

DAY = datetime.date(2024, 5, 1)
DRIVE = DriveId("car-1", "a-drive-with-a-name-longer-than-sixteen")


def scene(drive: DriveId, revision: str, anchor_ns: int) -> dict[str, Any]:
    return {
        "scene_id": f"{drive.vehicle_id}.{drive.drive_id}.{anchor_ns}",
        "vehicle_id": drive.vehicle_id,
        "drive_id": drive.drive_id,
        "revision": revision,
        "day": DAY,
        "anchor_sensor": "lidar",
        "anchor_ns": anchor_ns,
        "ego_pose": None,
        "complete": True,
        "missing": [],
        "quality_flags": [],
        "lidars": [
            {"sensor": "lidar", "stamp_ns": anchor_ns, "offset_ns": 0, "residual_ns": 0, "sweep": 0, "points": b"\x01\x02"}
        ],
        "cameras": [],
        "radars": [],
        "sources": [{"key": "k", "version_id": "v", "sha256": "s"}],
        "calibration": "{}",
        "code_version": "c",
        "config_hash": "h",
    }


def frame(drive: DriveId, revision: str, stamp_ns: int) -> dict[str, Any]:
    return {
        "vehicle_id": drive.vehicle_id,
        "drive_id": drive.drive_id,
        "revision": revision,
        "day": DAY,
        "sensor": "lidar",
        "modality": "lidar",
        "stamp_ns": stamp_ns,
        "key": "k",
        "chunk_offset": 0,
        "message_offset": 0,
        "fate": "gold",
        "reason": None,
        "scenes": 1,
    }


class Lake:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = ObjectStore.connect()
        self.files = 0

    def catalog(self) -> AnyCatalog:
        return open_catalog(self.settings)

    def put(self, table: str, rows: list[dict[str, Any]], schema: pa.Schema) -> str:
        self.files += 1
        target = ObjectVersion(self.settings.lake_bucket, f"warehouse/{table}/data/{self.files}.parquet")
        sink = pa.BufferOutputStream()
        bounded = [name for name in ("vehicle_id", "drive_id", "day", "anchor_ns", "stamp_ns") if name in schema.names]
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, write_statistics=bounded)
        self.store.put(target, memoryview(sink.getvalue()))
        return target.uri

    def batch(self, revision: str, generation: int, anchors: tuple[int, ...], drive: DriveId = DRIVE) -> Batch:
        return Batch(
            drive=drive,
            revision=revision,
            generation=generation,
            files={
                "gold.scenes": [self.put("scenes", [scene(drive, revision, anchor) for anchor in anchors], SCENES)],
                "gold.frames": [self.put("frames", [frame(drive, revision, anchor) for anchor in anchors], FRAMES)],
            },
            facts=PublicationFacts(verdict="publish", scenes=len(anchors), frames=len(anchors), records=0, code_version="c"),
        )

    def anchors(self, drive: DriveId = DRIVE) -> list[tuple[str, int]]:
        rows = self.catalog().load_table("gold.scenes").scan(row_filter=f"drive_id == '{drive.drive_id}'").to_arrow()
        return sorted(zip(rows["revision"].to_pylist(), rows["anchor_ns"].to_pylist(), strict=True))

    def frames(self) -> list[tuple[str, int]]:
        rows = self.catalog().load_table("gold.frames").scan().to_arrow()
        return sorted(zip(rows["revision"].to_pylist(), rows["stamp_ns"].to_pylist(), strict=True))


@pytest.fixture
def lake(settings: Settings) -> Lake:
    lake = Lake(settings)
    ensure_tables(lake.catalog())
    return lake


def test_a_batch_is_visible_in_all_tables_with_its_identity(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    publication = publish(lake.catalog(), lake.batch("r1", 1, (10, 20)))
    assert publication.outcome is PublishOutcome.PUBLISHED
    assert [record.message for record in caplog.records if record.name.startswith("pyiceberg")] == []
    assert lake.anchors() == [("r1", 10), ("r1", 20)]
    assert lake.frames() == [("r1", 10), ("r1", 20)]
    table = lake.catalog().load_table("gold.scenes")
    assert batch_identities(table) == [
        {"drive": str(DRIVE), "revision": "r1", "generation": "1", "snapshot_id": str(publication.row.scenes_snapshot_id)}
    ]
    assert table.scan(selected_fields=("lidars",)).to_arrow()["lidars"].to_pylist()[0][0]["points"] == b"\x01\x02"


def test_the_same_batch_again_adds_nothing(lake: Lake) -> None:
    first = publish(lake.catalog(), lake.batch("r1", 1, (10,)))
    again = publish(lake.catalog(), lake.batch("r1", 1, (10,)))
    assert (again.outcome, again.row) == (PublishOutcome.ALREADY, msgspec.structs.replace(first.row, files=None))
    assert lake.anchors() == [("r1", 10)]


def test_a_new_revision_replaces_the_earlier_one_and_leaves_other_drives_alone(lake: Lake) -> None:
    other = replace(DRIVE, drive_id="another")
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20)))
    publish(lake.catalog(), lake.batch("x1", 1, (10,), other))
    publish(lake.catalog(), lake.batch("r2", 2, (20, 30)))
    assert lake.anchors() == [("r2", 20), ("r2", 30)]
    assert lake.anchors(other) == [("x1", 10)]
    assert lake.frames() == [("r2", 20), ("r2", 30), ("x1", 10)]


def test_an_older_generation_that_outlived_its_lease_is_refused(lake: Lake) -> None:
    late = lake.batch("r1", 1, (10,))
    publish(lake.catalog(), lake.batch("r2", 2, (20,)))
    with pytest.raises(SupersededError, match="generation 2 has been published") as caught:
        publish(lake.catalog(), late)
    assert caught.value.generation == 2
    assert lake.anchors() == [("r2", 20)]


def roll_back(catalog: AnyCatalog, to: dict[str, int]) -> None:
    """The undo of Iceberg: the tables are what they were at these snapshots; later ones stay in the metadata."""
    for name, snapshot_id in to.items():
        catalog.load_table(name).manage_snapshots().rollback_to_snapshot(snapshot_id).commit()


def test_what_a_rollback_took_out_can_be_published_again(lake: Lake) -> None:
    names = tuple(PUBLISHED)
    publish(lake.catalog(), lake.batch("r1", 1, (10,)))
    current = {name: lake.catalog().load_table(name).current_snapshot() for name in names}
    before = {name: snapshot.snapshot_id for name, snapshot in current.items() if snapshot is not None}
    publish(lake.catalog(), lake.batch("r2", 2, (20, 30)))
    roll_back(lake.catalog(), before)
    assert lake.anchors() == [("r1", 10)]
    again = publish(lake.catalog(), lake.batch("r2", 2, (20, 30)))
    assert again.outcome is PublishOutcome.PUBLISHED
    assert lake.anchors() == lake.frames() == [("r2", 20), ("r2", 30)]
    assert publish(lake.catalog(), lake.batch("r2", 2, (20, 30))).outcome is PublishOutcome.ALREADY


def test_a_batch_that_was_there_answers_with_what_it_was_committed_with(lake: Lake) -> None:
    first = lake.batch("r1", 1, (10,))
    assert publish(lake.catalog(), first).row.verdict == "publish"
    again = publish(lake.catalog(), replace(first, facts=msgspec.structs.replace(first.facts, verdict="quarantine")))
    assert (again.outcome, again.row.verdict) == (PublishOutcome.ALREADY, "publish")


def test_publishers_that_race_end_as_one_clean_run(lake: Lake) -> None:
    drives = [replace(DRIVE, drive_id=f"drive-{number}") for number in range(3)]
    batches = [lake.batch(f"r-{drive.drive_id}", 1, (10, 20), drive) for drive in drives for _ in range(2)]
    outcomes: list[PublishOutcome] = []
    threads = [threading.Thread(target=lambda b=batch: outcomes.append(publish(lake.catalog(), b).outcome)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert sorted(outcomes) == sorted([PublishOutcome.PUBLISHED] * 3 + [PublishOutcome.ALREADY] * 3)
    for drive in drives:
        assert lake.anchors(drive) == [(f"r-{drive.drive_id}", 10), (f"r-{drive.drive_id}", 20)]


def test_a_commit_that_dies_between_two_tables_leaves_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    move = LakeCatalog._move_pointer

    def die_at_second(self: LakeCatalog, *arguments: Any) -> None:
        if moved:
            raise ConnectionError("killed")
        moved.append("one")
        move(self, *arguments)

    batch = lake.batch("r1", 1, (10,))
    with monkeypatch.context() as patch:
        patch.setattr(LakeCatalog, "_move_pointer", die_at_second)
        with pytest.raises(ConnectionError):
            publish(lake.catalog(), batch)
    assert lake.anchors() == []
    assert lake.frames() == []
    assert publish(lake.catalog(), batch).outcome is PublishOutcome.PUBLISHED
    assert lake.anchors() == lake.frames() == [("r1", 10)]


def test_a_drive_without_a_scene_still_leaves_its_identity(lake: Lake) -> None:
    nothing = PublicationFacts(verdict="quarantine", scenes=0, frames=0, records=0)
    batch = replace(lake.batch("r1", 1, (10,)), files={}, facts=nothing)
    assert publish(lake.catalog(), batch).outcome is PublishOutcome.PUBLISHED
    assert publish(lake.catalog(), batch).outcome is PublishOutcome.ALREADY
    assert lake.anchors() == []


def test_schemas_of_the_tables_are_those_of_the_contract(lake: Lake) -> None:
    for name, schema in PUBLISHED.items():
        table = lake.catalog().load_table(name)
        assert [field.name for field in table.schema().fields] == schema.names
        assert [field.required for field in table.schema().fields] == [not field.nullable for field in schema]
        spec, order = table.spec().fields, table.sort_order().fields
        assert tuple(field.name for field in spec) == PARTITIONS[name]
        assert tuple(table.schema().find_column_name(field.source_id) for field in order) == SORTING[name]
