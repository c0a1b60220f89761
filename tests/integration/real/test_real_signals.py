"""Rules on signals on real recordings: no error-level alarm on sound data, and injected damage is reported."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from bench.quality_score.examine import Examined, examine
from fleet.importers.registry import IMPORTERS
from lake.landing import DriveId
from quality.evaluators.signal import evaluate_alone
from quality.rules.catalogue import Severity
from quality.rules.findings import Finding
from quality.rules.rulebook import DEFAULT_RULES
from sensors.container.mcap import scan
from sensors.container.recorded import StoredMessage
from sensors.decode.images import decode_whole
from sensors.decode.messages import IMAGE, POINT_CLOUD, decode_image, decode_points
from sensors.measure.cloud import measure_lidar
from sensors.measure.image import SCALE_PX, measure_image
from tests.real_data import DATA

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs real recordings: SCENELAKE_TEST_DATA names their folder; not part of the repository"
)
SIGNALS = ("CAM", "LID", "RAD", "POS")


def imported(name: str, source: Path, out: Path) -> Path:
    if not source.is_dir():
        pytest.skip(f"{source.name} is not among the real recordings")
    IMPORTERS[name](source, out, "car-1", name)
    return out


def examined(name: str, source: Path, tmp_path: Path) -> Examined:
    return examine(imported(name, source, tmp_path / "drive"), DriveId("car-1", name), tmp_path / "store")


def errors(found: Examined) -> list[Finding]:
    return [entry for entry in found.findings if entry.severity is Severity.ERROR]


def signals(found: Examined) -> set[tuple[str, str | None]]:
    """The rules on signals that failed."""
    return {(rule, sensor) for rule, sensor in found.alarms if rule.startswith(SIGNALS)}


def test_pandaset_gives_no_alarm_at_all(tmp_path: Path) -> None:
    found = examined("pandaset", DATA / "pandaset_002", tmp_path)
    assert found.built
    assert errors(found) == []
    assert signals(found) == set()
    assert {rule for rule, _ in found.alarms} <= {"SYN003"}


def test_radiate_in_fog_gives_no_alarm_on_its_signals(tmp_path: Path) -> None:
    found = examined("radiate", DATA / "radiate_tiny_foggy", tmp_path)
    assert found.built
    assert errors(found) == []
    assert {rule for rule, _ in signals(found)} <= {"POS001"}, "its poses begin a minute late"


@pytest.mark.parametrize(("name", "source"), [("nuscenes", "nuscenes_keyframe"), ("recording", "mcap_ros1_ouster")])
def test_single_frames_of_real_sensors_pass(name: str, source: str, tmp_path: Path) -> None:
    folder = imported(name, DATA / source, tmp_path / "drive")
    seen = 0
    for path in sorted(folder.glob("*/*/*.mcap")):
        with path.open("rb") as stream:
            for item in scan(stream):
                assert isinstance(item, StoredMessage)
                if item.message_type == IMAGE and path.parts[-3] == "camera":
                    data = decode_image(item.data).data
                    pixels = decode_whole(data, SCALE_PX).pixels
                    alarms = evaluate_alone(path.parts[-2], measure_image(pixels), DEFAULT_RULES)
                    assert not [entry for entry in alarms if entry.severity is Severity.ERROR]
                    if name == "nuscenes":
                        assert alarms == ()
                    seen += 1
                elif item.message_type == POINT_CLOUD:
                    cloud = decode_points(item.data)
                    measured = measure_lidar(cloud, cloud.xyz_m())
                    assert measured.returns == sum(measured.sector_returns) > 10_000
                    assert measured.ring_returns is not None
                    seen += 1
    assert seen >= 2


def _blank(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size, (90, 90, 90))


def _white(image: Image.Image) -> Image.Image:
    return image.point(lambda value: min(255, value * 5))


def _black(image: Image.Image) -> Image.Image:
    return image.point(lambda value: value // 14)


def _blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(2.5 * image.width / SCALE_PX))


@pytest.mark.parametrize(("damage", "rule"), [(_blank, "CAM001"), (_white, "CAM003"), (_black, "CAM004"), (_blurred, "CAM005")])
def test_damage_to_real_images_is_reported(damage: Callable[[Image.Image], Image.Image], rule: str, tmp_path: Path) -> None:
    source = DATA / "pandaset_002"
    if not source.is_dir():
        pytest.skip("pandaset_002 is not among the real recordings")
    copy = tmp_path / "source"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.pkl*", "lidar_original"))
    for number in (3, 4):
        path = copy / "camera" / "front_camera" / f"{number:02d}.jpg"
        buffer = io.BytesIO()
        damage(Image.open(path).convert("RGB")).save(buffer, "JPEG", quality=92)
        path.write_bytes(buffer.getvalue())
    found = examined("pandaset", copy, tmp_path)
    assert rule in {code for code, _ in signals(found)}
    assert {sensor for _, sensor in signals(found)} == {"camera_front"}


def test_a_frozen_camera_and_a_repeated_sweep_are_reported_by_frame(tmp_path: Path) -> None:
    source = DATA / "pandaset_002"
    if not source.is_dir():
        pytest.skip("pandaset_002 is not among the real recordings")
    copy = tmp_path / "source"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("*.pkl*", "lidar_original"))
    camera = copy / "camera" / "left_camera"
    for number in (5, 6):
        shutil.copyfile(camera / "04.jpg", camera / f"{number:02d}.jpg")
    found = examined("pandaset", copy, tmp_path)
    frozen = [entry for entry in found.findings if entry.rule_id == "CAM002"]
    assert {entry.sensor for entry in frozen} == {"camera_left"}
    assert {entry.measured for entry in frozen} == {1.0, 2.0}
    assert np.isfinite([entry.measured for entry in frozen]).all()
