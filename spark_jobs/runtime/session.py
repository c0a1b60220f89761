"""Spark as the jobs need it: a scheduler of Python tasks without a UI, reachable over loopback only where that suffices."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.resources import files

from pyspark.sql import SparkSession

from spark_jobs.runtime.settings import SparkSettings

# The JVM only schedules tasks and collects answers; Python does the work. An optimising compiler and garbage collector threads
# would take processor time from it.
_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def spark_properties(job: str, settings: SparkSettings) -> dict[str, str]:
    """The Spark configuration of a job; also what its lineage events record."""
    logging = files("spark_jobs.runtime").joinpath("log4j2.properties")
    properties = {
        "spark.master": settings.spark_master,
        "spark.app.name": f"scenelake.{job}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.task.maxFailures": "3",
        # Between the JVM and a Python worker. Over TCP the small messages around a task wait for delayed acknowledgements,
        # 40 ms at a time, while a core is idle (ADR 0026 has the savings of both settings).
        "spark.python.unix.domain.socket.enabled": "true",
        "spark.python.daemon.module": "spark_jobs.runtime.python_daemon",
        "spark.pyspark.python": settings.spark_python or sys.executable,
        "spark.driver.memory": "1g",
        # One core per task: Spark would allow a worker's linear algebra as many threads as its executor has cores.
        "spark.executorEnv.OMP_NUM_THREADS": "1",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{logging} {_JVM}",
        "spark.executor.extraJavaOptions": _JVM,
    }
    if on_loopback(settings.spark_master):
        # All executors run on this machine, so nothing needs to reach the driver from elsewhere.
        properties |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    optional = {
        # Resources of an executor on a cluster; local mode has none. Without cores, a standalone worker gives it all free ones.
        "spark.executor.memory": settings.spark_executor_memory,
        "spark.executor.cores": settings.spark_executor_cores,
        # Settings that a remote worker needs to reach the same storage; its credentials come from its own role.
        "spark.executorEnv.AWS_ENDPOINT_URL": settings.aws.endpoint_url,
        "spark.executorEnv.AWS_ENDPOINT_URL_S3": settings.aws.endpoint_url_s3,
        "spark.executorEnv.AWS_REGION": settings.aws.region,
        "spark.executorEnv.AWS_DEFAULT_REGION": settings.aws.region,
    }
    return properties | {name: value for name, value in optional.items() if value}


def on_loopback(master: str) -> bool:
    """Whether a Spark master runs on this machine and is reached by its loopback interface alone.

    True for `local[…]`, and for a standalone master (`spark://HOST:PORT`, or several, separated by commas) if all hosts are
    loopback addresses by their spelling; a name is not looked up.
    """
    if master.startswith("local"):
        return True
    addresses = master.removeprefix("spark://").split(",")
    return master.startswith("spark://") and all(address.rpartition(":")[0] in LOOPBACK for address in addresses)


def start_spark(properties: Mapping[str, str]) -> SparkSession:
    """A session with exactly these properties; the caller stops it."""
    builder = SparkSession.builder
    for name, value in properties.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    # A driver that starts its own JVM would take the Python of its workers from the environment alone: the first `python3` on
    # PATH, which may lack the packages of this one.
    session.sparkContext.pythonExec = properties["spark.pyspark.python"]
    return session
