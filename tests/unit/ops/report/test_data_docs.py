"""Data Docs are rendered from stored results, show the audit's judgement, and load nothing from other hosts."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from lake.landing import DriveId
from lake.storage import ObjectStore, ObjectVersion
from ops.report.data_docs import build_data_docs
from ops.report.validations import DriveResults, ExpectationView, SuiteView, validations
from quality.accounting import SensorAccount
from quality.evaluators.object import ObjectFacts
from quality.gx.checkpoint import run_checkpoint
from quality.gx.suites import drive_suite, object_suite
from quality.measurements.residuals import Residuals, ToleratedResiduals
from quality.measurements.rule_measures import Bounds
from quality.measurements.sensor_metrics import SensorMetrics
from quality.rules.rulebook import DEFAULT_RULES
from quality.tables.audit_metrics import audit_table
from quality.tables.object import object_table
from scenes.documents import ValidationResults, encode
from sensors.time_units import NS_PER_MS
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.ops import lake_builders

START_NS = 1_700_000_000_000_000_000
COMMITTED_MS = 1_767_225_600_000  # 2026-01-01
REVISION = "ab" * 32
DRIVES = tuple(DriveId("car-1", name) for name in ("clean", "repeats", "goes-back"))
ACTIVE = {"script", "button", "input", "select", "form", "iframe", "object", "embed", "link", "img"}


class Page(HTMLParser):
    """Tags, links, and the text of each row of a table."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.rows: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag == "tr":
            self.rows.append("")

    def handle_data(self, data: str) -> None:
        if self.rows and data.strip():
            self.rows[-1] += f"{data.strip()} "


def metrics(sensor: str, modality: str) -> SensorMetrics:
    """Ten seconds of a flawless sensor at 10 Hz."""
    return SensorMetrics(
        sensor=sensor, modality=modality, required=True, reference=modality == "lidar", frames_expected=100, frames_read=100,
        nominal_rate_hz=10.0, measured_rate_hz=10.0, first_ns=START_NS, last_ns=START_NS + 10**10, coverage=1.0,
        max_gap_ns=10**8, gaps=0, duplicates=0, regressions=0, jitter_p95_ns=1_000, log_offset_p50_ns=2_000_000,
    )  # fmt: skip


def stored(drive: DriveId, lidar: SensorMetrics) -> bytes:
    """The results of an audit, as `scenes.outcome.validation` keeps them."""
    sensors = (lidar, metrics("cam_front", "camera"))
    accounts = [SensorAccount(entry.sensor, entry.frames_read, entry.frames_read, 0, 0, {}) for entry in sensors]
    residuals = {entry.sensor: ToleratedResiduals(Residuals(3, 1, 2, 3), 50_000_000) for entry in sensors}
    checkpoint = run_checkpoint(
        [
            (drive_suite(DEFAULT_RULES), audit_table(sensors, accounts, residuals, Bounds(START_NS, START_NS + 10**10))),
            (object_suite(DEFAULT_RULES, compared=False), object_table([ObjectFacts("a/b.mcap", "b", None, 10, "c" * 64)], ())),
        ]
    )
    results = ValidationResults(
        drive=str(drive),
        revision=REVISION,
        success=checkpoint.success,
        suites={name: suite.results for name, suite in checkpoint.suites.items()},
        validations={name: suite.report for name, suite in checkpoint.suites.items()},
        calibration=(),
    )
    return encode(results)


@pytest.fixture(scope="module")
def results() -> tuple[DriveResults, ...]:
    """The results of a clean drive, of one with a warning, and of one with an error."""
    clean = metrics("lidar_top", "lidar")
    lidars = (clean, dataclasses.replace(clean, duplicates=4), dataclasses.replace(clean, regressions=1))
    store, published = ObjectStore(FakeS3()), []
    for number, (drive, lidar) in enumerate(zip(DRIVES, lidars, strict=True)):
        store.put(ObjectVersion("lake", f"v/{number}.json"), stored(drive, lidar))
        row = lake_builders.publication(drive, REVISION, number, number, COMMITTED_MS * NS_PER_MS)
        published.append(msgspec.structs.replace(row, validations=f"s3://lake/v/{number}.json"))
    return validations(published, store, DRIVES)


@pytest.fixture
def site(tmp_path: Path, results: tuple[DriveResults, ...]) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "stale.html").write_text("of an earlier run")
    assert build_data_docs(results, folder) == folder / "index.html"
    return folder


def test_index_has_each_suite_of_each_drive_with_the_result_that_the_audit_judged(site: Path) -> None:
    index = Page(site / "index.html")
    count = sum(len(check.kinds) for check in drive_suite(DEFAULT_RULES).checks) + 1
    verdicts = [row for row in index.rows if "drive" in row.split()]
    assert [row.split(maxsplit=2)[2] for row in verdicts if row.startswith("car-1")] == [
        f"drive passed {count} of {count} ",
        f"drive passed with warnings {count - 1} of {count} ",
        f"drive failed {count - 1} of {count} ",
    ]
    assert sorted(site.rglob("*.html")) == sorted([site / "index.html", *(site / link for link in index.links)])
    assert len(index.links) == 2 * len(DRIVES)


def test_a_suite_shows_rule_limit_and_the_rows_that_do_not_meet_it(site: Path, results: tuple[DriveResults, ...]) -> None:
    page = Page(site / f"car-1_repeats-{REVISION[:16]}/drive.html")
    first, row = page.rows[1], page.rows[2]
    assert first.startswith("failed CLK002 (warning) stamps repeat: No two frames of a sensor have the same stamp.")
    assert row.startswith("lidar_top 4.0 repeated_stamps")
    assert {line.split()[0] for line in page.rows[3:]} == {"passed"}
    assert page.links == ["../index.html"]
    (failed,) = (entry for entry in results[1].suites[0].expectations if entry.outcome == "failed")
    assert (failed.rows, failed.failing) == ((("lidar_top", "4.0"),), 1)


def test_nothing_is_asked_of_another_host_and_no_control_is_dead(site: Path) -> None:
    for path in site.rglob("*.html"):
        page = Page(path)
        assert not page.tags & ACTIVE
        assert not any("//" in link for link in page.links)
        assert all((path.parent / link).is_file() for link in page.links)
        assert "Content-Security-Policy" in page.source
        assert "url(" not in page.source
    assert [path.suffix for path in site.rglob("*") if path.is_file() and path.suffix != ".html"] == []


def test_words_from_data_are_escaped(tmp_path: Path) -> None:
    hostile = "<img src=x>"
    found = ExpectationView("CLK002", "error", "failed", hostile, hostile, hostile, ((hostile, hostile),), 3)
    drive = DriveResults(hostile, hostile, 0, (SuiteView("drive", False, (found,)),))
    build_data_docs([drive], tmp_path)
    for path in tmp_path.rglob("*.html"):
        page = Page(path)
        assert "img" not in page.tags
        assert hostile in " ".join(page.rows)


def test_a_table_as_a_whole_and_further_rows_are_named(tmp_path: Path) -> None:
    found = ExpectationView("CMP006", "error", "unknown", "share", "whole", "", (("*", ""),), 21)
    build_data_docs([DriveResults("car-1/a", REVISION, 0, (SuiteView("scenes", False, (found,)),))], tmp_path)
    text = " ".join(Page(tmp_path / f"car-1_a-{REVISION[:16]}/scenes.html").rows)
    assert "unknown share" in text
    assert "the whole table" in text
    assert "and 20 more" in text
