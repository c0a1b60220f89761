"""`recall`, `hold`, `forget`: what they print and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from lake.tables.publish import publish
from ops import deployment
from tests.unit.lake.tables.fence_lake import DRIVE, FenceLake
from tests.unit.ops.fake_deployment import deployment_with

RUN = CliRunner()


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FenceLake:
    made = FenceLake(tmp_path)
    publish(made.catalog(), made.batch("r1", 1, (10, 20)))
    monkeypatch.setattr(deployment, "enter", lambda *_: deployment_with(catalog=made.catalog()))
    return made


@pytest.mark.parametrize(
    "command", [["recall"], ["recall", "find"], ["recall", "ls"], ["recall", "lift"], ["hold"], ["hold", "ls"], ["forget"]]
)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    shown = RUN.invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0 and f"scenelake {command[0]}" in shown.output


def test_a_recall_lists_drives_and_one_scene_a_line(lake: FenceLake) -> None:
    answer = RUN.invoke(app, ["recall", "--vehicle", DRIVE.vehicle_id, "--scenes", "--json"])
    first, *scenes = map(json.loads, answer.output.splitlines())
    assert answer.exit_code == 0 and [one["drive"] for one in first["drives"]] == [str(DRIVE)]
    assert [one["anchor_ns"] for one in scenes] == [10, 20]


def test_what_is_excluded_is_listed_until_it_is_lifted(lake: FenceLake) -> None:
    said = RUN.invoke(
        app, ["recall", "--vehicle", DRIVE.vehicle_id, "--exclude", "--reason", "loose mount", "--by", "ada", "--json"]
    )
    recall_id = json.loads(said.stdout)["recall_id"]
    assert [one["recall_id"] for one in json.loads(RUN.invoke(app, ["recall", "ls", "--json"]).stdout)] == [recall_id]
    assert RUN.invoke(app, ["recall", "lift", recall_id, "--reason", "it was sound", "--by", "bob"]).exit_code == 0
    assert json.loads(RUN.invoke(app, ["recall", "ls", "--json"]).stdout) == []
    assert len(json.loads(RUN.invoke(app, ["recall", "ls", "--all", "--json"]).stdout)) == 2


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["recall", "--vehicle", "v", "--exclude"], 2),
        (["recall", "--from", "yesterday"], 2),
        (["recall", "find"], 1),
        (["recall", "lift", "nonsense", "--reason", "because"], 1),
        (["hold", "no-slash", "--reason", "because"], 2),
        (["forget", "veh-1/drive-a"], 2),
        (["forget", "veh-1/drive-a", "--request", "F-1", "--apply"], 2),
        (["forget", "veh-1/drive-a", "--request", "F-1", "--basis", "law", "--apply", "--check"], 2),
    ],
)
def test_wrong_usage_and_impossible_requests_have_their_exit_status(lake: FenceLake, command: list[str], status: int) -> None:
    assert RUN.invoke(app, command).exit_code == status
