"""Readings as Prometheus metric families: names in base units, help texts, and only labels with bounded values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from lake.tables.schemas import FATES
from ops.metrics.lake import LakeSummary
from ops.metrics.ledger import DriveStates
from ops.metrics.part import PartHealth
from ops.metrics.queues import QueueState
from quality.rules.rule import Outcome
from sensors.printable import printable
from sensors.stamps import percentile
from sensors.time_units import NS_PER_S

MAX_LABEL_CHARACTERS = 200

PERCENTILES = (50, 95)
Rows = Iterable[tuple[Sequence[str], float]]


def drive_families(states: DriveStates) -> Iterator[Metric]:
    """States and ages of the drives."""
    yield _gauge(
        "scenelake_drives",
        "Drives in the ledger, by state.",
        ("state",),
        (((state.value,), count) for state, count in states.counts.items()),
    )
    yield _gauge(
        "scenelake_drive_state_age_seconds",
        "How long the oldest drive in an unfinished state has been in it; 0 if there is none.",
        ("state",),
        (((state.value,), age_ns / NS_PER_S) for state, age_ns in states.state_age_ns.items()),
    )
    yield _gauge(
        "scenelake_oldest_unprocessed_drive_age_seconds",
        "Longest time since the last object of an unprocessed drive landed; 0 if there is none.",
        (),
        [((), states.oldest_unprocessed_ns / NS_PER_S)],
    )
    lags = states.lags_ns
    found = [((f"p{percent}",), percentile(lags, percent) / NS_PER_S) for percent in PERCENTILES] if len(lags) else []
    yield _gauge(
        "scenelake_landing_to_gold_seconds",
        "Time from the registration of a drive's last object to its publication, for the 100 drives published last.",
        ("percentile",),
        [*found, *((("max",), int(value) / NS_PER_S) for value in lags[-1:])],
    )


def queue_families(queues: Iterable[QueueState]) -> Iterator[Metric]:
    """Depths of the queues."""
    seen = tuple(queues)
    yield _gauge(
        "scenelake_queue_messages",
        "Approximate number of messages in a queue: visible (can be received), in_flight (held by a consumer), delayed.",
        ("queue", "state"),
        (((entry.queue, state), getattr(entry.depth, state)) for entry in seen for state in ("visible", "in_flight", "delayed")),
    )
    yield _gauge(
        "scenelake_dead_letter_messages",
        "Messages in the dead-letter queue after too many deliveries, by the queue they came from.",
        ("queue",),
        (((entry.queue,), entry.dead) for entry in seen if entry.dead is not None),
    )


def lake_families(lake: LakeSummary) -> Iterator[Metric]:
    """Landed objects, their fates, and the accounting."""
    yield from _landed(lake)
    yield from _published(lake)
    yield from _recent(lake)
    yield _gauge(
        "scenelake_audit_checks",
        "Drives for which a check of the audit holds or is broken (promises P1 and P2).",
        ("check", "result"),
        (
            ((check, word), lake.checks.get((check, holds), 0))
            for check in sorted({name for name, _ in lake.checks})
            for word, holds in (("holds", True), ("broken", False))
        ),
    )
    yield _gauge("scenelake_unbalanced_drives", "Drives with a check that is broken.", (), [((), lake.unbalanced_drives)])


def part_families(parts: Iterable[PartHealth]) -> Iterator[Metric]:
    """Health of the readings themselves."""
    seen = tuple(parts)
    yield _gauge(
        "scenelake_reading_current",
        "1 if the metrics of this part are from a successful reading less than 300 s ago; else they are omitted.",
        ("part",),
        (((entry.part,), int(entry.current)) for entry in seen),
    )
    errors = CounterMetricFamily(
        "scenelake_reading_errors", "Readings that failed, since the exporter started.", labels=("part",)
    )
    for entry in seen:
        errors.add_metric((entry.part,), entry.errors)
    yield errors
    yield _gauge(
        "scenelake_reading_last_success_timestamp_seconds",
        "When the last successful reading ended, in seconds since the epoch.",
        ("part",),
        (((entry.part,), entry.success_ns / NS_PER_S) for entry in seen if entry.success_ns is not None),
    )
    yield _gauge(
        "scenelake_reading_duration_seconds",
        "Duration of the last reading, successful or not.",
        ("part",),
        (((entry.part,), entry.duration_ns / NS_PER_S) for entry in seen if entry.duration_ns is not None),
    )


def _landed(lake: LakeSummary) -> Iterator[Metric]:
    objects = sorted(lake.objects.items())
    yield _gauge(
        "scenelake_objects",
        "Latest versions of raw objects, by state in the ledger; landed is pending, refused has no drive (1000 means or more).",
        ("state",),
        (((state,), amount.objects) for state, amount in objects),
    )
    yield _gauge(
        "scenelake_object_bytes",
        "Bytes of the objects that scenelake_objects counts.",
        ("state",),
        (((state,), amount.size_bytes) for state, amount in objects),
    )
    yield _frames("scenelake_frames", "Frames read, by their fate.", lake.frames)


def _published(lake: LakeSummary) -> Iterator[Metric]:
    yield _gauge("scenelake_gold_scenes", "Scenes in gold.scenes.", (), [((), lake.scenes)])
    yield CounterMetricFamily(
        "scenelake_publications", "Commits that published or quarantined a drive, in total.", value=lake.publications
    )
    yield CounterMetricFamily(
        "scenelake_published_scenes", "Scenes that these commits added, in total; replacements count again.",
        value=lake.published_scenes,
    )  # fmt: skip
    yield _gauge(
        "scenelake_quarantine_records",
        "Quarantine records that keep data out of gold, by rule; one with two rules counts for both.",
        ("rule", "level"),
        ((key, count) for key, count in sorted(lake.records.items())),
    )


def _recent(lake: LakeSummary) -> Iterator[Metric]:
    yield _gauge(
        "scenelake_recent_drives",
        "Number of drives that the recent metrics cover: those published or quarantined last.",
        (),
        [((), lake.recent_drives)],
    )
    yield _frames("scenelake_recent_frames", "Frames of the recent drives, by their fate.", lake.recent_frames)
    yield _gauge(
        "scenelake_recent_rule_drives",
        "Recent drives by the worst outcome of a rule in them.",
        ("rule", "outcome"),
        (
            ((code, outcome.value), lake.rules.get((code, outcome), 0))
            for code in sorted({code for code, _ in lake.rules})
            for outcome in Outcome
        ),
    )
    yield _gauge(
        "scenelake_recent_residual_seconds",
        "Size of the residuals of published matches in recent drives, nearest rank (promise P4).",
        ("sensor", "percentile"),
        (
            ((sensor, name), value_ns / NS_PER_S)
            for sensor, sizes in lake.residuals.items()
            for name, value_ns in (
                ("p50", sizes.p50_ns), ("p95", sizes.p95_ns), ("p99", sizes.p99_ns), ("max", sizes.max_ns),
            )
        ),
    )  # fmt: skip
    yield _gauge(
        "scenelake_recent_residual_tolerance_ratio",
        "Largest residual of a sensor in recent drives, in units of its drive's tolerance; more than 1 breaks promise P4.",
        ("sensor",),
        (((sensor,), sizes.tolerances) for sensor, sizes in lake.residuals.items() if sizes.tolerances is not None),
    )


def _frames(name: str, text: str, frames: Mapping[tuple[str, str, str], int]) -> GaugeMetricFamily:
    sensors = sorted({(sensor, modality) for sensor, modality, _ in frames})
    fates = sorted({*FATES, *(fate for _, _, fate in frames)})
    rows = (((*sensor, fate), frames.get((*sensor, fate), 0)) for sensor in sensors for fate in fates)
    return _gauge(name, text, ("sensor", "modality", "fate"), rows)


def _gauge(name: str, text: str, labels: Sequence[str], rows: Rows) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric([printable(label, MAX_LABEL_CHARACTERS) for label in values], value)
    return family
