"""Spark as the jobs need it: a scheduler of Python tasks without a UI, reachable over loopback only where that suffices."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.resources import files

from pyspark.sql import SparkSession

DEFAULT_MASTER = "local[2,3]"  # two tasks at once, three attempts each: local mode ignores spark.task.maxFailures
MASTER = "SCENELAKE_SPARK_MASTER"
# Resources of an executor on a cluster; local mode has none. If no cores are named, a standalone worker gives it all free ones.
_EXECUTORS = {
    "SCENELAKE_SPARK_EXECUTOR_MEMORY": "spark.executor.memory",
    "SCENELAKE_SPARK_EXECUTOR_CORES": "spark.executor.cores",
}
# The JVM only schedules tasks and collects answers; Python does the work. An optimising compiler and garbage collector threads
# would take processor time from it.
_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# What a remote worker needs to reach the same storage; its credentials come from its own role.
_FOR_WORKERS = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")


def spark_properties(job: str, env: Mapping[str, str]) -> dict[str, str]:
    """The Spark configuration of a job; also what its lineage events record."""
    master = env.get(MASTER, DEFAULT_MASTER)
    properties = {
        "spark.master": master,
        "spark.app.name": f"scenelake.{job}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.task.maxFailures": "3",
        # Between the JVM and a Python worker. Over TCP the small messages around a task wait for delayed acknowledgements,
        # 40 ms at a time, while a core is idle (ADR 0026 says what both settings save).
        "spark.python.unix.domain.socket.enabled": "true",
        "spark.python.daemon.module": "spark_jobs.runtime.python_daemon",
        "spark.driver.memory": "1g",
        # One core per task: Spark would allow a worker's linear algebra as many threads as its executor has cores.
        "spark.executorEnv.OMP_NUM_THREADS": "1",
    }
    if on_loopback(master):
        # All executors run on this machine, so nothing needs to reach the driver from elsewhere.
        properties |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    properties |= {name: env[variable] for variable, name in _EXECUTORS.items() if env.get(variable)}
    logging = files("spark_jobs").joinpath("log4j2.properties")
    properties["spark.driver.extraJavaOptions"] = f"-Dlog4j2.configurationFile=file:{logging} {_JVM}"
    properties["spark.executor.extraJavaOptions"] = _JVM
    properties |= {f"spark.executorEnv.{name}": env[name] for name in _FOR_WORKERS if name in env}
    return properties


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
    # By default Spark runs the first `python3` on PATH, which may lack the packages of this environment.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if on_loopback(properties["spark.master"]):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder
    for name, value in properties.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
