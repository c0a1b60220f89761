"""Writes `quality/rules/RULES.md` and `lake/schemas/rules.json` from the catalogue.

Run as `python -m quality.rules.page`; with `--check` it only compares.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import lake
from quality.rules.catalogue import RULES, Level, Rule
from quality.rules.schema import allowed
from quality.rules.schema import render as render_schema

PAGE = Path(__file__).with_name("RULES.md")
SCHEMA = Path(lake.__file__).with_name("schemas") / "rules.json"

_HEAD = """\
# Rules

Generated from `quality/rules/catalogue.py` by `python -m quality.rules.page`; do not edit. Codes are never renumbered or re-used.

An *error* quarantines what its rule judges (an object or one of its frames, a scene, the whole drive); a *warning* flags what is
published. A rule that cannot be evaluated is *unknown*: it counts as not passed, at the rule's severity.

A rig overrides a rule in its `calibration.json`: `"policy": {"rules": {"CLK009": {"threshold": 50, "severity": "error"}}}`,
within the range given here; a severity set there holds for every sensor, exceptions included. Any other override makes the
calibration invalid (CAL001), as does one of a rule with "-": those rules decide whether the data is what it claims to be.
"""
_COLUMNS = ("code", "name", "severity", "passes if", "limit", "the rig may set", "unknown if", "exception")


def render() -> str:
    """The page: one table for each level, rules in the catalogue's order."""
    parts = [_HEAD.rstrip("\n")]
    for level in Level:
        rows = [_row(entry) for entry in RULES if entry.level is level]
        parts += ["", f"## {level.value.capitalize()}", "", _line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *rows]
    return "\n".join(parts) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write both files; with `--check`, exit 1 if one is not current."""
    parser = argparse.ArgumentParser(prog="python -m quality.rules.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 if a file is not current")
    arguments = parser.parse_args(argv)
    stale = 0
    for path, text in ((PAGE, render()), (SCHEMA, render_schema())):
        if not arguments.check:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            print(f"{path} is not current: run python -m quality.rules.page", file=sys.stderr)
            stale = 1
    return stale


def _row(entry: Rule) -> str:
    limit = "the rig's" if entry.threshold is None else f"{entry.bound.value} {entry.threshold:g} {entry.unit}"
    own_key = f"`{entry.rig_key}`" if entry.rig_key else ""
    rig_sets = "; ".join(part for part in (own_key, allowed(entry)) if part)
    words = (entry.code, entry.name, entry.severity.value, entry.sentence, limit, rig_sets, entry.unknown, entry.exception)
    cells = [word or "-" for word in words]
    return _line([cell.replace("|", "\\|") for cell in cells])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
