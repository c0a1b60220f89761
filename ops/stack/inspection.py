"""The state of the local stack at one moment: health, addresses, queue depths, memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from lake.settings import AwsSettings, inherited
from ops.errors import StackDownError
from ops.stack import processes
from ops.stack.airflow_api import AirflowApi, ComponentHeartbeat
from ops.stack.choices import ADMIN, Choices, Secrets
from ops.stack.emulator import answers
from ops.stack.environment import aws_environment, resource_names, stack_environment
from ops.stack.layout import StackLayout
from ops.stack.processes import AIRFLOW, EMULATOR, MAPPING, ProcessRecord, addresses, expected


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One component: `pid` and `memory_bytes` (proportional set size, its descendants included) of a local process.

    `problem`: why it is not healthy; None if it is.
    """

    name: str
    healthy: bool
    pid: int | None
    address: str | None
    memory_bytes: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Messages of one queue: waiting, and leased by a consumer."""

    name: str
    visible: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class StackStatus:
    """The whole local stack. `notes` list everything that a start reset."""

    home: Path
    components: tuple[ComponentStatus, ...]
    queues: tuple[QueueStatus, ...] = ()
    endpoint: str | None = None
    airflow_url: str | None = None
    airflow_user: str | None = None
    airflow_password: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether there is a stack and every component is healthy."""
        return bool(self.components) and all(component.healthy for component in self.components)

    @property
    def memory_bytes(self) -> int:
        """Proportional set size of all processes together."""
        return sum(component.memory_bytes for component in self.components)

    def __repr__(self) -> str:
        states = ", ".join(f"{component.name}={'healthy' if component.healthy else 'unhealthy'}" for component in self.components)
        return f"StackStatus({self.home}: {states or 'down'})"


ENDPOINT = "endpoint"
_DEPTHS: Final = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
# All components; which of them are expected depends on the endpoint.
ALL = (EMULATOR, MAPPING, *AIRFLOW)


def running(layout: StackLayout) -> frozenset[str]:
    """Components whose main process is alive."""
    records = {component: ProcessRecord.load(layout, component) for component in ALL}
    return frozenset(component for component, record in records.items() if record is not None and record.alive() is not None)


def status(home: Path) -> StackStatus:
    """Health, addresses, queue depths and memory. A stack that is down has no components."""
    layout = StackLayout.of(home)
    choices = Choices.load(layout)
    alive = running(layout)
    if choices is None or not alive:
        return StackStatus(layout.home, ())
    secrets = Secrets.load_or_generate(layout)
    api = AirflowApi(choices.airflow_url, secrets.airflow_password)
    try:
        health = api.health()
    finally:
        api.close()
    reachable = answers(choices.endpoint)
    groups = processes.members(layout, expected(choices))
    components = [_component(layout, name, choices, health, reachable, groups[name]) for name in expected(choices)]
    if choices.external_endpoint:
        problem = None if reachable else "does not answer"
        components.insert(0, ComponentStatus(ENDPOINT, reachable, None, choices.endpoint, 0, problem))
    return StackStatus(
        home=layout.home,
        components=tuple(components),
        queues=tuple(_queue_depths(layout, choices)) if reachable else (),
        endpoint=choices.endpoint,
        airflow_url=choices.airflow_url,
        airflow_user=ADMIN,
        airflow_password=secrets.airflow_password,
    )


def environment(home: Path) -> dict[str, str]:
    """All `SCENELAKE_*`, `AWS_*` and `AIRFLOW__*` variables of the stack.

    Raises:
        StackDownError: The stack has never been started.
    """
    layout = StackLayout.of(home)
    choices = Choices.load(layout)
    if choices is None:
        raise StackDownError(f"there is no stack in {layout.home}", "`scenelake up` starts one")
    return stack_environment(layout, choices, Secrets.load_or_generate(layout), inherited())


def memory(home: Path) -> int:
    """Proportional set size, in bytes, of all processes of the stack and everything that they started."""
    groups = processes.members(StackLayout.of(home), ALL)
    unique = {process.pid: process for group in groups.values() for process in group}
    return processes.memory_bytes(list(unique.values()))


def unhealthy(layout: StackLayout, name: str, health: Mapping[str, ComponentHeartbeat], *, reachable: bool) -> str | None:
    """Why a component is not healthy; None if it is.

    A heartbeat counts only if it is younger than the process: the database still holds those of its predecessor.
    """
    record = ProcessRecord.load(layout, name)
    if record is None or record.alive() is None:
        return "is not running"
    if name == EMULATOR:
        return None if reachable else "does not answer"
    if name in AIRFLOW:
        beat = health.get(name)
        if beat is None:
            return "Airflow's API does not answer"
        if not beat.healthy or beat.at_s < record.created_s:
            return "has not reported to Airflow"
    return None


def _component(
    layout: StackLayout,
    name: str,
    choices: Choices,
    health: Mapping[str, ComponentHeartbeat],
    reachable: bool,
    group: list[psutil.Process],
) -> ComponentStatus:
    record = ProcessRecord.load(layout, name)
    process = record.alive() if record else None
    problem = unhealthy(layout, name, health, reachable=reachable)
    return ComponentStatus(
        name=name,
        healthy=problem is None,
        pid=process.pid if process else None,
        address=addresses(choices).get(name),
        memory_bytes=processes.memory_bytes(group),
        problem=problem,
    )


def _queue_depths(layout: StackLayout, choices: Choices) -> Iterable[QueueStatus]:
    from botocore.exceptions import BotoCoreError, ClientError

    from lake.clients import client

    sqs = client("sqs", AwsSettings.from_env(aws_environment(choices, inherited())))
    try:
        urls = [url for name, url in resource_names(layout).items() if name.endswith("_URL")]
    except StackDownError:
        return
    for url in urls:
        try:
            answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=_DEPTHS)
        except (BotoCoreError, ClientError):
            continue  # an unknown depth is omitted; whether the endpoint answers is reported separately
        waiting, leased = (int(answer["Attributes"][name]) for name in _DEPTHS)
        yield QueueStatus(url.rsplit("/", 1)[-1], waiting, leased)
