"""Writes `quality/RULES.md` from the catalogue: `python -m quality.rules_page`, or with `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from quality.catalogue import RULES, Level, Rule

PAGE = Path(__file__).with_name("RULES.md")

_HEAD = """\
# Rules

Generated from `quality/catalogue.py` by `python -m quality.rules_page`; do not edit. Codes are never renumbered or re-used.

An *error* quarantines what its rule looks at (an object or one of its frames, a scene, the whole drive); a *warning* is a flag
on what is published. A rule that cannot be evaluated is *unknown*: it counts as not passed, at the rule's severity.
"""
_COLUMNS = ("code", "name", "severity", "passes if", "limit", "unknown if", "exception")


def render() -> str:
    """The page: one table for each level, rules in the catalogue's order."""
    parts = [_HEAD.rstrip("\n")]
    for level in Level:
        rows = [_row(entry) for entry in RULES if entry.level is level]
        parts += ["", f"## {level.value.capitalize()}", "", _line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *rows]
    return "\n".join(parts) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page; with `--check`, exit 1 if the file is not current."""
    parser = argparse.ArgumentParser(prog="python -m quality.rules_page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 if the page is not current")
    arguments = parser.parse_args(argv)
    page = render()
    if not arguments.check:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    print(f"{PAGE} is not current: run python -m quality.rules_page", file=sys.stderr)
    return 1


def _row(entry: Rule) -> str:
    limit = "the rig's" if entry.threshold is None else f"{entry.bound.value} {entry.threshold:g} {entry.unit}"
    cells = (entry.code, entry.name, entry.severity.value, entry.sentence, limit, entry.unknown or "-", entry.exception or "-")
    return _line([cell.replace("|", "\\|") for cell in cells])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
