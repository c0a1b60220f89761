"""A Spark standalone cluster on loopback: a master and workers, each a process of its own, from the jars of pyspark."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyspark

from ops.stack.environment import PROJECT

LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
PATIENCE_S = 240.0  # a JVM takes a minute to start on a machine that is busy with other tests
PAUSE_S = 0.05
SPARK_HOME = Path(pyspark.__file__).parent
ENTRYPOINT = PROJECT / "deploy" / "compose" / "entrypoint.sh"


def until(what: str, condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Wait for a condition; its value."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {patience_s:g} s for {what}"
        time.sleep(PAUSE_S)
    return value


@dataclass(frozen=True, slots=True)
class Daemon:
    """A master or worker: its process and its log."""

    process: psutil.Popen
    log: Path

    def logged(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, self.log.read_text(errors="replace"))

    def tree(self) -> list[psutil.Process]:
        """The process and its descendants: for a worker, executors and their Python workers."""
        return [self.process, *self.process.children(recursive=True)]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster of one core and 1 GiB a worker; `url` is what SCENELAKE_SPARK_MASTER takes."""

    url: str
    master: Daemon
    workers: tuple[Daemon, ...]
    status_url: str
    folder: Path

    def workers_alive(self) -> int:
        """As the master counts them."""
        with urllib.request.urlopen(f"{self.status_url}/json/", timeout=PATIENCE_S) as answer:
            return int(json.load(answer)["aliveworkers"])

    def processes(self) -> list[psutil.Process]:
        """All running processes of the cluster."""
        daemons = [daemon for daemon in (self.master, *self.workers) if daemon.process.is_running()]
        return [process for daemon in daemons for process in daemon.tree()]

    def worker_of(self, pid: int) -> int:
        """The worker, by number, that a running Python worker descends from."""
        ancestors = {parent.pid for parent in psutil.Process(pid).parents()}
        (number,) = [number for number, worker in enumerate(self.workers) if worker.process.pid in ancestors]
        return number

    def tasks_finished(self, worker: int) -> int:
        """By the logs of the worker's executors, of all applications so far."""
        logs = (self.folder / f"worker-{worker}").glob("app-*/*/stderr")
        return sum(len(re.findall(r"Finished task \d", log.read_text(errors="replace"))) for log in logs)

    def kill_worker(self, number: int) -> None:
        """End a worker with everything on it at once, as the loss of its machine would."""
        end(self.workers[number].tree())


def listeners(processes: list[psutil.Process]) -> set[str]:
    """The addresses that these processes listen on."""
    found = set()
    for process in processes:
        try:
            found |= {one.laddr.ip for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN}
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def end(processes: list[psutil.Process]) -> None:
    """Kill processes by their ids, and wait until none is left."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


@contextmanager
def standalone_cluster(folder: Path, workers: int = 2, secret: str | None = None) -> Iterator[Cluster]:
    """Start a cluster; when left, every process of it has ended.

    Args:
        folder: For logs, and for what the workers write.
        workers: How many.
        secret: What master and workers ask of each other and of drivers, as in deploy/compose/spark.sh.
    """
    started: list[Daemon] = []
    try:
        master = _start(folder, "master", "master.Master", "--port", "0", secret=secret)
        started.append(master)
        url = until("the master's address", lambda: master.logged(r"Starting Spark master at (spark://127\.0\.0\.1:\d+)"))[1]
        page = until("its status page", lambda: master.logged(r"Bound MasterWebUI to 127\.0\.0\.1, .*http://\S+:(\d+)"))[1]
        for number in range(workers):
            sizes = ("--cores", "1", "--memory", "1g", "--work-dir", str(folder / f"worker-{number}"))
            started.append(_start(folder, f"worker-{number}", "worker.Worker", "--port", "0", *sizes, url, secret=secret))
        cluster = Cluster(url, master, tuple(started[1:]), f"http://127.0.0.1:{page}", folder)
        until(f"{workers} registered workers", lambda: cluster.workers_alive() == workers)
        yield cluster
    finally:
        end([process for daemon in started if daemon.process.is_running() for process in daemon.tree()])


def secured(command: list[str], folder: Path, secret: str | None) -> tuple[list[str], dict[str, str]]:
    """A command as a container of docker-compose.yml runs it if there is a secret: command line, and variables to add."""
    if secret is None:
        return command, {}
    folder.mkdir()
    return [str(ENTRYPOINT), *command], {"SPARK_AUTH_SECRET": secret, "TMPDIR": str(folder)}


def _start(folder: Path, name: str, kind: str, *options: str, secret: str | None = None) -> Daemon:
    env = os.environ | {
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
    }
    log = folder / f"{name}.log"
    daemon = [str(SPARK_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", "--host", "127.0.0.1"]
    command, security = secured([*daemon, "--webui-port", "0", *options], folder / f"{name}-tmp", secret)
    with log.open("wb") as output:
        # The scripts end in `exec`, so this is the daemon's own process.
        child = psutil.Popen(command, env=env | security, stdout=output, stderr=output)
    return Daemon(child, log)
