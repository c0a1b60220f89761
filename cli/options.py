"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops.deployment import HOME

EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint", metavar="URL", help="AWS-compatible endpoint; else AWS_ENDPOINT_URL, else the local stack that is up."
    ),
]
HomeOption = Annotated[
    Path, typer.Option("--home", envvar=HOME, metavar="DIR", help="Folder of the local stack: its data, logs and passwords.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of a table.")]
