"""Data Docs show the results that the newest publication of each drive names."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from lake.errors import AbsentError
from lake.landing import DriveId
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.rows import DriveRow
from ops.report.validations import DriveResults, ExpectationView, SuiteView, calibration, validations
from scenes.documents import VALIDATIONS_VERSION, CalibrationRow
from sensors.time_units import NS_PER_S
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.ops import lake_builders

ONE, TWO, THREE = (DriveId("car-1", name) for name in ("one", "two", "three"))


def published(number: int, drive: DriveId, uri: str | None) -> DriveRow:
    row = lake_builders.publication(drive, "ab" * 32, number, number, number * NS_PER_S)
    return msgspec.structs.replace(row, validations=uri)


def document(**changed: Any) -> dict[str, Any]:
    whole = {"version": VALIDATIONS_VERSION, "drive": "car-1/one", "revision": "ab" * 32, "success": True}
    return {**whole, "suites": {}, "validations": {}, "calibration": [], **changed}


def keep(store: ObjectStore, name: str, body: dict[str, Any]) -> None:
    store.put(ObjectVersion("lake", f"v/{name}.json"), json.dumps(body).encode())


def test_the_newest_of_each_drive_in_the_order_that_is_asked_for() -> None:
    store = ObjectStore(FakeS3())
    for name in ("old", "new", "other"):
        keep(store, name, document(drive=name, revision=name * 2))
    found = [
        published(1, ONE, "s3://lake/v/old.json"),
        published(2, TWO, "s3://lake/v/other.json"),
        published(3, ONE, "s3://lake/v/new.json"),
        published(5, THREE, None),
    ]
    assert validations(found, store, [TWO, THREE, ONE]) == (
        DriveResults("other", "otherother", 2_000_000_000, ()),
        DriveResults("new", "newnew", 3_000_000_000, ()),
    )


def test_the_outcome_is_that_of_the_rules_and_the_values_are_those_of_great_expectations() -> None:
    meta = {"rule_id": "CLK002", "severity": "warning", "kind": "bound"}
    plain = {"expectation": "", "limits": {}}
    judged = {
        **meta,
        **plain,
        "column": "repeated_stamps",
        "success": False,
        "outcome": "failed",
        "rows": ["lidar_top", "zed"],
        "failing": 2,
    }
    counted = {**meta, **plain, "kind": "known", "column": None, "success": True, "outcome": "passed", "rows": [], "failing": 0}
    configuration = {"meta": meta, "kwargs": {"column": "repeated_stamps", "max_value": 0}, "description": "No two."}
    values = [{"repeated_stamps": 4.0, "sensor": "lidar_top"}, {"repeated_stamps": None, "sensor": "zed"}]
    results = [
        {"success": False, "expectation_config": configuration, "result": {"unexpected_index_list": values}},
        {
            "success": True,
            "expectation_config": {"meta": {**meta, "kind": "known"}, "kwargs": {}},
            "result": {"observed_value": 8},
        },
    ]
    store = ObjectStore(FakeS3())
    suites = {"drive": {"success": True, "evaluated": 2, "expectations": [judged, counted]}}
    keep(store, "one", document(suites=suites, validations={"drive": {"success": False, "results": results}}))
    (drive,) = validations([published(1, ONE, "s3://lake/v/one.json")], store, [ONE])
    rows = (("lidar_top", "4.0"), ("zed", "unknown"))
    assert drive.suites == (
        SuiteView(
            "drive",
            True,
            (
                ExpectationView("CLK002", "warning", "failed", "No two.", "repeated_stamps", "", rows, 2),
                ExpectationView("CLK002", "warning", "passed", "CLK002 (warning): the table has rows.", None, "8", (), 0),
            ),
        ),
    )
    assert drive.suites[0].passed == 1


def test_calibration_is_that_of_the_newest_publication() -> None:
    store = ObjectStore(FakeS3())
    row = {
        "sensor": "lidar_top", "quantity": "ground_roll", "verdict": "ok", "unit": "deg", "error": 0.1, "uncertainty": 0.2,
        "frames": 20, "items": 900, "reason": "",
    }  # fmt: skip
    for name, rows in (("old", [row, row]), ("new", [row]), ("before", [])):
        keep(store, name, document(calibration=rows))
    found = [
        published(1, ONE, "s3://lake/v/old.json"),
        published(2, TWO, "s3://lake/v/before.json"),
        published(3, ONE, "s3://lake/v/new.json"),
    ]
    assert calibration(found, store, ONE) == (CalibrationRow(**row),)
    assert calibration(found, store, TWO) == calibration(found, store, THREE) == ()


def test_missing_results_are_an_error() -> None:
    with pytest.raises(AbsentError):
        validations([published(1, ONE, "s3://lake/v/gone.json")], ObjectStore(FakeS3()), [ONE])


OTHER_VERSION = json.dumps(document(version=VALIDATIONS_VERSION + 1)).encode()
OTHER_FORM = json.dumps(document(validations={"drive": {"results": 1}})).encode()


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"drive": "car-1/one"}', OTHER_VERSION, OTHER_FORM])
def test_results_that_cannot_be_read_are_left_out_by_name(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    store = ObjectStore(FakeS3())
    store.put(ObjectVersion("lake", "v/odd.json"), body)
    keep(store, "two", document(drive="car-1/two"))
    found = [published(1, ONE, "s3://lake/v/odd.json"), published(2, TWO, "s3://lake/v/two.json")]
    assert [results.drive for results in validations(found, store, [ONE, TWO])] == ["car-1/two"]
    assert "s3://lake/v/odd.json" in caplog.text
    assert calibration(found, store, ONE) == ()
