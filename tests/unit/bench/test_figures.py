"""The output of figures: JSON, and the text between markers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.figures import FiguresError, Measurement, markdown_table, measurement_table, write_results, write_sections

TEXT = """# Performance

<!-- bench:one -->
old
<!-- /bench -->
between
<!-- bench:two -->
<!-- /bench -->
end
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "performance.md"
    path.write_text(TEXT)
    return path


def test_only_what_lies_between_the_markers_of_a_name_is_replaced(document: Path) -> None:
    assert write_sections({"two": "new\ntable\n", "three": "nowhere"}, document) == ("three",)
    assert document.read_text() == TEXT.replace("<!-- bench:two -->\n", "<!-- bench:two -->\nnew\ntable\n")
    assert write_sections({"one": "1", "two": "2"}, document) == ()
    once = document.read_text()
    assert "old" not in once
    write_sections({"one": "1", "two": "2"}, document)
    assert document.read_text() == once


@pytest.mark.parametrize(
    "text",
    [
        "<!-- bench:one -->\nold\n",
        "<!-- bench:one -->\n<!-- bench:two -->\n<!-- /bench -->\n",
        "<!-- bench:one -->\n<!-- /bench -->\n<!-- bench:one -->\n<!-- /bench -->\n",
    ],
)
def test_a_document_with_broken_markers_is_left_alone(document: Path, text: str) -> None:
    document.write_text(text)
    with pytest.raises(FiguresError, match="bench:one"):
        write_sections({"one": "new"}, document)
    assert document.read_text() == text


def test_a_document_that_is_not_there_has_no_place_for_anything(tmp_path: Path) -> None:
    assert write_sections({"one": "new"}, tmp_path / "absent.md") == ("one",)
    assert not (tmp_path / "absent.md").exists()


def test_results_hold_all_fields_and_keep_those_of_other_runs_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "build" / "bench.json"
    write_results([Measurement("a", 1.0, "s", False), Measurement("b", 2.0, "x", True, 0.7)], path)
    write_results([Measurement("b", 3.0, "x", True)], path, keep_others=True)
    assert json.loads(path.read_text()) == [
        {"name": "a", "value": 1.0, "unit": "s", "higher_is_better": False, "limit": None},
        {"name": "b", "value": 3.0, "unit": "x", "higher_is_better": True, "limit": None},
    ]
    write_results([Measurement("c", 1.0, "s", False)], path)
    assert [entry["name"] for entry in json.loads(path.read_text())] == ["c"]


@pytest.mark.parametrize(
    ("value", "higher", "kept"), [(0.7, True, True), (0.69, True, False), (0.7, False, True), (0.71, False, False)]
)
def test_a_promise_is_kept_at_its_limit(value: float, higher: bool, kept: bool) -> None:
    assert Measurement("a", value, "x", higher, 0.7).kept is kept
    assert Measurement("a", value, "x", higher).kept is None


def test_tables() -> None:
    assert markdown_table(("a", "b"), [("x", "1")]) == "| a | b |\n|---|---:|\n| x | 1 |"
    found = [Measurement("speed", 1234.5, "MB/s", True, 1000.0), Measurement("part", 0.12345, "", False, 0.1)]
    assert measurement_table(found).splitlines()[2:] == [
        "| `speed` | 1,234 MB/s | ≥ 1000 MB/s | yes |",
        "| `part` | 0.123  | ≤ 0.1 | **no** |",
    ]
