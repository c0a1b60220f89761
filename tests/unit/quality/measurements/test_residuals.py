"""The summary of residuals: sizes at the nearest rank, and in units of the tolerance."""

from __future__ import annotations

import math

import pytest

from quality.measurements.residuals import Residuals, ToleratedResiduals


def test_residuals_are_sizes_at_nearest_rank() -> None:
    assert Residuals.of([-30, 10, 20, -40, 0]) == Residuals(matches=5, p50_ns=20, p95_ns=40, max_ns=40)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5], (5, 5, 5)),
        ([-4, 1, 3, -2], (2, 4, 4)),
        (list(range(1, 101)), (50, 95, 100)),
    ],
)
def test_residual_quantiles_are_values_that_occur(values: list[int], expected: tuple[int, int, int]) -> None:
    summary = Residuals.of(values)
    assert summary is not None
    assert (summary.p50_ns, summary.p95_ns, summary.max_ns) == expected


def test_no_residuals() -> None:
    assert Residuals.of([]) is None


@pytest.mark.parametrize(("tolerance_ns", "expected"), [(20, 2.0), (0, math.inf)])
def test_the_largest_residual_is_measured_in_tolerances(tolerance_ns: int, expected: float) -> None:
    assert ToleratedResiduals(Residuals(2, 10, 40, 40), tolerance_ns).tolerances == expected


def test_no_residual_is_within_a_tolerance_of_nothing() -> None:
    assert ToleratedResiduals(Residuals(1, 0, 0, 0), 0).tolerances == 0.0
