"""What only looks changes nothing: no object, no item of the ledger, no byte of the catalog, also in an older lake."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws
from typer.testing import CliRunner

from cli.main import app
from ops import deployment
from ops.settings import CommandSettings
from scenes.accounting.settings import AuditSettings
from tests.unit.ingest.conftest import CREDENTIALS
from tests.unit.ops.erasure.erasure_world import DRIVE, NEIGHBOUR, Deployed
from tests.unit.ops.fake_deployment import FakeDeployment

LATER_TABLES = ("gold.compactions", "gold.recalls")
LATER_COLUMN = "lock_hash"
COMMANDS = (
    (["forget", str(DRIVE), "--request", "F-1"], 0),
    (["forget", str(DRIVE), "--request", "F-1", "--json"], 0),
    (["forget", "veh-9/unknown", "--request", "F-1"], 1),
    (["forget", str(DRIVE), "--request", "F-1", "--check"], 1),
    (["gold", "ls"], 0),
    (["gold", "show", "--drive", str(DRIVE)], 0),
    (["gold", "tags"], 0),
    (["gold", "diff", "run-0", "main"], 0),
    (["gold", "expire", "--older-than", "0", "--keep-last", "1"], 0),
    (["gold", "compact"], 0),
    (["recall", "--vehicle", DRIVE.vehicle_id, "--scenes"], 0),
    (["recall", "--vehicle", "veh-9", "--exclude", "--reason", "none is found"], 1),
    (["recall", "ls", "--all"], 0),
    (["hold", "ls"], 0),
    (["quarantine", "ls"], None),
    (["audit", "--drive", str(DRIVE)], None),
    (["audit", "--all"], None),
)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        made = Deployed(tmp_path_factory.mktemp("deployed"))
        for number, drive in enumerate((NEIGHBOUR, DRIVE)):
            made.land(drive)
            made.process(drive, (10, 20))
            made.tag(f"run-{number}")
        _make_older(made)
        yield made


def _make_older(deployed: Deployed) -> None:
    """Leave the lake as a version would that knew neither these tables nor this column, and had forgotten no drive."""
    catalog = deployed.catalog()
    for name in LATER_TABLES:
        catalog.drop_table(name)
    with catalog.load_table("gold.drives").update_schema(allow_incompatible_changes=True) as columns:
        columns.delete_column(LATER_COLUMN)
    deployed.dynamodb.delete_item(TableName=deployed.settings.ledger_table, Key={"pk": {"S": "_forgotten"}, "sk": {"S": "salt"}})


def state(deployed: Deployed) -> tuple[object, ...]:
    database = hashlib.sha256(Path(deployed.folder, "catalog.db").read_bytes()).hexdigest()
    return database, deployed.everything(), sorted(deployed.items(), key=str), deployed.uploads()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("command", "status"), COMMANDS, ids=lambda one: " ".join(one) if isinstance(one, list) else "")
def test_it_changes_nothing(deployed: Deployed, command: list[str], status: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"catalog": deployed.catalog(), "ledger": deployed.ledger(), "store": deployed.store}
    entered = FakeDeployment(deployed.settings, CommandSettings(), Path("/nonexistent"), AuditSettings(), given)
    monkeypatch.setattr(deployment, "enter", lambda *_: entered)
    before = state(deployed)
    found = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert found.exit_code in ((0, 1) if status is None else (status,)), found.output
    assert state(deployed) == before
    assert "Traceback" not in found.output
    assert not any(deployed.catalog().table_exists(name) for name in LATER_TABLES)
