"""Data Docs are made of stored results, say what these say, and ask nothing of any other host."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from pathlib import Path

import pytest

from quality.accounting import SensorAccount
from quality.evaluators.object import ObjectFacts
from quality.gx.checkpoint import run_checkpoint
from quality.gx.data_docs import Validated, build_data_docs, closed
from quality.gx.suites import drive_suite, object_suite
from quality.measurements.metrics import SensorMetrics
from quality.rules.rulebook import DEFAULT_RULES
from quality.tables.audit_metrics import Residuals, audit_table
from quality.tables.object import object_table

AT_NS = 1_767_225_600_000_000_000  # 2026-01-01
REVISION = "ab" * 32


def validated(drive: str, metrics: tuple[SensorMetrics, ...]) -> Validated:
    accounts = [SensorAccount(entry.sensor, entry.frames_read, entry.frames_read, 0, 0, {}) for entry in metrics]
    residuals = {entry.sensor: Residuals(1, 2, 3, 0) for entry in metrics}  # beyond a tolerance of 0: infinitely many of them
    facts = [ObjectFacts("a/b.mcap", "b", None, 10, "c" * 64)]
    tables = [
        (drive_suite(DEFAULT_RULES), audit_table(metrics, accounts, residuals, None)),
        (object_suite(DEFAULT_RULES), object_table(facts, ())),
    ]
    stored = json.dumps(run_checkpoint(tables).validations, allow_nan=False)
    return Validated(drive, REVISION, AT_NS, json.loads(stored))


@pytest.fixture
def site(tmp_path: Path, clean: tuple[SensorMetrics, ...]) -> Path:
    faulty = (dataclasses.replace(clean[0], duplicates=4), *clean[1:])
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "stale.html").write_text("of an earlier run")
    index = build_data_docs([validated("car-1/<one>", clean), validated("car-1/two", faulty)], folder)
    assert index == folder / "index.html"
    return folder


def test_a_page_for_each_suite_of_each_drive_with_what_was_found(site: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', index)]
    assert len(links) == 4
    assert "car-1/&lt;one&gt;" in index
    pages = [(site / link).read_text(encoding="utf-8") for link in links]
    assert sorted(site.rglob("*.html")) == sorted([site / "index.html", *(site / link for link in links)])
    told = pages[2]
    assert "repeated_stamps" in told
    assert "No two frames of a sensor have the same stamp." in told
    section = told[
        told.index("CLK002 (warning) stamps repeat") : told.index("CLK002 (warning) stamps repeat: the value is known")
    ]
    assert ">4.0<" in section
    assert ">lidar_top<" in section
    met = [int(found) for found in re.findall(r"<td>(\d+) of \d+</td>", index)]
    assert met[0] == met[2] + 1, "of the second drive one expectation less is met"
    assert met[1] == met[3]


def test_nothing_is_asked_of_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert re.search(r'(?:src|href)="(?:https?:)?//', text) is None
        assert "<script" not in text
        assert "url(http" not in text
        assert "Content-Security-Policy" in text
    assert [path.suffix for path in site.rglob("*") if path.is_file() and path.suffix != ".html"] == []


def test_a_page_is_closed_whatever_the_form_of_its_references() -> None:
    page = (
        '<html><head lang="en"><title>x</title><link rel="a" href="https://cdn.example/a.css"/><script src="https://x/y.js">\n'
        '</script></head><body><img\n class="a" src="https://x/logo.png?d=1"\n/><a class="b" href="https://x/news">n</a>'
        '<a href="validations/v.html">v</a><script>\nlet a = "</b>";\n</script></body></html>'
    )
    inside = closed(page)
    assert "https://" not in inside
    assert "script" not in inside.replace("Content-Security-Policy", "")
    assert '<a href="validations/v.html">v</a>' in inside
    assert '<a class="b" >n</a>' in inside
