"""An audit, and a drive's accounting, as tables for a terminal; several commands print them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cli import console
from ops.report.display import ms

if TYPE_CHECKING:
    from scenes.accounting.account import Line
    from scenes.accounting.tally import AuditResultDocument, CheckTotal


def print_audit(result: AuditResultDocument) -> None:
    """Print an audit: one line for each kind of check, and every failure that is named with its drive and sensor."""
    out = console.out()
    rows = [_total_row(total) for total in result.totals]
    out.print(console.table("Audit", ("", "check", "left", "right", "scopes"), rows, ("left", "right", "scopes")))
    for failure in result.failures:
        difference = f"{failure.left} ≠ {failure.right}"
        out.print(Text.assemble(("✗ ", "bold red"), f"{failure.name}\n  in {failure.scope}: {difference}. {failure.detail}"))
    if result.failed > len(result.failures):
        out.print(f"and {result.failed - len(result.failures)} more that do not hold")
    if result.arriving:
        objects = console.counted(result.arriving, "object")
        out.print(f"{objects} landed during the audit and were not in the ledger yet: nothing is said of them.")
    verdict = Text("balances", style="bold green") if result.balanced else Text("does not balance", style="bold red")
    counts = f" ({result.checks - result.failed} of {result.checks} checks hold, {console.counted(result.drives, 'drive')})."
    out.print(Text.assemble("The accounting ", verdict, counts))


def _total_row(total: CheckTotal) -> tuple[object, ...]:
    mark = Text("✓", style="green") if total.ok else Text("✗", style="bold red")
    return mark, total.name, total.left, total.right, total.scopes


def accounting_table(lines: Iterable[Line], title: str = "Accounting: frames read = gold + quarantined + unmatched") -> Table:
    """The accounting as a table."""
    columns = (
        "drive",
        "sensor",
        "read",
        "gold",
        "quarantined",
        "unmatched",
        "",
        "residual p50",
        "p95",
        "max ms",
        "why not gold",
    )
    numbers = ("read", "gold", "quarantined", "unmatched", "residual p50", "p95", "max ms")
    return console.table(title, columns, [_row(line) for line in lines], numbers)


def _row(line: Line) -> tuple[object, ...]:
    from scenes.accounting.account import why

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
