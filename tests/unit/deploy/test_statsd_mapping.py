"""The StatsD names are those that this Airflow sends, and are mapped to the metrics that dashboards query."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow._shared.observability.metrics as observability
import pytest
import yaml
from airflow._shared.observability.metrics import stats
from airflow._shared.observability.metrics.statsd_logger import SafeStatsdLogger

from tests.unit.deploy.monitoring import mappings, metric_names, panels

PREFIX = "airflow."
MAPPINGS = mappings()
REGISTRY = yaml.safe_load((Path(observability.__file__).with_name("metrics_template.yaml")).read_text())["metrics"]
KINDS = {"counter": "_total", "timer": "_duration_seconds"}


class Recorded:
    """A StatsD client that keeps what would be sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, float]] = []

    def incr(self, stat: str, count: float = 1, rate: float = 1) -> None:
        self.sent.append(("counter", PREFIX + stat, count))

    def gauge(self, stat: str, value: float, rate: float = 1, delta: bool = False) -> None:
        self.sent.append(("gauge", PREFIX + stat, value))

    def timing(self, stat: str, value: float) -> None:
        self.sent.append(("timer", PREFIX + stat, value))


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """Airflow's own code in front of it, as `[metrics] statsd_on` sets it up."""
    client: Any = Recorded()
    stats.initialize(factory=lambda: SafeStatsdLogger(client), export_legacy_names=True)
    yield client
    stats.initialize(factory=stats.NoStatsLogger, export_legacy_names=True)


def mapped(name: str) -> tuple[str, dict[str, str]] | None:
    """The StatsD exporter's mapping of a message: by the first rule that matches, with `*` for one part between dots."""
    for entry in MAPPINGS:
        found = re.fullmatch(re.escape(entry["match"]).replace(r"\*", r"([^.]*)"), name)
        if found:
            labels = {
                label: found[int(place[1:])] if place[0] == "$" else place for label, place in entry.get("labels", {}).items()
            }
            return entry["name"], labels
    return None


def names_that_airflow_sends() -> dict[str, str]:
    """Shape of each message (`*` for what varies) and its kind, from Airflow's own list."""
    found = {}
    for entry in REGISTRY:
        for name in (entry["name"], entry["legacy_name"]):
            if name != "-":
                found[PREFIX + re.sub(r"\{\w+\}", "*", name)] = entry["type"]
    return found


@pytest.mark.parametrize("entry", MAPPINGS, ids=lambda entry: entry["match"])
def test_airflow_sends_it_and_the_name_says_its_kind(entry: dict[str, Any]) -> None:
    kind = names_that_airflow_sends()[entry["match"]]
    if kind in KINDS:
        assert entry["name"].endswith(KINDS[kind])
    else:
        assert not entry["name"].endswith("_total")
    assert entry["name"].startswith("airflow_")
    assert entry["help"].endswith(".")
    assert len(re.findall(r"\*", entry["match"])) == sum(str(place).startswith("$") for place in entry.get("labels", {}).values())


def test_the_exporter_takes_the_file() -> None:
    """statsd_exporter rejects a match without a dot, names outside Prometheus's alphabet, and unknown keys."""
    for entry in MAPPINGS:
        assert set(entry) <= {"match", "name", "help", "labels"}
        assert re.fullmatch(r"airflow(\.(\*|[a-zA-Z_][a-zA-Z0-9_]*))+", entry["match"])
        assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", entry["name"])
        assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]+", label) for label in entry.get("labels", {}))
    helps = {(entry["name"], entry["help"]) for entry in MAPPINGS}
    assert len(helps) == len({name for name, _ in helps}), "one name, one help"


def test_a_task_in_a_group_is_reported_once_with_its_labels(recorded: Recorded) -> None:
    tags = {"dag_id": "process_drive", "task_id": "drive.build_scenes"}
    stats.incr("ti.start", tags=tags)
    stats.incr("ti.finish", tags={**tags, "state": "failed"})
    stats.timing("task.duration", 2500.0, tags=tags)
    stats.timing("task.queued_duration", 300.0, tags=tags)
    stats.timing("dagrun.duration.failed", 9000.0, tags={"dag_id": "process_drive"})
    labels = {"dag_id": "process_drive", "task_id": "drive__build_scenes"}
    assert [found for _, name, _ in recorded.sent if (found := mapped(name))] == [
        ("airflow_task_started_total", labels),
        ("airflow_task_finished_total", {**labels, "state": "failed"}),
        ("airflow_task_duration_seconds", labels),
        ("airflow_task_queued_duration_seconds", labels),
        ("airflow_dagrun_duration_seconds", {"dag_id": "process_drive", "state": "failed"}),
    ]


def test_what_comes_under_a_host_or_file_is_dropped(recorded: Recorded) -> None:
    stats.gauge("triggers.running", 3, tags={"hostname": "worker-7"})
    stats.gauge("dag_processing.last_run.seconds_ago", 3, tags={"file_name": "process_drive"})
    stats.incr("scheduler_heartbeat")
    assert [(name, mapped(name)) for _, name, _ in recorded.sent] == [
        ("airflow.triggers.running.worker-7", None),
        ("airflow.triggers.running", ("airflow_triggers_running", {})),
        ("airflow.dag_processing.last_run.seconds_ago.process_drive", None),
        ("airflow.dag_processing.last_run.seconds_ago", None),
        ("airflow.scheduler_heartbeat", ("airflow_scheduler_heartbeat_total", {})),
    ]


def test_every_metric_that_is_kept_is_looked_at() -> None:
    shown = {name for panel in panels() for expression in panel.expressions for name in metric_names(expression)}
    for name in {entry["name"] for entry in MAPPINGS}:
        assert {name, f"{name}_sum"} & shown
