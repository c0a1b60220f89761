"""Every kind of fault to quarantine and back, with the audit balanced at each point. `make fault-tour` runs it.

The rig of a drive raises a rule that only warns to an error, as its leeway allows. Data that cannot be released, because
there is nothing to admit, comes back when the corrected drive lands.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from pyspark.sql import SparkSession

from bench.quality_score.examine import InProcess
from fleet.fault_kinds import FaultKind
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions
from ingest.ledger.states import DriveState
from lake.documents import canonical_json
from lake.landing import DriveId
from lake.overrides import Verdict
from lake.tables.rows import RecordRow
from quality.decisions import error_rules, overrides_for, why_not_releasable
from quality.rules.catalogue import Severity, rule
from tests.integration.station import Station
from tests.unit.localstack.stack_tools import provision

ENABLED_BY = "SCENELAKE_TEST_EVERY_FAULT"
pytestmark = [
    pytest.mark.skipif(not os.environ.get(ENABLED_BY), reason=f"takes minutes: {ENABLED_BY}=1, or `make fault-tour`, runs it"),
    pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning"),  # moto, of types that its CloudFormation lacks
]

DRIVE = DriveId("car-1", "d-1")
CAMERA, LIDAR, RADAR = "camera_front", "lidar_top", "radar_front"
RIG = RigOptions(cameras=(CAMERA,), width_px=160, height_px=90, lidar_rings=16, lidar_columns=90, radar_states=True, gnss=True)
FINE = replace(RIG, width_px=48, height_px=27, lidar_rings=32, lidar_columns=360)
names = (f"tour-{uuid.uuid4().hex[:8]}" for _ in itertools.count())


@dataclass(frozen=True, slots=True)
class Stop:
    """A fault, the rule that must quarantine it, and the drive that shows it."""

    fault: str
    rule: str
    duration_s: float = 2.0
    rig: RigOptions = RIG
    seed: int = 0


STOPS = (
    Stop(f"cut_jpeg:{CAMERA}:4,5", "DEC005"),
    Stop(f"shorten_jpeg:{CAMERA}:0.3:4,5", "DEC005"),
    Stop(f"zero_jpeg:{CAMERA}:0.3:4,5", "DEC005"),
    Stop(f"shorten_png:{CAMERA}:0.3:4,5", "DEC005"),
    Stop(f"lose_chroma:{CAMERA}:4,5", "CAM007"),
    Stop(f"tint:{CAMERA}:50:4,5", "CAM008"),
    Stop(f"grey_image:{CAMERA}:4,5", "CAM009"),
    Stop(f"unfill_image:{CAMERA}:0.3:4,5", "CAM010"),
    Stop(f"blank_image:{CAMERA}:3:4,5", "CAM001"),
    Stop(f"overexpose:{CAMERA}:0.6:4,5", "CAM003"),
    Stop(f"underexpose:{CAMERA}:0.9:4,5", "CAM004"),
    Stop(f"blur:{CAMERA}:2.5:4,5", "CAM005"),
    Stop(f"block_image:{CAMERA}:0.5:0.1", "CAM006"),
    Stop(f"repeat_content:{LIDAR}:5,6", "LID008"),
    Stop(f"nan_points:{LIDAR}:0.9:5,6", "LID001"),
    Stop(f"drop_points:{LIDAR}:0.5:5,6", "LID003"),
    Stop(f"zero_points:{LIDAR}:0.5:5,6", "LID005"),
    Stop(f"block_sector:{LIDAR}:60:5,6", "LID004", rig=FINE),
    Stop(f"drop_rings:{LIDAR}:3:5,6", "LID007", rig=FINE),
    Stop(f"fade_intensity:{LIDAR}:0.8", "LID006"),
    Stop(f"scale_times:{LIDAR}:0:5,6", "SYN003"),
    Stop(f"rename_x:{LIDAR}:5,6", "DEC006"),
    Stop(f"empty_scan:{RADAR}:5,6,7,8", "RAD001"),
    Stop(f"ghosts:{RADAR}:0.9:5,6,7,8", "RAD002"),
    Stop(f"full_list:{RADAR}:64:0.6", "RAD003"),
    Stop("pose_jump:pose:2:1.0", "POS002"),
    Stop("pose_scale:pose:0.5", "POS007", duration_s=5.0, rig=FINE),
    Stop("pose_shake:pose:1", "POS004"),
    Stop("gyro_bias:imu:0.3", "POS005"),
    Stop("acceleration_bias:imu:8", "POS006"),
    Stop(f"dead_sensor:{CAMERA}:1.0", "SYN001"),
    Stop(f"drop_frames:{LIDAR}:0.6", "CLK003"),
    Stop(f"wild_stamp:{CAMERA}:-1000000000000:5,9", "CLK011"),
    Stop(f"late_frames:{CAMERA}:9", "CLK015"),
    Stop(f"log_pace:{CAMERA}:20", "CLK013"),
    Stop(f"duplicate_stamps:{CAMERA}:9,13", "CLK002"),
    Stop(f"clock_offset:{CAMERA}:2000000000", "CLK007"),
    Stop(f"clock_step:{CAMERA}:-200000000:1.0", "CLK008"),
    Stop(f"clock_drift:{CAMERA}:500", "CLK009", duration_s=15.0, rig=replace(RIG, width_px=48, height_px=27)),
    Stop(f"clock_unit:{CAMERA}:3", "CLK006"),
    Stop(f"unknown_message_type:{RADAR}", "DEC004"),
    Stop(f"wrong_frame:{RADAR}:0.2", "DEC008"),
    Stop(f"second_topic:{RADAR}:0.2", "DEC008"),
    Stop("bad_calibration", "CAL001"),
    Stop(f"rotate_extrinsic:{RADAR}:yaw=5deg", "CAL006", duration_s=8.0, rig=FINE),
    Stop(f"swap_quaternion:{LIDAR}", "CAL009", duration_s=8.0, rig=FINE),
    Stop(f"invert_extrinsic:{CAMERA}", "CAL008"),
    Stop(f"body_axes:{CAMERA}", "CAL008"),
    Stop(f"degrees_extrinsic:{LIDAR}", "CAL009", duration_s=8.0, rig=FINE),
    Stop(f"shift_extrinsic:{LIDAR}:z=50cm", "CAL004", duration_s=8.0, rig=FINE),
    Stop(f"wrong_intrinsics:{CAMERA}:size=0.5", "CAL007"),
    Stop(f"unlisted_sensor:{RADAR}", "CAL002"),
    Stop(f"truncate_object:{CAMERA}:0.3", "DEC002"),
    Stop(f"wrong_checksum:{RADAR}", "DEC001"),
    Stop(f"wrong_count:{RADAR}:3", "CMP004"),
    Stop(f"empty_object:{RADAR}", "DEC003"),
    Stop(f"absent_object:{RADAR}", "CMP001"),
    Stop("no_manifest", "CMP002"),
)
REFUSED = FaultKind.STRAY_FILE  # never opened, so no record of a drive: see its own test


def test_no_kind_is_left_out() -> None:
    assert {FaultKind(stop.fault.partition(":")[0]) for stop in STOPS} == set(FaultKind) - {REFUSED}


@pytest.fixture
def station(endpoint: str, tmp_path: Path) -> Station:
    variables = dict(provision.provision(endpoint, next(names), "us-east-1").variables)
    return Station({**variables, "SCENELAKE_CATALOG_URI": f"sqlite:///{tmp_path}/catalog.db"})


def made(stop: Stop, out: Path, fault: str | None) -> Path:
    """The drive of a stop, with its rule as an error."""
    spec = DriveSpec("car-1", "d-1", stop.seed, stop.duration_s, rig=stop.rig, faults=(Fault.parse(fault),) if fault else ())
    generate(spec, out)
    if rule(stop.rule).severity is Severity.WARNING:
        path = out / "calibration.json"
        document = json.loads(path.read_bytes())
        document["policy"] = document.get("policy", {}) | {"rules": {stop.rule: {"severity": "error"}}}
        path.write_bytes(canonical_json(document))
        manifest = json.loads((out / "manifest.json").read_bytes())
        manifest["calibration_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        (out / "manifest.json").write_bytes(canonical_json(manifest))
    return out


def land(station: Station, folder: Path) -> None:
    """Land a drive; objects that are still missing are then overdue."""
    if station.land(folder, DRIVE).state is not DriveState.QUEUED:
        station.registrar.evaluate(DRIVE, overdue=True)


def run(station: Station) -> str:
    (state,) = station.run(cast(SparkSession, InProcess()))
    station.check_balance()
    return state


def held(station: Station, code: str) -> list[RecordRow]:
    """Quarantined records that the rule keeps out of gold."""
    return [row for row in station.records(DRIVE) if row.status == "quarantined" and code in error_rules(row)]


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: f"{stop.fault.partition(':')[0]}-{stop.rule}")
def test_to_quarantine_and_back(stop: Stop, station: Station, tmp_path: Path) -> None:
    land(station, made(stop, tmp_path / "faulty", stop.fault))
    station.check_balance()
    run(station)
    records = held(station, stop.rule)
    assert records, sorted({code for row in station.records(DRIVE) for code in row.rule_ids})
    free = [row for row in records if why_not_releasable(row) is None]
    if free:
        come_back_by_release(station, stop, free)
    else:
        come_back_by_correction(station, stop, tmp_path)


def come_back_by_release(station: Station, stop: Stop, records: list[RecordRow]) -> None:
    state = release(station, records)
    for _ in range(2):  # a drive that is let in has scenes, each of which may fail a rule of its own
        if station.scenes(DRIVE):
            break
        kept = [row for row in station.records(DRIVE) if row.status == "quarantined"]
        state = release(station, [row for row in kept if why_not_releasable(row) is None])
    assert state == "published"
    assert held(station, stop.rule) == [row for row in held(station, stop.rule) if why_not_releasable(row)]
    after = {row.record_id: row for row in station.records(DRIVE) if row.status == "released"}
    for row in records:
        found = after[row.record_id]
        assert (found.reviewer, found.reason, found.frames) == ("alice", "seen and found harmless", 0)
    released = [one for row in station.scenes(DRIVE) for one in row["released"]]
    if any(row.frames for row in records):  # an object whose frames nobody can read lets in nothing
        assert {one["reviewer"] for one in released} == {"alice"}
        assert any(stop.rule in one["rule_ids"] for one in released)


def release(station: Station, records: list[RecordRow]) -> str:
    found = overrides_for(records, Verdict.RELEASE, "alice", "seen and found harmless")
    station.desk.release(DRIVE, records[0].revision, found)
    station.check_balance()
    return run(station)


def come_back_by_correction(station: Station, stop: Stop, tmp_path: Path) -> None:
    land(station, made(stop, tmp_path / "sound", None))
    station.check_balance()
    assert run(station) == "published"
    assert held(station, stop.rule) == []
    assert station.scenes(DRIVE)


def test_a_stray_file_is_refused_and_the_drive_goes_its_way(station: Station, tmp_path: Path) -> None:
    folder = made(Stop("stray_file", "KEY001"), tmp_path / "drive", "stray_file")
    (stray,) = folder.rglob("*.pkl")
    key = f"{DRIVE}/{stray.relative_to(folder)}"
    station.s3.put_object(Bucket=station.settings.raw_bucket, Key=key, Body=stray.read_bytes())
    assert station.registrar.register(key) is None
    land(station, folder)
    assert run(station) == "published"
    (refused,) = station.ledger.refused()
    assert (refused.rule_id, refused.head.key) == ("KEY001", key)
