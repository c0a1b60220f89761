"""Text from data becomes one printable line, and says what it held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.errors import MAX_MESSAGE_CHARACTERS, ScenelakeError
from sensors.printable import printable
from tests.hostile_text import HOSTILE, each_sequence, unsafe


@each_sequence
def test_what_a_terminal_would_obey_becomes_an_escape_sequence(sequence: str) -> None:
    assert unsafe(printable(sequence), "") == set()
    assert "\\" in printable(sequence)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("3.5° off, ‘lidar_top’ – Größe 雷达 🙂", "3.5° off, ‘lidar_top’ – Größe 雷达 🙂"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202eab", "\\u202eab"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\tb\nc", "a\\tb\\nc"),
        ("", ""),
    ],
)
def test_printable_text_stays_and_the_rest_can_be_read_back(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(alphabet=st.characters()))
def test_any_text_can_be_printed_and_encoded(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    assert printable(shown) == shown


def test_long_text_is_cut_and_says_so() -> None:
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("x" * 10_000_000, 10) == "x" * 10 + "… (9999990 more characters)"


def test_errors_quote_data_and_may_have_lines() -> None:
    error = ScenelakeError(f"first\n{HOSTILE}", hint=HOSTILE)
    assert unsafe(str(error)) == unsafe(error.hint or "") == set()
    assert str(error).startswith("first\n")
    assert len(str(ScenelakeError("x" * 10**6))) < MAX_MESSAGE_CHARACTERS + 50
