"""The plot of a sync report: well-formed, bounded, self-contained, and true to the numbers."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ops.errors import InputError
from ops.sync.plot import MAX_SENSORS, check_plot, drawing, write_plot
from ops.sync.report import Options, sync_report
from ops.sync.streams import Stream
from sensors.rig import Modality
from tests.hostile_text import HOSTILE, unsafe

MS = 1_000_000
EPOCH_NS = 1_700_000_000_000_000_000
LIDAR = EPOCH_NS + 100 * MS * np.arange(200, dtype=np.int64)
SVG = "{http://www.w3.org/2000/svg}"
Stamps = np.ndarray[tuple[int], np.dtype[np.int64]]


def drawn(stamps: dict[str, Stamps], **options: object) -> ElementTree.Element:
    streams = [Stream(name, Modality.LIDAR if name == "lidar" else None, one, None) for name, one in stamps.items()]
    report, matched = sync_report(streams, None, Options(reference="lidar", **options))  # type: ignore[arg-type]
    return ElementTree.fromstring(drawing(report, matched))


def classes(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [one for one in svg.iter() if one.get("class") == name]


def test_each_match_is_a_dot_each_loss_a_tick_and_each_gap_a_band() -> None:
    camera = np.delete(LIDAR + 20 * MS, [50, 51, 52, 120])
    svg = drawn({"lidar": LIDAR, "cam": camera})
    (dots,), (lost,) = classes(svg, "dots"), classes(svg, "lost")
    assert str(dots.get("d")).count("M") == 196
    assert str(lost.get("d")).count("M") == 4
    assert len(classes(svg, "gap")) == 2
    words = [one.text for one in svg.iter(f"{SVG}text")]
    assert "delay 20.00 ms, or -80.00" in words
    assert "4 frames missing, 2 gaps" in words


def test_many_matches_are_drawn_in_bounded_size() -> None:
    many = EPOCH_NS + 10 * MS * np.arange(100_000, dtype=np.int64)
    svg = drawn({"lidar": many, "cam": many + np.random.default_rng(0).integers(-MS, MS, many.size)})
    (band,) = classes(svg, "band")
    assert 400 <= str(band.get("d")).count("M") <= 502
    assert len(ElementTree.tostring(svg)) < 100_000


def test_many_sensors_are_bounded_and_reported() -> None:
    svg = drawn({"lidar": LIDAR} | {f"s{n:03d}": LIDAR for n in range(MAX_SENSORS + 6)})
    assert len(classes(svg, "name")) == MAX_SENSORS
    assert "and 6 more" in [one.text for one in svg.iter(f"{SVG}text")]


def test_a_hostile_name_is_text(tmp_path: Path) -> None:
    name = '</text><script>alert(1)</script>"'
    streams = [Stream("lidar", Modality.LIDAR, LIDAR, None), Stream(name, None, LIDAR[:50], None)]
    report, matched = sync_report(streams)
    assert not list(ElementTree.fromstring(drawing(report, matched)).iter(f"{SVG}script"))
    write_plot(tmp_path / "x.html", name, report, matched)
    page = (tmp_path / "x.html").read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert "SYN001" in page


@pytest.mark.parametrize(
    "stamps", [{"lidar": LIDAR}, {"lidar": LIDAR[:1], "cam": LIDAR[:1]}, {"lidar": LIDAR, "cam": LIDAR + 10**12}]
)
def test_little_is_drawn_too(stamps: dict[str, Stamps]) -> None:
    assert drawn(stamps).tag == f"{SVG}svg"


def test_recordings_with_pauses_count_frames() -> None:
    twice = np.concatenate([LIDAR, LIDAR + 10**15])
    words = [one.text for one in drawn({"lidar": twice, "cam": twice}).iter(f"{SVG}text")]
    assert "frame 399 (the recording pauses)" in words


def test_a_plot_that_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither \.html nor \.svg"):
        check_plot(tmp_path / "x.png")
    with pytest.raises(InputError, match="does not exist"):
        check_plot(tmp_path / "none" / "x.svg")
    check_plot(tmp_path / "x.SVG")


def test_names_that_no_xml_may_hold_are_drawn_escaped(tmp_path: Path) -> None:
    streams = [Stream("lidar", Modality.LIDAR, LIDAR, None), Stream(HOSTILE, None, LIDAR[:50], None)]
    report, matched = sync_report(streams)
    for path in (tmp_path / "x.svg", tmp_path / "x.html"):
        write_plot(path, HOSTILE, report, matched)
        assert unsafe(path.read_text()) == set()
    ElementTree.parse(tmp_path / "x.svg")
