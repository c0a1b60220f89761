"""The audit holds back drives that do not balance, and does not attribute the pipeline's defects to the drive."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

import spark_jobs.publish
from fleet.encode import encode_points
from lake.documents import ManifestObject
from lake.drive_input import DriveInput
from lake.errors import SupersededError
from lake.quarantined_keys import read_keys
from lake.tables.publish import Batch, Publication, PublishOutcome
from scenes.documents import AuditDocument, AuditVerdict, BuiltWindows, Inspection, WindowReport
from scenes.errors import AccountError, IncompleteError
from scenes.outcome.records import RecordKeeper
from scenes.outcome.validation import read_validations
from scenes.work_area import AUDIT, BUILT, INSPECTION
from sensors.decode.points import point_fields
from spark_jobs.publish import publish_drive
from spark_jobs.runtime.results import BuildResult
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import DRIVE, MS, T0, Landed, cloud, image, pose, rig_document, sensor
from tests.unit.spark_jobs.committed_batches import committed

STAMPS = [T0 + n * 100 * MS for n in range(4)]
RIG = rig_document(sensor("top", "lidar", required=True), sensor("cam", "camera"))


@pytest.fixture
def landed() -> Landed:
    landed = Landed()
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in STAMPS])
    landed.land("cam", "camera", [(ns, image(ns, cut=ns == STAMPS[2])) for ns in STAMPS])
    return landed


@pytest.fixture
def built(landed: Landed) -> DriveInput:
    drive_input = landed.finish(RIG, STAMPS[-1])
    assert serial_jobs.inspect(landed, drive_input).inspection.verdict == "build"
    assert serial_jobs.build(landed, drive_input) == BuildResult(windows=1, gold=4, quarantined=0, bytes=size(landed))
    return drive_input


def size(landed: Landed) -> int:
    return sum(entry.size_bytes for entry in landed.entries)


def rows(landed: Landed, audit: AuditDocument, table: str) -> list[dict[str, Any]]:
    (uri,) = audit.files[table]
    return list(pq.read_table(io.BytesIO(landed.s3.body(uri))).to_pylist())


def test_a_balanced_drive_is_to_be_published(landed: Landed, built: DriveInput) -> None:
    audit = serial_jobs.audit(landed, built)
    assert audit == landed.area.read_document(AUDIT, AuditDocument)
    assert (audit.verdict, audit.scenes, audit.frames, audit.records) == ("publish", 4, 8, 1)
    assert {entry.sensor: (entry.read, entry.gold, entry.quarantined) for entry in audit.accounts} == {
        "cam": (4, 3, 1),
        "top": (4, 4, 0),
    }
    assert audit.residuals["cam"].sizes.max_ns == 0
    (record,) = rows(landed, audit, "quarantine.records")
    assert (record["rule_ids"], record["frames"], record["stamp_ns"]) == (["DEC005"], 1, STAMPS[2])
    assert len(rows(landed, audit, "gold.frames")) == 8
    assert len(audit.files["gold.scenes"]) == 1


def test_what_does_not_balance_is_held_back_whole(landed: Landed, built: DriveInput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecordKeeper, "of_built", lambda *_: [])
    audit = serial_jobs.audit(landed, built)
    assert (audit.verdict, audit.scenes, audit.files["gold.scenes"]) == ("quarantine", 0, ())
    (record,) = rows(landed, audit, "quarantine.records")
    assert (record["level"], record["frames"]) == ("drive", 8)
    assert "ACC001" in record["rule_ids"]
    assert {row["reason"] for row in rows(landed, audit, "gold.frames")} == {"ACC001"}


def test_what_was_read_is_counted_by_the_scans_and_not_by_the_index(landed: Landed, built: DriveInput) -> None:
    inspection = landed.area.read_document(INSPECTION, Inspection)
    key, report = next(iter(inspection.objects.items()))
    objects = inspection.objects | {key: replace(report, frames=report.frames + 1)}  # a frame that is in no row of the index
    landed.area.write_document(INSPECTION, replace(inspection, objects=objects))
    with pytest.raises(AccountError, match=r"5 frames read, but .* = 4"):
        serial_jobs.audit(landed, built)


def test_results_are_kept_beside_the_data_under_a_name_of_their_own(landed: Landed, built: DriveInput) -> None:
    first, second = (serial_jobs.audit(landed, built) for _ in range(2))
    assert first.validations != second.validations, "only the one that a snapshot names counts"
    assert first.validations.startswith(f"s3://lake/warehouse/quality/validations/{DRIVE}/{built.revision[:16]}-")
    one, other = (json.loads(landed.s3.body(audit.validations)) for audit in (first, second))
    assert one == other, "equal tables have equal results, free of clock and chance"
    assert (one["drive"], one["revision"], one["success"]) == (str(DRIVE), built.revision, True)
    assert {name: found["success"] for name, found in one["suites"].items()} == {"drive": True, "objects": True, "scenes": True}
    assert {name: found["statistics"]["evaluated_expectations"] for name, found in one["validations"].items()} == {
        name: found["evaluated"] for name, found in one["suites"].items()
    }


def test_scenes_that_lack_a_required_sensor_flag_the_drive_or_hold_it_back(landed: Landed) -> None:
    landed.land("cam2", "camera", [(STAMPS[0], image(STAMPS[0])), (STAMPS[3], image(STAMPS[3]))])
    sensors = (sensor("top", "lidar", required=True), sensor("cam2", "camera", required=True), sensor("cam", "camera"))
    for rules, verdict in (({}, "publish"), ({"CMP006": {"severity": "error"}}, "quarantine")):
        drive_input = landed.finish(rig_document(*sensors, rules=rules, publish_incomplete=True), STAMPS[-1])
        assert serial_jobs.inspect(landed, drive_input).inspection.verdict == "build"
        serial_jobs.build(landed, drive_input)
        audit = serial_jobs.audit(landed, drive_input)
        (found,) = [one for one in audit.findings if one.rule_id == "CMP006"]
        assert (found.measured, found.threshold) == (0.5, 0.9)
        assert (audit.verdict, "CMP006" in audit.warnings) == (verdict, verdict == "publish")


def test_a_scene_that_was_split_wrongly_holds_the_drive_back(landed: Landed) -> None:
    sensors = (sensor("top", "lidar", required=True), sensor("cam", "camera", required=True))
    drive_input = landed.finish(rig_document(*sensors), STAMPS[-1])
    serial_jobs.inspect(landed, drive_input)
    assert serial_jobs.build(landed, drive_input).quarantined == 1
    (name,) = landed.area.read_document(BUILT, BuiltWindows).windows
    window = landed.area.read_document(name, WindowReport)
    (split,) = [scene for scene in window.scenes if scene.quarantined]
    assert window.gold is not None
    scenes = tuple(replace(scene, quarantined=False) for scene in window.scenes)
    gold = replace(window.gold, scenes=window.gold.scenes + 1)
    landed.area.write_document(name, replace(window, scenes=scenes, gold=gold))
    audit = serial_jobs.audit(landed, drive_input)
    assert audit.verdict == "quarantine"
    (found,) = [one for one in audit.findings if one.rule_id == "ACC002"]
    assert (found.measured, found.severity) == (2, "error")
    assert f"{split.scene_id} (ACC002, SYN001)" in found.message


def test_a_drive_that_the_gate_refused_is_quarantined_with_all_its_frames(landed: Landed) -> None:
    drive_input = landed.finish(RIG | {"rig_id": "rig-2"}, STAMPS[-1])
    assert serial_jobs.inspect(landed, drive_input).inspection.verdict == "quarantine"
    audit = serial_jobs.audit(landed, drive_input)
    assert (audit.verdict, audit.records, audit.files["gold.scenes"]) == ("quarantine", 1, ())
    assert {row["reason"] for row in rows(landed, audit, "gold.frames")} == {"CAL001"}


def test_an_object_that_nothing_names_and_nobody_can_read_is_accounted_for(landed: Landed) -> None:
    """Without manifest and calibration, only the key says that there is a sensor."""
    key = f"{landed.drive}/lidar/other/{T0:019d}.mcap"
    landed.land_bytes(key, b"junk" * 250)
    whole = landed.finish(RIG, STAMPS[-1], with_manifest=False)
    drive_input = DriveInput(whole.drive, whole.objects, None, None)
    assert serial_jobs.inspect(landed, drive_input).inspection.verdict == "quarantine"
    audit = serial_jobs.audit(landed, drive_input)
    assert (audit.verdict, audit.files["gold.scenes"]) == ("quarantine", ())
    assert {row["sensor"] for row in rows(landed, audit, "gold.frames")} == {"top", "cam"}, "the object has no frames"
    kept_out = {row["source"]["key"]: set(row["rule_ids"]) for row in rows(landed, audit, "quarantine.records")}
    assert "DEC002" in kept_out[key]


def test_an_override_of_the_rig_reaches_inspection_scenes_and_audit(landed: Landed) -> None:
    late = [T0 + n * 100 * MS for n in (0, 1, 2, 6)]
    landed.land("cam2", "camera", [(ns, image(ns)) for ns in late])
    sensors = (sensor("top", "lidar", required=True), sensor("cam", "camera"), sensor("cam2", "camera"))
    rules = {"CLK004": {"threshold": 1.5, "severity": "error"}}
    plain = serial_jobs.inspect(landed, landed.finish(rig_document(*sensors), late[-1])).inspection
    assert [(one.rule_id, one.sensor, one.threshold) for one in plain.findings if one.rule_id == "CLK004"] == [
        ("CLK004", "cam2", 2)
    ]
    assert plain.verdict == "build"
    drive_input = landed.finish(rig_document(*sensors, rules=rules), late[-1])
    strict = serial_jobs.inspect(landed, drive_input).inspection
    assert [(one.severity, one.threshold) for one in strict.findings if one.rule_id == "CLK004"] == [("error", 1.5)]
    audit = serial_jobs.audit(landed, drive_input)
    assert audit.verdict == "quarantine"
    results = read_validations(landed.store, audit.validations)
    broken = [entry for entry in results.suites["drive"].expectations if not entry.success]
    assert ("CLK004", "error", {"max_value": 1.5}, ("cam2",)) in [
        (entry.rule_id, entry.severity, entry.limits, entry.rows) for entry in broken
    ]


def test_an_override_that_is_not_allowed_quarantines_the_drive_with_the_key_and_the_range(landed: Landed) -> None:
    drive_input = landed.finish(RIG | {"policy": {"rules": {"CLK009": {"threshold": 0}}}}, STAMPS[-1])
    found = serial_jobs.inspect(landed, drive_input).inspection
    finding = next(one.message for one in found.findings if one.rule_id == "CAL001")
    assert "$.policy.rules.CLK009.threshold: 0 is less than the minimum of 1 (allowed: 1 to 10000 ppm)" in finding
    assert serial_jobs.audit(landed, drive_input).verdict == "quarantine"


def test_a_window_that_is_lost_ends_the_build(landed: Landed, monkeypatch: pytest.MonkeyPatch) -> None:
    drive_input = landed.finish(RIG, STAMPS[-1])
    serial_jobs.inspect(landed, drive_input)
    whole = serial_jobs.run_serially
    for lose in (lambda names: names[1:], lambda names: [*names, names[0]]):
        monkeypatch.setattr(serial_jobs, "run_serially", lambda *call, lose=lose: lose(whole(*call)))
        with pytest.raises(IncompleteError, match="planned 4 scenes"):
            serial_jobs.build(landed, drive_input, window_bytes=1)


def test_a_publication_is_reported_by_its_effect(landed: Landed, built: DriveInput, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = serial_jobs.audit(landed, built)
    batches: list[Batch] = []

    def publish(_: object, batch: Batch) -> Publication:
        batches.append(batch)
        return Publication(PublishOutcome.ALREADY if len(batches) > 1 else PublishOutcome.PUBLISHED, committed(batch))

    monkeypatch.setattr(spark_jobs.publish, "publish", publish)
    first, second = (publish_drive(None, serial_jobs.step_of(landed, built), 3) for _ in range(2))  # type: ignore[arg-type]
    assert (first.outcome, first.already, first.snapshot_id, first.scenes) == ("published", False, 77, 4)
    assert (first.records, first.rows) == (1, {"gold.scenes": 4, "gold.frames": 8, "quarantine.records": 1})
    assert second == replace(first, already=True)
    batch = batches[0]
    assert (batch.drive, batch.revision, batch.generation, batch.files) == (
        DRIVE,
        built.revision,
        3,
        {table: list(files) for table, files in audit.files.items()},
    )
    assert batch.facts.validations == audit.validations
    assert (batch.facts.verdict, batch.facts.sensors, batch.facts.frames) == ("publish", ("cam", "top"), 8)

    def superseded(*_: object) -> Publication:
        raise SupersededError("generation 4 has been published", 4)

    monkeypatch.setattr(spark_jobs.publish, "publish", superseded)
    late = publish_drive(None, serial_jobs.step_of(landed, built), 3)  # type: ignore[arg-type]
    assert (late.outcome, late.snapshot_id, late.scenes, late.records) == ("superseded", None, 0, 0)
    assert (late.published_generation, first.published_generation) == (4, None)


class OneCommit:
    """A catalog that keeps the first batch of a generation, and tells a second attempt what the first one committed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.committed: list[Batch] = []
        monkeypatch.setattr(spark_jobs.publish, "publish", self.publish)

    def publish(self, _: object, batch: Batch) -> Publication:
        outcome = PublishOutcome.ALREADY if self.committed else PublishOutcome.PUBLISHED
        self.committed = self.committed or [batch]
        return Publication(outcome, committed(self.committed[0]))


def test_a_second_attempt_with_another_verdict_reports_what_is_committed(
    landed: Landed, built: DriveInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    OneCommit(monkeypatch)
    audit, step = serial_jobs.audit(landed, built), serial_jobs.step_of(landed, built)
    first = publish_drive(None, step, 1)  # type: ignore[arg-type]
    held_back = {"verdict": AuditVerdict.QUARANTINE, "scenes": 0, "records": 9, "quarantined_objects": "s3://lake/x"}
    other = replace(audit, **held_back, warnings=("CLK007",))
    landed.area.write_document(AUDIT, other)
    second = publish_drive(None, step, 1)  # type: ignore[arg-type]
    assert (first.outcome, first.scenes, first.records) == ("published", 4, 1)
    assert second == replace(first, already=True)


def test_the_result_stays_small_however_many_objects_are_faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    landed, absent = Landed(), 20_000
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in STAMPS])
    starts = {f"{DRIVE}/camera/cam/{T0 + number:019d}.mcap": T0 + number for number in range(absent)}
    landed.entries += [ManifestObject(key, 1, "0" * 64, "camera", "cam", start, start, 1) for key, start in starts.items()]
    drive_input = landed.finish(RIG, STAMPS[-1])
    assert serial_jobs.inspect(landed, drive_input).inspection.verdict == "build"
    serial_jobs.build(landed, drive_input)
    OneCommit(monkeypatch)
    serial_jobs.audit(landed, drive_input)
    for _ in range(2):
        result = publish_drive(None, serial_jobs.step_of(landed, drive_input), 1)  # type: ignore[arg-type]
        assert len(msgspec.json.encode(result)) < 2000
        assert read_keys(landed.store, result.quarantined_objects) == starts.keys()


MOUNTED = {"ego_SE3_sensor": {"translation_m": [1.0, 0.0, 1.8], "rotation_wxyz": [1.0, 0.0, 0.0, 0.0]}}


def spinning(stamp_ns: int) -> bytes:
    """Points of the 60 ms before the stamp, in no sweep the same."""
    kind = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("t", "<i4")])
    points = np.array([(10.0 + stamp_ns // MS % 251, 1.0, 0.5, offset_ms * MS) for offset_ms in (-60, -30, 0)], dtype=kind)
    return encode_points(stamp_ns, "top", point_fields(kind), points)


def test_pose_samples_that_moved_points_are_in_gold_and_the_others_are_not() -> None:
    landed = Landed()
    samples = [T0 + n * 10 * MS for n in range(41)]
    landed.land("top", "lidar", [(ns, spinning(ns)) for ns in STAMPS])
    landed.land("odo", "pose", [(ns, pose(ns)) for ns in samples])
    drive_input = landed.finish(rig_document(sensor("top", "lidar") | MOUNTED, sensor("odo", "pose", 100)), samples[-1])
    serial_jobs.inspect(landed, drive_input)
    assert serial_jobs.build(landed, drive_input).gold == len(STAMPS)
    compensated = [scene["anchor_ns"] for scene in serial_jobs.scenes(landed) if scene["lidars"][0]["reference_ns"] is not None]
    assert compensated == STAMPS[1:], "before the first sweep there are no poses"
    frames = rows(landed, serial_jobs.audit(landed, drive_input), "gold.frames")
    found = {row["stamp_ns"]: (row["fate"], row["reason"]) for row in frames if row["sensor"] == "odo"}
    moved = {ns for ns in samples for anchor_ns in compensated if anchor_ns - 60 * MS <= ns <= anchor_ns} | {STAMPS[0]}
    assert found == {ns: ("gold", None) if ns in moved else ("unmatched", "support_not_needed") for ns in samples}
