"""The exporter: three parts, each read by its own thread, and a collector that answers from their last readings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.config import Config
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ingest.ledger.repository import Ledger
from lake.clients import client
from ops.metrics.families import drive_families, lake_families, part_families, queue_families
from ops.metrics.lake import LakeSummary, LakeWatch
from ops.metrics.ledger import DriveStates, LedgerWatch
from ops.metrics.part import MetricsPart, Readable
from ops.metrics.queues import QueueState, QueueWatch
from scenes.accounting.drive_sources import AuditSources

if TYPE_CHECKING:
    from lake.iceberg.catalog import AnyCatalog
    from lake.settings import Settings

_CALLS = Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=20)


@dataclass(frozen=True, slots=True)
class Exporter(Collector):
    """A Prometheus collector of three parts."""

    drives: MetricsPart[DriveStates]
    queues: MetricsPart[tuple[QueueState, ...]]
    lake: MetricsPart[LakeSummary]

    @property
    def parts(self) -> tuple[Readable, ...]:
        """The parts, the quick ones first."""
        return self.drives, self.queues, self.lake

    def collect(self) -> Iterator[Metric]:
        """The metric families of the last readings; reads nothing."""
        states, drives = self.drives.latest()
        queues, of_queues = self.queues.latest()
        lake, of_lake = self.lake.latest()
        yield from drive_families(states) if states is not None else ()
        yield from queue_families(queues) if queues is not None else ()
        yield from lake_families(lake) if lake is not None else ()
        yield from part_families((drives, of_queues, of_lake))

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering the collector reads nothing."""
        return ()


def open_exporter(
    settings: Settings, open_catalog: Callable[[], AnyCatalog], clock: Callable[[], int] = time.time_ns
) -> Exporter:
    """The exporter of a deployment. Reads nothing yet; the first successful reading opens the catalog."""
    ledger = Ledger(client("dynamodb", settings.aws, _CALLS), settings.ledger_table)
    urls = {"object-events": settings.object_events_url, "drive-work": settings.drive_work_url}

    def open_sources() -> AuditSources:
        return AuditSources(settings, client("s3", settings.aws, _CALLS), ledger, open_catalog())

    watch = LedgerWatch(ledger, clock)
    return Exporter(
        drives=MetricsPart("drives", lambda: DriveStates.of(watch.read(), clock()), clock),
        queues=MetricsPart("queues", QueueWatch(client("sqs", settings.aws, _CALLS), urls).read, clock),
        lake=MetricsPart("lake", LakeWatch(open_sources, LedgerWatch(ledger, clock)).read, clock),
    )


def registry_of(exporter: Exporter) -> CollectorRegistry:
    """The registry of a scrape: the exporter, and its own process."""
    registry = CollectorRegistry()
    registry.register(exporter)
    ProcessCollector(registry=registry)
    return registry


def keep_reading(
    parts: Iterable[Readable], every_s: float, stop: threading.Event, report: Callable[[Readable, Exception], None]
) -> list[threading.Thread]:
    """Start one thread per part, which reads it until `stop` is set; `report` is called with every error."""

    def follow(part: Readable) -> None:
        while True:
            error = part.refresh()
            if error is not None:
                report(part, error)
            if stop.wait(every_s):
                return

    threads = [threading.Thread(target=follow, args=(part,), name=part.health.part, daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    return threads
