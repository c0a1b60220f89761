"""Metrics as the StatsD exporter and Spark would serve them, by the names in `monitoring`; counters grow with time."""

from __future__ import annotations

import time

from tests.unit.deploy.monitoring import SPARK_MASTER, SPARK_WORKER, mappings

BEGUN_S = time.monotonic()
STARTED_MS = 1_780_000_000_000


def platform_text(path: str) -> str:
    """The answer to a scrape."""
    grown = 1 + int(10 * (time.monotonic() - BEGUN_S))
    if path == "/metrics":
        return "".join(_airflow(grown))
    if path == "/metrics/master/prometheus":
        return _spark(SPARK_MASTER)
    if path == "/metrics/prometheus":
        return _spark(SPARK_WORKER)
    assert path == "/metrics/applications/prometheus"
    names = [f"metrics_application_scenelake_build_scenes_{STARTED_MS}_{name}_Value" for name in ("cores", "runtime_ms")]
    return _spark(frozenset(names))


def _airflow(grown: int) -> list[str]:
    lines = []
    for entry in mappings():
        values = {label: place if place[0] != "$" else f"{label}-1" for label, place in entry.get("labels", {}).items()}
        if "state" in entry.get("labels", {}) and entry["labels"]["state"] == "$3":
            values["state"] = "failed"
        labels = ",".join(f'{label}="{value}"' for label, value in values.items())
        name = entry["name"]
        if name.endswith("_duration_seconds"):
            lines += [f"{name}_sum{{{labels}}} {3 * grown}\n", f"{name}_count{{{labels}}} {grown}\n"]
            lines += [f'{name}{{{labels},quantile="0.95"}} 4\n']
        else:
            lines.append(f"{name}{{{labels}}} {grown}\n")
    return lines


def _spark(names: frozenset[str]) -> str:
    both = sorted({name.removesuffix("_Value") for name in names})
    rows = [f'{name}_{kind}{{type="gauges"}} 2\n' for name in both for kind in ("Number", "Value")]
    return "".join(rows) + 'metrics_CodeGenerator_compilationTime_Count{type="histograms"} 0\n'
