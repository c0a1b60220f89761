"""Where a demo runs: on a local stack, which it starts if necessary, or in a deployment that the environment names."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ops import deployment, stack
from ops.deployment import Deployment
from ops.settings import CommandSettings
from ops.stack.inspection import StackStatus

LOCAL_LIMIT_S, GIVEN_LIMIT_S = 300.0, 360.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A running stage.

    Attributes:
        deployment: The one that was started or found.
        words: Its summary in one line.
        healthy_s: Start-up time; None if it was up already.
        demo_limit_s: Time limit of a demo on it.
        where_next: Next steps for the terminal: what, and where or how.
    """

    deployment: Deployment
    words: str
    healthy_s: float | None
    demo_limit_s: float
    where_next: tuple[tuple[str, str], ...]


class Stage(Protocol):
    """Where a demo runs."""

    def bring_up(self, progress: Callable[[str], None]) -> Standing:
        """Start it if necessary, and enter it."""
        ...

    def memory_bytes(self) -> int | None:
        """Memory of its processes now; None where it is not visible from here."""
        ...


@dataclass(frozen=True, slots=True)
class LocalStage:
    """The local stack in a state folder."""

    home: Path

    def bring_up(self, progress: Callable[[str], None]) -> Standing:
        """Start its components that are not running."""
        began_s = time.monotonic()
        status, healthy_s = stack.status(self.home), None
        if not status.healthy:
            status = stack.up(self.home, progress)
            healthy_s = time.monotonic() - began_s
        entered = deployment.enter(None, self.home)
        words = "was up already" if healthy_s is None else f"healthy after {healthy_s:.1f} s"
        where = f"{words} · Airflow {status.airflow_url}"
        return Standing(entered, where, healthy_s, LOCAL_LIMIT_S, _local_places(status))

    def memory_bytes(self) -> int | None:
        """Proportional set size of all its processes."""
        return stack.memory(self.home)


@dataclass(frozen=True, slots=True)
class GivenStage:
    """An existing deployment that the environment names: it is used, not started."""

    home: Path

    def bring_up(self, progress: Callable[[str], None]) -> Standing:
        """Enter it."""
        progress("using the deployment that the environment names")
        return Standing(deployment.enter(None, self.home), "was up already", None, GIVEN_LIMIT_S, ())

    def memory_bytes(self) -> int | None:
        """Always None."""
        return None


def stage(home: Path, env: Mapping[str, str] | None = None) -> Stage:
    """The deployment of the environment, if it names one with an Airflow (`SCENELAKE_AIRFLOW_URL`), else the local stack."""
    return GivenStage(home) if CommandSettings.from_env(env).airflow_url else LocalStage(home)


def own_command() -> str:
    """The command as the user has to type it: `make demo` runs it by its path, because it need not be on the PATH."""
    return "scenelake" if shutil.which("scenelake") else sys.argv[0]


def _local_places(status: StackStatus) -> tuple[tuple[str, str], ...]:
    command = own_command()
    return (
        ("Airflow", f"{status.airflow_url}  user {status.airflow_user}  password {status.airflow_password}"),
        ("quarantine", f"{command} quarantine ls"),
        ("shell", f'eval "$({command} status --env)"'),
        ("end it", f"{command} down"),
    )
