"""`vehicle baseline` at the terminal: learn, show, put, and what is said where there is nothing to learn from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench.folder_settings import SETTINGS
from cli.main import app
from ingest.ledger.records import DriveRecord
from ingest.ledger.states import DriveState
from lake.drive_input import DriveInput, baseline_key
from lake.landing import DriveId
from lake.storage import ObjectStore
from ops import deployment
from scenes.documents import DriveStatistics, Provenance, SensorStatistics, encode
from scenes.targets import DriveTargets
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.ops.fake_deployment import deployment_with

VEHICLE, DAY_NS = "car-1", 86_400_000_000_000


class Published:
    """Drives that the ledger calls published, and what they left in the lake."""

    def __init__(self) -> None:
        self.s3 = FakeS3()
        self.records: dict[DriveId, DriveRecord] = {}

    def drive(self, drive: DriveId) -> DriveRecord | None:
        return self.records.get(drive)

    def add(self, number: int, returns: float, *suspect: str) -> None:
        drive_input = DriveInput(DriveId(VEHICLE, f"d-{number}"), frozenset(), None, None)
        values = {"returns": returns, "frames": 100.0}
        sensor = SensorStatistics(sensor="top", modality="lidar", values=values, suspect=suspect)
        statistics = DriveStatistics(
            vehicle_id=VEHICLE,
            drive_id=drive_input.drive.drive_id,
            revision=drive_input.revision,
            first_ns=number * DAY_NS,
            baseline=None,
            provenance=Provenance("code", "config", "lock"),
            sensors=(sensor,),
            calibration=(),
        )
        target = DriveTargets.of(SETTINGS, drive_input).statistics(statistics.first_ns)
        self.s3.put_object(Bucket=target.bucket, Key=target.key, Body=encode(statistics))
        self.records[drive_input.drive] = DriveRecord(drive_input.drive, DriveState.PUBLISHED, drive_input.revision, 1)

    def versions(self) -> int:
        return len(self.s3.versions.get(("lake", baseline_key(VEHICLE)), []))


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words, env={"COLUMNS": "300"})


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> Published:
    found = Published()
    given = deployment_with(store=ObjectStore(found.s3), ledger=found)  # type: ignore[arg-type]
    monkeypatch.setattr(deployment, "enter", lambda endpoint, home: given)
    return found


def test_a_baseline_is_learned_shown_kept_and_put_back(lake: Published, tmp_path: Path) -> None:
    for number, returns in enumerate((100, 104, 96, 90)):
        lake.add(number, returns)
    lake.add(4, 100, "CLK008")
    dry = run("vehicle", "baseline", "learn", VEHICLE, "--dry-run")
    assert (dry.exit_code, lake.versions()) == (0, 0)
    assert "nothing was stored" in dry.stderr
    result = run("vehicle", "baseline", "learn", VEHICLE, "--json")
    assert result.exit_code == 0
    learned = json.loads(result.stdout)
    assert (learned["stored"], lake.versions()) == (True, 1)
    assert learned["left_out"] == ["d-4 top: failed CLK008"]
    assert [entry["drive_id"] for entry in learned["baseline"]["drives"]] == ["d-0", "d-1", "d-2", "d-3"]
    shown = run("vehicle", "baseline", "show", VEHICLE)
    row = next(line for line in shown.stdout.splitlines() if "returns" in line)
    assert row.split() == ["top", "returns", "4", "98", "5.93", "90", "104", "-9.2%"]
    kept = tmp_path / "baseline.json"
    kept.write_text(json.dumps(json.loads(run("vehicle", "baseline", "show", VEHICLE, "--json").stdout)["baseline"]))
    again = run("vehicle", "baseline", "put", str(kept), "--json")
    assert json.loads(again.stdout) == {"vehicle": VEHICLE, "sha256": learned["sha256"], "stored": False}
    kept.write_text(kept.read_text().replace('"median": 98', '"median": 99'))
    assert json.loads(run("vehicle", "baseline", "put", str(kept), "--json").stdout)["stored"] is True
    assert lake.versions() == 2


def test_what_cannot_be_used_is_said_and_nothing_is_stored(lake: Published, tmp_path: Path) -> None:
    lake.add(0, 100)
    few = run("vehicle", "baseline", "learn", VEHICLE)
    assert few.exit_code == 1
    assert "1 drives are not enough: no sensor was sound in 3 of them" in few.stderr
    absent = run("vehicle", "baseline", "show", VEHICLE)
    assert (absent.exit_code, "car-1 has no baseline" in absent.stderr) == (1, True)
    assert "scenelake vehicle baseline learn car-1" in absent.stderr
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"vehicle_id": "car-1"}')
    refused = run("vehicle", "baseline", "put", str(wrong))
    assert (refused.exit_code, "does not follow its schema" in refused.stderr) == (1, True)
    assert run("vehicle", "baseline", "put", str(tmp_path / "absent.json")).exit_code == 1
    for words in (
        ["learn", "../car"],
        ["show", "Car 1"],
        ["learn", VEHICLE, "--drives", "2"],
        ["learn", VEHICLE, "--drives", "101"],
    ):
        assert run("vehicle", "baseline", *words).exit_code == 2
    assert lake.versions() == 0
