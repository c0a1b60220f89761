"""A standalone cluster that asks for a secret: who knows it works there, and who does not is refused by master and workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.spark.standalone_cluster import Cluster, Daemon, end, secured, standalone_cluster, until

pytestmark = pytest.mark.timeout(900)  # a cluster starts first

SECRET = "right-secret-of-this-test"
LONGEST_S = 240.0
# A driver as the jobs start it, which knows nothing of the secret.
DRIVER = """
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings

spark = start_spark(spark_properties("secret", SparkSettings.from_env()))
print("sum", sum(spark.sparkContext.parallelize(range(100), 4).map(lambda number: number * number).collect()), flush=True)
spark.stop()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with standalone_cluster(tmp_path_factory.mktemp("cluster"), workers=1, secret=SECRET) as running:
        yield running


def start_driver(cluster: Cluster, folder: Path, secret: str | None) -> Daemon:
    log = folder / "driver.log"
    command, security = secured([sys.executable, "-c", DRIVER], folder / "tmp", secret)
    env = os.environ | {
        "SCENELAKE_SPARK_MASTER": cluster.url,
        "SCENELAKE_SPARK_EXECUTOR_MEMORY": "512m",
        "SPARK_LOCAL_IP": "127.0.0.1",
        **security,
    }
    with log.open("wb") as output:
        return Daemon(psutil.Popen(command, env=env, stdout=output, stderr=output), log)


def test_a_driver_with_the_secret_runs_its_tasks(cluster: Cluster, tmp_path: Path) -> None:
    driver = start_driver(cluster, tmp_path, SECRET)
    try:
        until("the answer", lambda: driver.logged("sum 328350") or not driver.process.is_running(), LONGEST_S)
        assert driver.logged("sum 328350"), driver.log.read_text()
    finally:
        end(driver.tree())
    assert SECRET not in driver.log.read_text()
    logs = [cluster.master.log, *cluster.folder.rglob("stderr"), *(worker.log for worker in cluster.workers)]
    assert not [log for log in logs if SECRET in log.read_text(errors="replace")]


@pytest.mark.parametrize(
    ("secret", "refusal"),
    [("another-secret", "Authentication failed"), (None, "Unknown challenge message")],
    ids=["wrong secret", "no secret"],
)
def test_a_driver_without_the_secret_is_refused(cluster: Cluster, tmp_path: Path, secret: str | None, refusal: str) -> None:
    before = len(list(cluster.folder.glob("worker-0/app-*")))
    driver = start_driver(cluster, tmp_path, secret)
    try:
        until("the refusal", lambda: driver.logged(refusal) or not driver.process.is_running(), LONGEST_S)
        assert driver.logged(refusal), driver.log.read_text()
    finally:
        end(driver.tree())
    assert not driver.logged("sum")
    assert len(list(cluster.folder.glob("worker-0/app-*"))) == before
