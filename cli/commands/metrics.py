"""`metrics serve`, `metrics show`: the state of the pipeline, for Prometheus and for people."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import console
from cli.options import EndpointOption, HomeOption, JsonOption, examples
from ops import DEFAULT_HOME, deployment
from ops.errors import explain

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from ops.metrics.exporter import Exporter
    from ops.metrics.part import Readable

app = typer.Typer(no_args_is_help=True, help="Show or serve metrics: drives, queues, quarantine, residuals, accounting.")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value as Prometheus scrapes it."""

    name: str
    labels: Mapping[str, str]
    value: float
    help: str


@app.command("serve", epilog=examples("metrics serve --port 9464"))
def serve(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for any free port.")] = 9464,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="Also answer requests to this host name (repeat for more)."),
    ] = None,
    every_s: Annotated[float, typer.Option("--every", min=1.0, metavar="SECONDS", help="Pause between two readings.")] = 15.0,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Serve metrics to Prometheus under /metrics until interrupted.

    Ledger, queues and lake are read in the background, the lake once for each changed drive; scrapes are answered from the
    last readings. Metrics that could not be read are omitted, and counted by `scenelake_reading_errors_total`. Web pages, and
    requests to other hosts than loopback, `--host` and `--allow-host`, get 403.
    """
    from ops.metrics.exporter import keep_reading, registry_of
    from ops.metrics.server import metrics_server

    exporter = _exporter(endpoint, home)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    server = metrics_server(registry_of(exporter), host, port, allow_host or ())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    console.say(f"metrics: http://{host}:{server.server_port}/metrics, read every {every_s:g} s")
    keep_reading(exporter.parts, every_s, stop, _complain)
    stop.wait()
    server.shutdown()
    server.server_close()


@app.command("show", epilog=examples("metrics show", "metrics show --json"))
def show(endpoint: EndpointOption = None, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Read all metrics once and print them, with labels and values as Prometheus scrapes them.

    Exits with 1 if some could not be read; the others are still printed.
    """
    exporter = _exporter(endpoint, home)
    errors = [(part, error) for part in exporter.parts if (error := part.refresh()) is not None]
    families = list(exporter.collect())
    if as_json:
        # JSON has no infinity, which a residual is in units of a zero tolerance: use Prometheus's notation.
        samples = [asdict(sample) | ({} if math.isfinite(sample.value) else {"value": "+Inf"}) for sample in _samples(families)]
        console.print_json(samples)
    else:
        rows = [
            (sample.name, ", ".join(f"{name}={value}" for name, value in sample.labels.items()), f"{sample.value:g}")
            for sample in _samples(families)
        ]
        console.out().print(console.table("Metrics", ("metric", "labels", "value"), rows, ("value",)))
    for part, error in errors:
        _complain(part, error)
    if errors:
        raise typer.Exit(1)


def _exporter(endpoint: str | None, home: Path) -> Exporter:
    from ops.metrics.exporter import open_exporter

    target = deployment.enter(endpoint, home)
    return open_exporter(target.settings, target.catalog)


def _complain(part: Readable, error: Exception) -> None:
    found = explain(error)
    cause, hint = (f"{type(error).__name__}: {error}", None) if found is None else (found.cause, found.hint)
    console.complain(f"{part.health.part}: {cause}", hint)


def _samples(families: Iterable[Metric]) -> list[Sample]:
    return [
        Sample(sample.name, dict(sample.labels), sample.value, family.documentation)
        for family in families
        for sample in family.samples
    ]
