"""Who reaches whom in docker-compose.yml: two containers connect only over a network that both are in."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COMPOSE: Mapping[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Mapping[str, Any] = COMPOSE["services"]

# Network: its servers, and their clients. A server may be a client of another. What is only a client here has no port.
INTENDED = {
    "airflow": ({"airflow-api-server"}, {"airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "demo"}),
    "airflow-db": (
        {"postgres"},
        {"airflow-init", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"},
    ),
    "aws": (
        {"localstack"},
        {
            *("provision", "event-mapper", "lake-init", "metrics", "demo", "spark-worker"),
            *("airflow-api-server", "airflow-scheduler", "airflow-triggerer"),
        },
    ),
    "catalog": ({"postgres"}, {"lake-init", "airflow-api-server", "airflow-scheduler", "metrics", "demo"}),
    "dashboards": ({"prometheus"}, {"grafana"}),
    "lineage": ({"marquez"}, {"airflow-api-server", "airflow-scheduler"}),
    "marquez-db": ({"postgres"}, {"marquez"}),
    "marquez-page": ({"marquez"}, {"marquez-web"}),
    "scrape": ({"metrics", "statsd-exporter"}, {"prometheus"}),
    "scrape-spark": ({"spark-master", "spark-worker"}, {"prometheus"}),
    "spark": ({"spark-master", "spark-worker", "airflow-scheduler"}, set()),
    "statsd": ({"statsd-exporter"}, {"airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}),
}
PAGES = {"grafana", "marquez-web", "prometheus", "marquez"}  # other people's code, with a page in a browser


def networks(name: str) -> set[str]:
    """Those of a service. Without any, Compose would put it into one network with all such."""
    service = SERVICES[name]
    if "network_mode" in service:
        assert service["network_mode"] == "none"
        assert "networks" not in service
        return set()
    assert service["networks"], f"{name} names its networks"
    return set(service["networks"])


def members(network: str) -> set[str]:
    return {name for name in SERVICES if network in networks(name)}


def reached(name: str) -> set[str]:
    """Every service that shares a network with this one."""
    return {other for network in networks(name) for other in members(network)} - {name}


def test_each_network_has_its_servers_and_their_clients_and_nobody_else() -> None:
    assert {network: members(network) for network in COMPOSE["networks"]} == {
        network: servers | clients for network, (servers, clients) in INTENDED.items()
    }


def test_nothing_reaches_the_outside_of_these_networks() -> None:
    assert {name for name in SERVICES if "network_mode" in SERVICES[name]} == {"settings"}
    for name, network in COMPOSE["networks"].items():
        assert network is None, f"{name} is a bridge of this project"


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("grafana", {"prometheus"}),
        ("marquez-web", {"marquez"}),
        ("marquez", {"marquez-web", "postgres", "airflow-api-server", "airflow-scheduler"}),
        ("prometheus", {"grafana", "metrics", "statsd-exporter", "spark-master", "spark-worker"}),
        ("spark-master", {"spark-worker", "airflow-scheduler", "prometheus"}),
        ("airflow-init", {"postgres", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}),
        ("settings", set()),
    ],
)
def test_a_service_reaches(name: str, others: set[str]) -> None:
    assert reached(name) == others


def test_no_page_is_where_spark_takes_work() -> None:
    assert members("spark").isdisjoint(PAGES)
    assert {name for name in PAGES if "postgres" in reached(name)} == {"marquez"}, "for its own database"
    assert members("catalog").isdisjoint(PAGES)
    assert members("aws").isdisjoint(PAGES)


def test_spark_listens_for_work_in_its_own_network_only() -> None:
    aliases = {
        (name, network, alias)
        for name in SERVICES
        if isinstance(SERVICES[name].get("networks"), dict)
        for network, options in SERVICES[name]["networks"].items()
        for alias in options.get("aliases", [])
    }
    assert aliases == {("spark-master", "spark", "spark-rpc"), ("airflow-scheduler", "spark", "spark-driver")}
    scheduler = SERVICES["airflow-scheduler"]["environment"]
    assert scheduler["SPARK_LOCAL_HOSTNAME"] == "spark-driver"
    assert scheduler["SCENELAKE_SPARK_MASTER"] == "spark://spark-rpc:7077"
    daemons = (ROOT / "deploy" / "compose" / "spark.sh").read_text()
    assert "master.Master --host spark-rpc --port 7077" in daemons
    assert "spark.master.rest.enabled=false" in daemons


def test_spark_asks_for_the_secret_and_only_its_members_have_it() -> None:
    holders = {name for name in SERVICES if "SPARK_AUTH_SECRET" in (SERVICES[name].get("environment") or {})}
    assert holders == members("spark") | {"settings"}, "which checks that it is no example"
    lines = (ROOT / "deploy" / "spark" / "spark-defaults.conf").read_text().splitlines()
    assert dict(line.split() for line in lines if line and not line.startswith("#")) == {
        "spark.authenticate": "true",
        "spark.network.crypto.enabled": "true",
        "spark.network.crypto.saslFallback": "false",
    }


def test_the_secret_becomes_a_private_file_and_leaves_the_environment(tmp_path: Path) -> None:
    entrypoint = ROOT / "deploy" / "compose" / "entrypoint.sh"
    shown = "env; cat $SPARK_CONF_DIR/metrics.properties; stat -c %a:%n $SPARK_CONF_DIR $SPARK_CONF_DIR/*"
    variables = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "SPARK_AUTH_SECRET": "secret-of-this-test"}
    for _ in range(2):  # a container that starts again
        done = subprocess.run([entrypoint, "sh", "-c", shown], env=variables, capture_output=True, text=True, check=True)
    folder = tmp_path / "spark-conf"
    written = (folder / "spark-defaults.conf").read_text()
    assert written.count("spark.authenticate.secret secret-of-this-test\n") == 1
    assert "spark.authenticate                  true" in written
    assert "secret-of-this-test" not in done.stdout
    assert "PrometheusServlet" in done.stdout
    modes = {line for line in done.stdout.splitlines() if str(folder) in line and not line.startswith("SPARK_CONF_DIR")}
    assert modes == {f"700:{folder}", f"600:{folder}/metrics.properties", f"600:{folder}/spark-defaults.conf"}


def test_without_a_secret_nothing_is_configured(tmp_path: Path) -> None:
    entrypoint = ROOT / "deploy" / "compose" / "entrypoint.sh"
    variables = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    done = subprocess.run([entrypoint, "env"], env=variables, capture_output=True, text=True, check=True)
    assert "SPARK_CONF_DIR" not in done.stdout
    assert list(tmp_path.iterdir()) == []
