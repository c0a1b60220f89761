"""`scenelake sync report` from a user's point of view."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app

T0 = 1_780_000_000_000_000_000


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["sync", "report", *map(str, words)], env={"COLUMNS": "300"})


def table(path: Path, header: str = "sensor,stamp_ns", unit: int = 1, late_ns: int = 40_000_000, frames: int = 20) -> Path:
    rows = [
        (name, (T0 + k * 100_000_000 + late) // unit) for k in range(frames) for name, late in (("lidar", 0), ("cam", late_ns))
    ]
    path.write_text(header + "\n" + "".join(f"{name},{stamp}\n" for name, stamp in rows))
    return path


def test_the_answer_comes_first_then_the_figures(tmp_path: Path) -> None:
    result = run(table(tmp_path / "t.csv"))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "Yes, with reservations: cam: residuals reach 40.0 ms (p95), more than 25.0 ms."
    assert "phase-locked" in result.stdout
    assert "40.00 ± 0.00  -60.00" in result.stdout
    assert "20 of 20 (100.0 %) have a frame of every sensor." in lines
    assert "--estimated-delays removes them" in result.stdout


def test_the_former_name_does_the_same_and_is_not_listed(tmp_path: Path) -> None:
    path = str(table(tmp_path / "t.csv"))
    former = CliRunner().invoke(app, ["sync-report", path], env={"COLUMNS": "300"})
    assert (former.exit_code, former.stdout) == (0, run(path).stdout)
    assert "sync-report" not in CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"}).stdout


def test_json_holds_everything(tmp_path: Path) -> None:
    found = json.loads(run(table(tmp_path / "t.csv"), "--json").stdout)
    assert (found["answer"]["in_sync"], found["reference"], found["anchors"], found["complete"]) == (
        "with warnings",
        "lidar",
        20,
        20,
    )
    camera = next(entry for entry in found["sensors"] if entry["sensor"] == "cam")
    assert camera["residuals"] == {"matches": 20, "p50_ns": 40_000_000, "p95_ns": 40_000_000, "max_ns": 40_000_000}
    assert camera["delay"] == {
        "phase": "phase-locked",
        "period_ns": 100_000_000,
        "delay_ns": 40_000_000,
        "other_ns": -60_000_000,
        "mean_ns": 40_000_000,
        "uncertainty_ns": 0,
        "spread_ns": 0,
        "pairs": 20,
    }
    assert [one["rule_id"] for one in found["findings"]] == ["SYN002"]


def test_other_columns_and_units(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", "channel,timestamp_us", 1000)
    result = run(
        path, "--sensor-column", "channel", "--stamp-column", "timestamp_us", "--stamp-unit", "us", "--estimated-delays", "--json"
    )
    found = json.loads(result.stdout)
    assert found["answer"]["in_sync"] == "yes"
    assert found["sensors"][0]["clock"]["first_ns"] == T0 + 40_000_000


def test_a_wrong_unit_is_the_answer(tmp_path: Path) -> None:
    result = run(table(tmp_path / "t.csv", unit=1000))
    assert result.stdout.startswith("No: ")
    assert "microseconds taken for ns" in result.stdout


@pytest.mark.parametrize(
    ("late_ns", "fail_on", "status"),
    [(0, "warning", 0), (40_000_000, None, 0), (40_000_000, "error", 0), (40_000_000, "warning", 3), (10**12, "error", 3)],
)
def test_the_exit_status_can_tell(tmp_path: Path, late_ns: int, fail_on: str | None, status: int) -> None:
    words = ("--fail-on", fail_on) if fail_on else ()
    assert run(table(tmp_path / "t.csv", late_ns=late_ns), *words).exit_code == status


def test_a_plot_is_written(tmp_path: Path) -> None:
    for name in ("sync.svg", "sync.html"):
        assert run(table(tmp_path / "t.csv"), "--plot", tmp_path / name).exit_code == 0
        assert "<svg xmlns" in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    ("words", "cause", "step"),
    [
        (("none.csv",), "does not exist", "give a drive folder, a recording"),
        (("t.csv", "--stamp-column", "t"), "has no column t", "--stamp-column"),
        (("t.csv", "--plot", "x.png"), "neither .html nor .svg", "--plot sync.html"),
        (("t.csv", "--reference", "radar"), "'radar' is not one of the streams", "--reference"),
        (("t.csv", "--stamp-unit", "s"), "row 1 has the stamp 1780000000000000000 s", "--stamp-unit ns"),
    ],
)
def test_errors_name_the_cause_and_the_next_step(tmp_path: Path, words: tuple[str, ...], cause: str, step: str) -> None:
    table(tmp_path / "t.csv")
    result = run(tmp_path / words[0], *words[1:])
    assert result.exit_code == 1
    assert cause in result.stderr
    assert step in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "words", [("t.csv", "--stamp-unit", "h"), ("t.csv", "--tolerance-ms", "-1"), (), ("t.csv", "--fail-on", "x")]
)
def test_wrong_usage_ends_with_2(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2
