"""The report holds its facts, no external references, and no markup injected by data."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from lake.tables.rows import SceneRow, row_of
from ops.report import chart, page
from ops.report.cloud import Cloud
from ops.report.collect import pick, reasons
from ops.report.facts import DriveReport, RecordView, ReportFacts
from ops.report.motion import EgoMotion, looking_forward
from ops.report.picture import find_image
from ops.report.scene import scene_view
from scenes.documents import CalibrationRow
from sensors.geometry import SE3
from sensors.rig import Rig
from tests.unit.ops import lake_builders as rows
from tests.unit.ops.report.report_builders import CUT, SCENES, example

HOSTILE = '<script>alert("x")</script><img src=http://evil.example/a.png>'


class Reader(HTMLParser):
    """Collects text, tags, and every attribute that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> tuple[Reader, str]:
    reader = Reader()
    reader.feed(html)
    return reader, re.sub(r"\s+", " ", " ".join(reader.text))


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ReportFacts:
    return example(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def html(facts: ReportFacts) -> str:
    return page.report_page(facts)


def test_nothing_points_outside(html: str) -> None:
    reader, _ = read(html)
    assert reader.links
    assert all(link.startswith(("#", "data:image/jpeg;base64,", "data:image/png;base64,")) for link in reader.links)
    assert "script" not in reader.tags
    assert re.findall(r"url\(|@import|https?://", html) == []


def test_the_facts_are_there(html: str) -> None:
    reader, text = read(html)
    for fact in ("accounting balances", "veh-1/drive-a", "veh-1/drive-b", "DEC005 ×2", "no_anchor ×1", "6.41 GB", "6.00 GB"):
        assert fact in text, fact
    assert "The frame's image decodes to its last row." in text
    assert "image ends after 4000 bytes" in text
    assert "radar_front is missing: no frame within tolerance" in text
    # Three scenes with a view from above, a frame and a projection each, and one damaged image.
    assert reader.tags.count("img") == 3 * 3 + 1
    assert reader.tags.count("svg") == 4


def test_an_unbalanced_accounting_cannot_be_overlooked(facts: ReportFacts) -> None:
    broken = replace(facts, checks=(replace(facts.checks[0], ok=False, right=1, detail="frames are gone"),))
    _, text = read(page.report_page(broken))
    assert "accounting does not balance" in text
    assert "frames are gone" in text


def calibration_row(
    sensor: str, quantity: str, verdict: str, unit: str, error: float | None, uncertainty: float | None, frames: int, reason: str
) -> CalibrationRow:
    return CalibrationRow(
        sensor=sensor, quantity=quantity, verdict=verdict, unit=unit, error=error, uncertainty=uncertainty, frames=frames,
        items=900, reason=reason,
    )  # fmt: skip


def test_verdicts_on_the_calibration_are_a_table_and_without_any_there_is_none(facts: ReportFacts, html: str) -> None:
    assert "Calibration, as" not in html
    checked = (
        calibration_row("lidar_top", "ground_pitch", "suspect", "deg", -0.31, 0.12, 20, ""),
        calibration_row("camera_front", "camera_yaw", "not observable", "deg", None, None, 3, "3 frames, at least 4"),
    )
    drive = replace(facts.drives[0], calibration=checked)
    _, text = read(page.report_page(replace(facts, drives=(drive,))))
    assert "lidar_top ground pitch suspect -0.310 deg 0.120 deg 20" in text
    assert "camera_front camera yaw not observable – – 3 3 frames, at least 4" in text


def test_what_data_says_is_only_text(facts: ReportFacts) -> None:
    drive = facts.drives[1]
    record = RecordView("r1", "object", HOSTILE, 1, (HOSTILE,), (HOSTILE,), HOSTILE)
    view = replace(drive.views[0], scene_id=HOSTILE, missing=((HOSTILE, HOSTILE),), flags=(HOSTILE,), notes=(HOSTILE,))
    lines = tuple(replace(line, sensor=HOSTILE, reasons=((HOSTILE, 1),)) for line in drive.lines)
    histograms = tuple(replace(entry, sensor=HOSTILE) for entry in drive.histograms)
    assert drive.timeline is not None
    timeline = replace(drive.timeline, rows=tuple((HOSTILE, shares) for _, shares in drive.timeline.rows))
    verdict = calibration_row(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1.0, 1.0, 1, HOSTILE)
    hostile: DriveReport = replace(
        drive, note=HOSTILE, views=(view,), examples=(record,), lines=lines, histograms=histograms, timeline=timeline,
        calibration=(verdict,),
    )  # fmt: skip
    reader, text = read(page.report_page(replace(facts, drives=(hostile,), title=HOSTILE, run=((HOSTILE, HOSTILE),))))
    assert "script" not in reader.tags
    assert not [link for link in reader.links if "evil" in link]
    assert text.count("<script>") >= 12  # each of them was shown as text


def test_the_scene_page_stands_alone(facts: ReportFacts) -> None:
    reader, text = read(page.scene_page(facts.drives[0].views[0], (("drive", "veh-1/drive-a"),)))
    assert "cam_front" in text
    assert all(link.startswith("data:image/") for link in reader.links)


def test_a_scene_whose_image_does_not_decode_is_drawn_all_the_same() -> None:
    row = rows.scene()
    row["cameras"][0]["image"] = CUT
    view = scene_view(row_of(SceneRow, row))
    assert view.cameras[0].image is None
    assert view.cameras[0].note.startswith("does not decode")
    assert view.birdseye is not None


def test_a_cloud_that_contradicts_itself_is_a_note() -> None:
    row = rows.scene()
    row["lidars"][0]["points"] = row["lidars"][0]["points"][:40]
    view = scene_view(row_of(SceneRow, row))
    assert any("lidar_top cannot be drawn" in note for note in view.notes)


def test_ego_motion_turns_and_moves_between_poses() -> None:
    motion = EgoMotion([rows.scene_row(index) for index in range(3)])
    moved = motion.then_SE3_now(rows.EPOCH_NS + 50_000_000, rows.EPOCH_NS + 100_000_000)
    assert moved is not None
    np.testing.assert_allclose(moved.translation_m, [0.5, 0, 0], atol=1e-9)
    assert motion.then_SE3_now(rows.EPOCH_NS - 1, rows.EPOCH_NS) is None


@pytest.mark.parametrize(("axis", "forward"), [("x_m", (1, 0)), ("y_m", (0, 1))])
def test_forward_is_where_the_vehicle_moves(axis: str, forward: tuple[int, int]) -> None:
    poses = [{**rows.scene(index)["ego_pose"], "x_m": 0.0, axis: 1.0 * index} for index in range(3)]
    scenes = [row_of(SceneRow, rows.scene(index) | {"ego_pose": pose}) for index, pose in enumerate(poses)]
    assert EgoMotion(scenes).forward(rows.EPOCH_NS) == forward
    assert EgoMotion(scenes).forward(rows.EPOCH_NS + 2 * rows.PERIOD_NS) == forward
    assert EgoMotion([]).forward(rows.EPOCH_NS) is None


def test_without_motion_forward_is_where_the_cameras_look() -> None:
    rig = Rig.from_dict(rows.calibration())
    assert looking_forward(rig) == (1, 0)
    turned = SE3.from_wxyz((0, 0, 0), (np.sqrt(0.5), 0, 0, np.sqrt(0.5)))  # a quarter turn to the left
    sensors = tuple(replace(one, ego_SE3_sensor=turned @ (one.ego_SE3_sensor or SE3.identity())) for one in rig.sensors)
    assert looking_forward(replace(rig, sensors=sensors)) == (0, 1)
    assert looking_forward(replace(rig, sensors=rig.sensors[:1])) == (1, 0)


def test_a_sweep_is_moved_point_by_point_to_the_moment_of_the_image() -> None:
    cloud = Cloud(
        sensor="lidar_top",
        ego_m=np.array([[10.0, 0, 0], [10.0, 0, 0]]),
        times_ns=np.array([rows.EPOCH_NS, rows.EPOCH_NS + rows.PERIOD_NS]),
        range_rate_m_s=None,
        origin_m=np.zeros(3),
        calibrated=True,
    )
    moved_m, complete = EgoMotion([rows.scene_row(index) for index in range(3)]).at(cloud, rows.EPOCH_NS + rows.PERIOD_NS)
    assert complete
    np.testing.assert_allclose(moved_m[:, 0], [9.0, 10.0], atol=1e-5)  # 1 m a scene: the first point has come nearer
    assert EgoMotion([]).at(cloud, rows.EPOCH_NS)[1] is False


def test_a_complete_and_an_incomplete_scene_are_picked() -> None:
    scenes = [rows.scene_row(index, radar=index < 3) for index in range(5)]
    assert pick(scenes) == (scenes[1].scene_id, scenes[4].scene_id)
    assert pick([]) == ()


def test_reasons_are_counted_with_the_catalogues_sentence() -> None:
    found = reasons(
        [rows.record_row("a", ["DEC005"]), rows.record_row("b", ["DEC005", "XYZ999"], frames=3), rows.record_row("c", ["SYN003"])]
    )
    assert [(entry.rule_id, entry.records, entry.frames) for entry in found] == [
        ("DEC005", 2, 4),
        ("XYZ999", 1, 3),
        ("SYN003", 1, 1),
    ]
    assert found[1].sentence == "This rule is not in the catalogue of this version."


def test_an_image_is_found_in_the_message_around_it() -> None:
    assert find_image(b"\x00" * 60 + CUT) == (CUT, "image/jpeg")
    assert find_image(b"\x00" * 2000 + CUT) is None


def test_histogram_counts_every_residual_within_its_span() -> None:
    found = chart.histogram("cam", np.array([-40, -1, 0, 1, 40, 90], dtype=np.int64) * 1_000_000, 40_000_000)
    assert found is not None
    assert sum(found.counts) == 6
    assert found.counts[chart.BINS // 2] == 1
    assert (found.counts[0], found.counts[-1]) == (1, 2)
    assert chart.histogram("cam", np.array([], dtype=np.int64), None) is None


def test_timeline_shares_are_of_all_scenes() -> None:
    anchors = np.arange(1000, dtype=np.int64)
    found = chart.timeline(anchors, [("cam", anchors < 500)])
    assert found is not None
    (_, shares) = found.rows[0]
    assert len(shares) == chart.SEGMENTS
    assert np.mean(shares) == pytest.approx(0.5, abs=0.01)
    assert {round(share) for share in shares} == {0, 1}


def test_the_page_is_written_with_its_folder(tmp_path: Path) -> None:
    page.write(tmp_path / "build" / "r.html", "<p>é</p>")
    assert (tmp_path / "build" / "r.html").read_bytes() == "<p>é</p>".encode()
    assert SCENES > 0
