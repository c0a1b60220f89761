"""`audit`: is anything lost?"""

from __future__ import annotations

import typer

from cli import console
from cli.audit_tables import print_audit
from cli.options import CHECK, EndpointOption, HomeOption, JsonOption, examples
from ops import DEFAULT_HOME, deployment


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=CHECK, epilog=examples("audit", "audit --json"))(audit)


def audit(endpoint: EndpointOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Check that nothing is lost or duplicated.

    Recomputes the accounting from S3, the ledger and the tables: objects landed = published + quarantined + refused +
    pending; frames read = gold + quarantined + unmatched, per drive and sensor; no scene or batch is duplicated; ledger and
    gold agree; every quarantined payload has its copy.

    Exits with 1 if the accounting does not balance.
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
