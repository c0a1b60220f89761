"""`drive import recording`: the rig that names the topics comes from `--rig`, and findings are printed."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from cli.main import app
from sensors.geometry import SE3
from sensors.rig import Modality, Rig, Sensor, Stamp, Sync
from tests.unit.fleet.whole_recordings import write_ros1_bag


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["drive", "import", *map(str, words)], env={"COLUMNS": "300"})


def test_a_rig_names_the_sensors(tmp_path: Path) -> None:
    sync = Sync(Stamp.START, 0, 50_000_000, 25_000_000, required=True)
    rig = Rig("car", "top", (Sensor("top", Modality.LIDAR, 10.0, sync, SE3.identity(), topic="/lidar/top"),))
    (tmp_path / "rig.json").write_text(json.dumps(rig.to_dict()))
    result = run("recording", write_ros1_bag(tmp_path), tmp_path / "out", "--rig", tmp_path / "rig.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "calibration.json").read_text()) == rig.to_dict()
    assert [path.parent.name for path in (tmp_path / "out").rglob("*.mcap")] == ["top"]
    assert "note: /imu (sensor_msgs/msg/Imu, ros1): 8 messages left out, the rig names no sensor with this topic" in result.output


def test_without_a_rig_what_was_inferred_is_reported(tmp_path: Path) -> None:
    result = run("recording", write_ros1_bag(tmp_path), tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "note: no rig was given, so one was inferred" in result.output


def test_a_rig_is_of_no_use_for_a_dataset(tmp_path: Path) -> None:
    result = run("pandaset", tmp_path, tmp_path / "out", "--rig", tmp_path / "rig.json")
    assert result.exit_code == 2
    assert "pandaset has a rig of its own" in result.output
