"""One window from plan to Parquet: its output, its copies of bad data, and the effect of a repetition."""

from __future__ import annotations

import io

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

import scenes.build.scene_file
from lake.drive_input import DriveInput
from lake.storage import ObjectVersion
from lake.tables.schemas import OPAQUE_LEAVES, SCENES
from scenes.build.context import DriveContext
from scenes.build.window import build_window
from scenes.documents import WindowReport
from spark_jobs.build_scenes import drive_context
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import MS, T0, Landed, cloud, image, pose, rig_document, sensor

END_NS = T0 + 400 * MS


@pytest.fixture
def landed() -> Landed:
    return Landed()


@pytest.fixture
def drive_input(landed: Landed) -> DriveInput:
    """Four sweeps, four images of which the second is cut short, poses around the first three sweeps."""
    stamps = [T0 + n * 100 * MS for n in range(4)]
    landed.land("top", "lidar", [(ns, cloud(ns, points=5)) for ns in stamps])
    landed.land("cam", "camera", [(ns + 7 * MS, image(ns + 7 * MS, cut=n == 1)) for n, ns in enumerate(stamps)])
    landed.land("odo", "pose", [(ns, pose(ns)) for ns in range(T0, T0 + 290 * MS, 40 * MS)])
    rig = rig_document(
        sensor("top", "lidar", required=True),
        sensor("cam", "camera", delay_ns=5 * MS, tolerance_ns=20 * MS),
        sensor("odo", "pose", 25),
    )
    return landed.finish(rig, END_NS)


@pytest.fixture
def context(landed: Landed, drive_input: DriveInput) -> DriveContext:
    assert serial_jobs.inspect(landed, drive_input).inspection.verdict == "build"
    serial_jobs.build(landed, drive_input)
    step = serial_jobs.step_of(landed, drive_input)
    return drive_context(step, step.inspection())


def built(landed: Landed, context: DriveContext) -> WindowReport:
    name = build_window(landed.store, landed.area, context, 0, 19_675).name
    return landed.area.read_document(name, WindowReport)


def gold(landed: Landed, report: WindowReport) -> pq.ParquetFile:
    assert report.gold is not None
    return pq.ParquetFile(io.BytesIO(landed.s3.body(report.gold.uri)))


def test_a_scene_holds_what_was_matched_and_says_what_is_missing(landed: Landed, context: DriveContext) -> None:
    report = built(landed, context)
    table = gold(landed, report).read()
    assert table.schema.equals(SCENES)
    rows = table.to_pylist()
    assert [row["anchor_ns"] - T0 for row in rows] == [0, 100 * MS, 200 * MS, 300 * MS]
    assert [row["scene_id"] for row in rows] == [f"car-1.d-1.{row['anchor_ns']}" for row in rows]
    assert [row["missing"] for row in rows] == [[], [{"sensor": "cam", "reason": "DEC005"}], [], []]
    assert [row["complete"] for row in rows] == [True, False, True, True]
    (camera,) = rows[0]["cameras"]
    assert (camera["offset_ns"], camera["residual_ns"], camera["stamp_ns"]) == (7 * MS, 2 * MS, T0 + 7 * MS)
    assert rows[0]["lidars"][0]["num_points"] == 5
    assert [row["ego_pose"] and round(row["ego_pose"]["x_m"], 6) for row in rows] == [0.0, 0.1, 0.2, None]
    sensors = [sorted(source["key"].split("/")[3] for source in row["sources"]) for row in rows]
    assert sensors == [["cam", "odo", "top"], ["odo", "top"], ["cam", "odo", "top"], ["cam", "top"]]
    for row in rows:
        for source in row["sources"]:
            assert (source["version_id"], source["sha256"]) == context.sources[source["key"]]
    assert "POS001" in rows[3]["quality_flags"]


def test_a_bad_frame_is_kept_byte_for_byte_under_one_name(landed: Landed, context: DriveContext) -> None:
    for _ in range(2):
        report = built(landed, context)
        (kept,) = report.quarantined_frames
        assert kept.sensor == "cam"
        assert kept.payload_uri is not None
        assert landed.s3.body(kept.payload_uri) == image(T0 + 107 * MS, cut=True)
    assert [key for bucket, key in landed.s3.versions if bucket == "quarantine"] == [ObjectVersion.from_uri(kept.payload_uri).key]


def test_a_task_that_runs_twice_overwrites_nothing_and_writes_the_same(landed: Landed, context: DriveContext) -> None:
    one, other = (built(landed, context) for _ in range(2))
    assert one.gold is not None
    assert other.gold is not None
    assert one.gold.uri != other.gold.uri
    assert landed.s3.body(one.gold.uri) == landed.s3.body(other.gold.uri), "equal down to the byte"
    assert replace(one, gold=replace(one.gold, uri=other.gold.uri)) == other


def test_payload_is_read_once_however_many_scenes_share_it(landed: Landed, context: DriveContext) -> None:
    landed.s3.gets.clear()
    build_window(landed.store, landed.area, context, 0, 19_675)
    raw = [get for get in landed.s3.gets if get[0].endswith(".mcap")]
    assert len(raw) == len(set(raw))
    assert {key.split("/")[3] for key, _, _ in raw} == {"top", "cam"}


def test_row_groups_are_small_enough_to_fetch_one_scene(
    landed: Landed, context: DriveContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenes.build.scene_file, "ROW_GROUP_BYTES", 1)
    report = built(landed, context)
    file = gold(landed, report)
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [1, 1, 1, 1]


def test_images_are_stored_as_they_are_and_bounds_of_payload_are_not_written(landed: Landed, context: DriveContext) -> None:
    report = built(landed, context)
    group = gold(landed, report).metadata.row_group(0)
    columns = {group.column(n).path_in_schema.replace(".list.", "."): group.column(n) for n in range(group.num_columns)}
    assert columns["cameras.element.image"].compression == "UNCOMPRESSED"
    assert columns["lidars.element.points"].compression == "ZSTD"
    assert set(OPAQUE_LEAVES) <= set(columns)
    for leaf in OPAQUE_LEAVES:
        assert not columns[leaf].is_stats_set or not columns[leaf].statistics.has_min_max
    assert columns["drive_id"].statistics.min == columns["drive_id"].statistics.max == "d-1"
