"""Ratios, refusals and the table of the build-scenes comparison; the report of failures."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.build_scenes import scaling
from bench.build_scenes.contenders import CONTENDERS, Attempt, Contender, attempt, problem_of
from bench.build_scenes.contest import HashError, Outcome, check_hashes
from bench.build_scenes.run import check_equal, figures, table
from bench.build_scenes.scaling import report, scenes_folder
from bench.figures import PROJECT, FiguresError
from lake.documents import canonical_json

OUTCOME = Outcome(2.0, 1.0, 1.5, 10, 500_000_000, 2, 90_000_000, "m", "p", driver_rss_bytes=5_000_000)


def took(*seconds: float) -> list[Attempt]:
    return [Attempt(replace(OUTCOME, work_s=value)) for value in seconds]


def test_ratios_are_theirs_over_ours_and_the_speed_is_that_of_the_raw_bytes() -> None:
    found = {"scenelake": took(2.0, 2.5, 9.0), "limit": took(2.0, 2.0, 2.0), "polars": took(5.0), "ray": [Attempt(None, "x")]}
    values = {entry.name: (entry.value, entry.limit) for entry in figures(found, 1_000_000_000, "_keyframe")}
    assert values == {
        "build_scenes.vs_limit_keyframe": (0.8, 0.7),
        "build_scenes.vs_polars_keyframe": (2.0, 1.0),
        "build_scenes.mb_per_s_per_core_keyframe": (200.0, None),
        "build_scenes.spark_start_s_keyframe": (2.0, None),
    }


def test_without_scenelake_there_are_no_ratios() -> None:
    assert list(figures({"limit": took(1.0)}, 1_000, "")) == []


def test_other_matches_or_other_payload_are_refused() -> None:
    check_equal({"a": took(1.0), "b": [Attempt(None, "out of memory")]}, "m")
    with pytest.raises(FiguresError, match=r"^b: the matches"):
        check_equal({"a": took(1.0), "b": [Attempt(replace(OUTCOME, matches_digest="n"))]}, "m")
    with pytest.raises(FiguresError, match=r"a \| b$"):
        check_equal({"a": took(1.0), "b": [Attempt(replace(OUTCOME, payload_digest="q"))]}, "m")


def test_a_failure_has_its_row_and_its_reason() -> None:
    found = {
        "ray": [Attempt(None, "out of memory")],
        "pandas": [*took(4.0, 2.0), Attempt(None, "exit 1")],
        "scenelake": took(1.0),
    }
    rows = table(found, 100_000_000).splitlines()[2:]
    assert rows == [
        "| scenelake | 1.00 (1.00–1.00) | 1.00 | 50 | 1.50 | 2.0 | 500 | 90 |  |",
        "| pandas | 3.00 (2.00–4.00) | 3.00 | 17 | 1.50 | 2.0 | 500 | 90 | 1 of 3 failed: exit 1 |",
        "| ray |  |  |  |  |  |  |  | 1 of 1 failed: out of memory |",
    ]


@pytest.mark.parametrize(
    ("code", "log", "problem"),
    [
        (-signal.SIGKILL, "", "out of memory"),
        (1, "x\njava.lang.OutOfMemoryError: Java heap space\n", "out of memory"),
        (1, "Traceback\n  File\nKeyError: 'x'\n\n", "exit status 1: KeyError: 'x'"),
        (3, "", "exit status 3: no output"),
    ],
)
def test_why_a_contender_failed(code: int, log: str, problem: str) -> None:
    assert problem_of(code, log) == problem
    assert "not done after" in problem_of(None, log)


def test_a_contender_that_fails_leaves_a_reason_and_no_files(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    absent = Contender("absent_module", Path(sys.executable))
    result = attempt(absent, tmp_path / "drive", tmp_path / "drive", "sweep", tmp_path / "scratch")
    assert result.outcome is None
    assert "absent_module" in result.problem
    assert list((tmp_path / "scratch").iterdir()) == []


def test_every_contender_has_its_module() -> None:
    folder = PROJECT / "bench" / "build_scenes"
    missing = [name for name, it in CONTENDERS.items() if not (folder / f"{it.module.replace('.', '/')}.py").is_file()]
    assert missing == []


def test_each_raw_object_must_be_hashed_and_rightly(tmp_path: Path) -> None:
    entry = {"key": "v/d/lidar/lidar_top/1.mcap", "sha256": "aa"}
    (tmp_path / "manifest.json").write_bytes(canonical_json({"objects": [entry]}))
    check_hashes(tmp_path, {"/somewhere/lidar/lidar_top/1.mcap": "aa"})
    for wrong in ({}, {"lidar/lidar_top/1.mcap": "bb"}, {"lidar/lidar_top/1.mcap": "aa", "lidar/lidar_top/2.mcap": "aa"}):
        with pytest.raises(HashError):
            check_hashes(tmp_path, wrong)


def test_growth_compares_the_speeds_of_medians() -> None:
    found = {
        size: [replace(OUTCOME, cpu_s=cpu_s, peak_rss_bytes=memory * 10**6, driver_rss_bytes=size * 10**7) for cpu_s in times]
        for size, times, memory in ((1, (1.2, 1.0, 9.0), 510), (4, (4.0, 4.0, 4.0), 565), (16, (20.0, 14.0, 16.0), 710))
    }
    grown = report(found, {1: 480_000_000, 4: 2_000_000_000, 16: 8_000_000_000}, "/somewhere")
    figure = {entry.name: entry.value for entry in grown.measurements}
    assert figure["build_scenes.linear_spread"] == pytest.approx(0.25)  # 400 MB a second of a core, and 500
    assert figure["build_scenes.memory_16x_over_1x"] == pytest.approx(1.1)
    assert figure["build_scenes.driver_memory_16x_over_1x"] == pytest.approx(16)
    assert "| 16× | 8,000 | 1.00 | 16.00 | 500 | 550 | 160 |" in grown.sections["growth"]
    assert "written to the disk" in grown.sections["growth"]


def test_scenes_go_to_memory_only_where_they_and_the_raw_files_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "SHARED_MEMORY", tmp_path / "absent")
    assert scenes_folder(0.0, tmp_path) == tmp_path
    monkeypatch.setattr(scaling, "SHARED_MEMORY", Path("/"))
    monkeypatch.setattr(scaling, "PROCESS_BYTES", 0.0)
    assert scenes_folder(0.0, tmp_path) == Path("/")
    assert scenes_folder(1e18, tmp_path) == tmp_path
