"""Spark's configuration: nothing listens beyond loopback where master and driver share a machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spark_jobs.runtime.session import on_loopback, spark_properties
from spark_jobs.runtime.settings import SparkSettings

DRIVER = ("spark.driver.host", "spark.driver.bindAddress")


@pytest.mark.parametrize("master", ["local[2,3]", "local", "local[*]", "spark://127.0.0.1:7077", "spark://[::1]:7077"])
def test_a_driver_without_remote_workers_binds_to_loopback(master: str) -> None:
    properties = spark_properties("build_scenes", SparkSettings(spark_master=master))
    assert properties["spark.master"] == master
    assert [properties[name] for name in DRIVER] == ["127.0.0.1", "127.0.0.1"]


@pytest.mark.parametrize(
    "master",
    [
        "spark://10.0.0.5:7077",
        "spark://localhost.example.com:7077",
        "spark://127.0.0.1.example.com:7077",
        "spark://127.0.0.1:7077,10.0.0.5:7077",
        "k8s://https://127.0.0.1:6443",
        "yarn",
    ],
)
def test_a_driver_that_executors_elsewhere_call_back_keeps_its_own_address(master: str) -> None:
    assert not set(DRIVER) & set(spark_properties("build_scenes", SparkSettings(spark_master=master)))


def test_several_masters_on_loopback_are_on_loopback() -> None:
    assert on_loopback("spark://localhost:7077,127.0.0.1:7078")


def test_executors_get_the_memory_and_cores_that_the_deployment_names() -> None:
    env = {"SCENELAKE_SPARK_EXECUTOR_MEMORY": "1g", "SCENELAKE_SPARK_EXECUTOR_CORES": "2", "AWS_REGION": "eu-central-1"}
    properties = spark_properties("inspect", SparkSettings.from_env(env))
    assert (properties["spark.executor.memory"], properties["spark.executor.cores"]) == ("1g", "2")
    assert properties["spark.executorEnv.AWS_REGION"] == "eu-central-1"
    bare = spark_properties("inspect", SparkSettings.from_env({"SCENELAKE_SPARK_EXECUTOR_MEMORY": ""}))
    assert not {"spark.executor.memory", "spark.executor.cores"} & set(bare)


def test_the_driver_logs_by_the_configuration_that_the_package_carries() -> None:
    options = spark_properties("inspect", SparkSettings())["spark.driver.extraJavaOptions"]
    (path,) = (option.partition("file:")[2] for option in options.split() if option.startswith("-Dlog4j2."))
    assert "rootLogger.level" in Path(path).read_text()


def test_workers_run_the_python_of_the_job_unless_another_is_named() -> None:
    assert spark_properties("inspect", SparkSettings.from_env({}))["spark.pyspark.python"] == sys.executable
    named = SparkSettings.from_env({"PYSPARK_PYTHON": "/opt/venv/bin/python"})
    assert spark_properties("inspect", named)["spark.pyspark.python"] == "/opt/venv/bin/python"
