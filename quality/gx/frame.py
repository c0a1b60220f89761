"""A dataframe that is filtered once by each condition."""

from __future__ import annotations

from typing import Any

import pandas as pd


class ConditionedFrame(pd.DataFrame):
    """A dataframe that remembers what each query found; it must not change once it has been queried.

    Great Expectations queries the rows of a condition again for every metric of every expectation, although a suite has a few
    different conditions only. As each query makes a series of every column, that would be half the time of a validation.
    """

    def query(self, expr: str, **options: Any) -> pd.DataFrame:  # type: ignore[override]
        """As that of `pandas.DataFrame`; the frame that it returns is the caller's own to change."""
        if options:
            plain: pd.DataFrame = super().query(expr, **options)
            return plain
        found: dict[str, pd.DataFrame] = self.__dict__.setdefault("_found", {})  # an attribute would be a column
        if expr not in found:
            found[expr] = super().query(expr)
        return found[expr].copy()
