"""Rules that need more than a window: their findings reach exactly the scenes concerned, however the drive is cut."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

import spark_jobs.publish
from bench.folder_settings import SETTINGS
from lake.drive_input import DriveInput
from lake.storage import ObjectVersion
from lake.tables.publish import Batch, Publication, PublishOutcome
from lake.tables.rows import DriveRow
from quality.measurements.frame_metrics import FRAME_METRICS
from scenes.build.window import findings_name
from scenes.documents import SceneReport, WindowFindings
from scenes.errors import WorkAreaError
from scenes.options import BuildOptions, PayloadChecks
from scenes.work_area import SIGNALS, WorkArea
from spark_jobs.build_scenes import build_drive
from spark_jobs.publish import publish_drive
from spark_jobs.runtime.step import Step
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import MS, PROVENANCE, T0, Landed, cloud, image, pose, rig_document, sensor

FRAMES = 12
STAMPS = [T0 + n * 100 * MS for n in range(FRAMES)]
FROZEN = (5, 6)
TINY_WINDOWS = 1


def drive(landed: Landed, frozen: tuple[int, ...] = FROZEN, frames: int = FRAMES, jump_after: int | None = None) -> DriveInput:
    """Sweeps and images at 10 Hz; images of `frozen` have the content of the one before; poses step 5 m after a frame."""
    images: list[tuple[int, bytes]] = []
    for n, ns in enumerate(STAMPS[:frames]):
        shown = next(before for before in range(n, -1, -1) if before not in frozen)
        cdr = bytearray(image(STAMPS[shown]))
        cdr[4:12] = image(ns)[4:12]  # the stamp
        images.append((ns, bytes(cdr)))
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in STAMPS[:frames]])
    landed.land("cam", "camera", images)
    poses = [(ns, pose(ns)) for ns in range(T0, STAMPS[frames - 1] + 80 * MS, 40 * MS)]
    if jump_after is not None:
        poses = [(ns, cdr if ns <= STAMPS[jump_after] else _aside(ns)) for ns, cdr in poses]
    landed.land("odo", "pose", poses)
    rig = rig_document(
        sensor("top", "lidar", required=True), sensor("cam", "camera", tolerance_ns=20 * MS), sensor("odo", "pose", 25)
    )
    return landed.finish(rig, STAMPS[frames - 1] + 100 * MS)


def _aside(ns: int) -> bytes:
    from fleet.encode import encode_pose
    from sensors.geometry import SE3

    return encode_pose(ns, SE3.from_wxyz(((ns - T0) / 1e9, 5.0, 0), (1, 0, 0, 0)))


def scene_reports(landed: Landed) -> list[SceneReport]:
    """The result of every scene, without file names."""
    return [replace(scene, payload_uri=None) for report in serial_jobs.window_reports(landed) for scene in report.scenes]


@pytest.mark.parametrize("window_bytes", [TINY_WINDOWS, 2_000, 1 << 26])
def test_a_frozen_image_is_kept_out_wherever_windows_are_cut(window_bytes: int) -> None:
    landed = Landed()
    drive_input = drive(landed)
    assert serial_jobs.inspect(landed, drive_input).inspection.verdict == "build"
    serial_jobs.build(landed, drive_input, window_bytes)
    missing = {row["scene_id"]: [(one["sensor"], one["reason"]) for one in row["missing"]] for row in serial_jobs.scenes(landed)}
    assert missing == {f"car-1.d-1.{ns}": [("cam", "CAM002")] if n in FROZEN else [] for n, ns in enumerate(STAMPS)}
    found = serial_jobs.outcome(landed, drive_input)
    serial_jobs.check_identity(landed, drive_input, found)
    records = [record for record in found.records if record.rule_ids == ("CAM002",)]
    assert sorted(record.stamp_ns for record in records) == [STAMPS[n] for n in FROZEN]
    assert sorted(finding.measured for record in records for finding in record.findings) == [1.0, 2.0]
    if window_bytes != TINY_WINDOWS:
        other = Landed()
        again = drive(other)
        serial_jobs.inspect(other, again)
        serial_jobs.build(other, again, TINY_WINDOWS)
        assert scene_reports(landed) == scene_reports(other)


def test_only_windows_that_it_concerns_are_built_again() -> None:
    landed = Landed()
    drive_input = drive(landed)
    serial_jobs.inspect(landed, drive_input)
    serial_jobs.build(landed, drive_input, TINY_WINDOWS)
    files = [uri for uri in landed.store.list("lake", "") if uri.startswith("warehouse/gold/scenes/")]
    built_twice = [n for n in range(FRAMES) if sum(f"-{n:05d}-" in uri for uri in files) == 2]
    assert set(FROZEN) <= set(built_twice)
    metrics = landed.area.read_table(SIGNALS)
    assert metrics.schema.equals(FRAME_METRICS)
    assert metrics["sensor"].to_pylist() == ["cam"] * FRAMES + ["top"] * FRAMES
    content = metrics["content"].to_pylist()[:FRAMES]
    assert [n for n in range(1, FRAMES) if content[n] == content[n - 1]] == list(FROZEN)


def test_files_of_windows_that_were_built_again_go_with_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of another run of the same revision stay, and so do all committed ones."""
    landed = Landed()
    drive_input = drive(landed, jump_after=8)
    serial_jobs.inspect(landed, drive_input)
    other = WorkArea(landed.store, ObjectVersion("lake", f"work/{landed.drive}/2"))
    of_both = {area.root.key: _built(landed, drive_input, area) for area in (other, landed.area)}
    audit = serial_jobs.audit(landed, drive_input)
    committed = list(audit.files["gold.scenes"])
    last = [report.quarantined for report in serial_jobs.window_reports(landed) if report.quarantined is not None]
    kept = {*committed, *(file.uri for file in last)}
    assert audit.unused
    assert {"warehouse", "scenes"} <= {uri.split("/")[3] for uri in audit.unused}, "of both halves"
    assert set(audit.unused) == of_both[landed.area.root.key] - kept

    there: list[set[str]] = []

    def commit(_: object, batch: Batch) -> Publication:
        there.append(_files(landed))
        row = DriveRow(
            **msgspec.structs.asdict(batch.facts),
            vehicle_id=batch.drive.vehicle_id,
            drive_id=batch.drive.drive_id,
            revision=batch.revision,
            generation=batch.generation,
            committed_ns=0,
            scenes_snapshot_id=7,
        )
        return Publication(PublishOutcome.PUBLISHED, row)

    monkeypatch.setattr(spark_jobs.publish, "publish", commit)
    for _ in range(2):  # a repetition finds nothing to delete
        publish_drive(None, serial_jobs.step_of(landed, drive_input), 1)  # type: ignore[arg-type]
        assert _files(landed) == kept | of_both[other.root.key]
    assert there[0] == set().union(*of_both.values()), "nothing goes before the commit"


def _built(landed: Landed, drive_input: DriveInput, area: WorkArea) -> set[str]:
    """The files that a build in this work area adds."""
    before = _files(landed)
    for name in landed.store.list("lake", landed.area.root.key):
        if area.root.key != landed.area.root.key and "/plan/" not in name and "/built" not in name:
            source = ObjectVersion("lake", name)
            landed.store.put(ObjectVersion("lake", name.replace(landed.area.root.key, area.root.key)), landed.store.read(source))
    with serial_jobs.without_spark(TINY_WINDOWS):
        step = Step(SETTINGS, BuildOptions(), PROVENANCE, area, drive_input)
        build_drive(None, step, lambda: landed.store)  # type: ignore[arg-type]
    return _files(landed) - before


def _files(landed: Landed) -> set[str]:
    gold = {f"s3://lake/{key}" for key in landed.store.list("lake", "warehouse/gold/scenes/")}
    return gold | {f"s3://quarantine/{key}" for key in landed.store.list("quarantine", "scenes/")}


def test_scenes_at_a_pose_jump_are_quarantined_and_the_others_are_not() -> None:
    landed = Landed()
    drive_input = drive(landed, frozen=(), jump_after=6)
    serial_jobs.inspect(landed, drive_input)
    serial_jobs.build(landed, drive_input)
    kept_out = {scene.scene for scene in scene_reports(landed) if scene.quarantined}
    assert {6, 7} <= kept_out <= {4, 5, 6, 7, 8, 9}
    serial_jobs.check_identity(landed, drive_input, serial_jobs.outcome(landed, drive_input))


def test_a_drive_too_short_for_a_baseline_says_so_in_every_scene() -> None:
    landed = Landed()
    drive_input = drive(landed, frozen=(), frames=4)
    serial_jobs.inspect(landed, drive_input)
    serial_jobs.build(landed, drive_input)
    for row in serial_jobs.scenes(landed):
        assert {"CAM006", "LID003", "LID004", "LID005", "LID006", "LID007"} <= set(row["quality_flags"])
    assert not any(scene.quarantined for scene in scene_reports(landed))


def test_checks_of_structure_measure_nothing_and_flag_what_was_not_evaluated() -> None:
    options = BuildOptions(payload_checks=PayloadChecks.STRUCTURE)
    landed = Landed()
    drive_input = drive(landed)
    serial_jobs.inspect(landed, drive_input, options)
    serial_jobs.build(landed, drive_input, options=options)
    rows = serial_jobs.scenes(landed)
    assert len(rows) == FRAMES
    for row in rows:
        assert {"CAM001", "CAM002", "CAM006", "LID003", "LID008"} <= set(row["quality_flags"])
        assert row["missing"] == []
    with pytest.raises(WorkAreaError):
        landed.area.read_table(SIGNALS)
    assert not [key for key in landed.store.list("lake", "") if "/built/" in key and key.endswith(".arrow")]


def test_findings_of_a_window_come_back_as_they_were_left() -> None:
    landed = Landed()
    drive_input = drive(landed, jump_after=6)
    serial_jobs.inspect(landed, drive_input)
    serial_jobs.build(landed, drive_input)
    found = landed.area.read_document(findings_name(0), WindowFindings)
    assert {entry.rule_id for entries in found.scenes.values() for entry in entries} >= {"POS002"}
    assert any(entry.rule_id == "CAM002" for entries in found.frames.values() for entry in entries)
    landed.area.write_document(findings_name(7), found)
    assert landed.area.read_document(findings_name(7), WindowFindings) == found
