"""`drive import --scene`: which scene of a dataset becomes the drive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from tests.unit.fleet.importers.nuscenes import nuscenes_dataset as made


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.make().write(tmp_path_factory.mktemp("nuscenes") / "src")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["drive", "import", *words], env={"COLUMNS": "300"})


@pytest.mark.parametrize(("scene", "sweeps"), [(None, 21), ("scene-0001", 21), ("scene-0002", 1), ("token-scene-0002", 1)])
def test_the_scene_that_was_asked_for_is_imported(dataset: Path, tmp_path: Path, scene: str | None, sweeps: int) -> None:
    done = run("nuscenes", str(dataset), str(tmp_path / "out"), *(["--scene", scene] if scene else []))
    assert done.exit_code == 0, done.output
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert {entry["sensor"]: entry["frame_count"] for entry in manifest["objects"]}["lidar_top"] == sweeps
    assert manifest["drive_id"] == "nuscenes" and "note: scene: scene-000" in done.output


def test_a_format_without_scenes_refuses_the_option(dataset: Path, tmp_path: Path) -> None:
    done = run("pandaset", str(dataset), str(tmp_path / "out"), "--scene", "1")
    assert done.exit_code == 2 and "pandaset has no scenes to choose from" in done.output
    assert not (tmp_path / "out").exists()
