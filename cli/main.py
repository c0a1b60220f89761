"""The `scenelake` command. Commands import their dependencies when they run, so that `--help` is fast."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli import console
from cli.commands import (
    audit,
    demo,
    dlq,
    drive,
    forget,
    gold,
    gold_compact,
    gold_diff,
    gold_maintenance,
    gold_tag,
    hold,
    metrics,
    quarantine,
    recall,
    stack,
    sync,
    vehicle,
)
from cli.options import CHECK, DATA, examples
from ops.errors import explain


class ErrorBoundary(TyperGroup):
    """Turns expected errors into a cause and a next step on stderr, and their exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            explanation = explain(error)
            if explanation is None:
                raise
            console.complain(explanation.cause, explanation.hint)
            raise typer.Exit(explanation.exit_code) from error


app = typer.Typer(
    cls=ErrorBoundary,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Turn raw lidar, camera and radar recordings into synchronised, quality-checked, traceable scenes.",
    epilog=examples("demo", "gold ls", "quarantine ls", "audit", title="Start here:"),
)
app.add_typer(drive.app, name="drive", rich_help_panel=DATA)
for gold_commands in (gold_compact, gold_tag, gold_diff, gold_maintenance):
    gold_commands.register(gold.app)
app.add_typer(gold.app, name="gold", rich_help_panel=DATA)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel=DATA)
app.add_typer(recall.app, name="recall", rich_help_panel=DATA)
app.add_typer(hold.app, name="hold", rich_help_panel=DATA)
forget.register(app)
app.add_typer(dlq.app, name="dlq", rich_help_panel=DATA)
app.add_typer(vehicle.app, name="vehicle", rich_help_panel=DATA)
app.add_typer(metrics.app, name="metrics", rich_help_panel=CHECK)
app.add_typer(sync.app, name="sync", rich_help_panel=CHECK)
stack.register(app)
audit.register(app)
sync.register(app)
demo.register(app)


def _print_version(requested: bool) -> None:
    if requested:
        console.out().print(f"scenelake {version('scenelake')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    requested: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of every command."""


if __name__ == "__main__":
    app()
