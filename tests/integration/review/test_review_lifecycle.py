"""Quarantine and back: a drive with faults, one scene released, another rejected, frames, objects and drives too."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from ingest.errors import DecidedError, DriveBusyError
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import WorkReason
from lake.landing import DriveId
from lake.overrides import Override, Verdict
from lake.tables.rows import RecordRow
from quality.decisions import error_rules, overrides_for, why_not_releasable
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings
from tests.integration.drives import small_drive
from tests.integration.station import Station
from tests.unit.localstack.stack_tools import provision

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")  # moto, of types that its CloudFormation lacks

DRIVE, OTHER = DriveId("car-1", "d-1"), DriveId("car-1", "d-2")
names = (f"review-{uuid.uuid4().hex[:8]}" for _ in itertools.count())


@pytest.fixture(scope="module")
def spark(endpoint: str) -> Iterator[SparkSession]:
    session = start_spark(spark_properties("tests", SparkSettings.from_env()))
    yield session
    session.stop()


@pytest.fixture
def station(endpoint: str, tmp_path: Path) -> Station:
    variables = dict(provision.provision(endpoint, next(names), "us-east-1").variables)
    return Station({**variables, "SCENELAKE_CATALOG_URI": f"sqlite:///{tmp_path}/catalog.db"})


def overrides(verdict: Verdict, *rows: RecordRow) -> list[Override]:
    return overrides_for(rows, verdict, "alice", "the sensor was covered on purpose")


def release(station: Station, *rows: RecordRow) -> Any:
    assert [why_not_releasable(row) for row in rows] == [None] * len(rows)
    return station.desk.release(rows[0].drive, rows[0].revision, overrides(Verdict.RELEASE, *rows))


def reject(station: Station, row: RecordRow) -> Any:
    return station.desk.reject(row.drive, row.revision, overrides(Verdict.REJECT, row))


def by_level(station: Station, level: str, drive: DriveId = DRIVE) -> list[RecordRow]:
    return [row for row in station.records(drive) if row.level == level]


def test_a_scene_comes_back_another_never_does(spark: SparkSession, station: Station, tmp_path: Path) -> None:
    # A required camera dies half-way: every scene after that lacks it.
    station.land(small_drive(tmp_path / "one", "dead_sensor:camera_front:0.8"), DRIVE)
    station.land(small_drive(tmp_path / "two", drive_id="d-2"), OTHER)
    assert station.run(spark) == ["published", "published"]
    station.check_balance()
    scenes = by_level(station, "scene")
    assert len(scenes) > 3
    assert {row.status for row in scenes} == {"quarantined"}
    gold = {row["scene_id"] for row in station.scenes(DRIVE)}
    untouched = station.scenes(OTHER)
    first, second, *rest = scenes

    reject(station, second)
    station.check_balance()
    assert station.drive(DRIVE).state is DriveState.PUBLISHED
    with pytest.raises(DecidedError):
        release(station, first, second)
    queued = release(station, first)
    assert (queued.reason, queued.generation) == (WorkReason.RELEASED, 2)
    station.check_balance()
    with pytest.raises(DriveBusyError):
        release(station, first)
    (leased,) = station.take()
    station.check_balance()
    with pytest.raises(DriveBusyError):
        release(station, rest[0])
    assert station.work(spark, leased) == "published"
    assert station.worked == [str(DRIVE), str(OTHER), str(DRIVE)], "only the drive concerned is processed again"
    station.check_balance()

    (back,) = [row for row in station.scenes(DRIVE) if row["scene_id"] not in gold]
    assert back["anchor_ns"] == first.anchor_ns
    assert back["released"] == [
        {
            "level": "scene",
            "about": f"scene:{first.anchor_ns}",
            "rule_ids": ["SYN001"],
            "reviewer": "alice",
            "reason": "the sensor was covered on purpose",
        }
    ]
    assert "SYN001" in back["quality_flags"]
    assert not back["complete"]
    assert all(row["released"] == [] for row in station.scenes(DRIVE) if row["scene_id"] in gold)
    assert station.scenes(OTHER) == untouched
    after = {row.anchor_ns: row for row in by_level(station, "scene")}
    assert after.keys() == {row.anchor_ns for row in scenes}
    let_in, kept_out = after[first.anchor_ns], after[second.anchor_ns]
    assert (let_in.status, let_in.frames, let_in.record_id) == ("released", 0, first.record_id)
    assert {found.severity for found in let_in.findings if found.rule_id == "SYN001"} == {"error"}
    assert (kept_out.status, kept_out.reviewer, kept_out.reason) == (
        "rejected", "alice", "the sensor was covered on purpose",
    )  # fmt: skip
    assert {after[row.anchor_ns].status for row in rest} == {"quarantined"}
    log = station.ledger.decisions(DRIVE)
    assert [(one.number, one.generation) for one in log] == [(1, 1), (2, 1)]

    # Once more, as after a mended rule: the same data, the same decisions, the same content.
    before = [{**row, "code_version": ""} for row in station.scenes(DRIVE)]
    assert station.desk.reprocess(DRIVE).generation == 3
    assert station.run(spark) == ["published"]
    station.check_balance()
    assert [{**row, "code_version": ""} for row in station.scenes(DRIVE)] == before
    assert {row.anchor_ns: row.status for row in by_level(station, "scene")} == {
        anchor_ns: row.status for anchor_ns, row in after.items()
    }


def test_a_frame_that_decodes_and_an_object_that_is_whole_come_back(
    spark: SparkSession, station: Station, tmp_path: Path
) -> None:
    faults = ("nan_points:lidar_top:0.9:5", "cut_jpeg:camera_front:4,5", "wrong_checksum:radar_front")
    station.land(small_drive(tmp_path / "drive", *faults), DRIVE)
    assert station.run(spark) == ["published"]
    station.check_balance()
    (radar,) = [row for row in by_level(station, "object") if row.rule_ids == ("DEC001",)]
    (points,) = [row for row in by_level(station, "object") if "LID001" in row.rule_ids]
    cut = [row for row in by_level(station, "object") if row.rule_ids == ("DEC005",)]
    assert cut
    assert "does not decode" in (why_not_releasable(cut[0]) or "")
    (anchorless,) = [row for row in by_level(station, "scene") if row.anchor_ns == points.stamp_ns]
    assert "anchor" in (why_not_releasable(anchorless) or "")
    assert radar.frames > 0

    release(station, radar, points)
    assert station.run(spark) == ["published"]
    station.check_balance()
    scenes = {row["anchor_ns"]: row for row in station.scenes(DRIVE)}
    noisy = scenes[points.stamp_ns]
    assert {(one["level"], *one["rule_ids"]) for one in noisy["released"]} >= {("frame", "LID001")}
    assert "LID001" in noisy["quality_flags"]
    with_radar = [row for row in scenes.values() if any(entry["sensor"] == "radar_front" for entry in row["radars"])]
    assert with_radar
    for row in with_radar:
        assert ("object", "DEC001") in {(one["level"], *one["rule_ids"]) for one in row["released"]}
        assert "DEC001" in row["quality_flags"]
    status = {row.record_id: (row.status, row.frames) for row in by_level(station, "object")}
    assert status[radar.record_id] == status[points.record_id] == ("released", 0)
    assert status[cut[0].record_id] == ("quarantined", 1)
    states = {entry.key.split("/")[3]: entry.state for entry in station.ledger.objects(DRIVE) if entry.key.endswith(".mcap")}
    assert states["radar_front"] is ObjectState.PUBLISHED


def test_a_drive_comes_back_and_a_rejected_one_stays_out_whatever_the_rules_say(
    spark: SparkSession, station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every other sweep of the reference is lost: its rate is an error, where another sensor's would be a warning.
    lost = "drop_frames:lidar_top:1,3,5,7,9,11,13"
    station.land(small_drive(tmp_path / "one", lost), DRIVE)
    station.land(small_drive(tmp_path / "two", lost, drive_id="d-2"), OTHER)
    assert station.run(spark) == ["quarantined", "quarantined"]
    station.check_balance()
    (one,), (other,) = by_level(station, "drive"), by_level(station, "drive", OTHER)
    assert "CLK003" in error_rules(one)
    assert station.scenes() == []
    reject(station, other)
    release(station, one)
    station.check_balance()
    assert station.run(spark) == ["published"]
    station.check_balance()
    scenes = station.scenes(DRIVE)
    assert scenes
    assert all(("drive", "alice") in {(entry["level"], entry["reviewer"]) for entry in row["released"]} for row in scenes)
    assert all("CLK003" in row["quality_flags"] for row in scenes)
    (kept,) = by_level(station, "drive")
    assert (kept.status, kept.frames) == ("released", 0)

    monkeypatch.setattr("spark_jobs.inspect.evaluate_drive", lambda *_, **__: ())  # a rule fix that finds nothing any more
    station.desk.reprocess(OTHER)
    assert station.run(spark) == ["quarantined"]
    station.check_balance()
    (still,) = by_level(station, "drive", OTHER)
    assert (still.status, still.rule_ids, still.reviewer) == ("rejected", ("REV002",), "alice")
    assert station.scenes(OTHER) == []
    with pytest.raises(DecidedError):
        station.desk.release(OTHER, still.revision, overrides(Verdict.RELEASE, still))
