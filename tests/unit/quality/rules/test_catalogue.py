from __future__ import annotations

import re
from pathlib import Path

import pytest

from quality.errors import UnknownRuleError
from quality.rules import page as rules_page
from quality.rules import schema as rules_schema
from quality.rules.catalogue import RULES, Bound, Level, Outcome, Rule, Severity, rule

PACKAGE = Path(rules_page.__file__).parents[1]
FIRST_CODES = (
    "KEY001 CMP001 CMP002 CMP003 CMP004 CMP005 DEC001 DEC002 DEC003 DEC004 DEC005 DEC006 LID001 LID002 CLK001 CLK002 CLK003 "
    "CLK004 CLK005 CAL001 CAL002 POS001 SYN001 SYN002 SYN003 ACC001"
)


def test_codes_are_unique_and_well_formed() -> None:
    codes = [entry.code for entry in RULES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[A-Z]{3}[0-9]{3}", code) for code in codes)
    assert len({entry.name for entry in RULES}) == len(RULES)


def test_published_codes_are_never_dropped() -> None:
    assert set(FIRST_CODES.split()) <= {entry.code for entry in RULES}


def test_levels_and_severities_that_others_rely_on() -> None:
    assert (rule("KEY001").level, rule("KEY001").severity) == (Level.OBJECT, Severity.ERROR)
    assert (rule("CMP003").level, rule("CMP003").severity) == (Level.DRIVE, Severity.ERROR)
    assert (rule("ACC001").level, rule("ACC001").severity) == (Level.DRIVE, Severity.ERROR)
    assert (rule("SYN002").level, rule("SYN002").severity) == (Level.SCENE, Severity.WARNING)


def test_every_sentence_is_one_sentence_with_a_unit() -> None:
    for entry in RULES:
        assert entry.sentence.endswith("."), entry.code
        assert entry.sentence[0].isupper(), entry.code
        assert entry.unit, entry.code


@pytest.mark.parametrize("code", [entry.code for entry in RULES])
def test_every_code_is_used_by_an_evaluator(code: str) -> None:
    users = [
        path.name
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "catalogue.py" and f'"{code}"' in path.read_text(encoding="utf-8")
    ]
    assert users, f"{code} is declared, but nothing evaluates it"


def test_unknown_code_is_refused() -> None:
    with pytest.raises(UnknownRuleError, match="XYZ999"):
        rule("XYZ999")


def test_rules_page_and_the_schema_of_overrides_are_current() -> None:
    assert rules_page.PAGE.read_text(encoding="utf-8") == rules_page.render()
    assert rules_page.SCHEMA.read_text(encoding="utf-8") == rules_schema.render()
    assert rules_page.main(["--check"]) == 0


def test_rules_page_check_notices_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale, schema = tmp_path / "RULES.md", tmp_path / "rules.json"
    stale.write_text("# Rules\n", encoding="utf-8")
    monkeypatch.setattr(rules_page, "PAGE", stale)
    monkeypatch.setattr(rules_page, "SCHEMA", schema)
    assert rules_page.main(["--check"]) == 1
    assert rules_page.main([]) == 0
    assert stale.read_text(encoding="utf-8") == rules_page.render()


def test_page_has_one_row_a_rule() -> None:
    page = rules_page.render()
    rows = [line for line in page.splitlines() if re.match(r"\| [A-Z]{3}[0-9]{3} \|", line)]
    assert [line.split(" | ")[0].removeprefix("| ") for line in rows] == [
        entry.code for level in Level for entry in RULES if entry.level is level
    ]


@pytest.mark.parametrize(
    ("bound", "threshold", "measured", "override", "outcome"),
    [
        (Bound.AT_MOST, 2.0, 2.0, None, Outcome.PASSED),
        (Bound.AT_MOST, 2.0, 2.1, None, Outcome.FAILED),
        (Bound.AT_LEAST, 0.9, 0.9, None, Outcome.PASSED),
        (Bound.AT_LEAST, 0.9, 0.8, None, Outcome.FAILED),
        (Bound.AT_MOST, 2.0, None, None, Outcome.UNKNOWN),
        (Bound.AT_MOST, 2.0, float("nan"), None, Outcome.UNKNOWN),
        (Bound.AT_LEAST, 2.0, float("nan"), None, Outcome.UNKNOWN),
        (Bound.AT_MOST, None, 1.0, None, Outcome.UNKNOWN),
        (Bound.AT_MOST, None, 1.0, 1.0, Outcome.PASSED),
        (Bound.AT_MOST, 5.0, 4.0, 3.0, Outcome.FAILED),
        (Bound.AT_MOST, 2.0, float("inf"), None, Outcome.FAILED),
    ],
)
def test_judging(bound: Bound, threshold: float | None, measured: float | None, override: float | None, outcome: Outcome) -> None:
    entry = Rule("TST001", "test", Level.DRIVE, Severity.ERROR, "Test.", threshold, "units", "", bound)
    assert entry.judge(measured, override) is outcome


def test_outcome_of_a_predicate() -> None:
    assert [Outcome.of(value) for value in (True, False, None)] == [Outcome.PASSED, Outcome.FAILED, Outcome.UNKNOWN]
