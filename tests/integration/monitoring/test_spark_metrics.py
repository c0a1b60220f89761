"""Spark's servlet exports the metrics that the dashboards query, under the same names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests
import yaml
from pyspark.sql import SparkSession

from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings
from tests.integration.spark.standalone_cluster import standalone_cluster, until
from tests.unit.deploy.monitoring import PROMETHEUS, SPARK_APPLICATION, SPARK_MASTER, SPARK_WORKER

SERVLET = {
    "*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
    "*.sink.prometheusServlet.path": "/metrics/prometheus",
    "master.sink.prometheusServlet.path": "/metrics/master/prometheus",
    "applications.sink.prometheusServlet.path": "/metrics/applications/prometheus",
}


def scraped(address: str, job: str) -> set[str]:
    """The names of a job's metrics, once prometheus.yml has dropped and renamed."""
    jobs = {entry["job_name"]: entry for entry in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]}
    text = requests.get(f"http://{address}{jobs[job]['metrics_path']}", timeout=60).text
    names = {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}
    for rule in jobs[job]["metric_relabel_configs"]:
        pattern = re.compile(rule["regex"])
        if rule.get("action") == "keep":
            names = {name for name in names if pattern.fullmatch(name)}
        elif rule["target_label"] == "__name__":
            names = {pattern.sub(rule["replacement"].replace("$1", r"\1"), name) for name in names}
    return names


@pytest.mark.timeout(900)
def test_a_real_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = " ".join(f"-Dspark.metrics.conf.{name}={value}" for name, value in SERVLET.items())
    monkeypatch.setenv("SPARK_DAEMON_JAVA_OPTS", options)
    with standalone_cluster(tmp_path, workers=1) as cluster:
        master = cluster.status_url.removeprefix("http://")
        page = until(
            "the worker's page", lambda: cluster.workers[0].logged(r"Bound WorkerWebUI to 127\.0\.0\.1, .*http://\S+:(\d+)")
        )
        assert scraped(master, "spark_master") == SPARK_MASTER
        assert scraped(f"127.0.0.1:{page[1]}", "spark_workers") == SPARK_WORKER
        assert scraped(master, "spark_applications") == set()
        spark: SparkSession = start_spark(spark_properties("build_scenes", SparkSettings(spark_master=cluster.url)))
        try:
            assert scraped(master, "spark_applications") == SPARK_APPLICATION
        finally:
            spark.stop()
