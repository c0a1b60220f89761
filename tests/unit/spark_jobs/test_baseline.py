"""A vehicle's baseline from end to end, in memory: learned from published drives, pinned, compared with, decided about."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

import spark_jobs.audit
import spark_jobs.publish
from bench.folder_settings import SETTINGS
from fleet.encode import encode_image
from ingest.ledger.records import DriveRecord
from ingest.ledger.states import DriveState
from lake.drive_input import DriveInput, InputObject, baseline_key
from lake.errors import LakeError
from lake.landing import DriveId
from lake.overrides import DRIVE as WHOLE_DRIVE
from lake.overrides import Override, Verdict
from lake.tables.publish import Publication, PublishOutcome
from lake.vehicle_baseline import VehicleBaseline
from ops.drives import vehicle_baseline
from quality.gx.checkpoint import CheckpointResult, ValidatedSuite
from quality.gx.results import SuiteResults
from quality.rules.catalogue import Severity
from quality.rules.findings import Finding
from scenes.documents import AuditDocument
from scenes.options import BuildOptions, PayloadChecks
from scenes.outcome.learning import learn
from scenes.outcome.validation import Tables
from spark_jobs.publish import publish_drive
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import MS, T0, Landed, cloud, rig_document, sensor
from tests.unit.spark_jobs.committed_batches import committed

VEHICLE, POINTS = "car-1", 100
SENSORS = (sensor("top", "lidar", required=True), sensor("cam", "camera"), sensor("rad", "radar", required=True))
DAY_NS = 86_400_000_000_000


def photo(seed: int, *, dull: bool) -> bytes:
    """A JPEG of coloured noise, as sharp as can be; dull: without any colour."""
    noise = np.random.default_rng(seed).integers(40, 200, (48, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(noise[..., :1], 3, axis=2) if dull else noise).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@dataclass
class Fleet:
    """One vehicle: its buckets, and what its ledger says of each drive."""

    s3: FakeS3
    records: dict[DriveId, DriveRecord]
    monkeypatch: pytest.MonkeyPatch

    def drive(self, drive: DriveId) -> DriveRecord | None:
        return self.records.get(drive)

    def land(
        self,
        number: int,
        *,
        points: int = POINTS,
        detections: int = 20,
        dull: bool = False,
        frames: int = 12,
        sensors: Sequence[Mapping[str, Any]] = SENSORS,
        **policy: Any,
    ) -> tuple[Landed, DriveInput]:
        """A drive of day `number`, with so many points in each sweep and so many detections in each scan."""
        landed = Landed(self.s3, DriveId(VEHICLE, f"d-{number}"))
        stamps = [T0 + number * DAY_NS + n * 100 * MS for n in range(frames)]
        landed.land("top", "lidar", [(ns, cloud(ns, points)) for ns in stamps])
        landed.land("cam", "camera", [(ns, encode_image(ns, "cam", "jpeg", photo(ns, dull=dull))) for ns in stamps])
        landed.land("rad", "radar", [(ns, cloud(ns, detections)) for ns in stamps])
        return landed, landed.finish(rig_document(*sensors, **policy), stamps[-1], start_ns=stamps[0])

    def run(self, landed: Landed, drive_input: DriveInput, options: BuildOptions = serial_jobs.OPTIONS) -> AuditDocument:
        self.monkeypatch.setattr(spark_jobs.audit, "run_checkpoint", nothing_to_report)
        serial_jobs.inspect(landed, drive_input, options)
        serial_jobs.build(landed, drive_input, options=options)
        return serial_jobs.audit(landed, drive_input, options)

    def publish(self, landed: Landed, drive_input: DriveInput) -> None:
        """Commit, and let the ledger say so."""
        commit = lambda _, batch: Publication(PublishOutcome.PUBLISHED, committed(batch))  # noqa: E731
        self.monkeypatch.setattr(spark_jobs.publish, "publish", commit)
        result = publish_drive(None, serial_jobs.step_of(landed, drive_input), 1)  # type: ignore[arg-type]
        state = DriveState(result.outcome)
        self.records[landed.drive] = DriveRecord(landed.drive, state, drive_input.revision, 1)

    def publish_sound(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            landed, drive_input = self.land(number)
            assert self.run(landed, drive_input).verdict == "publish"
            self.publish(landed, drive_input)

    def learn(self, drives: int = 10, *, departed: bool = False) -> VehicleBaseline:
        found, _ = vehicle_baseline.newest_statistics(Landed(self.s3).store, SETTINGS, self, VEHICLE, drives)
        return learn(VEHICLE, found, "test", departed=departed).baseline

    def pin(self, drive_input: DriveInput, baseline: VehicleBaseline) -> DriveInput:
        sha256, _ = vehicle_baseline.put(Landed(self.s3).store, SETTINGS, baseline)
        versions = self.s3.versions["lake", baseline_key(VEHICLE)]
        return replace(drive_input, baseline=InputObject(baseline_key(VEHICLE), versions[-1][0], sha256))


def nothing_to_report(tables: Tables, *_: object) -> CheckpointResult:
    """Great Expectations with nothing to report, which takes seconds to find out; it judges no departure."""
    nothing = SuiteResults(success=True, evaluated=0, expectations=())
    suites = {suite.name: ValidatedSuite(suite.name, nothing, {}, {}, msgspec.Raw(b"{}")) for suite, _ in tables}
    return CheckpointResult(suites)


@pytest.fixture(scope="module")
def three_sound() -> tuple[FakeS3, dict[DriveId, DriveRecord]]:
    """Three published drives; the jobs are run once, and each test goes on with a copy."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        fleet = Fleet(FakeS3(), {}, monkeypatch)
        fleet.publish_sound(range(3))
    return fleet.s3, fleet.records


@pytest.fixture
def fleet(three_sound: tuple[FakeS3, dict[DriveId, DriveRecord]], monkeypatch: pytest.MonkeyPatch) -> Fleet:
    s3, records = three_sound
    return Fleet(FakeS3(versions={place: list(past) for place, past in s3.versions.items()}), dict(records), monkeypatch)


@pytest.fixture
def learned(fleet: Fleet) -> VehicleBaseline:
    return fleet.learn()


def departures(audit: AuditDocument) -> list[Finding]:
    return [found for found in audit.findings if found.rule_id in ("LID010", "RAD006", "CAM011")]


def test_a_lidar_that_lost_most_of_its_points_throughout_is_held_against_earlier_drives(
    fleet: Fleet, learned: VehicleBaseline
) -> None:
    landed, drive_input = fleet.land(3, points=40)
    unguarded = fleet.run(landed, drive_input)
    assert (unguarded.verdict, departures(unguarded)) == ("publish", []), "against itself, such a drive is sound"
    pinned = fleet.pin(drive_input, learned)
    assert pinned.revision != drive_input.revision
    assert pinned.base == drive_input.base
    audit = fleet.run(landed, pinned)
    (found,) = departures(audit)
    assert (found.rule_id, found.sensor, found.severity, found.measured, found.threshold) == (
        "LID010", "top", Severity.ERROR, pytest.approx(0.4), 0.5,
    )  # fmt: skip
    assert "40 returns per sweep, 40.0% of 100, the median of 3 earlier drives" in found.message
    assert (audit.verdict, audit.files["gold.scenes"]) == ("quarantine", ())
    assert ("LID010", "top", "failed") in [(one.rule_id, one.sensor, one.outcome) for one in audit.results]


def test_a_drive_like_the_others_passes_and_says_so(fleet: Fleet, learned: VehicleBaseline) -> None:
    landed, drive_input = fleet.land(3, points=60)
    audit = fleet.run(landed, fleet.pin(drive_input, learned))
    assert (audit.verdict, departures(audit)) == ("publish", [])
    compared = {(one.rule_id, one.sensor): one.outcome for one in audit.results if one.rule_id in ("LID010", "RAD006", "CAM011")}
    assert compared == {("LID010", "top"): "passed", ("RAD006", "rad"): "passed", ("CAM011", "cam"): "passed"}


def test_a_sensor_that_is_not_required_is_flagged_in_its_scenes(fleet: Fleet, learned: VehicleBaseline) -> None:
    sensors = (SENSORS[0], SENSORS[1], sensor("rad", "radar"))
    landed, drive_input = fleet.land(3, detections=3, sensors=sensors)
    audit = fleet.run(landed, fleet.pin(drive_input, learned))
    (found,) = departures(audit)
    assert (found.rule_id, found.severity, audit.verdict) == ("RAD006", Severity.WARNING, "publish")
    assert "RAD006" in audit.warnings
    assert all("RAD006" in scene["quality_flags"] for scene in serial_jobs.scenes(landed))


def test_a_camera_that_lost_its_colour_before_the_drive_began_is_found(fleet: Fleet, learned: VehicleBaseline) -> None:
    landed, drive_input = fleet.land(3, dull=True)
    unguarded = fleet.run(landed, drive_input)
    assert {found.rule_id for found in unguarded.findings if found.rule_id.startswith("CAM")} == set()
    (found,) = departures(fleet.run(landed, fleet.pin(drive_input, learned)))
    assert (found.rule_id, found.sensor, found.severity) == ("CAM011", "cam", Severity.WARNING)
    assert "colour relative to contrast" in found.message


def test_the_rig_sets_limit_and_severity(fleet: Fleet, learned: VehicleBaseline) -> None:
    rules = {"LID010": {"threshold": 0.7, "severity": "warning"}}
    landed, drive_input = fleet.land(3, points=60, rules=rules)
    audit = fleet.run(landed, fleet.pin(drive_input, learned))
    assert (audit.verdict, [(found.rule_id, found.threshold) for found in departures(audit)]) == ("publish", [("LID010", 0.7)])
    fleet.publish(landed, fleet.pin(drive_input, learned))
    lidar = fleet.learn().of("top", "lidar")
    assert lidar is not None
    assert lidar.drives == 3, "what departed teaches nothing"


def test_a_reviewer_releases_a_drive_that_departs(fleet: Fleet, learned: VehicleBaseline) -> None:
    landed, drive_input = fleet.land(3, points=40)
    pinned = fleet.pin(drive_input, learned)
    override = Override(Verdict.RELEASE, pinned.base, (WHOLE_DRIVE,), ("LID010",), "kim", "a new lidar")
    audit = fleet.run(landed, replace(pinned, overrides=frozenset({override.to_string()})))
    assert audit.verdict == "publish"
    assert [found.severity for found in departures(audit)] == [Severity.WARNING]
    assert all("LID010" in scene["quality_flags"] for scene in serial_jobs.scenes(landed))


def test_only_what_is_published_now_is_learned_from(fleet: Fleet) -> None:
    store = Landed(fleet.s3).store
    found, left_out = vehicle_baseline.newest_statistics(store, SETTINGS, fleet, VEHICLE, 10)
    assert ([entry.drive_id for entry in found], left_out) == (["d-2", "d-1", "d-0"], ()), "newest first"
    newest, oldest = DriveId(VEHICLE, "d-2"), DriveId(VEHICLE, "d-0")
    fleet.records[newest] = replace(fleet.records[newest], state=DriveState.QUARANTINED)
    fleet.records[oldest] = replace(fleet.records[oldest], revision="0" * 64)
    found, left_out = vehicle_baseline.newest_statistics(store, SETTINGS, fleet, VEHICLE, 10)
    assert [entry.drive_id for entry in found] == ["d-1"]
    assert [text.split(":")[0] for text in left_out] == [str(newest), str(oldest)]


def test_the_cost_of_learning_does_not_grow_with_the_age_of_the_lake(fleet: Fleet) -> None:
    keys = [key for (_, key) in fleet.s3.versions if "/quality/statistics/" in key]
    assert len(keys) == 3
    body = fleet.s3.versions["lake", keys[0]][-1][1]
    for age in range(200):
        fleet.s3.put_object(Bucket="lake", Key=f"{keys[0][:-5]}-{age:03d}.json", Body=body)
    fleet.s3.gets.clear()
    vehicle_baseline.newest_statistics(Landed(fleet.s3).store, SETTINGS, fleet, VEHICLE, 3)
    assert len(fleet.s3.gets) <= vehicle_baseline.LOOKED_AT * 3


def test_the_same_baseline_is_not_stored_twice(fleet: Fleet, learned: VehicleBaseline) -> None:
    store = Landed(fleet.s3).store
    assert fleet.learn() == learned
    assert vehicle_baseline.put(store, SETTINGS, learned) == (hashlib.sha256(learned.to_bytes()).hexdigest(), True)
    assert vehicle_baseline.put(store, SETTINGS, learned)[1] is False
    assert len(fleet.s3.versions["lake", baseline_key(VEHICLE)]) == 1


def test_the_pinned_version_is_read_and_no_other(fleet: Fleet, learned: VehicleBaseline) -> None:
    landed, drive_input = fleet.land(3, points=40)
    pinned = fleet.pin(drive_input, learned)
    fleet.pin(drive_input, replace_median(learned, 40.0))  # a newer version, under which the drive would pass
    assert fleet.run(landed, pinned).verdict == "quarantine"
    assert pinned.baseline is not None
    altered = replace(pinned, baseline=replace(pinned.baseline, sha256="0" * 64))
    with pytest.raises(LakeError, match="hashes to"):
        fleet.run(landed, altered)
    gone = replace(pinned, baseline=replace(pinned.baseline, version_id="v9"))
    with pytest.raises(LakeError, match="cannot read"):
        fleet.run(landed, gone)


def test_without_payload_checks_a_required_sensor_is_flagged_as_not_compared(fleet: Fleet, learned: VehicleBaseline) -> None:
    options = BuildOptions(payload_checks=PayloadChecks.STRUCTURE)
    landed, drive_input = fleet.land(3, points=40)
    audit = fleet.run(landed, fleet.pin(drive_input, learned), options)
    assert audit.verdict == "publish"
    assert {(found.rule_id, found.outcome, found.severity) for found in departures(audit)} == {
        (code, "unknown", "warning") for code in ("LID010", "RAD006", "CAM011")
    }
    assert all({"LID010", "RAD006"} <= set(scene["quality_flags"]) for scene in serial_jobs.scenes(landed))


def replace_median(baseline: VehicleBaseline, median: float) -> VehicleBaseline:
    from msgspec.structs import replace as changed

    def moved(sensor: Any) -> Any:
        entries = tuple(
            changed(entry, median=median, least=median, most=median) if entry.name == "returns" else entry
            for entry in sensor.statistics
        )
        return changed(sensor, statistics=entries)

    return changed(baseline, sensors=tuple(map(moved, baseline.sensors)))
