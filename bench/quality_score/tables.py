"""Scores as Markdown tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from bench.figures import markdown_table
from bench.quality_score.case import RuleScore, Tried
from quality.rules.catalogue import RULES


def score_table(scores: Sequence[RuleScore], promised: Callable[[str], float]) -> str:
    """One row per rule, by code."""
    names = {entry.code: entry.name for entry in RULES}
    header = ("rule", "name", "found", "false alarms", "missed", "precision", "recall", "minimum", "smallest found", "unit")
    cells = [
        (
            row.rule,
            names.get(row.rule, ""),
            str(row.true_positives),
            str(row.false_positives),
            str(row.false_negatives),
            _share(row.precision),
            _share(row.recall),
            f"{promised(row.rule):g}",
            "" if row.smallest_detected is None else f"{row.smallest_detected:g}",
            row.unit,
        )
        for row in scores
    ]
    return markdown_table(header, cells)


def alarm_table(tried: Iterable[Tried]) -> str:
    """False alarms on fault-free drives, by source."""
    clean: Counter[str] = Counter()
    alarms: dict[str, Counter[str]] = {}
    for one in tried:
        if not one.case.rule:
            name = one.case.source
            clean[name] += 1
            alarms.setdefault(name, Counter()).update(rule for rule, _ in one.alarms)
    header = ("fault-free drives", "drives", "false alarms")
    rows = [
        (name, str(count), ", ".join(f"{rule} ({times})" for rule, times in sorted(alarms[name].items())) or "none")
        for name, count in sorted(clean.items())
    ]
    return markdown_table(header, rows)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
