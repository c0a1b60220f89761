"""Spark as the jobs need it: no listening socket beyond loopback, no UI, metadata-sized Arrow batches."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.resources import files

from pyspark.sql import SparkSession

DEFAULT_MASTER = "local[2,3]"  # two tasks at once, three tries each: local mode does not ask spark.task.maxFailures
MASTER = "SCENELAKE_SPARK_MASTER"
# What an executor on a cluster gets; local mode has none. Without cores, a standalone worker gives it all that are free.
_EXECUTORS = {
    "SCENELAKE_SPARK_EXECUTOR_MEMORY": "spark.executor.memory",
    "SCENELAKE_SPARK_EXECUTOR_CORES": "spark.executor.cores",
}
# The JVM hands out tasks and collects answers, the work is done in Python: code that is optimised for hours of computing, and
# threads that collect garbage, would only take processor time from it.
_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
# What a remote worker must know to reach the same storage; credentials come to it from its own role.
_FOR_WORKERS = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")


def spark_properties(job: str, env: Mapping[str, str]) -> dict[str, str]:
    """The Spark configuration of a job; also what its lineage events record."""
    master = env.get(MASTER, DEFAULT_MASTER)
    properties = {
        "spark.master": master,
        "spark.app.name": f"scenelake.{job}",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1",  # one object or one window is one unit of work
        "spark.task.maxFailures": "3",
        # Between the JVM and a Python worker. Over TCP the small messages that begin and end a task wait for delayed
        # acknowledgements: 40 ms, now and then, in which a core has nothing to do.
        "spark.python.unix.domain.socket.enabled": "true",
        "spark.python.daemon.module": "spark_jobs.runtime.python_daemon",
        "spark.driver.memory": "1g",
        # A core a task. Spark would allow a worker's linear algebra as many threads as its executor has cores.
        "spark.executorEnv.OMP_NUM_THREADS": "1",
    }
    if on_loopback(master):
        # Whoever talks to the driver is on the same machine: nothing needs to reach it from elsewhere.
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
    # Without it Spark takes whatever `python3` is first on PATH, which need not have our packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if on_loopback(properties["spark.master"]):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder
    for name, value in properties.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
