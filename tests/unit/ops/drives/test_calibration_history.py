"""A vehicle's calibrations side by side, independent of the order in which its drives landed."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from ingest.ledger.records import DriveRecord
from ingest.ledger.states import DriveState
from lake.documents import Manifest, ManifestObject, canonical_json
from lake.drive_input import DriveInput, InputObject, input_key
from lake.iceberg.internals import begin
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.storage import ObjectStore
from lake.tables.creation import ensure_tables
from lake.tables.drives import DRIVES_TABLE, add_rows
from lake.tables.rows import DriveRow
from ops import deployment
from ops.drives.calibration_history import Calibrated, describe_step, history
from sensors.rig import Rig
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.ops.fake_deployment import deployment_with
from tests.unit.scenes.job_builders import T0, rig_document, sensor

HOUR_NS = 3_600_000_000_000


def rig(left_m: float = 0.0, with_camera: bool = True) -> dict[str, Any]:
    top = sensor("top", "lidar") | {"ego_SE3_sensor": {"translation_m": [0, left_m, 2], "rotation_wxyz": [1, 0, 0, 0]}}
    return rig_document(*[top, sensor("cam", "camera")][: 1 + with_camera])


def driven(name: str, hour: int, document: Mapping[str, Any]) -> Calibrated:
    return Calibrated(DriveId("car-1", name), T0 + hour * HOUR_NS, Rig.from_dict(document))


def test_each_drive_is_held_against_the_one_before_it_by_start_and_not_by_arrival() -> None:
    drives = [
        driven("d", 1, rig()),
        driven("c", 2, rig(0.01)),  # a new estimate of the same mounting
        driven("b", 3, rig(0.06)),
        driven("a", 4, rig(0.06, with_camera=False)),
    ]
    for seed in range(5):
        landed = random.Random(seed).sample(drives, len(drives))
        steps = history(landed)
        assert [(step.drive.drive_id, step.previous and step.previous.drive_id, describe_step(step)) for step in steps] == [
            ("d", None, "first drive"),
            ("c", "d", "none"),
            ("b", "c", "top: moved (0.05 m)"),
            ("a", "b", "cam: removed (1 change)"),
        ]


def test_no_drive_has_no_history() -> None:
    assert history(()) == ()


class Lake:
    """A ledger and a bucket in memory, and tables in a folder."""

    def __init__(self, catalog: LakeCatalog) -> None:
        self.s3, self.catalog = FakeS3(), catalog
        self.records = [DriveRecord(DriveId("car-1", "waits")), DriveRecord(DriveId("car-2", "other"))]

    def drives(self, state: DriveState | None = None) -> list[DriveRecord]:
        return [record for record in self.records if state in (None, record.state)]

    def drive(self, drive: DriveId) -> DriveRecord | None:
        return next((record for record in self.records if record.drive == drive), None)

    def land(self, name: str, hour: int, calibration: bytes) -> None:
        drive, sha256 = DriveId("car-1", name), hashlib.sha256(calibration).hexdigest()
        start_ns = T0 + hour * HOUR_NS
        sweep = ManifestObject(f"{drive}/lidar/top/{start_ns}.mcap", 1, sha256, "lidar", "top", start_ns, start_ns + 1, 1)
        manifest = Manifest(drive, "rig-1", start_ns, start_ns + HOUR_NS, "test", "1", sha256, (sweep,)).to_bytes()
        pinned = DriveInput(
            drive,
            frozenset(),
            InputObject(drive.manifest_key, self.put("raw", drive.manifest_key, manifest), ""),
            InputObject(drive.calibration_key, self.put("raw", drive.calibration_key, calibration), sha256),
        )
        self.put("lake", input_key(drive, pinned.revision), pinned.to_bytes())
        self.records.append(DriveRecord(drive, DriveState.PUBLISHED, pinned.revision, 1))
        table = self.catalog.load_table(DRIVES_TABLE)
        change = begin(table)
        row = DriveRow(
            vehicle_id="car-1",
            drive_id=name,
            revision=pinned.revision,
            generation=1,
            committed_ns=0,
            scenes=0,
            scenes_snapshot_id=1,
        )
        add_rows(change, table, [row], {})
        self.catalog.commit_together([change])

    def put(self, bucket: str, key: str, body: bytes) -> str:
        return str(self.s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"])


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lake:
    catalog = LakeCatalog("unit", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    ensure_tables(catalog)
    made = Lake(catalog)
    target = deployment_with(ledger=made, store=ObjectStore(made.s3), catalog=catalog)  # type: ignore[arg-type]
    monkeypatch.setattr(deployment, "enter", lambda endpoint, home: target)
    return made


def test_the_command_compares_what_can_be_compared_and_names_the_rest(lake: Lake) -> None:
    lake.land("late", 5, canonical_json(rig(0.3)))
    lake.land("early", 1, canonical_json(rig()))
    lake.land("broken", 2, b'{"rig_id": "rig-1"}')
    done = CliRunner().invoke(app, ["drive", "calibrations", "car-1", "--json"], env={"COLUMNS": "300"})
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert len(answer["drives"]) == 2, answer["not_compared"]
    early, late = answer["drives"]
    assert (early["drive"]["drive_id"], early["previous"], early["changes"]) == ("early", None, [])
    assert (late["drive"]["drive_id"], late["previous"]["drive_id"]) == ("late", "early")
    assert late["changes"] == [{"sensor": "top", "what": "moved", "amount": pytest.approx(0.3), "unit": "m"}]
    reasons = {entry["drive"]["drive_id"]: entry["reason"] for entry in answer["not_compared"]}
    assert reasons.keys() == {"broken", "waits"}
    assert "not landed" in reasons["waits"]
    shown = CliRunner().invoke(app, ["drive", "calibrations", "car-1"], env={"COLUMNS": "300"})
    assert "top: moved (0.3 m)" in shown.stdout
    assert "car-1/broken was not compared" in shown.stderr


def test_an_unknown_vehicle_is_an_error_with_a_next_step(lake: Lake) -> None:
    done = CliRunner().invoke(app, ["drive", "calibrations", "car-9"])
    assert done.exit_code != 0
    assert "car-9" in str(done.exception) + done.output
