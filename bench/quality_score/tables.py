"""Scores as Markdown tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from bench.figures import markdown_table
from bench.quality_score.case import SYNTHETIC, FaultScore, RuleScore, Tried
from bench.quality_score.real_cases import SMALLER_IS_WORSE
from quality.rules.catalogue import RULES


def score_table(scores: Sequence[RuleScore], promised: Callable[[str], float]) -> str:
    """One row per rule, by code."""
    names = {entry.code: entry.name for entry in RULES}
    counts = ("seeds", "found", "false alarms", "missed")
    header = ("rule", "name", *counts, "precision", "recall", "minimum", "smallest found", "unit")
    cells = [
        (
            row.rule,
            names.get(row.rule, ""),
            str(row.seeds),
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
    """What the rules say of drives into which no fault was put, by source."""
    clean: Counter[str] = Counter()
    alarms: dict[str, Counter[str]] = {}
    errors: dict[str, set[str]] = {}
    true: dict[str, set[str]] = {}
    for one in tried:
        if not one.case.rule:
            name = one.case.source
            clean[name] += 1
            alarms.setdefault(name, Counter()).update(rule for rule, _ in one.alarms)
            errors.setdefault(name, set()).update(one.errors)
            true.setdefault(name, set()).update(one.true)
    header = ("drives as they are", "drives", "false alarms", "errors", "alarms that are true")
    rows = [
        (
            name,
            str(count),
            ", ".join(f"{rule} ({times})" for rule, times in sorted(alarms[name].items())) or "none",
            ", ".join(sorted(errors[name])) or "none",
            ", ".join(sorted(true[name])) or "none",
        )
        for name, count in sorted(clean.items())
    ]
    return markdown_table(header, rows)


def whole_table(scores: Iterable[FaultScore]) -> str:
    """Faults that last all drive long, by rule; what a single drive does not show is marked."""
    rows = [
        (f"`{score.fault}`", score.rule, f"{score.found} of {score.tries}", "" if score.stated else "no")
        for score in scores
        if score.whole
    ]
    return markdown_table(("fault of the whole drive", "rule", "found", "promised"), rows)


def real_table(scores: Iterable[FaultScore]) -> str:
    """By rule and kind of fault, the smallest size from which on the fault was found in each recording."""
    kept = [score for score in scores if not score.source.startswith(SYNTHETIC)]
    sources = list(dict.fromkeys(score.source for score in kept))
    ladders: dict[tuple[str, str], dict[str, list[FaultScore]]] = {}
    for score in kept:
        kind = score.fault.split(":")[0]
        ladders.setdefault((score.rule, kind), {}).setdefault(score.source, []).append(score)
    rows = []
    for (rule, kind), by_source in sorted(ladders.items()):
        due = [score.size for of_source in by_source.values() for score in of_source if score.stated]
        reverse = kind in SMALLER_IS_WORSE
        stated = (max(due) if reverse else min(due, key=abs)) if due else None
        cells = [_smallest(by_source.get(source, []), reverse=reverse) for source in sources]
        rows.append((f"`{kind}`", rule, "" if stated is None else f"{stated:g}", *cells))
    return markdown_table(("fault", "rule", "stated", *sources), rows)


def _smallest(ladder: Sequence[FaultScore], *, reverse: bool) -> str:
    """The smallest size from which on all were found; `reverse`: a smaller number is a larger fault."""
    if not ladder:
        return "-"
    found = None
    for score in sorted(ladder, key=lambda score: score.size if reverse else -score.size):
        if score.found < score.tries:
            break
        found = score.size
    if found is not None:
        return f"{found:g}"
    return "**not found**" if any(score.stated for score in ladder) else "not found"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
