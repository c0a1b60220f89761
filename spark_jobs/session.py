"""Spark as the jobs need it: no listening socket beyond loopback, no UI, metadata-sized Arrow batches."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.resources import files

from pyspark.sql import SparkSession

DEFAULT_MASTER = "local[2,3]"  # two tasks at once, three tries each: local mode does not ask spark.task.maxFailures
MASTER = "SCENELAKE_SPARK_MASTER"
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
        "spark.driver.memory": "1g",
    }
    if master.startswith("local"):
        # Workers run in the driver's JVM: nothing needs to reach it from elsewhere.
        properties |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    logging = files("spark_jobs").joinpath("log4j2.properties")
    properties["spark.driver.extraJavaOptions"] = f"-Dlog4j2.configurationFile=file:{logging}"
    properties |= {f"spark.executorEnv.{name}": env[name] for name in _FOR_WORKERS if name in env}
    return properties


def start_spark(properties: Mapping[str, str]) -> SparkSession:
    """A session with exactly these properties; the caller stops it."""
    # Without it Spark takes whatever `python3` is first on PATH, which need not have our packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if properties["spark.master"].startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder
    for name, value in properties.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()
