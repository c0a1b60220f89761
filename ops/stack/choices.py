"""The choices that persist from one start to the next: ports, endpoint, and the generated secrets."""

from __future__ import annotations

import json
import secrets
import socket
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Self

from ops.stack.layout import StackLayout, write_private

LOOPBACK = "127.0.0.1"
AIRFLOW_PORT, EMULATOR_PORT = 8080, 5000
ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Choices:
    """Ports of this stack. `external_endpoint` is an AWS-compatible endpoint given by the caller; None: its own emulator."""

    airflow_port: int
    emulator_port: int
    external_endpoint: str | None = None

    @property
    def endpoint(self) -> str:
        """The AWS endpoint of every component."""
        return self.external_endpoint or f"http://{LOOPBACK}:{self.emulator_port}"

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's API and pages."""
        return f"http://{LOOPBACK}:{self.airflow_port}"

    @classmethod
    def load(cls, layout: StackLayout) -> Self | None:
        """The choices of the last start; None where there was none."""
        try:
            return cls(**json.loads(layout.choices.read_text()))
        except FileNotFoundError:
            return None

    def save(self, layout: StackLayout) -> None:
        """Save for the next start and for `status`."""
        write_private(layout.choices, json.dumps(asdict(self)))


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # A port whose last connections are still in TIME_WAIT is free for a server, which sets this option too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose_port(*preferred: int | None) -> int:
    """The first free port of `preferred` (None is skipped), else one that the system picks."""
    for port in preferred:
        if port is not None and is_free(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def choose(
    last: Choices | None, env: Mapping[str, str], running: frozenset[str], pick: Callable[..., int] = choose_port
) -> Choices:
    """Decide ports and endpoint.

    Args:
        last: The choices of the last start.
        env: The caller's environment; `AWS_ENDPOINT_URL` names an endpoint to use instead of the embedded one. The address
            of the embedded one itself (as `scenelake status --env` prints it) does not count.
        running: Components that are running: their ports stay.
        pick: The first free port of those given (None is passed over), else any.
    """
    named = env.get("AWS_ENDPOINT_URL", "").rstrip("/") or None
    if last is not None and named == f"http://{LOOPBACK}:{last.emulator_port}":
        named = None
    airflow, emulator = (last.airflow_port, last.emulator_port) if last else (None, None)
    return Choices(
        airflow_port=airflow if airflow and "api-server" in running else pick(airflow, AIRFLOW_PORT),
        emulator_port=emulator if emulator and "emulator" in running else pick(emulator, EMULATOR_PORT),
        external_endpoint=named,
    )


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets that only the owner of the state folder can read."""

    airflow_password: str
    jwt_secret: str
    api_secret_key: str
    fernet_key: str
    audit_key: str

    def __repr__(self) -> str:
        return "Secrets(…)"

    @classmethod
    def load_or_generate(cls, layout: StackLayout) -> Self:
        """The secrets of this state folder (a file of mode 0600); those that it does not hold yet are generated."""
        generated = {
            "airflow_password": secrets.token_urlsafe(18),
            "jwt_secret": secrets.token_urlsafe(64),  # Airflow warns at each call below 64 bytes
            "api_secret_key": secrets.token_urlsafe(32),
            "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "audit_key": secrets.token_urlsafe(32),
        }
        try:
            known: dict[str, str] = json.loads(layout.secrets.read_text())
        except FileNotFoundError:
            known = {}
        if generated.keys() - known.keys():
            write_private(layout.secrets, json.dumps(generated | known))
        return cls(**generated | known)
