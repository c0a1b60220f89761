"""`gold compact` says what it would do, does it when it is told to, and fails where files are not what they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.commands import gold_compact
from cli.main import app
from ops import deployment
from tests.unit.lake.maintenance.small_files import DRIVES, SmallFilesLake
from tests.unit.ops.fake_deployment import deployment_with


def run(*words: str) -> Result:
    variables = {"COLUMNS": "300", "SCENELAKE_HOME": "/nonexistent/scenelake"}
    return CliRunner().invoke(app, ["gold", "compact", *words], env=variables)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallFilesLake:
    made = SmallFilesLake(tmp_path)
    for drive in DRIVES[:2]:
        made.publish(drive)
    entered = deployment_with(catalog=made.catalog())
    monkeypatch.setattr(deployment, "enter", lambda endpoint, home: entered)
    return made


def test_a_dry_run_changes_nothing_and_says_what_would_be_merged(lake: SmallFilesLake) -> None:
    old = lake.stored(), lake.data_files("gold.scenes")
    result = run()
    assert result.exit_code == 0
    assert "To be merged" in result.stdout
    assert "car-1/drive-a" in result.stdout
    assert "a dry run: nothing was changed" in result.stderr
    document = json.loads(run("--json").stdout)
    assert document["applied"] is False
    assert [(job["table"], job["drive_id"], job["files"]) for job in document["jobs"]] == [
        ("gold.scenes", "drive-a", 4),
        ("gold.scenes", "drive-b", 4),
        ("gold.frames", None, 2),
        ("quarantine.records", None, 2),
    ]
    assert (lake.stored(), lake.data_files("gold.scenes")) == old


def test_it_merges_when_told_to_and_then_finds_nothing(lake: SmallFilesLake) -> None:
    before = lake.contents()
    document = json.loads(run("--apply", "--json").stdout)
    assert {job["outcome"] for job in document["jobs"]} == {"compacted"}
    assert document["jobs"][0]["compaction"]["rows"] == 12
    assert lake.contents() == before
    again = run("--apply")
    assert again.exit_code == 0
    assert "drive-a" not in again.stdout
    assert "gold.scenes: 2 files left" in again.stderr
    assert "nothing to merge it with" in again.stderr


def test_what_one_run_does_not_merge_is_told_and_merged_by_the_next(
    lake: SmallFilesLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lake.contents()
    monkeypatch.setattr(gold_compact, "GB", 1000)
    document = json.loads(run("--most", "90", "--apply", "--json").stdout)
    merged = sum(job["bytes"] for job in document["jobs"])
    assert 0 < merged <= 90_000
    assert document["waiting"]["files"] == 12 - sum(job["files"] for job in document["jobs"])
    assert "for the next run" in run("--most", "1").stderr
    assert json.loads(run("--most", "9999", "--apply", "--json").stdout)["waiting"] == {"files": 0, "size": 0}
    assert json.loads(run("--json").stdout)["jobs"] == []
    assert lake.contents() == before


def test_a_fault_in_a_file_is_told_and_is_the_exit_status(lake: SmallFilesLake) -> None:
    path = Path(lake.data_files("gold.scenes")[0].removeprefix("file://"))
    body = path.read_bytes()
    path.write_bytes(body[:-100])
    result = run("--apply")
    assert result.exit_code == 1
    assert "refused" in result.stdout
    assert "compacted" in result.stdout, "the other drive's files are merged all the same"


@pytest.mark.parametrize("words", [("--day", "yesterday"), ("--smallest", "300", "--largest", "400"), ("--smallest", "0")])
def test_wrong_usage_is_exit_status_2(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2
