"""The contribution of a drive, and the summary of the lake."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops.audit.identity import AuditInputs, LedgerDrive, LedgerObject, RawObject
from ops.audit.identity_reader import published_rows
from ops.metrics.pinned_tables import pin
from pyiceberg.manifest import ManifestFile

from ingest.ledger.records import ObjectHead, ObjectRecord
from ingest.ledger.states import ObjectState
from lake.landing import DriveId
from lake.tables.catalog import LakeCatalog
from lake.tables.rows import RecordRow, row_of
from lake.tables.scene_key import SceneKey
from lake.tables.schemas import PUBLISHED
from ops.audit import lake_reader
from ops.metrics import drive_facts
from ops.metrics.drive_facts import Amount, DriveFacts
from ops.metrics.lake import MAX_SENSORS, OTHER, ResidualSizes, summarise
from quality.gx.results import Expectation, SuiteResults
from quality.rules.rule import Outcome, Severity
from scenes.documents import ValidationResults
from tests.unit.ops import lake_builders as rows


def expectation(code: str, outcome: str) -> Expectation:
    return Expectation(
        rule_id=code,
        severity=Severity.ERROR,
        kind="bound",
        expectation="expect_column_values_to_be_between",
        column="x",
        limits={},
        success=outcome == "passed",
        outcome=Outcome(outcome),
        rows=(),
        failing=0,
    )


def suite(*expectations: Expectation) -> SuiteResults:
    return SuiteResults(success=True, evaluated=len(expectations), expectations=expectations)


def test_a_rule_has_its_worst_outcome() -> None:
    suites = {
        "drive": suite(expectation("CLK003", "passed"), expectation("CLK003", "unknown")),
        "objects": suite(expectation("DEC001", "passed"), expectation("LID001", "passed")),
    }
    validations = ValidationResults(drive="d", revision="r", success=True, suites=suites, validations={}, calibration=())
    record = rows.record("a", ["DEC001", "POS001"])
    record["findings"][1]["measured"] = None
    quarantined, released = row_of(RecordRow, record), rows.record_row("b", ["LID001"], status="released")
    assert drive_facts.rule_outcomes(validations, [quarantined, released]) == {
        "CLK003": Outcome.UNKNOWN,
        "DEC001": Outcome.FAILED,
        "LID001": Outcome.PASSED,
        "POS001": Outcome.UNKNOWN,
    }
    assert drive_facts.rule_outcomes(None, []) == {}


def test_records_count_for_each_rule_that_they_name_unless_released() -> None:
    found = drive_facts.record_counts(
        [
            rows.record_row("a", ["DEC005", "CAM001"]),
            rows.record_row("b", ["DEC005"], status="rejected"),
            rows.record_row("c", ["SYN001"], level="scene"),
            rows.record_row("d", ["SYN001"], level="scene", status="released"),
        ]
    )
    assert found == {("DEC005", "object"): 2, ("CAM001", "object"): 1, ("SYN001", "scene"): 1}


def test_residuals_are_sizes_by_sensor(tmp_path: Any) -> None:
    catalog = rows.catalog_of(tmp_path)
    rows.fill(catalog, [rows.scene(0, camera_late_ns=-9), rows.scene(1, camera_late_ns=4)])
    found = drive_facts.residual_sizes(lake_reader.matches(catalog))
    assert {sensor: values.tolist() for sensor, values in found.items()} == {
        "cam_front": [4, 9],
        "lidar_top": [0, 0],
        "radar_front": [12_000_000, 12_000_000],
    }
    assert drive_facts.tolerances(lake_reader.calibration(catalog, rows.DRIVE_A)) == dict.fromkeys(found, 40_000_000)
    assert lake_reader.calibration(catalog, rows.DriveId("veh-9", "none")) is None
    assert drive_facts.tolerances(None) == {}


def test_objects_and_bytes_by_state() -> None:
    def entry(state: ObjectState, size_bytes: int) -> ObjectRecord:
        return ObjectRecord(ObjectHead(f"k{size_bytes}", "v", size_bytes, "e", 0), state, 0)

    published, landed = ObjectState.PUBLISHED, ObjectState.LANDED
    assert drive_facts.object_amounts([entry(published, 5), entry(landed, 7), entry(published, 11)]) == {
        "published": Amount(2, 16),
        "landed": Amount(1, 7),
    }


def test_checks_are_those_of_the_audit() -> None:
    key = f"{rows.DRIVE_A}/camera/cam/1780000000000000000.mcap"
    name = str(rows.DRIVE_A)
    inputs = AuditInputs(
        raw=(RawObject(key, "v1", name), RawObject(key + "x", "v1", name)),
        ledger_objects=(LedgerObject(key, "v1", "landed"),),
        ledger_drives=(LedgerDrive(name, "landing", ""),),
    )
    checks = drive_facts.check_outcomes(inputs)
    assert [check for check, holds in checks.items() if not holds] == [
        "objects landed = published + quarantined + refused + pending + replaced by a newer version"
    ]
    assert not DriveFacts({}, checks).balanced


def test_copies_are_looked_for_in_their_folders_only() -> None:
    records = [rows.record_row(name, ["DEC005"], payload_uri=f"s3://q/frames/d/{name}") for name in ("a/1", "a/2", "b/1")]
    records.append(rows.record_row("none", ["CMP001"], payload_uri=None))
    assert drive_facts.payload_prefixes(records) == {"s3://q/frames/d/a/", "s3://q/frames/d/b/"}


def sizes(*values_ns: int) -> Any:
    return np.sort(np.array(values_ns, dtype=np.int64))


def test_a_summary_adds_up_drives_and_speaks_of_the_newest() -> None:
    old = DriveFacts({"published": Amount(2, 20)}, {"a": True}, {("cam", "camera", "gold"): 10}, 10, {("DEC005", "object"): 1})
    new = DriveFacts(
        {"published": Amount(1, 5), "quarantined": Amount(1, 1)},
        {"a": False, "b": True},
        {("cam", "camera", "gold"): 3, ("cam", "camera", "quarantined"): 2},
        3,
        {("DEC005", "object"): 2},
        {"DEC005": Outcome.FAILED, "CLK003": Outcome.PASSED},
        {"cam": sizes(1, 2, 30), "imu": sizes(0)},
        {"cam": 20},
    )
    found = summarise([old, new], [new], Amount(1, 8), publications=4, published_scenes=20)
    assert found.objects == {"refused": Amount(1, 8), "published": Amount(3, 25), "quarantined": Amount(1, 1)}
    assert found.frames == {("cam", "camera", "gold"): 13, ("cam", "camera", "quarantined"): 2}
    assert found.recent_frames == {("cam", "camera", "gold"): 3, ("cam", "camera", "quarantined"): 2}
    assert (found.scenes, found.publications, found.published_scenes, found.recent_drives) == (13, 4, 20, 1)
    assert found.records == {("DEC005", "object"): 3}
    assert found.checks == {("a", True): 1, ("a", False): 1, ("b", True): 1}
    assert found.unbalanced_drives == 1
    assert found.rules == {("DEC005", Outcome.FAILED): 1, ("CLK003", Outcome.PASSED): 1}
    assert found.residuals == {"cam": ResidualSizes(2, 30, 30, 30, 1.5), "imu": ResidualSizes(0, 0, 0, 0, None)}


def test_each_drive_is_held_against_its_own_tolerance() -> None:
    wide = DriveFacts({}, {}, residuals_ns={"cam": sizes(30)}, tolerances_ns={"cam": 40})
    narrow = DriveFacts({}, {}, residuals_ns={"cam": sizes(12)}, tolerances_ns={"cam": 10})
    nothing = DriveFacts({}, {}, residuals_ns={"cam": sizes(1)}, tolerances_ns={"cam": 0})
    assert summarise([wide, narrow], [wide, narrow], Amount(), 0, 0).residuals["cam"].tolerances == 1.2
    assert summarise([wide, nothing], [wide, nothing], Amount(), 0, 0).residuals["cam"].tolerances == math.inf


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=6), st.integers(1, 10**6), max_size=200))
def test_however_many_sensors_there_are_few_are_named_and_none_is_lost(frames: dict[str, int]) -> None:
    drive = DriveFacts(
        {}, {}, {(sensor, "camera", "gold"): count for sensor, count in frames.items()},
        residuals_ns={sensor: sizes(count) for sensor, count in frames.items()},
    )  # fmt: skip
    found = summarise([drive], [drive], Amount(), 0, 0)
    for named in ({sensor for sensor, _, _ in found.frames}, found.residuals.keys()):
        assert len(named) <= MAX_SENSORS + 1
    assert sum(found.frames.values()) == sum(frames.values())
    smallest_named = min((count for (sensor, _, _), count in found.frames.items() if sensor != OTHER), default=0)
    others = Counter(frames) - Counter({sensor: count for (sensor, _, _), count in found.frames.items() if sensor != OTHER})
    assert all(count <= smallest_named for count in others.values())
    assert max((one.max_ns for one in found.residuals.values()), default=0) == max(frames.values(), default=0)


def test_a_rule_that_the_catalogue_lacks_gets_no_label_of_its_own() -> None:
    drive = DriveFacts({}, {}, records={("XYZ999", "object"): 2, ("LID001", "object"): 1}, outcomes={"XYZ999": Outcome.FAILED})
    found = summarise([drive], [drive], Amount(), 0, 0)
    assert found.records == {(OTHER, "object"): 2, ("LID001", "object"): 1}
    assert found.rules == {(OTHER, Outcome.FAILED): 1}


class Loads(LakeCatalog):
    """A catalog that counts how often a table is loaded."""

    loaded = 0

    def load_table(self, identifier: Any) -> Any:
        type(self).loaded += 1
        return super().load_table(identifier)


def test_tables_are_loaded_again_only_after_a_commit(tmp_path: Any) -> None:
    rows.catalog_of(tmp_path)
    catalog = Loads("unit", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    assert set(catalog.pointers()) == set(PUBLISHED)
    first = pin(catalog, None)
    assert (bool(first), Loads.loaded) == (True, 4)
    assert pin(catalog, first) is first
    assert Loads.loaded == 4
    rows.fill(catalog, [rows.scene(0)])
    loaded = Loads.loaded
    second = pin(catalog, first)
    assert Loads.loaded == loaded + 4
    assert [len(lake_reader.publications(tables)) for tables in (first, second)] == [0, 1]


def test_a_lake_without_tables_pins_none(tmp_path: Any) -> None:
    empty = LakeCatalog("unit", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    assert not pin(empty, None)
    assert json.dumps(pin(empty, None).pointers) == "{}"


class Opened:
    """Counts the manifests that scans open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: list[str] = []
        real = ManifestFile.fetch_manifest_entry

        def counted(manifest: Any, io: Any, discard_deleted: bool = True) -> Any:
            self.paths.append(manifest.manifest_path)
            return real(manifest, io, discard_deleted)

        monkeypatch.setattr(ManifestFile, "fetch_manifest_entry", counted)

    def taken(self) -> int:
        found, self.paths = len(self.paths), []
        return found


DRIVES = [DriveId("veh-1", f"drive-{number}") for number in range(6)]


@pytest.fixture
def six_drives(tmp_path: Path) -> LakeCatalog:
    """Each published once; the third a second time, in place of the first."""
    catalog = rows.catalog_of(tmp_path)
    for drive in DRIVES:
        rows.fill(catalog, [rows.scene(0, drive)], [rows.frame("lidar_top", "lidar", rows.EPOCH_NS, drive=drive)], drive=drive)
    catalog.load_table("gold.scenes").delete("drive_id = 'drive-2'")
    rows.fill(catalog, [rows.scene(number, DRIVES[2]) for number in range(2)], drive=DRIVES[2], generation=2)
    return catalog


def test_a_drive_is_found_in_its_own_manifests(six_drives: LakeCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned, opened = pin(six_drives, None), Opened(monkeypatch)
    for drive in DRIVES:
        opened.taken()
        found = published_rows(pinned.of_drive(drive), drive)
        # Scenes twice, frames twice, no records: of each its own manifest and the one before, more where it was replaced.
        assert opened.taken() <= (10 if drive == DRIVES[2] else 8)
        whole = published_rows(six_drives, drive)
        assert opened.taken() >= 20
        assert (found.frames, found.scenes, found.records, found.indexed) == (
            whole.frames, whole.scenes, whole.records, whole.indexed,
        )  # fmt: skip
        assert len(found.scenes) == (2 if drive == DRIVES[2] else 1)
        assert lake_reader.calibration(pinned.of_drive(drive), drive) == lake_reader.calibration(six_drives, drive)
    assert published_rows(pinned.of_drive(DriveId("veh-1", "none")), DriveId("veh-1", "none")).scenes == ()


def test_a_drive_that_was_committed_twice_is_seen_twice(six_drives: LakeCatalog) -> None:
    rows.fill(six_drives, [rows.scene(0, DRIVES[0])], drive=DRIVES[0])
    found = published_rows(pin(six_drives, None).of_drive(DRIVES[0]), DRIVES[0])
    assert [scene.scene_id for scene in found.scenes] == [str(SceneKey(DRIVES[0], rows.EPOCH_NS))] * 2


def test_after_a_rewrite_of_the_table_all_manifests_are_opened(six_drives: LakeCatalog) -> None:
    table = six_drives.load_table("gold.scenes")
    table.overwrite(table.scan().to_arrow())
    pinned = pin(six_drives, None)
    assert [len(published_rows(pinned.of_drive(drive), drive).scenes) for drive in DRIVES] == [1, 1, 2, 1, 1, 1]
