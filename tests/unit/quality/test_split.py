from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.errors import SplitError, UnknownRuleError
from quality.split import FAILED_RULES, UNKNOWN_RULES, split

CODES = ["SYN001", "POS001", "LID001"]
SCHEMA = pa.schema([("row", pa.int64()), *((code, pa.bool_()) for code in CODES)])
verdicts = st.lists(st.tuples(*[st.sampled_from([True, False, None])] * len(CODES)), max_size=30)


def table(rows: list[tuple[bool | None, ...]]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"row": number, **dict(zip(CODES, row, strict=True))} for number, row in enumerate(rows)], schema=SCHEMA
    )


@settings(deadline=None)
@given(verdicts)
def test_every_row_comes_out_once_in_the_half_that_it_belongs_to(rows: list[tuple[bool | None, ...]]) -> None:
    result = split(table(rows), CODES)
    passed, quarantined = result.passed["row"].to_pylist(), result.quarantined["row"].to_pylist()
    assert sorted(passed + quarantined) == list(range(len(rows)))
    assert passed == [number for number, row in enumerate(rows) if all(value is True for value in row)]
    for row in result.quarantined.to_pylist():
        by_code = dict(zip(CODES, rows[row["row"]], strict=True))
        assert row[FAILED_RULES] == sorted(code for code, value in by_code.items() if value is False)
        assert row[UNKNOWN_RULES] == sorted(code for code, value in by_code.items() if value is None)


def test_null_is_in_neither_half_of_a_naive_filter_but_is_quarantined_here() -> None:
    rows = table([(True, True, True), (None, True, True), (False, True, True)])
    naive = rows.filter(pc.field("SYN001")).num_rows + rows.filter(~pc.field("SYN001")).num_rows
    assert naive == 2
    result = split(rows, ["SYN001"])
    assert (result.passed.num_rows, result.quarantined.num_rows) == (1, 2)
    assert result.quarantined[UNKNOWN_RULES].to_pylist() == [["SYN001"], []]
    assert result.quarantined[FAILED_RULES].to_pylist() == [[], ["SYN001"]]


def test_columns_of_rules_that_are_not_asked_for_stay() -> None:
    result = split(table([(True, None, False)]), ["SYN001"])
    assert result.passed.column_names == ["row", "POS001", "LID001"]


def test_no_rows() -> None:
    result = split(table([]), CODES)
    assert (result.passed.num_rows, result.quarantined.num_rows) == (0, 0)
    assert result.quarantined.column_names == ["row", FAILED_RULES, UNKNOWN_RULES]


def test_splitting_by_nothing_is_refused() -> None:
    with pytest.raises(SplitError, match="no rule"):
        split(table([]), [])


def test_a_rule_twice_is_refused() -> None:
    with pytest.raises(SplitError, match="twice"):
        split(table([]), ["SYN001", "SYN001"])


def test_a_rule_without_column_is_refused() -> None:
    with pytest.raises(SplitError, match="CLK001"):
        split(table([]), ["CLK001"])


def test_a_column_that_is_not_boolean_is_refused() -> None:
    with pytest.raises(SplitError, match="int64, not bool"):
        split(pa.table({"SYN001": pa.array([1])}), ["SYN001"])


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(UnknownRuleError):
        split(table([]), ["row"])


def test_a_second_split_of_the_quarantined_half_is_refused() -> None:
    quarantined = split(table([(False, True, True)]), ["SYN001"]).quarantined
    with pytest.raises(SplitError, match=FAILED_RULES):
        split(quarantined, ["POS001"])
