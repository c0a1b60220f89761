"""How the score is counted: hits, misses, alarms, and the smallest size that is found."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.quality_score.case import Case, FaultScore, RuleScore, Tally, Tried
from bench.quality_score.drive_cases import NOT_INJECTED, UNITS, cases
from bench.quality_score.drives import drive_spec
from bench.quality_score.real_cases import RECORDINGS, Recording, real_cases
from bench.quality_score.run import SCORERS, below, by_fault, merged, promised, tally, with_other_faults
from bench.quality_score.tables import alarm_table, real_table, score_table, whole_table
from bench.quality_score.whole_drive_cases import whole_drive_cases
from fleet.faults import Fault
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
    assert "| synthetic | 1 | CAM006 (1) | none | none |" in alarm_table([clean])


def test_a_recording_as_it_is_shows_errors_and_what_is_true_of_it() -> None:
    one = Tried(Case("", source="DGP"), 0, False, frozenset(), frozenset({"CLK003"}), frozenset({"SYN003", "CMP005"}))
    assert "| DGP | 1 | none | CLK003 | CMP005, SYN003 |" in alarm_table([one])


def test_faults_of_recordings_have_no_share_in_recall() -> None:
    real = Tried(Case("CAM005", ("blur:c:1",), size=1, source="PandaSet"), 0, False, frozenset())
    assert tally([real], {"CAM005": "px"})["CAM005"].missed == 0
    (row,) = by_fault([real])
    assert (row.source, row.fault, row.found, row.tries, row.stated) == ("PandaSet", "blur:c:1", 0, 1, True)


def fault(source: str, text: str, size: float, found: int, *, stated: bool = True, whole: bool = False) -> FaultScore:
    return FaultScore(source=source, rule="CAM001", fault=text, size=size, stated=stated, whole=whole, found=found, tries=2)


@pytest.mark.parametrize(
    ("found", "cell"),
    [((0, 2, 2), "0.3"), ((2, 1, 2), "0.5"), ((2, 2, 2), "0.1"), ((2, 2, 1), "**not found**"), ((0, 0, 0), "**not found**")],
)
def test_a_recording_has_the_smallest_size_from_which_on_a_fault_is_found(found: tuple[int, ...], cell: str) -> None:
    ladder = [fault("PandaSet", f"blur:c:{size}", size, hits) for size, hits in zip((0.1, 0.3, 0.5), found, strict=True)]
    other = fault("DGP", "blur:d:0.5", 0.5, 0, stated=False)
    unlike = fault("synthetic", "blur:c:9", 9, 0)
    table = real_table([*ladder, other, unlike])
    assert table.splitlines()[0] == "| fault | rule | stated | PandaSet | DGP |"
    assert table.splitlines()[2:] == [f"| `blur` | CAM001 | 0.1 | {cell} | not found |"]


def test_of_levels_that_are_left_fewer_are_more() -> None:
    ladder = [fault("DGP", f"blank_image:c:{size}", size, hits, stated=size <= 5) for size, hits in ((12, 0), (5, 2), (2, 2))]
    assert real_table(ladder).splitlines()[2:] == ["| `blank_image` | CAM001 | 5 | 5 |"]


def test_faults_of_a_whole_drive_are_listed_with_what_is_not_promised() -> None:
    rows = [fault("synthetic", "a", 1, 2, whole=True), fault("synthetic", "b", 1, 0, whole=True, stated=False)]
    table = whole_table([*rows, fault("synthetic", "c", 1, 0)])
    assert table.splitlines()[2:] == ["| `a` | CAM001 | 2 of 2 |  |", "| `b` | CAM001 | 0 of 2 | no |"]


def test_faults_of_other_rules_stay_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_bytes(msgspec.json.encode([fault("DGP", "old", 1, 0)]))
    now = [fault("DGP", "new", 1, 2)]
    assert with_other_faults(now, path, ["CAM"]) == now
    assert [row.fault for row in with_other_faults(now, path, ["LID"])] == ["old", "new"]
    assert with_other_faults(now, path, []) == now
    assert with_other_faults(now, tmp_path / "absent", ["LID"]) == now


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
    assert "| CAM005 | image blurred | 7 |" in score_table([Tally("CAM005", "px").score(7)], promised)


def test_every_rule_has_a_case_or_a_reason_why_not() -> None:
    tried_rules = {case.rule for case in (*cases(), *whole_drive_cases())} - {""}
    scored = {rule for scorer in SCORERS for rule in scorer.units}
    assert tried_rules == set(DRIVES.units) == set(UNITS)
    assert {entry.code for entry in RULES} - scored - set(NOT_INJECTED) == set()
    assert not scored & set(NOT_INJECTED)


@pytest.mark.parametrize("case", (*cases(), *whole_drive_cases()), ids=lambda case: ",".join(case.faults) or "clean")
def test_each_case_is_a_drive_that_the_generator_makes(case: Case) -> None:
    spec = drive_spec(case, 0)
    check_faults(spec, build_rig(spec.rig))
    if case.sensor is not None:
        assert case.sensor in build_rig(spec.rig)


def test_whole_drive_cases_touch_every_frame() -> None:
    for case in whole_drive_cases():
        (text,) = case.faults
        kind = Fault.parse(text)
        assert case.whole
        assert kind.frames in (1.0, None), text
        assert kind.after_ns in (0, None), text


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_each_recording_is_taken_as_it_is_and_with_faults(recording: Recording) -> None:
    as_it_is, *faulty = real_cases(recording)
    known = {entry.code for entry in RULES}
    assert (as_it_is.rule, as_it_is.faults) == ("", ())
    assert recording.explained <= known
    assert len(faulty) > 20
    for case in faulty:
        (fault_of_interest,) = map(Fault.parse, case.faults)
        assert fault_of_interest.sensor in (recording.lidar, recording.camera, recording.side_camera, "pose", None)
        assert case.rule in known
    assert len({(*case.faults, case.rule) for case in faulty}) == len(faulty)


def test_without_recordings_there_is_nothing_to_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCENELAKE_TEST_DATA", str(tmp_path))
    assert SCORERS[2].trials([0]) == []
