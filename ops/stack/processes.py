"""The processes of the local stack: their names and command lines, and how they are started, found again and stopped.

They outlive the command that starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ops.stack.choices import LOOPBACK, Choices
from ops.stack.environment import PROJECT
from ops.stack.layout import StackLayout, write_private

EMULATOR = "emulator"
EMULATOR_SERVER = PROJECT / "localstack" / "emulator.py"
MAPPING = "event-source-mapping"
SCHEDULER, DAG_PROCESSOR, API_SERVER, TRIGGERER = "scheduler", "dag-processor", "api-server", "triggerer"
# In starting order: the slowest first.
AIRFLOW = (API_SERVER, DAG_PROCESSOR, SCHEDULER, TRIGGERER)


def expected(choices: Choices) -> tuple[str, ...]:
    """The components of this stack; an external endpoint is not one of them."""
    return (*(() if choices.external_endpoint else (EMULATOR,)), MAPPING, *AIRFLOW)


def command_lines(choices: Choices) -> Mapping[str, tuple[str, ...]]:
    """The command line of each component. All listen on loopback only; Airflow's two log servers, which cannot, are disabled."""
    module = (sys.executable, "-m")
    return {
        EMULATOR: (sys.executable, str(EMULATOR_SERVER), "-H", LOOPBACK, "-p", str(choices.emulator_port)),
        MAPPING: (*module, "ingest.event_source_mapping"),
        API_SERVER: (*module, "airflow", "api-server"),
        DAG_PROCESSOR: (*module, "airflow", "dag-processor"),
        SCHEDULER: (*module, "airflow", "scheduler", "--skip-serve-logs"),
        TRIGGERER: (*module, "airflow", "triggerer", "--skip-serve-logs"),
    }


def addresses(choices: Choices) -> Mapping[str, str]:
    """Addresses of the components that listen."""
    return {EMULATOR: choices.endpoint, API_SERVER: choices.airflow_url}


# In the environment of every process that a component starts; finds those that left its session.
MARK = "SCENELAKE_STACK_MARK"
# The kernel counts start times in clock ticks, psutil turns them into seconds.
SAME_START_S = 0.05


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """The process of a component. `created_s` (Unix time) tells it from a later process with the same pid."""

    pid: int
    created_s: float

    @classmethod
    def load(cls, layout: StackLayout, component: str) -> ProcessRecord | None:
        """The record of the last start; None if the component was never started or has been stopped."""
        try:
            return cls(**json.loads(layout.record(component).read_text()))
        except FileNotFoundError:
            return None

    def alive(self) -> psutil.Process | None:
        """The process, if it is still running; a zombie is not."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created_s) > SAME_START_S:
                return None
            if process.status() == psutil.STATUS_ZOMBIE:
                with suppress(ChildProcessError):
                    os.waitpid(self.pid, os.WNOHANG)
                return None
        except psutil.NoSuchProcess:
            return None
        return process


def start(layout: StackLayout, component: str, argv: Sequence[str], env: Mapping[str, str]) -> ProcessRecord:
    """Start a component in its own session; its output goes to a fresh log."""
    log = layout.log(component)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    with log.open("wb") as output:
        child = subprocess.Popen(
            argv,
            env={**env, MARK: mark(layout, component)},
            cwd=layout.work,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    record = ProcessRecord(child.pid, psutil.Process(child.pid).create_time())
    # It outlives this object, which would otherwise warn of an unwaited process.
    child.returncode = 0
    write_private(layout.record(component), json.dumps(asdict(record)))
    return record


def mark(layout: StackLayout, component: str) -> str:
    """The value of `MARK` for a component of this stack."""
    return f"{layout.home}:{component}"


def members(layout: StackLayout, components: Sequence[str]) -> dict[str, list[psutil.Process]]:
    """All running processes of the components: those that carry their mark, and descendants of the recorded ones."""
    by_mark = {mark(layout, component): component for component in components}
    found: dict[str, dict[int, psutil.Process]] = {component: {} for component in components}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            component = by_mark.get(process.environ().get(MARK, ""))
            if component is not None:
                found[component][process.pid] = process
    for component in components:
        record = ProcessRecord.load(layout, component)
        leader = record.alive() if record else None
        if leader is not None:
            with suppress(psutil.NoSuchProcess):
                found[component] |= {child.pid: child for child in (leader, *leader.children(recursive=True))}
    return {component: [process for process in group.values() if _is_running(process)] for component, group in found.items()}


def _is_running(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def stop(layout: StackLayout, components: Sequence[str], patience_s: float) -> int:
    """Stop the components and everything that they started.

    SIGTERM to each main process (see `_main_processes`); after half of `patience_s` to all that are left, which makes Airflow's
    components stop waiting for tasks and lets tasks stop their jobs; in the end SIGKILL to the rest.

    Returns:
        How many processes had to be killed.
    """
    signalled = [process for component in components for process in _main_processes(layout, component)]
    _terminate(signalled)
    # If a main process has died before, only its descendants are left to terminate.
    _wait_until_gone(layout, components, patience_s / 2 if signalled else 0.0)
    _terminate(_all_members(layout, components))
    _wait_until_gone(layout, components, patience_s / 2)
    killed: set[int] = set()
    while left := _all_members(layout, components):
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
            killed.add(process.pid)
        psutil.wait_procs(left, timeout=1)
    for component in components:
        layout.record(component).unlink(missing_ok=True)
    return len(killed)


def _main_processes(layout: StackLayout, component: str) -> list[psutil.Process]:
    """The process to terminate first: the main process; of the triggerer, its only child.

    A triggerer that gets the signal itself may miss the exit of its child and wait 10 s for it; it exits with its child.
    """
    record = ProcessRecord.load(layout, component)
    leader = record.alive() if record else None
    if leader is None:
        return []
    children = leader.children() if component == TRIGGERER else []
    return children or [leader]


def _terminate(signalled: Sequence[psutil.Process]) -> None:
    for process in signalled:
        with suppress(psutil.NoSuchProcess):
            process.terminate()


def _all_members(layout: StackLayout, components: Sequence[str]) -> list[psutil.Process]:
    return [process for group in members(layout, components).values() for process in group]


def _wait_until_gone(layout: StackLayout, components: Sequence[str], patience_s: float) -> None:
    deadline_s = time.monotonic() + patience_s
    while (left := _all_members(layout, components)) and time.monotonic() < deadline_s:
        psutil.wait_procs(left, timeout=min(0.3, patience_s))


def memory_bytes(processes: Sequence[psutil.Process]) -> int:
    """Proportional set size of the processes: memory that they share counts once."""
    total = 0
    for process in processes:
        with suppress(psutil.Error, OSError):
            total += _pss_bytes(process)
    return total


def _pss_bytes(process: psutil.Process) -> int:
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    if rollup.exists():
        line = next(line for line in rollup.read_text().splitlines() if line.startswith("Pss:"))
        return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)
