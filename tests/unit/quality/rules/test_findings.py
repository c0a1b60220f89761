from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.errors import FindingError, UnknownRuleError
from quality.rules.catalogue import RULES, Outcome, Severity
from quality.rules.findings import MAX_MESSAGE_CHARACTERS, Finding, finding, has_errors, rule_ids
from tests.hostile_text import HOSTILE, unsafe

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
findings = st.builds(
    Finding,
    rule_id=st.sampled_from([entry.code for entry in RULES]),
    sensor=st.none() | st.sampled_from(["a", "b"]),
    measured=numbers,
    threshold=numbers,
    message=st.text(max_size=5),
    override=st.none() | st.sampled_from(Severity),
)


@given(st.lists(findings, max_size=6), st.randoms())
def test_order_is_total_and_does_not_depend_on_the_input_order(entries: list[Finding], random: object) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sorted(shuffled) == sorted(entries)
    for left, right in itertools.combinations(entries, 2):
        assert (left < right) + (right < left) + (left == right) == 1


@given(findings)
def test_json_round_trip(entry: Finding) -> None:
    assert msgspec.json.decode(msgspec.json.encode(entry), type=Finding) == entry


def test_severity_is_the_rules_unless_overridden() -> None:
    assert Finding("CLK001", "lidar", 1.0, 0.0, "m").severity is Severity.WARNING
    raised = Finding("CLK001", "lidar", 1.0, 0.0, "m", Severity.ERROR)
    assert raised.severity is Severity.ERROR


def test_an_override_that_changes_nothing_is_none() -> None:
    assert Finding("CLK001", None, 1.0, 0.0, "m", Severity.WARNING) == Finding("CLK001", None, 1.0, 0.0, "m")


def test_outcome_is_unknown_without_a_measured_value() -> None:
    assert Finding("CLK003", "cam", None, 0.25, "m").outcome is Outcome.UNKNOWN
    assert Finding("CLK003", "cam", 0.0, 0.25, "m").outcome is Outcome.FAILED


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(FindingError, match="measured"):
        Finding("CLK003", None, value, 0.25, "m")
    assert finding("CLK003", "m", measured=value).measured is None


def test_a_finding_of_no_rule_is_refused() -> None:
    with pytest.raises(UnknownRuleError):
        Finding("NOPE01", None, 1.0, 0.0, "m")


@pytest.mark.parametrize("field", ["rule_id", "sensor", "measured", "threshold", "message"])
def test_a_missing_field_is_named(field: str) -> None:
    document = msgspec.to_builtins(finding("CLK003", "m", measured=1))
    del document[field]
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert(document, Finding)


def test_an_integer_stays_one() -> None:
    entry = msgspec.json.decode(msgspec.json.encode(finding("CLK003", "m", measured=1)), type=Finding)
    assert (entry.measured, type(entry.measured)) == (1, int)


def test_catalogue_threshold_is_the_default() -> None:
    assert finding("CMP005", "m", measured=0.5).threshold == 0.9
    assert finding("CMP005", "m", measured=0.5, threshold=0.8).threshold == 0.8


def test_errors_and_rule_ids() -> None:
    warning, error = finding("CLK002", "m", measured=1), finding("CMP003", "m", measured=0)
    assert not has_errors([warning])
    assert has_errors([warning, error])
    assert rule_ids([error, warning, error]) == ("CLK002", "CMP003")
    assert rule_ids([error, warning], Severity.WARNING) == ("CLK002",)


def test_a_message_is_one_printable_line_of_bounded_length_however_it_comes() -> None:
    made = finding("DEC004", f"messages of unknown type: {HOSTILE}", measured=1)
    assert unsafe(made.message, "") == set()
    assert "owned" in made.message
    assert msgspec.json.decode(msgspec.json.encode(made), type=Finding) == made
    raw = msgspec.json.encode({"rule_id": "DEC004", "sensor": None, "measured": 1, "threshold": 0, "message": "\x1b[2J"})
    assert msgspec.json.decode(raw, type=Finding).message == "\\x1b[2J", "of an older release, too"
    assert len(finding("DEC004", "x" * 10**6).message) < MAX_MESSAGE_CHARACTERS + 50
