"""The figures of gold: requests, bytes of a modality, and that a missing scene is an error, not a figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.build_scenes.timing import rig
from bench.figures import FiguresError
from bench.gold_reading import column_bytes, one_modality, ratios, raw_bytes, scene_keys, scenes
from bench.gold_table import land
from lake.landing import DriveId
from lake.tables.scene_key import SceneKey
from sensors.rig import Modality, Rig
from tests.unit.lake.tables.scenes_files import IMAGE_BYTES, LIDAR_BYTES, RADAR_BYTES, parquet

GROUP = 4
KEYS = [SceneKey(DriveId("car", f"drive-{drive}"), 10**18 + 100 * at) for drive in range(2) for at in range(8)]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = []
    for number in range(0, len(KEYS), 8):
        path = tmp_path / f"{number:02d}.parquet"
        path.write_bytes(parquet(KEYS[number : number + 8], GROUP))
        paths.append(path)
    return paths


def test_random_scenes_take_two_reads_at_most(tmp_path: Path, files: list[Path]) -> None:
    assert scene_keys(files) == KEYS
    found = {entry.name: entry for entry in scenes(tmp_path, files, count=6)}
    assert found["gold.random_scene_range_reads"].value == 2  # one for a whole scene, two for one modality
    assert found["gold.random_scene_range_reads"].kept
    assert found["gold.table_scenes"].value == len(KEYS)
    assert found["gold.random_scene_ms"].value > 0


def test_a_scene_that_is_not_found_is_not_a_figure(tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.gold_reading.scene_keys", lambda _: [SceneKey(DriveId("car", "drive-9"), 1)])
    with pytest.raises(FiguresError, match=r"car\.drive-9\.1 was written, but it was not found"):
        list(scenes(tmp_path, files))


def test_bytes_are_counted_by_modality(files: list[Path]) -> None:
    held = column_bytes(files)
    assert sum(held.values()) == sum(path.stat().st_size for path in files)
    for modality, payload in ((Modality.LIDAR, LIDAR_BYTES), (Modality.CAMERA, 2 * IMAGE_BYTES), (Modality.RADAR, RADAR_BYTES)):
        assert len(KEYS) * payload < held[modality] < len(KEYS) * payload + 16_000
    fraction = next(iter(one_modality(files)))
    # pyarrow begins with the last 64 KiB of a file, whatever its footer takes.
    assert held[Modality.RADAR] <= fraction.value * sum(held.values()) <= held[Modality.RADAR] + 2 * 64 * 1024 + held[None]


def test_ratios_are_by_modality_and_rate() -> None:
    raw = {Modality.LIDAR: 100, Modality.CAMERA: 50, Modality.RADAR: 40, Modality.POSE: 10}
    stored = {Modality.LIDAR: 60.0, Modality.CAMERA: 80.0, Modality.RADAR: 20.0, None: 4.0}
    found = {entry.name: entry.value for entry in ratios(raw, stored, dict.fromkeys(stored, 10.0))}
    assert found["gold.bytes_vs_raw"] == 164 / 200
    assert found["gold.camera_bytes_vs_raw"] == 1.6
    assert found["gold.bytes_vs_raw_keyframes"] == 40 / 200
    assert found["gold.radar_bytes_vs_raw_keyframes"] == 0.25


def test_a_drive_lands_as_another_vehicles_without_a_copy(tmp_path: Path) -> None:
    source = tmp_path / "source"
    inside = "lidar/lidar_top/1700000000000000000.mcap"
    (source / inside).parent.mkdir(parents=True)
    (source / inside).write_bytes(b"raw")
    (source / "calibration.json").write_text(json.dumps(rig().to_dict()))
    (source / "manifest.json").write_text(
        json.dumps({"vehicle_id": "a", "drive_id": "d", "calibration_sha256": "", "objects": [{"key": f"a/d/{inside}"}]})
    )
    folder = land(source, tmp_path / "raw", "b", keyframe_hz=2.0)
    assert folder == tmp_path / "raw" / "b" / "d"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert (manifest["vehicle_id"], manifest["objects"][0]["key"]) == ("b", f"b/d/{inside}")
    assert (folder / inside).is_symlink()
    assert Rig.from_dict(json.loads((folder / "calibration.json").read_bytes())).policy.keyframe_hz == 2.0
    assert raw_bytes(folder) == {Modality.LIDAR: 3}
