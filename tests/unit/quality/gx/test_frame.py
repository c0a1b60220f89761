"""Conditions are applied once, and what they find is what pandas finds."""

from __future__ import annotations

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from quality.gx.frame import ConditionedFrame

PLAIN = pd.DataFrame({"name": ["a", "b", "c"], "bad": [True, False, None], "count": pd.array([1, None, 3], pd.Int64Dtype())})
CONDITIONS = ("bad == False", "count > 2", "bad == True and count > 0", "count > 9")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_finds_what_pandas_finds_each_time(condition: str) -> None:
    frame = ConditionedFrame(PLAIN)
    for _ in range(2):
        assert_frame_equal(frame.query(condition), PLAIN.query(condition))


def test_what_a_caller_does_to_its_rows_is_not_seen_by_the_next() -> None:
    frame = ConditionedFrame(PLAIN)
    mine = frame.query("count > 0")
    mine["more"] = 1
    mine.loc[0, "name"] = "changed"
    assert_frame_equal(frame.query("count > 0"), PLAIN.query("count > 0"))
    assert_frame_equal(frame, ConditionedFrame(PLAIN))


def test_each_condition_is_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    evaluate = pd.DataFrame.query

    def counted(self: pd.DataFrame, expr: str) -> pd.DataFrame:
        asked.append(expr)
        return evaluate(self, expr)

    monkeypatch.setattr(pd.DataFrame, "query", counted)
    frame = ConditionedFrame(PLAIN)
    for condition in (*CONDITIONS, *CONDITIONS):
        frame.query(condition)
    assert asked == list(CONDITIONS)


def test_options_of_a_query_are_those_of_pandas() -> None:
    frame = ConditionedFrame(PLAIN)
    frame.query("count > 0")
    frame.query("count > 0", inplace=True)
    assert frame["name"].tolist() == ["a", "c"]
