"""`audit`: is anything lost?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from cli import console
from cli.options import EndpointOption, HomeOption, JsonOption
from ops import deployment
from ops.deployment import DEFAULT_HOME

if TYPE_CHECKING:
    from ops.audit.identity import AuditReport, Check

PANEL = "Questions"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=PANEL, epilog="Example:  `scenelake audit && echo nothing is lost`")(audit)


def audit(endpoint: EndpointOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Is anything lost, or there twice? Computes the accounting again from S3, the ledger and the tables.

    Objects landed = published + quarantined + refused + pending; frames read = gold + quarantined + unmatched, by drive
    and sensor; no scene and no batch twice; ledger and gold agree; every quarantined payload has its copy. Exits with 1
    where it does not balance.
    """
    from ops.audit import identity_reader as audit_reader
    from ops.audit.identity import audit as make

    target = deployment.enter(endpoint, home)
    report = make(audit_reader.read(target.settings, target.s3(), target.ledger(), target.catalog()))
    if as_json:
        console.print_json({"balanced": report.balanced, "checks": report.checks})
    else:
        print_audit(report)
    if not report.balanced:
        raise typer.Exit(1)


def print_audit(report: AuditReport) -> None:
    """The audit for a reader: a line for each kind of check, and each failure with its place."""
    groups: dict[str, list[Check]] = {}
    for check in report.checks:
        groups.setdefault(check.name, []).append(check)
    rows = [_group_row(name, checks) for name, checks in groups.items()]
    out = console.out()
    out.print(console.table("Audit", ("", "check", "left", "right", "places"), rows, ("left", "right", "places")))
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
    return mark, name, _sum(check.left for check in whole), _sum(check.right for check in whole), len(checks)


def _sum(values: Iterable[int]) -> int:
    return sum(values)
