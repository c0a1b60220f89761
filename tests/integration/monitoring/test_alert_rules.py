"""Prometheus's own checker applied to the configuration, the rules, their tests, and the exporter's output."""

from __future__ import annotations

import subprocess

from prometheus_client import generate_latest

from ops.metrics.exporter import registry_of
from tests.integration.monitoring.prometheus_server import program
from tests.unit.deploy.monitoring import PROMETHEUS
from tests.unit.ops.metrics.metrics_readings import exporter


def promtool(*words: str, text: str = "") -> str:
    done = subprocess.run([program("promtool"), *words], input=text, capture_output=True, text=True, timeout=250, cwd=PROMETHEUS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_configuration_and_the_rules_are_valid() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", "alerts.yml")


def test_every_alert_fires_and_stays_silent_as_its_test_says() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_names_and_help_follow_the_conventions_of_prometheus() -> None:
    text = generate_latest(registry_of(exporter())).decode()
    assert promtool("check", "metrics", text=text).strip() == ""
