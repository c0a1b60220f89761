"""How the score is counted: hits, misses, alarms, and the smallest size that is found."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.quality_score.case import Case, RuleScore, Tally, Tried
from bench.quality_score.drive_cases import NOT_INJECTED, UNITS, cases
from bench.quality_score.drives import drive_spec
from bench.quality_score.run import SCORERS, below, merged, promised, tally
from bench.quality_score.tables import alarm_table, score_table
from fleet.synthetic.damage import check_faults
from fleet.synthetic.vehicle import build_rig
from quality.rules.catalogue import RULES

DRIVES = SCORERS[0]


def tried(size: float, hit: bool, *alarms: str, stated: bool = True, rule: str = "CAM005") -> Tried:
    return Tried(Case(rule, size=size, stated=stated), 0, hit, frozenset((code, "s") for code in alarms))


def test_hits_misses_and_alarms_are_counted_once_each() -> None:
    found = tally([tried(1, False, stated=False), tried(2, True), tried(2, False), tried(3, True, "LID003")], {"CAM005": "px"})
    camera = found["CAM005"]
    assert (camera.hits, camera.missed, camera.alarms) == (2, 1, 0)
    assert (camera.precision, camera.recall) == (1.0, pytest.approx(2 / 3))
    assert found["LID003"].alarms == 1
    assert found["LID003"].precision == 0.0
    assert camera.score(1) == RuleScore(
        rule="CAM005",
        seeds=1,
        true_positives=2,
        false_positives=0,
        false_negatives=1,
        precision=1.0,
        recall=pytest.approx(2 / 3),
        smallest_detected=3,
        unit="px",
    )


@pytest.mark.parametrize(
    ("sizes", "smallest"),
    [
        ({1.0: (0, 20), 2.0: (19, 20), 3.0: (20, 20)}, 2.0),
        ({1.0: (20, 20), 2.0: (18, 20), 3.0: (20, 20)}, 3.0),
        ({1.0: (0, 20)}, None),
        ({}, None),
    ],
)
def test_from_the_smallest_size_on_all_are_found(sizes: dict[float, tuple[int, int]], smallest: float | None) -> None:
    assert Tally("CAM005", "px", sizes=sizes).smallest_detected == smallest


def test_a_clean_drive_is_not_a_case_but_its_alarms_count() -> None:
    clean = Tried(Case(""), 0, False, frozenset({("CAM006", "c")}))
    found = tally([clean], {"CAM006": "share"})
    assert (found["CAM006"].alarms, found["CAM006"].recall) == (1, None)
    assert "" not in found
    assert "| synthetic | 1 | CAM006 (1) |" in alarm_table([clean])


def score(rule: str, precision: float | None, recall: float | None) -> RuleScore:
    return RuleScore(
        rule=rule, seeds=1, true_positives=0, false_positives=0, false_negatives=0, precision=precision, recall=recall,
        smallest_detected=None, unit="px",
    )  # fmt: skip


def test_what_was_not_scored_now_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "score.json"
    path.write_bytes(msgspec.json.encode([score("A", 1.0, 1.0), score("B", 1.0, 1.0)]))
    assert merged([score("B", 1.0, 0.5)], path) == [score("A", 1.0, 1.0), score("B", 1.0, 0.5)]


def test_promises_are_stricter_where_data_is_plain() -> None:
    assert (promised("CLK004"), promised("CAM005")) == (0.99, 0.95)
    assert below(score("CAM005", 0.96, 0.94))
    assert not below(score("CAM005", 0.96, None))
    assert "| CAM005 | image blurred |" in score_table([Tally("CAM005", "px").score(1)], promised)


def test_every_rule_has_a_case_or_a_reason_why_not() -> None:
    tried_rules = {case.rule for case in cases()} - {""}
    scored = {rule for scorer in SCORERS for rule in scorer.units}
    assert tried_rules == set(DRIVES.units) == set(UNITS)
    assert {entry.code for entry in RULES} - scored - set(NOT_INJECTED) == set()


@pytest.mark.parametrize("case", cases(), ids=lambda case: ",".join(case.faults) or "clean")
def test_each_case_is_a_drive_that_the_generator_makes(case: Case) -> None:
    spec = drive_spec(case, 0)
    check_faults(spec, build_rig(spec.rig))
    if case.sensor is not None:
        assert case.sensor in build_rig(spec.rig)
