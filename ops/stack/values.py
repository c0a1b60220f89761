"""What is known about the local stack at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One component: `pid` and `memory_bytes` (proportional set size, its descendants included) of what runs here.

    `problem` says why it is not healthy; None where it is.
    """

    name: str
    healthy: bool
    pid: int | None
    address: str | None
    memory_bytes: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Messages of one queue: waiting, and leased by a consumer."""

    name: str
    visible: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class StackStatus:
    """All of the local stack. `notes` say what a start had to reset."""

    home: Path
    components: tuple[ComponentStatus, ...]
    queues: tuple[QueueDepth, ...] = ()
    endpoint: str | None = None
    airflow_url: str | None = None
    airflow_user: str | None = None
    airflow_password: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether there is a stack and all of it works."""
        return bool(self.components) and all(component.healthy for component in self.components)

    @property
    def memory_bytes(self) -> int:
        """Proportional set size of all processes together."""
        return sum(component.memory_bytes for component in self.components)

    def __repr__(self) -> str:
        states = ", ".join(f"{component.name}={'healthy' if component.healthy else 'unhealthy'}" for component in self.components)
        return f"StackStatus({self.home}: {states or 'down'})"
