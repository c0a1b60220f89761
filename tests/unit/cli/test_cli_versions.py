"""Versions and maintenance from a user's point of view: dry runs by default, causes and next steps on errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from lake.maintenance.sweep import sweep
from ops import deployment
from tests.unit.lake.maintenance.swept_world import DAY, SweptWorld
from tests.unit.lake.versions.version_lake import DRIVE, TABLES
from tests.unit.ops.fake_deployment import deployment_with

R1, R2 = "1" * 64, "2" * 64


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["gold", *words], env={"COLUMNS": "300", "SCENELAKE_HOME": "/nonexistent/scenelake"})


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweptWorld:
    made = SweptWorld(tmp_path)
    made.publish(R1, 1, (10, 20))
    made.publish(R2, 2, (20, 30))
    made.finished(DRIVE, R2)
    monkeypatch.setattr(deployment, "enter", lambda endpoint, home: deployment_with(catalog=made.catalog()))
    monkeypatch.setattr("ops.maintenance.deployed.swept_lake", lambda settings: made.swept())
    monkeypatch.setattr(
        "lake.maintenance.sweep.sweep", lambda *given, **named: sweep(*given, **{**named, "clock": lambda: made.now})
    )
    return made


def test_a_tag_is_made_listed_refused_and_removed(world: SweptWorld) -> None:
    made = json.loads(run("tag", "release-1", "--at", f"{DRIVE}@1", "--json").stdout)
    assert made["snapshots"].keys() >= TABLES
    again = run("tag", "release-1")
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert "next:" in again.stderr
    text = run("tags").stdout
    assert "release-1" in text
    assert str(made["snapshots"]["gold.scenes"]) in text
    (listed,) = json.loads(run("tags", "--json").stdout)
    assert (listed["name"], listed["kind"], listed["deadline_ns"]) == ("release-1", "user", None)
    assert run("untag", "release-1").exit_code == 0
    assert json.loads(run("tags", "--json").stdout) == []


def test_the_tag_of_a_run_is_removed_only_if_it_is_said(world: SweptWorld) -> None:
    assert "pins" in run("tag", "run-1").stderr
    refused = run("untag", "run-1")
    assert (refused.exit_code, "may expire" in refused.stderr) == (1, True)
    assert run("untag", "run-1", "--even-run-or-hold").exit_code == 0


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("tag", "main"), "cannot be the name"),
        (("tag", "x", "--at", "123"), "has no snapshot 123"),
        (("untag", "x"), "there is no tag"),
        (("diff", "x", "main"), "there is no tag"),
        (("diff", "main", "12345"), "it has expired, or never was"),
    ],
)
def test_what_is_unknown_is_an_error_with_a_cause(world: SweptWorld, words: tuple[str, ...], cause: str) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert cause in result.stderr


def test_a_difference_is_told_by_drive_by_scene_and_by_exit_status(world: SweptWorld) -> None:
    run("tag", "one", "--at", f"{DRIVE}@1")
    text = run("diff", "one", "main")
    assert text.exit_code == 0
    assert str(DRIVE) in text.stdout
    assert "1 added, 1 removed, 1 unknown" in text.stderr
    found = json.loads(run("diff", "one", "main", "--json", "--scenes").stdout)
    assert (found["differs"], found["counts"]["unknown"]) == (True, 1)
    (drive,) = found["drives"]
    assert (drive["before"]["generation"], drive["after"]["generation"]) == (1, 2)
    assert {scene["change"] for scene in drive["scenes"]} == {"added", "removed", "unknown"}
    assert f"{DRIVE.vehicle_id}.{DRIVE.drive_id}.10" in run("diff", "one", "main", "--scenes").stdout
    assert run("diff", "one", "main", "--exit-code").exit_code == 3
    assert run("diff", "one", "one", "--exit-code").exit_code == 0
    assert "the same scenes in the same files" in run("diff", "main", "main").stderr


def test_expire_is_a_dry_run_until_it_is_told(world: SweptWorld) -> None:
    before = world.locations()
    dry = run("expire", "--older-than", "0", "--keep-last", "1")
    assert (dry.exit_code, world.locations()) == (0, before)
    assert "a dry run: nothing was changed" in dry.stderr
    assert "would expire" in dry.stderr
    assert "the current state" in dry.stdout
    run("tag", "hold-1")
    real = json.loads(run("expire", "--older-than", "0", "--keep-last", "1", "--apply", "--json").stdout)
    scenes = next(table for table in real["tables"] if table["table"] == "gold.scenes")
    assert len(scenes["expired"]) > 0
    assert any("hold tag hold-1" in kept["reason"] for kept in scenes["kept"])
    assert run("expire", "--keep-last", "0").exit_code == 2


def test_sweep_lists_then_deletes_and_is_a_dry_run_until_it_is_told(world: SweptWorld) -> None:
    work = world.loose(f"work/{DRIVE}/{R1}/run-0-1/index.arrow")
    strange = world.loose("work/strange")
    world.now += 2 * DAY
    dry = run("sweep")
    assert (dry.exit_code, "a dry run" in dry.stderr) == (0, True)
    assert not [key for key in world.lake.objects if key.startswith("maintenance/")]
    listed = json.loads(run("sweep", "--apply", "--json").stdout)
    assert (listed["applied"], listed["deleted"]["objects"], listed["candidates"]["objects"] > 0) == (True, 0, True)
    world.now += DAY
    done = run("sweep", "--apply")
    assert work not in world.lake.objects
    assert strange in done.stdout
    assert "no rule of the sweep knows it" in done.stdout
    assert "deleted: " in done.stderr


def test_sweep_fails_where_a_needed_object_is_hidden(world: SweptWorld) -> None:
    world.lake.observe()
    hidden = next(key for key in world.lake.objects if f"scenes/data/{DRIVE}/{R2[:8]}" in key)
    world.lake.mark_deleted(hidden)
    result = run("sweep")
    assert (result.exit_code, hidden in result.stderr) == (1, True)


def test_a_forged_listing_is_refused_with_the_next_step(world: SweptWorld) -> None:
    world.now += 2 * DAY
    run("sweep", "--apply")
    key = next(key for key in world.lake.objects if key.endswith("listing.json"))
    world.lake.put(key, b"{}")
    result = run("sweep", "--apply")
    assert (result.exit_code, "is refused" in result.stderr, "--relist --apply" in result.stderr) == (1, True, True)
    assert run("sweep", "--apply", "--relist").exit_code == 0
