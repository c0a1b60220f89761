"""Starts and stops the local stack."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lake.settings import inherited
from ops.errors import ComponentError, StackConfigError
from ops.stack import emulator, inspection, processes
from ops.stack.airflow_api import AirflowApi
from ops.stack.airflow_database import prepare
from ops.stack.choices import Choices, Secrets, choose
from ops.stack.environment import airflow_environment, aws_environment, process_environment, stack_environment
from ops.stack.inspection import StackStatus
from ops.stack.java import java_environment
from ops.stack.layout import StackLayout
from ops.stack.processes import AIRFLOW, API_SERVER, DAG_PROCESSOR, EMULATOR, MAPPING, ProcessRecord, command_lines, expected

Progress = Callable[[str], None]
DAG_ID = "process_drive"
HEALTHY_WITHIN_S = 180.0
POLL_S = 0.2
ENDPOINT_PATIENCE_S = 15.0
AIRFLOW_PATIENCE_S = 10.0
PATIENCE_S = 5.0


def up(home: Path, progress: Progress = lambda _: None, env: Mapping[str, str] | None = None) -> StackStatus:
    """Start the components that are not running, and wait until the stack is healthy and the DAG is ready.

    Args:
        home: State folder; created if it does not exist.
        progress: Called with a short message at each step.
        env: Replaces the process environment (`AWS_ENDPOINT_URL`, `JAVA_HOME`, `PYTHONPATH`, …).

    Returns:
        The status; its `notes` list everything that was reset.

    Raises:
        StackConfigError: Java, the project's files or the given endpoint are missing.
        ComponentError: A process exited, or was not healthy within three minutes; the message holds the tail of its log.
    """
    layout, caller = StackLayout.of(home), inherited() if env is None else dict(env)
    layout.make()
    with _alone(layout):
        return _Start(layout, caller, progress).run()


def down(home: Path, progress: Progress = lambda _: None) -> int:
    """Stop all processes of the stack; returns how many ignored SIGTERM and were killed."""
    layout = StackLayout.of(home)
    if not layout.home.exists():
        return 0
    with _alone(layout):
        progress("stopping Airflow")
        killed = processes.stop(layout, AIRFLOW, AIRFLOW_PATIENCE_S)
        progress("stopping the event-source mapping and the endpoint")
        return killed + processes.stop(layout, (MAPPING, EMULATOR), PATIENCE_S)


class _Start:
    def __init__(self, layout: StackLayout, caller: Mapping[str, str], progress: Progress) -> None:
        self._layout, self._caller, self._progress = layout, caller, progress
        self._notes: list[str] = []

    def run(self) -> StackStatus:
        layout = self._layout
        last, alive = Choices.load(layout), inspection.running(layout)
        self._choices = choose(last, self._caller, alive)
        self._secrets = Secrets.load_or_generate(layout)
        self._java = java_environment(self._caller, layout.java)
        external = self._choices.external_endpoint
        fresh = external is None and EMULATOR not in alive
        moved = last is not None and last.endpoint != self._choices.endpoint
        if external is not None and not emulator.answers_within(external, ENDPOINT_PATIENCE_S):
            raise StackConfigError(
                f"{external} does not answer", "start the server, or unset AWS_ENDPOINT_URL to use the embedded endpoint"
            )
        if fresh or moved:
            self._reset(fresh=fresh)
        self._choices.save(layout)
        with ThreadPoolExecutor(2) as pool:
            database = pool.submit(self._prepare_database, fresh or moved)
            endpoint = pool.submit(self._prepare_endpoint, fresh)
            database.result()
            endpoint.result()
        env = self._environment()
        with ThreadPoolExecutor(1) as pool:
            tables = pool.submit(emulator.make_tables, layout, env)
            for component in (*AIRFLOW, MAPPING):
                self._start(component, env)
            self._wait_until_healthy()
            tables.result()
        return replace(inspection.status(layout.home), notes=tuple(self._notes))

    def _reset(self, *, fresh: bool) -> None:
        """Stop everything that refers to the objects of the former endpoint."""
        processes.stop(self._layout, AIRFLOW, AIRFLOW_PATIENCE_S)
        processes.stop(self._layout, (MAPPING, EMULATOR), PATIENCE_S)
        if fresh and emulator.forget(self._layout):
            self._notes.append(emulator.FORGOTTEN)
            self._progress(emulator.FORGOTTEN)

    def _prepare_database(self, fresh: bool) -> None:
        airflow = airflow_environment(self._layout, self._choices, self._secrets)
        env = process_environment({"SCENELAKE_HOME": str(self._layout.home), **airflow}, self._java, self._caller)
        prepare(self._layout, self._secrets, env, fresh=fresh)
        # These two need neither buckets nor queues; the others wait for the names. The review reads them when it is first opened.
        for component in (API_SERVER, DAG_PROCESSOR):
            self._start(component, env)

    def _prepare_endpoint(self, fresh: bool) -> None:
        env = process_environment(aws_environment(self._choices, self._caller), self._java, self._caller)
        endpoint = self._choices.endpoint
        if fresh:
            self._start(EMULATOR, env)
        elif self._choices.external_endpoint is None and self._layout.names.exists():
            return
        self._wait(lambda: None if emulator.answers(endpoint) else f"{endpoint} does not answer", (EMULATOR,) if fresh else ())
        self._progress(f"creating buckets, queues and tables at {endpoint}")
        emulator.provision(self._layout, endpoint, env)

    def _environment(self) -> dict[str, str]:
        stack = stack_environment(self._layout, self._choices, self._secrets, self._caller)
        return process_environment(stack, self._java, self._caller)

    def _start(self, component: str, env: Mapping[str, str]) -> None:
        record = ProcessRecord.load(self._layout, component)
        if record is not None and record.alive() is not None:
            return
        # A component that was killed leaves orphaned workers behind.
        processes.stop(self._layout, (component,), PATIENCE_S)
        self._progress(f"starting {component}")
        processes.start(self._layout, component, command_lines(self._choices)[component], env)

    def _wait_until_healthy(self) -> None:
        api = AirflowApi(self._choices.airflow_url, self._secrets.airflow_password)
        try:
            self._wait(lambda: self._not_yet(api), expected(self._choices))
        finally:
            api.close()

    def _not_yet(self, api: AirflowApi) -> str | None:
        """Why the stack is not ready; None when it is."""
        health, reachable = api.health(), emulator.answers(self._choices.endpoint)
        for component in expected(self._choices):
            problem = inspection.unhealthy(self._layout, component, health, reachable=reachable)
            if problem is not None:
                return f"{component} {problem}"
        dag = api.dag(DAG_ID)
        if dag is None:
            return f"{DAG_ID} has not been parsed"
        if dag.is_paused:
            api.unpause(DAG_ID)
        return None

    def _wait(self, problem: Callable[[], str | None], needed: tuple[str, ...]) -> None:
        deadline_s = time.monotonic() + HEALTHY_WITHIN_S
        while (missing := problem()) is not None:
            for component in needed:
                self._must_live(component)
            if time.monotonic() > deadline_s:
                raise ComponentError(
                    f"not healthy after {HEALTHY_WITHIN_S:.0f} s: {missing}", f"logs: {self._layout.log('x').parent}"
                )
            time.sleep(POLL_S)

    def _must_live(self, component: str) -> None:
        record = ProcessRecord.load(self._layout, component)
        if record is None or record.alive() is None:
            log = self._layout.log(component)
            raise ComponentError(f"{component} exited while the stack was starting:\n{emulator.tail(log)}", f"full output: {log}")


@contextmanager
def _alone(layout: StackLayout) -> Iterator[None]:
    """Allow one start or stop of a stack at a time; the lock is released when the process exits."""
    with (layout.home / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackConfigError(
                f"another command is starting or stopping the stack in {layout.home}", "wait for it to finish, then try again"
            ) from None
        yield
