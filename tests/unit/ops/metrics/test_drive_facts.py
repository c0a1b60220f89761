"""The contribution of a drive, and the summary of the lake."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lake.iceberg.sql_catalog import LakeCatalog
from lake.tables.pinned import pin
from lake.tables.rows import RecordRow, row_of
from lake.tables.schemas import PUBLISHED
from ops.audit import lake_reader
from ops.metrics import drive_facts
from ops.metrics.drive_facts import Amount, DriveFacts, RecentFacts
from ops.metrics.facts_store import FactsStore
from ops.metrics.lake import MAX_SENSORS, OTHER, LakeSums, ResidualSizes, summarise
from quality.gx.results import Expectation, SuiteResults
from quality.rules.rule import Outcome, Severity
from scenes.accounting.inputs import DriveInputs, KeptOut, LedgerDrive, LedgerObject, RawObject
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
            KeptOut("a", "r", 1, None, None, rule_ids=("DEC005", "CAM001")),
            KeptOut("b", "r", 1, None, None, rule_ids=("DEC005",), status="rejected"),
            KeptOut("c", "r", 1, None, None, rule_ids=("SYN001",), level="scene"),
            KeptOut("d", "r", 1, None, None, rule_ids=("SYN001",), level="scene", status="released"),
        ]
    )
    assert found == {("DEC005", "object"): 2, ("CAM001", "object"): 1, ("SYN001", "scene"): 1}


def test_residuals_are_sizes_by_sensor(tmp_path: Any) -> None:
    catalog = rows.catalog_of(tmp_path)
    rows.fill(catalog, [rows.scene(0, camera_late_ns=-9), rows.scene(1, camera_late_ns=4)])
    found = drive_facts.residual_sizes(lake_reader.matches(catalog, rows.DRIVE_A))
    assert {sensor: values.tolist() for sensor, values in found.items()} == {
        "cam_front": [4, 9],
        "lidar_top": [0, 0],
        "radar_front": [12_000_000, 12_000_000],
    }
    assert drive_facts.tolerances(lake_reader.calibration(catalog, rows.DRIVE_A)) == dict.fromkeys(found, 40_000_000)
    assert lake_reader.calibration(catalog, rows.DriveId("veh-9", "none")) is None
    assert drive_facts.tolerances(None) == {}


def test_objects_and_bytes_by_state() -> None:
    objects = [LedgerObject(f"k{size}", "v", state, size) for state, size in (("published", 5), ("landed", 7), ("published", 11))]
    assert drive_facts.object_amounts(objects) == {"published": Amount(2, 16), "landed": Amount(1, 7)}


def test_checks_are_those_of_the_audit() -> None:
    key = f"{rows.DRIVE_A}/camera/cam/1780000000000000000.mcap"
    inputs = DriveInputs(
        str(rows.DRIVE_A),
        raw=(RawObject(key, "v1"), RawObject(key + "x", "v1")),
        ledger_objects=(LedgerObject(key, "v1", "landed"),),
        ledger=LedgerDrive("landing", ""),
    )
    checks = drive_facts.check_outcomes(inputs)
    assert [check for check, holds in checks.items() if not holds] == [
        "objects landed = published + quarantined + refused + pending + replaced by a newer version"
    ]
    assert not DriveFacts({}, checks).balanced


def test_facts_are_the_same_after_a_stay_on_disk() -> None:
    store = FactsStore()
    facts = DriveFacts({"published": Amount(2, 5)}, {"a": False}, {("cam", "camera", "gold"): 3}, 4, {("DEC005", "object"): 1})
    store.put(rows.DRIVE_A, facts)
    assert store.get(rows.DRIVE_A) == facts
    store.remove(rows.DRIVE_A)
    assert store.get(rows.DRIVE_A) is None


def sizes(*values_ns: int) -> Any:
    return np.sort(np.array(values_ns, dtype=np.int64))


Known = tuple[DriveFacts, RecentFacts]
NONE = Amount()


def summary(drives: list[DriveFacts], recent: list[Known], refused: Amount = NONE, publications: int = 0, scenes: int = 0) -> Any:
    sums = LakeSums()
    for drive in drives:
        sums.add(drive)
    return summarise(sums, recent, refused, publications, scenes)


OLD = DriveFacts({"published": Amount(2, 20)}, {"a": True}, {("cam", "camera", "gold"): 10}, 10, {("DEC005", "object"): 1})
NEW = DriveFacts(
    {"published": Amount(1, 5), "quarantined": Amount(1, 1)},
    {"a": False, "b": True},
    {("cam", "camera", "gold"): 3, ("cam", "camera", "quarantined"): 2},
    3,
    {("DEC005", "object"): 2},
)
DETAILS = RecentFacts(
    {"DEC005": Outcome.FAILED, "CLK003": Outcome.PASSED},
    {"cam": sizes(1, 2, 30), "imu": sizes(0)},
    {"cam": 20},
)


def test_a_summary_adds_up_drives_and_speaks_of_the_newest() -> None:
    found = summary([OLD, NEW], [(NEW, DETAILS)], Amount(1, 8), publications=4, scenes=20)
    assert found.objects == {"refused": Amount(1, 8), "published": Amount(3, 25), "quarantined": Amount(1, 1)}
    assert found.frames == {("cam", "camera", "gold"): 13, ("cam", "camera", "quarantined"): 2}
    assert found.recent_frames == {("cam", "camera", "gold"): 3, ("cam", "camera", "quarantined"): 2}
    assert (found.scenes, found.publications, found.published_scenes, found.recent_drives) == (13, 4, 20, 1)
    assert found.records == {("DEC005", "object"): 3}
    assert found.checks == {("a", True): 1, ("a", False): 1, ("b", True): 1}
    assert found.unbalanced_drives == 1
    assert found.rules == {("DEC005", Outcome.FAILED): 1, ("CLK003", Outcome.PASSED): 1}
    assert found.residuals == {"cam": ResidualSizes(2, 30, 30, 30, 1.5), "imu": ResidualSizes(0, 0, 0, 0, None)}


def test_a_drive_that_is_taken_away_leaves_nothing() -> None:
    sums = LakeSums()
    for facts, sign in ((OLD, 1), (NEW, 1), (NEW, -1)):
        sums.add(facts, sign)
    assert summarise(sums, [], Amount(), 0, 0) == summary([OLD], [])


def test_each_drive_is_held_against_its_own_tolerance() -> None:
    nothing_else = DriveFacts({}, {})
    wide, narrow, zero = (
        (nothing_else, RecentFacts(residuals_ns={"cam": sizes(size)}, tolerances_ns={"cam": tolerance}))
        for size, tolerance in ((30, 40), (12, 10), (1, 0))
    )
    assert summary([], [wide, narrow]).residuals["cam"].tolerances == 1.2
    assert summary([], [wide, zero]).residuals["cam"].tolerances == math.inf


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=6), st.integers(1, 10**6), max_size=200))
def test_however_many_sensors_there_are_few_are_named_and_none_is_lost(frames: dict[str, int]) -> None:
    drive = DriveFacts({}, {}, {(sensor, "camera", "gold"): count for sensor, count in frames.items()})
    details = RecentFacts(residuals_ns={sensor: sizes(count) for sensor, count in frames.items()})
    found = summary([drive], [(drive, details)])
    for named in ({sensor for sensor, _, _ in found.frames}, found.residuals.keys()):
        assert len(named) <= MAX_SENSORS + 1
    assert sum(found.frames.values()) == sum(frames.values())
    smallest_named = min((count for (sensor, _, _), count in found.frames.items() if sensor != OTHER), default=0)
    others = Counter(frames) - Counter({sensor: count for (sensor, _, _), count in found.frames.items() if sensor != OTHER})
    assert all(count <= smallest_named for count in others.values())
    assert max((one.max_ns for one in found.residuals.values()), default=0) == max(frames.values(), default=0)


def test_a_rule_that_the_catalogue_lacks_gets_no_label_of_its_own() -> None:
    drive = DriveFacts({}, {}, records={("XYZ999", "object"): 2, ("LID001", "object"): 1})
    found = summary([drive], [(drive, RecentFacts({"XYZ999": Outcome.FAILED}))])
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
    assert (bool(first), Loads.loaded) == (True, len(PUBLISHED))
    assert pin(catalog, first) is first
    assert Loads.loaded == len(PUBLISHED)
    rows.fill(catalog, [rows.scene(0)])
    loaded = Loads.loaded
    second = pin(catalog, first)
    assert Loads.loaded == loaded + len(PUBLISHED)
    assert [len(lake_reader.publications(tables)) for tables in (first, second)] == [0, 1]


def test_a_lake_without_tables_pins_none(tmp_path: Any) -> None:
    empty = LakeCatalog("unit", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    assert not pin(empty, None)
    assert json.dumps(pin(empty, None).pointers) == "{}"


def test_nothing_is_known_of_a_drive_whose_rows_were_forgotten(tmp_path: Any) -> None:
    """The exporter may have it among the newest, and its other parts go on."""
    tables = pin(rows.catalog_of(tmp_path))
    assert drive_facts.read_recent(cast(Any, None), tables, rows.DRIVE_A) == RecentFacts()
