"""The inspection of a drive in memory: its findings, its output, and failures that are not the drive's fault."""

from __future__ import annotations

import pytest

from bench.folder_settings import SETTINGS
from lake.documents import canonical_json
from lake.drive_documents import read_input
from lake.drive_input import DriveInput, InputObject, input_key
from lake.errors import LakeError, LandingError
from lake.tables.schemas import FRAME_INDEX, check_schema
from quality.measurements.sensor_metrics import read_metrics
from quality.rules.findings import rule_ids
from scenes.documents import Inspection
from scenes.scan.sensor_metrics import sensor_metrics
from scenes.work_area import INDEX, METRICS, POSE_SAMPLES
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import (
    DRIVE,
    MS,
    T0,
    F,
    Landed,
    cloud,
    frame_index,
    image,
    make_rig,
    pose,
    rig_document,
    sensor,
)

STAMPS = [T0 + n * 100 * MS for n in range(5)]
RIG = rig_document(
    sensor("top", "lidar", required=True), sensor("cam", "camera"), sensor("odo", "pose", 25), sensor("odo2", "pose", 25)
)


def whole(landed: Landed) -> None:
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in STAMPS])
    landed.land("cam", "camera", [(ns, image(ns)) for ns in reversed(STAMPS)])
    landed.land("odo2", "pose", [(ns + MS, pose(ns + MS)) for ns in STAMPS])
    landed.land("odo", "pose", [(ns, pose(ns)) for ns in STAMPS])


def rules(result: Inspection, key: str) -> list[str]:
    return [found.rule_id for found in result.object_findings.get(key, ())]


def test_one_task_leaves_one_part_of_the_index() -> None:
    landed = Landed()
    whole(landed)
    result = serial_jobs.inspect(landed, landed.finish(RIG, STAMPS[-1])).inspection
    (part,) = {report.index for report in result.objects.values()}
    frames = landed.area.read_table(part)
    assert len(frames) == 20
    assert set(frames["key"].to_pylist()) == set(result.objects)
    assert list(landed.store.list("lake", landed.area.at("index/").key)) == [landed.area.at(part).key]


def test_a_whole_drive_leaves_an_index_in_order_and_the_samples_of_one_pose_source() -> None:
    landed = Landed()
    whole(landed)
    result = serial_jobs.inspect(landed, landed.finish(RIG, STAMPS[-1])).inspection
    assert (result.verdict, result.faulty_keys, result.frames) == ("build", (), 20)
    index = landed.area.read_table(INDEX)
    check_schema(index.schema, FRAME_INDEX, "index")
    order = list(zip(*(index[name].to_pylist() for name in ("sensor", "stamp_ns", "key", "chunk_offset")), strict=True))
    assert order == sorted(order)
    assert index["frame_id"].to_pylist() == list(range(20))
    assert landed.area.read_table(POSE_SAMPLES)["stamp_ns"].to_pylist() == STAMPS
    assert [entry.frames_read for entry in read_metrics(landed.area.read_table(METRICS))] == [5, 5, 5, 5]


def test_an_object_whose_version_is_gone_is_a_finding_and_the_rest_goes_on() -> None:
    landed = Landed()
    whole(landed)
    drive_input = landed.finish(RIG, STAMPS[-1])
    (gone,) = [key for key in landed.objects if "/cam/" in key]
    landed.s3.delete_version("raw", gone, "v1")
    result = serial_jobs.inspect(landed, drive_input).inspection
    assert rules(result, gone) == ["CMP001"]
    assert result.faulty_keys == (gone,)
    assert gone not in result.objects
    assert (result.verdict, result.frames) == ("build", 15)


def test_without_a_manifest_the_drive_is_refused_once_and_not_object_by_object() -> None:
    landed = Landed()
    whole(landed)
    body = landed.s3.versions["raw", next(key for key in landed.objects if "/cam/" in key)][0][1]
    cut = str(next(key for key in landed.objects if "/cam/" in key)).replace("/cam/", "/cam2/")
    landed.land_bytes(cut, body[:-30])
    result = serial_jobs.inspect(landed, landed.finish(RIG, STAMPS[-1], with_manifest=False)).inspection
    assert result.verdict == "quarantine"
    assert "CMP002" in rule_ids(result.findings)
    assert result.faulty_keys == (cut,), "what is wrong with an object in itself is still found"
    assert rules(result, cut) == ["DEC002"]


def test_an_object_that_the_manifest_does_not_name_is_quarantined() -> None:
    landed = Landed()
    whole(landed)
    unnamed = next(key for key in landed.objects if "/cam/" in key)
    landed.entries = [entry for entry in landed.entries if entry.key != unnamed]
    result = serial_jobs.inspect(landed, landed.finish(RIG, STAMPS[-1])).inspection
    assert (rules(result, unnamed), result.faulty_keys) == (["DEC001"], (unnamed,))


@pytest.mark.parametrize("also_as_lidar", [False, True])
def test_a_sensor_recorded_as_another_kind_than_the_rigs_is_seen(also_as_lidar: bool) -> None:
    landed = Landed()
    whole(landed)
    if not also_as_lidar:
        for key in [key for key in landed.objects if "/top/" in key]:
            del landed.objects[key]
            landed.entries = [entry for entry in landed.entries if entry.key != key]
    landed.land("top", "camera", [(ns + MS, image(ns + MS)) for ns in STAMPS])
    result = serial_jobs.inspect(landed, landed.finish(RIG, STAMPS[-1])).inspection
    assert result.verdict == "quarantine"
    assert "top is a lidar in the calibration, but recorded as camera" in " ".join(one.message for one in result.findings)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (b"\xff\xfe", "not JSON"),
        (canonical_json(RIG).decode().encode("utf-16"), "not JSON"),
        (canonical_json(RIG | {"reference": "nobody"}), "reference 'nobody'"),
        (b" " * (1024 * 1024 + 1), "at most 1048576 are read"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_a_finding(calibration: bytes, message: str) -> None:
    landed = Landed()
    whole(landed)
    drive_input = landed.finish(RIG, STAMPS[-1])
    version_id = landed.s3.put_object(Bucket="raw", Key=DRIVE.calibration_key, Body=calibration)["VersionId"]
    pinned = InputObject(DRIVE.calibration_key, version_id, "")
    result = serial_jobs.inspect(landed, DriveInput(DRIVE, drive_input.objects, drive_input.manifest, pinned)).inspection
    assert result.verdict == "quarantine"
    (finding,) = [one.message for one in result.findings if one.rule_id == "CAL001"]
    assert message in finding


def test_a_calibration_other_than_the_declared_one_is_a_finding() -> None:
    landed = Landed()
    whole(landed)
    drive_input = landed.finish(RIG, STAMPS[-1])
    other = InputObject(DRIVE.calibration_key, "v1", "0" * 64)
    result = serial_jobs.inspect(landed, DriveInput(DRIVE, drive_input.objects, drive_input.manifest, other)).inspection
    assert any("the manifest says " + "0" * 64 in one.message for one in result.findings)


def test_a_store_that_does_not_answer_fails_the_job_and_does_not_condemn_the_drive() -> None:
    landed = Landed()
    whole(landed)
    drive_input = landed.finish(RIG, STAMPS[-1])
    landed.s3.denied = True
    with pytest.raises(LakeError, match="AccessDenied") as caught:
        serial_jobs.inspect(landed, drive_input)
    assert not isinstance(caught.value, LandingError)


def test_a_revision_is_read_only_as_the_drives_own() -> None:
    landed = Landed()
    whole(landed)
    drive_input = landed.finish(RIG, STAMPS[-1])
    for vehicle in ("car-1", "car-2"):
        key = input_key(type(DRIVE)(vehicle, "d-1"), drive_input.revision)
        landed.s3.put_object(Bucket="lake", Key=key, Body=drive_input.to_bytes())
    assert read_input(landed.store, SETTINGS, DRIVE, drive_input.revision) == drive_input
    with pytest.raises(LandingError, match="is one of car-1/d-1, not of car-2/d-1"):
        read_input(landed.store, SETTINGS, type(DRIVE)("car-2", "d-1"), drive_input.revision)
    with pytest.raises(LakeError, match="NoSuchKey"):
        read_input(landed.store, SETTINGS, DRIVE, "0" * 64)


def test_metrics_are_those_of_each_sensor_in_the_order_of_recording() -> None:
    rig = make_rig(sensor("top", "lidar", 10, required=True), sensor("cam", "camera", 5))
    recorded = zip((0, 1, 3, 2, 4, 4, 5, 6, 7), (150, 250, 450, 460, 550, 560, 650, 750, 850), strict=True)
    frames = [F("top", T0 + step * 100 * MS, "lidar", log_ns=T0 + logged * MS) for step, logged in recorded]
    index = frame_index([*frames, F("other", T0, "radar")])
    found = {entry.sensor: entry for entry in sensor_metrics(index, rig, None)}
    assert list(found) == ["cam", "other", "top"]
    top = found["top"]
    assert (top.frames_read, top.regressions, top.duplicates, top.reference, top.required) == (9, 0, 1, True, True)
    assert (top.stamps_late, top.stamps_off) == (1, 0)
    assert (top.first_ns, top.last_ns, top.measured_rate_hz) == (T0, T0 + 700 * MS, 10.0)
    assert (found["cam"].frames_read, found["cam"].coverage, found["cam"].nominal_rate_hz) == (0, 0.0, 5.0)
    assert (found["other"].modality, found["other"].nominal_rate_hz, found["other"].frames_expected) == ("radar", None, None)
    assert sensor_metrics(frame_index([]), None, None) == ()


def test_without_log_times_the_order_of_the_file_is_that_of_recording() -> None:
    """Sorted by log times that equal the stamps, no clock would ever step back."""
    rig = make_rig(sensor("top", "lidar", 10, required=True))
    stamps = [T0 + (100 * step - (450 if 10 <= step < 20 else 0)) * MS for step in range(30)]
    frames = [F("top", stamp, "lidar", chunk_offset=number // 4, message_offset=number) for number, stamp in enumerate(stamps)]
    (top,) = sensor_metrics(frame_index(frames), rig, None)
    assert (top.regressions, top.clock_steps) == (1, 2)


def test_clocks_are_held_against_the_references() -> None:
    rig = make_rig(
        sensor("top", "lidar", 10, required=True), sensor("cam", "camera", 10, delay_ns=-30 * MS), sensor("imu", "imu", 100)
    )
    late = 1500 * MS
    lidar = [F("top", T0 + n * 100 * MS, "lidar", log_ns=T0 + n * 100 * MS + 4 * MS) for n in range(150)]
    camera = [F("cam", T0 + n * 100 * MS - 41 * MS, log_ns=T0 + n * 100 * MS + n * 50_000) for n in range(150)]
    imu = [F("imu", n * 10 * MS + 1, "imu", log_ns=T0 + n * 10 * MS + late) for n in range(1500)]
    found = {entry.sensor: entry for entry in sensor_metrics(frame_index([*lidar, *camera, *imu]), rig, None)}
    assert (found["cam"].delay_ns, found["cam"].delay_error_ns, found["cam"].domain_offset_ns) == (-41 * MS, -11 * MS, 0)
    assert found["cam"].drift_ppm == pytest.approx(-500, abs=1)
    assert found["imu"].domain_offset_ns == 1 - late - T0 + 4 * MS
    assert (found["imu"].delay_ns, found["top"].delay_ns, found["top"].drift_ppm) == (None, None, 0.0)
