"""`quarantine release` and `reject` at the terminal: prompts, effects and output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from cli.main import app
from lake.landing import DriveId
from lake.overrides import Verdict
from ops import deployment
from ops.review.listing import Decision, Filter, RecordPage, ReviewRecord
from tests.unit.ops.fake_deployment import deployment_with
from tests.unit.ops.review.review_rows import NotingDesk, frame, scene, whole_drive, whole_object

ROWS = [scene(1), scene(2), frame("DEC005"), whole_object(), whole_drive("CLK003"), scene(3, status="rejected")]


class FakeList:
    def __init__(self, rows: list[ReviewRecord]) -> None:
        self.rows = rows

    def page(self, chosen: Filter, after: str | None, limit: int) -> RecordPage:
        found = [row for row in self.every(chosen) if after is None or row.reference > after]
        return RecordPage(tuple(found[:limit]), found[limit - 1].reference if len(found) > limit else None)

    def every(self, chosen: Filter, report: object = None) -> Iterator[ReviewRecord]:
        yield from (row for row in self.rows if chosen.takes(row))

    def of_drive(self, drive: DriveId) -> list[ReviewRecord]:
        return [row for row in self.rows if row.drive == drive]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> NotingDesk:
    made = NotingDesk()
    monkeypatch.setattr(deployment, "enter", lambda endpoint, home: deployment_with(catalog=None, store=None))
    monkeypatch.setattr("cli.commands.quarantine.listed", lambda target: FakeList(ROWS))
    monkeypatch.setattr("ops.review.decisions.open_desk", lambda settings: made)
    return made


def run(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(
        app, ["quarantine", *words], input=stdin, env={"COLUMNS": "300", "USER": "alice", "LOGNAME": "alice"}
    )


def taken(desk: NotingDesk) -> dict[str, list[str]]:
    return {drive: sorted(target for one in overrides for target in one.targets) for _, drive, _, overrides in desk.taken}


def test_one_record_by_the_beginning_of_its_id(desk: NotingDesk) -> None:
    result = run("release", ROWS[0].record_id[:9], "--reason", "dust", "--yes")
    assert result.exit_code == 0
    assert taken(desk) == {"car-1/d-1": ["scene:1"]}
    ((verdict, _, _, (override,)),) = desk.taken
    assert (verdict, override.reviewer, override.reason) == (Verdict.RELEASE, "alice", "dust")
    assert "generation 2 is queued" in result.stderr


def test_bulk_by_rule_takes_what_is_still_quarantined(desk: NotingDesk) -> None:
    result = run(
        "reject", "--rule", "SYN001", "--drive", "car-1/d-1", "--reason", "the mast was bent", "--yes", "--reviewer", "bob"
    )
    assert result.exit_code == 0
    assert taken(desk) == {"car-1/d-1": ["scene:1", "scene:2"]}
    assert {one.reviewer for _, _, _, overrides in desk.taken for one in overrides} == {"bob"}


def test_a_dry_run_does_nothing_and_says_what_would_be_done(desk: NotingDesk) -> None:
    result = run("release", "--vehicle", "car-1", "--reason", "dust", "--dry-run", "--json")
    assert result.exit_code == 0
    plan = json.loads(result.stdout)
    assert plan["dry_run"] is True
    assert {drive: len(ids) for drive, ids in plan["drives"].items()} == {"car-1/d-1": 3, "car-1/d-2": 1}
    assert [entry["record_id"] for entry in plan["refused"]] == [ROWS[2].record_id]
    assert "does not decode" in plan["refused"][0]["why"]
    assert desk.taken == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("release", "--reason", "dust", "--yes"), 1, "no records selected"),
        (("release", "--rule", "SYN001", "--reason", "dust"), 1, "--yes"),
        (("release", "--rule", "SYN001", "--yes"), 2, "--reason"),
        (("release", "--rule", "SYN001", "--reason", "x", "--yes"), 1, "3 to 500"),
        (("release", "--rule", "LID009", "--reason", "dust", "--yes"), 1, "no quarantined record matches"),
        (("release", "ffff", "--reason", "dust", "--yes"), 1, "no quarantine record"),
        (("release", "--level", "frame", "--reason", "dust", "--yes"), 2, "not one of object"),
        (("reject", "--drive", "car-1", "--reason", "dust", "--yes"), 2, "VEHICLE/DRIVE"),
        (("reject", "--rule", "SYN001", "--reason", "dust", "--reviewer", "a b", "--yes"), 1, "reviewer"),
    ],
)
def test_wrong_input_is_reported_and_nothing_is_done(desk: NotingDesk, words: tuple[str, ...], code: int, message: str) -> None:
    result = run(*words)
    assert result.exit_code == code
    assert message in result.stderr.replace("\n", " ")
    assert desk.taken == []


def test_what_cannot_be_released_is_an_answer_with_exit_status_1(desk: NotingDesk) -> None:
    result = run("release", ROWS[2].record_id, "--reason", "dust", "--yes")
    assert result.exit_code == 1
    assert "does not decode" in result.stdout
    assert desk.taken == []


def test_a_busy_drive_keeps_no_other_from_being_done(desk: NotingDesk) -> None:
    desk.busy = ("car-1/d-1",)
    result = run("release", "--vehicle", "car-1", "--reason", "dust", "--yes")
    assert result.exit_code == 1
    assert "nothing changed: car-1/d-1 is processing" in result.stderr
    assert taken(desk) == {"car-1/d-2": ["drive"]}


def test_the_list_tells_who_decided(desk: NotingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    decision = Decision(verdict=Verdict.REJECT, reviewer="bob", reason="the mast was bent", rules=("SYN001",), decided_ns=10**18)
    rows = [replace(ROWS[0], status="rejected", decision=decision)]
    monkeypatch.setattr("cli.commands.quarantine.listed", lambda target: FakeList(rows))
    assert "bob: the mast was bent" in run("ls", "--status", "rejected").stdout
    shown = run("show", rows[0].record_id[:6], "--no-page").stdout
    assert "by bob at 2001-09-09 01:46:40.000Z: the mast was bent" in shown


def test_show_writes_a_page(desk: NotingDesk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tests.unit.ops.review.test_review import EVIDENCE

    monkeypatch.chdir(tmp_path)
    seen: list[Any] = []
    monkeypatch.setattr("ops.review.evidence.gather", lambda catalog, store, row, rows: seen.append(rows) or EVIDENCE)
    record_id = ROWS[2].record_id
    assert run("show", record_id).exit_code == 0
    text = Path(f"quarantine-{record_id[:12]}.html").read_text()
    assert text.count("data:image/") == 2
    assert {row.drive_id for row in seen[0]} == {"d-1"}


def test_the_list_is_read_by_page(desk: NotingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sorted(ROWS, key=lambda row: row.reference)
    monkeypatch.setattr("cli.commands.quarantine.listed", lambda target: FakeList(rows))
    seen: list[str] = []
    words = ["ls", "--limit", "4", "--json"]
    while True:
        result = run(*words)
        seen += [row["record_id"] for row in json.loads(result.stdout)]
        if "--after" not in result.stderr:
            break
        words = ["ls", "--limit", "4", "--json", "--after", result.stderr.replace("\n", "").split("--after ")[1].strip()]
    assert seen == [row.record_id for row in rows]
