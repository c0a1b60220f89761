"""An audit, and a drive's accounting, as tables for a terminal; several commands print them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cli import console
from ops.report.display import ms

if TYPE_CHECKING:
    from ops.audit.accounting import Line
    from ops.audit.identity import AuditReport, Check


def print_audit(report: AuditReport) -> None:
    """Print an audit: one line for each kind of check, and every failure with its scope."""
    groups: dict[str, list[Check]] = {}
    for check in report.checks:
        groups.setdefault(check.name, []).append(check)
    rows = [_group_row(name, checks) for name, checks in groups.items()]
    out = console.out()
    out.print(console.table("Audit", ("", "check", "left", "right", "scopes"), rows, ("left", "right", "scopes")))
    for check in report.failures:
        out.print(
            Text.assemble(("✗ ", "bold red"), f"{check.name}\n  in {check.scope}: {check.left} ≠ {check.right}. {check.detail}")
        )
    verdict = Text("balances", style="bold green") if report.balanced else Text("does not balance", style="bold red")
    out.print(
        Text.assemble(
            "The accounting ", verdict, f" ({len(report.checks) - len(report.failures)} of {len(report.checks)} checks hold)."
        )
    )


def _group_row(name: str, checks: list[Check]) -> tuple[object, ...]:
    failed = any(not check.ok for check in checks)
    whole = [check for check in checks if check.scope == "the lake"] or checks
    mark = Text("✗", style="bold red") if failed else Text("✓", style="green")
    return mark, name, sum(check.left for check in whole), sum(check.right for check in whole), len(checks)


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
    from ops.audit.accounting import why

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
