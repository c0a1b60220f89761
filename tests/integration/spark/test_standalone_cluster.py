"""The jobs on a real standalone cluster: the same content as in local mode, also when a worker dies while scenes are built."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from pyspark.sql import SparkSession

import spark_jobs.build_scenes
import spark_jobs.runtime.tasks
from lake.landing import DriveId
from lake.storage import Connect, ObjectStore
from scenes.plan.windows import Window, cut
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings
from tests.integration.conftest import new_settings
from tests.integration.drives import Processed, process, small_drive
from tests.integration.spark.standalone_cluster import LOOPBACK, Cluster, listeners, standalone_cluster, until

pytestmark = pytest.mark.timeout(900)  # five JVMs beside other tests

DRIVE = DriveId("car-1", "d-1")
WINDOW_BYTES = 40_000  # one scene a window: enough tasks for two executors
TASKS_BEFORE_THE_LOSS = 2
LONGEST_HOLD_S = 300.0


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets the first tasks through and holds those after them until it opens; every task leaves its process id."""

    folder: Path

    @property
    def opened(self) -> Path:
        return self.folder / "open"

    def connect(self) -> Connect:
        """The function that a worker calls before it builds its windows. Nested, so that it is pickled by value: workers do
        not have the tests."""
        folder, opened = str(self.folder), str(self.opened)
        free, longest_s = TASKS_BEFORE_THE_LOSS, LONGEST_HOLD_S

        def pass_gate() -> ObjectStore:
            came = len(list(Path(folder).glob("came-*")))
            (Path(folder) / f"came-{uuid.uuid4()}").touch()
            if came >= free:
                (Path(folder) / f"held-{os.getpid()}").touch()
                deadline = time.monotonic() + longest_s
                while not Path(opened).exists():
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{opened} did not open within {longest_s:g} s")
                    time.sleep(0.01)
            return ObjectStore.connect()

        return pass_gate

    def passed(self) -> int:
        """The number of tasks that arrived, let through or held."""
        return len(list(self.folder.glob("came-*")))

    def held(self) -> list[int]:
        return [int(path.name.removeprefix("held-")) for path in self.folder.glob("held-*")]


@pytest.fixture(scope="module", autouse=True)
def _small_tasks() -> Iterator[None]:
    def narrow(anchors_ns: Any, scene_bytes: Any) -> list[Window]:
        return cut(anchors_ns, scene_bytes, limit=WINDOW_BYTES)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark_jobs.build_scenes, "cut", narrow)
        patch.setattr(spark_jobs.runtime.tasks, "MOST_BYTES", 1)  # and one window a task
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    faults = ("cut_jpeg:camera_front:4,5", "nan_points:lidar_top:1.0:5", "dead_sensor:radar_front:0.9")
    return small_drive(tmp_path_factory.mktemp("recording") / "drive", *faults)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """Open, and passed by `local`."""
    gate = Gate(tmp_path_factory.mktemp("gate"))
    gate.opened.touch()
    return gate


@pytest.fixture(scope="module")
def local(endpoint: str, folder: Path, undisturbed: Gate, tmp_path_factory: pytest.TempPathFactory) -> Processed:
    """The drive, published by local mode."""
    spark = start_spark(spark_properties("tests", SparkSettings.from_env()))
    try:
        settings = new_settings(tmp_path_factory.mktemp("local"))
        return process(spark, settings, folder, DRIVE, connect=undisturbed.connect())
    finally:
        spark.stop()


@pytest.fixture
def cluster(endpoint: str, tmp_path: Path) -> Iterator[Cluster]:
    with standalone_cluster(tmp_path) as running:
        yield running
        everything = running.processes()
    assert [one for one in everything if one.is_running()] == [], "nothing of the cluster is left"


@pytest.fixture
def spark(local: Processed, cluster: Cluster) -> Iterator[SparkSession]:
    """A driver on the cluster; local mode has ended before, as a process can have one."""
    session = start_spark(
        spark_properties(
            "tests", SparkSettings.from_env().model_copy(update={"spark_master": cluster.url, "spark_executor_memory": "1g"})
        )
    )
    yield session
    session.stop()


def content(done: Processed) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table without values assigned by S3: version ids, the hashes over them, locations in buckets."""
    given = {"revision", "version_id", "payload_uri", "record_id", "input"}

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: kept(one) for name, one in value.items() if name not in given}
        return [kept(one) for one in value] if isinstance(value, list) else value

    return {name: sorted((kept(row) for row in done.rows(name)), key=repr) for name in done.tables}


def check_same(done: Processed, local: Processed) -> None:
    assert done.published.outcome == local.published.outcome == "published"
    assert content(done) == content(local)
    done.check_identity()
    scene_ids = [row["scene_id"] for row in done.rows("gold.scenes")]
    assert len(set(scene_ids)) == len(scene_ids) > 5, "nothing is published twice"
    record_ids = [row["record_id"] for row in done.rows("quarantine.records")]
    assert len(set(record_ids)) == len(record_ids) > 0
    files = done.audit.files["gold.scenes"]
    assert len(set(files)) == len(files) == len(local.audit.files["gold.scenes"]) > TASKS_BEFORE_THE_LOSS


def test_two_executors_publish_what_local_mode_publishes(
    spark: SparkSession, cluster: Cluster, local: Processed, folder: Path, tmp_path: Path
) -> None:
    done = process(spark, new_settings(tmp_path), folder, DRIVE)
    check_same(done, local)
    for number in range(2):
        until(f"the log of worker {number}", lambda number=number: cluster.tasks_finished(number) > 0)  # type: ignore[misc]
    driver = psutil.Process(spark.sparkContext._gateway.proc.pid)  # type: ignore[union-attr]
    found = listeners([*cluster.processes(), driver])
    assert found, "master, workers and executors listen"
    assert found <= LOOPBACK


def test_a_worker_that_dies_while_scenes_are_built_changes_nothing(
    spark: SparkSession, cluster: Cluster, local: Processed, undisturbed: Gate, folder: Path, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    gate.folder.mkdir()
    settings = new_settings(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(process, spark, settings, folder, DRIVE, connect=gate.connect())
        try:
            until("a task held on each worker", lambda: job.done() or len({cluster.worker_of(pid) for pid in gate.held()}) == 2)
            assert not job.done(), "the worker dies in the middle"
            cluster.kill_worker(0)
            until("the master to miss it", lambda: cluster.workers_alive() == 1)
            before = cluster.tasks_finished(1)
        finally:
            gate.opened.touch()
        done = job.result(timeout=180)
    check_same(done, local)
    assert gate.passed() > undisturbed.passed() > TASKS_BEFORE_THE_LOSS, "the lost task came again"
    assert cluster.tasks_finished(1) > before
    assert cluster.workers_alive() == 1
