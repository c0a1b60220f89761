"""Dashboards and alerts query metrics that exist, explain themselves, and name existing commands."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations

import pytest
import yaml
from prometheus_client.core import Metric
from typer.main import get_command

from cli.main import app
from scenes.accounting.identity import check_drive
from scenes.accounting.inputs import DriveInputs
from tests.unit.deploy.monitoring import (
    GRAFANA,
    PROMETHEUS,
    ROOT,
    Panel,
    alerts,
    dashboards,
    metric_names,
    panels,
    platform_names,
)
from tests.unit.ops.metrics.metrics_readings import exporter

FAMILIES: list[Metric] = list(exporter().collect())
EXPORTED = {sample.name for family in FAMILIES for sample in family.samples} | platform_names()
PANELS = panels()
ALERTS = list(alerts())


def test_metric_names_are_extracted_from_an_expression() -> None:
    assert metric_names('sum by (a) (rate(x_total{b="c"}[5m])) / on (d) group_left () (2 * y{e=~"f|g"} > 0.5) and z') == {
        "x_total", "y", "z",
    }  # fmt: skip
    assert metric_names('clamp_min(deriv(sum(w_bytes)[10m:5s]), 0) or vector(0) or absent(up{job="or"})') == {"w_bytes", "up"}
    assert metric_names("1e3 * time() - x:y") == {"x:y"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: f"{panel.dashboard}-{panel.title}")
def test_a_panel_queries_existing_metrics_and_describes_itself(panel: Panel) -> None:
    for expression in panel.expressions:
        assert metric_names(expression) - EXPORTED == set()
        assert metric_names(expression)
    assert panel.title
    assert panel.document["description"].endswith(".")
    assert panel.document["fieldConfig"]["defaults"]["unit"]
    (uid,) = {target["datasource"]["uid"] for target in panel.document["targets"]} | {panel.document["datasource"]["uid"]}
    provisioned = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert uid in {source["uid"] for source in provisioned}


def test_dashboards_have_their_own_ids_and_panels_do_not_overlap() -> None:
    found = dashboards()
    assert set(found) == {"pipeline", "quality", "platform"}
    assert len({document["uid"] for document in found.values()}) == 3
    for document in found.values():
        assert document["schemaVersion"] >= 39
        assert max(Counter(panel["id"] for panel in document["panels"]).values()) == 1
        titles = Counter(panel["title"] for panel in document["panels"] if panel["type"] != "row")
        assert max(titles.values()) == 1
        places = [panel["gridPos"] for panel in document["panels"]]
        assert all(place["x"] + place["w"] <= 24 for place in places)
        for one, other in combinations(places, 2):
            apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            assert apart_x or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_every_exported_metric_is_on_a_dashboard() -> None:
    shown = {name for panel in PANELS for expression in panel.expressions for name in metric_names(expression)}
    exported = {sample.name for family in FAMILIES for sample in family.samples if not sample.name.endswith("_created")}
    assert exported - shown == set()


@pytest.mark.parametrize(("group", "rule"), ALERTS, ids=lambda value: value if isinstance(value, str) else value["alert"])
def test_an_alert_queries_existing_metrics_and_names_a_command(group: str, rule: dict[str, object]) -> None:
    assert metric_names(str(rule["expr"])) - EXPORTED == set()
    annotations, labels = rule["annotations"], rule["labels"]
    assert isinstance(annotations, dict)
    assert isinstance(labels, dict)
    assert annotations["summary"]
    assert annotations["description"].endswith(".")
    assert labels["severity"] in ("critical", "warning")
    assert group == "platform" or group.startswith(labels["promise"].lower() + "-")
    program, *words = annotations["command"].split()
    assert program == "scenelake"
    command = get_command(app)
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    assert not hasattr(command, "commands"), "a command group is not a command"


def test_checks_named_in_alerts_exist_in_the_audit() -> None:
    named = {
        name for _, rule in ALERTS for names in re.findall(r'check[!=]~"([^"]*)"', rule["expr"]) for name in names.split("|")
    }
    assert len(named) == 3
    assert named <= {check.name for check in check_drive(DriveInputs("car-1/d-1"))}


def test_every_alert_has_a_firing_and_a_silent_case() -> None:
    cases: dict[str, set[bool]] = {}
    for case in yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]:
        for expected in case["alert_rule_test"]:
            cases.setdefault(expected["alertname"], set()).add(bool(expected["exp_alerts"]))
    assert cases == {rule["alert"]: {True, False} for _, rule in ALERTS}


def test_the_operations_page_names_every_alert_and_metric() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    ours = {family.name + ("_total" if family.type == "counter" else "") for family in FAMILIES}
    assert {name for name in ours if f"`{name}`" not in page} == set()
    assert {rule["alert"] for _, rule in ALERTS if f"`{rule['alert']}`" not in page} == set()
    named = set(re.findall(r"`(scenelake_\w+)`", page))
    assert named <= ours, "the page names a metric that does not exist"
