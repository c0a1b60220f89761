"""Data Docs show the results that the newest publication of each drive names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lake.errors import AbsentError
from lake.landing import DriveId
from lake.storage import ObjectStore, ObjectVersion
from ops.audit.lake_reader import Snapshot
from ops.report.facts import CalibrationVerdict
from ops.report.validations import calibration, validations
from quality.gx.data_docs import Validated
from tests.unit.lake.fake_s3 import FakeS3

ONE, TWO, THREE = (DriveId("car-1", name) for name in ("one", "two", "three"))


def snapshot(number: int, drive: DriveId | None, uri: str | None) -> Snapshot:
    name = None if drive is None else str(drive)
    return Snapshot(number, number * 1000, "append", name, "ab" * 32, number, 1, 1, uri)


def test_the_newest_of_each_drive_in_the_order_that_is_asked_for() -> None:
    store = ObjectStore(FakeS3())
    for name in ("old", "new", "other"):
        body: dict[str, Any] = {"drive": name, "revision": name * 2, "validations": {"drive": {"success": True}}}
        store.put(ObjectVersion("lake", f"v/{name}.json"), json.dumps(body).encode())
    found = [
        snapshot(1, ONE, "s3://lake/v/old.json"),
        snapshot(2, TWO, "s3://lake/v/other.json"),
        snapshot(3, ONE, "s3://lake/v/new.json"),
        snapshot(4, None, None),
        snapshot(5, THREE, None),
    ]
    suites = {"drive": {"success": True}}
    assert validations(found, store, [TWO, THREE, ONE]) == (
        Validated("other", "otherother", 2_000_000_000, suites),
        Validated("new", "newnew", 3_000_000_000, suites),
    )


def test_calibration_is_that_of_the_newest_publication() -> None:
    store = ObjectStore(FakeS3())
    row = {
        "sensor": "lidar_top", "quantity": "ground_roll", "verdict": "ok", "unit": "deg", "error": 0.1, "uncertainty": 0.2,
        "frames": 20, "items": 900, "reason": "",
    }  # fmt: skip
    for name, rows in (("old", [row, row]), ("new", [row]), ("before", None)):
        body = {"validations": {}} | ({} if rows is None else {"calibration": rows})
        store.put(ObjectVersion("lake", f"v/{name}.json"), json.dumps(body).encode())
    found = [
        snapshot(1, ONE, "s3://lake/v/old.json"),
        snapshot(2, TWO, "s3://lake/v/before.json"),
        snapshot(3, ONE, "s3://lake/v/new.json"),
        snapshot(4, None, None),
    ]
    verdict = CalibrationVerdict("lidar_top", "ground_roll", "ok", "deg", 0.1, 0.2, 20, "")
    assert calibration(found, store, ONE) == (verdict,)
    assert calibration(found, store, TWO) == calibration(found, store, THREE) == ()


def test_results_that_are_gone_are_no_silence() -> None:
    with pytest.raises(AbsentError):
        validations([snapshot(1, ONE, "s3://lake/v/gone.json")], ObjectStore(FakeS3()), [ONE])
