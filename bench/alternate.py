"""Comparative measurements on a machine whose speed varies.

Each round measures all variants once, starting with a different one, so that drift affects all alike. Medians are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from statistics import median
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Outcome = TypeVar("Outcome")


def order(names: Sequence[Name], rounds: int) -> Iterator[tuple[Name, ...]]:
    """The order of each round: `names`, rotated by one from round to round."""
    for number in range(rounds):
        first = number % len(names)
        yield (*names[first:], *names[:first])


def alternate(names: Sequence[Name], rounds: int, measure: Callable[[Name], Outcome]) -> dict[Name, list[Outcome]]:
    """Measure each of `names` once per round; the outcomes of each, in the order of rounds."""
    found: dict[Name, list[Outcome]] = {name: [] for name in names}
    for names_of_round in order(names, rounds):
        for name in names_of_round:
            found[name].append(measure(name))
    return found


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median over median.

    Raises:
        ValueError: One of them is empty.
    """
    if not numerator or not denominator:
        raise ValueError("a ratio of medians needs at least one value on each side")
    return median(numerator) / median(denominator)


def spread(values: Sequence[float]) -> float:
    """The share by which the largest exceeds the smallest: 0 if all are equal."""
    return max(values) / min(values) - 1.0
