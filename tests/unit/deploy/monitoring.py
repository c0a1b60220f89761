"""Dashboards, alerts and StatsD mappings under `deploy/`, and the metric names they may use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"

# Kept by prometheus.yml; tests/integration/monitoring/test_spark_metrics.py checks them on a real cluster (Spark 4.3).
SPARK_MASTER = frozenset(f"metrics_master_{name}_Value" for name in ("aliveWorkers", "apps", "waitingApps", "workers"))
SPARK_WORKER = frozenset(
    f"metrics_worker_{name}_Value" for name in ("coresFree", "coresUsed", "executors", "memFree_MB", "memUsed_MB")
)
SPARK_APPLICATION = frozenset({"spark_application_cores", "spark_application_runtime_ms"})  # as prometheus.yml renames them
OWN_OF_PROMETHEUS = frozenset({"up"})
OWN_OF_THE_EXPORTERS_PROCESS = frozenset({"process_resident_memory_bytes"})

_IGNORED = re.compile(
    r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)|\b(?:and|or|unless|bool)\b'
)
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])")


def metric_names(expression: str) -> set[str]:
    """The metrics that a PromQL expression queries."""
    quoteless = re.sub(r'"[^"]*"', '""', expression)
    return set(_NAME.findall(_IGNORED.sub(" ", quoteless)))


@dataclass(frozen=True)
class Panel:
    dashboard: str
    document: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.document["title"])

    @property
    def expressions(self) -> list[str]:
        return [target["expr"] for target in self.document["targets"]]


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


def panels() -> list[Panel]:
    """Every panel that draws something."""
    return [
        Panel(name, panel) for name, document in dashboards().items() for panel in document["panels"] if panel["type"] != "row"
    ]


def alerts() -> Iterator[tuple[str, dict[str, Any]]]:
    """Group and rule of every alert."""
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield group["name"], rule


def mappings() -> list[dict[str, Any]]:
    """Mappings of Airflow's StatsD metrics, without the last one, which drops the rest."""
    *kept, rest = yaml.safe_load((PROMETHEUS / "statsd-mapping.yml").read_text())["mappings"]
    assert (rest["match"], rest["match_type"], rest["action"]) == (".", "regex", "drop")
    return kept


def airflow_names() -> set[str]:
    """Metrics that the StatsD exporter derives from these mappings."""
    names = {entry["name"] for entry in mappings()}
    timers = {name for name in names if name.endswith("_duration_seconds")}
    return names | {f"{name}{suffix}" for name in timers for suffix in ("_sum", "_count")}


def platform_names() -> set[str]:
    return airflow_names() | SPARK_MASTER | SPARK_WORKER | SPARK_APPLICATION | OWN_OF_PROMETHEUS | OWN_OF_THE_EXPORTERS_PROCESS
