"""The review as a user sees it: a real Chromium, Airflow's login, its navigation, a release and its effect in gold."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from fleet.drive_folder import DriveFolder
from fleet.uploader import upload
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState
from lake.iceberg.catalog import open_catalog
from lake.landing import DriveId
from lake.settings import Settings
from lake.tables.rows import RecordRow
from ops import stack
from ops.audit import lake_reader
from ops.audit.run import Auditor
from scenes.accounting.drive_sources import AuditSources
from tests.integration.drives import small_drive
from tests.integration.review.browser import Browser, find_chromium

DRIVE = DriveId("car-1", "d-1")
WITHIN_S = 600
CHROMIUM = find_chromium()

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH"),
    pytest.mark.timeout(1800),
]


class Running:
    """The local stack, and the drive in it."""

    def __init__(self, home: Path) -> None:
        self.status = stack.status(home)
        self.settings = Settings.from_env()
        self.ledger = Ledger(boto3.client("dynamodb"), self.settings.ledger_table)
        self.catalog = open_catalog(self.settings)

    def wait(self, generation: int) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while True:
            found = self.ledger.drive(DRIVE)
            if found is not None and found.generation == generation and found.state is DriveState.PUBLISHED:
                return
            assert time.monotonic() < deadline_s, f"generation {generation} is not published: {found}"
            time.sleep(1)

    def records(self, level: str) -> list[RecordRow]:
        return [row for row in lake_reader.records(self.catalog, DRIVE) if row.level == level]

    def check_balance(self) -> None:
        sources = AuditSources(self.settings, boto3.client("s3"), self.ledger, self.catalog)
        assert Auditor(sources, self.ledger, None, "test").everything().result.failures == ()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("stack")
    with pytest.MonkeyPatch.context() as patch:
        try:
            stack.up(home, print, dict(os.environ))
            for name, value in stack.environment(home).items():
                patch.setenv(name, value)
            made = Running(home)
            folder = small_drive(tmp_path_factory.mktemp("drive") / "d-1", "cut_jpeg:camera_front:4,5")
            upload(DriveFolder.load(folder), boto3.client("s3"), made.settings.raw_bucket)
            made.wait(1)
            yield made
        finally:
            stack.down(home)


@pytest.fixture
def page(running: Running, tmp_path: Path) -> Iterator[Browser]:
    assert CHROMIUM is not None
    with Browser(CHROMIUM, tmp_path / "profile") as made:
        yield made


def log_in(page: Browser, running: Running) -> None:
    page.open(f"{running.status.airflow_url}/")
    page.wait("the login", lambda: page.evaluate("!!document.querySelector('input[name=password]')"))
    page.type_into("input[name=username]", str(running.status.airflow_user))
    page.type_into("input[name=password]", str(running.status.airflow_password))
    page.click("button[type=submit]")
    page.wait("the home page", lambda: "login" not in str(page.evaluate("location.href")) and len(page.text()) > 50)


@pytest.mark.enable_socket
def test_the_review_needs_a_login(page: Browser, running: Running) -> None:
    page.open(f"{running.status.airflow_url}/scenelake-review/")
    page.see("Log in to Airflow first")
    assert "car-1" not in page.text()


@pytest.mark.enable_socket
def test_a_scene_is_released_and_another_rejected(page: Browser, running: Running, tmp_path: Path) -> None:
    running.check_balance()
    scenes = running.records("scene")
    assert len(scenes) >= 2
    one, other = scenes[:2]
    log_in(page, running)
    page.open(f"{running.status.airflow_url}/plugin/quarantine")
    page.wait("the page in Airflow's frame", lambda: page.evaluate("!!document.querySelector('iframe')"))
    within = "document.querySelector('iframe').contentDocument.body.innerText"
    page.wait("its words", lambda: "kept out of gold" in str(page.evaluate(within)))
    assert page.picture(tmp_path / "in-airflow.png").stat().st_size > 20_000

    root = f"{running.status.airflow_url}/scenelake-review"
    (cut, *_) = running.records("object")
    page.open(f"{root}/records/{cut.record_id}")
    page.see("Cannot be released")
    sizes = page.evaluate("[...document.images].map(image => [image.naturalWidth, image.naturalHeight])")
    assert [160, 90] in sizes, "the damaged image is drawn as far as it goes"
    assert len(sizes) >= 2, "and a neighbour beside it"

    page.open(f"{root}/?level=scene&status=quarantined")
    page.see(one.record_id[:12])
    assert cut.record_id[:12] not in page.text()
    decide(page, root, one, "release", "the other cameras see it all")
    page.see("generation 2 of the drive is queued")
    page.open(f"{root}/?status=quarantined")
    page.see("releasing")
    running.wait(2)
    running.check_balance()
    (back,) = [row for row in lake_reader.scene_facts(running.catalog, DRIVE) if row.anchor_ns == one.anchor_ns]
    found = lake_reader.scene(running.catalog, back.scene_id)
    assert found is not None
    assert [(entry.reviewer, entry.reason) for entry in found.released or ()] == [("admin", "the other cameras see it all")]

    decide(page, root, other, "reject", "the mast was bent")
    page.see("1 record rejected")
    page.open(f"{root}/records/{other.record_id}")
    page.see("Rejected by admin")
    page.see("the mast was bent")
    assert page.evaluate("document.querySelectorAll('form').length") == 0, "a decision is final"
    running.check_balance()


def decide(page: Browser, root: str, row: RecordRow, verdict: str, reason: str) -> None:
    """Select a record in the list, give the reason, and confirm."""
    page.open(f"{root}/?level=scene")
    page.click(f"input[value='{row.record_id}']")
    page.type_into("textarea[name=reason]", reason)
    page.click(f"button[value={verdict}]")
    page.wait("the plan", lambda: page.evaluate("!!document.querySelector('#confirm')"))
    page.click("#confirm")
