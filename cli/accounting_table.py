"""The accounting of a drive as a table at the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from cli import console
from ops.audit.accounting import Line, why
from ops.display import ms


def accounting_table(lines: Iterable[Line], title: str = "Accounting: frames read = gold + quarantined + unmatched") -> Table:
    """The accounting for a reader."""
    columns = ("drive", "sensor", "read", "gold", "quarantined", "unmatched", "", "residual p50", "p95", "max ms", "why not gold")
    numbers = ("read", "gold", "quarantined", "unmatched", "residual p50", "p95", "max ms")
    return console.table(title, columns, [_row(line) for line in lines], numbers)


def _row(line: Line) -> tuple[object, ...]:
    residuals = line.residuals
    return (
        line.drive,
        line.sensor,
        line.read,
        line.gold,
        line.quarantined or "·",
        line.unmatched or "·",
        Text("=", style="green") if line.balanced else Text("≠", style="bold red"),
        ms(residuals.p50_ns) if residuals else "–",
        ms(residuals.p95_ns) if residuals else "–",
        ms(residuals.max_ns) if residuals else "–",
        why(line),
    )
