"""Text that a file may hold and no terminal, log or page may get as it is."""

from __future__ import annotations

import unicodedata

import pytest

SEQUENCES = {
    "window title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J\x1b[1;1H",
    "hidden": "\x1b[8m",
    "C1 control sequence": "\x9b2J",
    "backspaces": "fail\x08\x08\x08\x08pass",
    "carriage return": "fail\rpass",
    "new line": "fine\nnext:  rm -rf ~",
    "Unicode line": "fine\u2028error\u2029",
    "NUL": "a\0b",
    "delete": "a\x7fb",
    "right-to-left override": "\u202egpj.exe",
    "left-to-right embedding": "\u202aabc\u202c",
    "isolates": "\u2066abc\u2069\u2067def\u2068",
    "zero width": "ad\u200bmin\ufeff\u2060",
    "tags": "a\U000e0041b",
    "lone surrogate": "a\ud800b",
    "low surrogate": "\udc80",
    "private use": "\ue000",
}
HOSTILE = " ".join(SEQUENCES.values())

each_sequence = pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES.keys())


def unsafe(shown: str, allowed: str = "\n") -> set[str]:
    """The characters in `shown` that no output may hold."""
    return {one for one in shown if unicodedata.category(one)[0] == "C" and one not in allowed} | set(shown) & set("\u2028\u2029")
