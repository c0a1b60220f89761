"""`demo`: the whole pipeline end to end."""

from __future__ import annotations

import getpass
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli import console
from cli.options import STACK, HomeOption, examples
from ops import DEFAULT_HOME

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from cli.demo.run import DemoResult
    from ops.report.facts import Figure
    from ops.report.validations import DriveResults
    from scenes.accounting.identity import Check

DEFAULT_REPORT = Path("build/demo-report.html")
KEPT = Path("build/demo-drives")
DATA_DOCS = "data-docs"  # beside the report


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel=STACK, epilog=examples("demo", "demo --drive /tmp/pandaset"))(demo)


def demo(
    drives: Annotated[
        list[Path] | None,
        typer.Option("--drive", metavar="DIR", help="Send this drive folder instead of the generated drives; repeatable."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help=f"Keep the generated drive folders in {KEPT}.")] = False,
    report: Annotated[Path, typer.Option("--report", metavar="FILE", help="Where to write the report.")] = DEFAULT_REPORT,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Send drives through the whole local stack and show what happened to every frame.

    Starts the stack if necessary; generates three drives (a clean one, one with damaged frames and a dead radar, one with a
    truncated file and a wrong checksum); uploads them and follows them live; prints the accounting and the audit; writes an
    HTML report with pictures and, next to it, the Data Docs of Great Expectations. The stack keeps running.

    With SCENELAKE_AIRFLOW_URL set, the deployment named by the environment is used as it is.

    Exits with 1 if the audit does not balance or a drive fails.
    """
    started_s = time.monotonic()
    from cli.audit_tables import accounting_table, print_audit
    from cli.demo.drives import given_drives, own_drives
    from cli.demo.report import figures, report_facts
    from cli.demo.run import run_demo
    from cli.demo.stage import stage
    from ops.report import page
    from ops.report.data_docs import build_data_docs

    with ExitStack() as cleanup:
        folder = KEPT if keep else Path(cleanup.enter_context(TemporaryDirectory(prefix="scenelake-demo-")))
        run = datetime.now(UTC).strftime("%m%d-%H%M%S")
        found = run_demo(given_drives(drives) if drives else own_drives(folder, run), stage(home), started_s)
    out = console.out()
    out.print(accounting_table([line for result in found.results for line in result.lines]))
    out.print()
    catalog = found.deployment.catalog()
    checks: list[Check] = []
    audited = found.deployment.auditor(getpass.getuser(), each=checks.append).everything().result
    print_audit(audited)
    facts = report_facts(found, tuple(checks), (), catalog)
    measured = figures(found, time.monotonic() - started_s)  # after the facts: the total time is known last
    page.write(report, page.report_page(replace(facts, figures=measured)))
    out.print()
    out.print(_figure_table(measured))
    docs = build_data_docs(_validations(found, catalog), report.parent / DATA_DOCS)
    out.print()
    _where_next(found, report, docs)
    failed = [result for result in found.results if result.failed]
    for result in failed:
        console.complain(
            f"{result.drive} is {result.sighting.summary}: {result.sighting.problem or 'it did not finish in time'}",
            "see its task log in Airflow",
        )
    if failed or not audited.balanced:
        raise typer.Exit(1)


def _validations(found: DemoResult, catalog: Catalog) -> tuple[DriveResults, ...]:
    from ops.audit.lake_reader import publications
    from ops.report.validations import validations

    drives = [result.drive for result in found.results]
    published = tuple(row for drive in drives for row in publications(catalog, drive))
    return validations(published, found.deployment.store(), drives)


def _figure_table(measured: tuple[Figure, ...]) -> object:
    marks = {True: Text("✓", style="green"), False: Text("✗", style="bold red"), None: Text("")}
    rows = [(marks[figure.ok], figure.name, figure.value, figure.limit) for figure in measured]
    return console.table("Figures", ("", "figure", "measured", "limit"), rows, ("measured", "limit"))


def _where_next(found: DemoResult, report: Path, docs: Path) -> None:
    from cli.demo.stage import own_command

    lines = (
        ("report", str(report)),
        ("data docs", str(docs)),
        ("scenes", f"{own_command()} gold show --drive {found.results[0].drive}"),
        *found.standing.where_next,
    )
    console.out().print(console.table("Next", ("", ""), lines))
