"""The state folder of the local stack, created by the first start."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600


@dataclass(frozen=True, slots=True)
class StackLayout:
    """Paths below the state folder. Constructing it touches nothing."""

    home: Path

    @classmethod
    def of(cls, home: Path) -> Self:
        """The layout of a state folder; `home` may be relative to the working directory."""
        return cls(home.expanduser().resolve())

    @property
    def choices(self) -> Path:
        """Choices of the last start: ports and endpoint."""
        return self.home / "stack.json"

    @property
    def secrets(self) -> Path:
        """Generated password and keys; readable by the owner only."""
        return self.home / "secrets.json"

    @property
    def names(self) -> Path:
        """Names of the provisioned resources, written by `localstack/provision.py`."""
        return self.home / "resources.env"

    def catalog(self, external_endpoint: str | None) -> Path:
        """Database of the Iceberg catalog; one per endpoint, because it refers to objects there."""
        if external_endpoint is None:
            return self.home / "catalog.db"
        return self.home / f"catalog-{hashlib.sha256(external_endpoint.encode()).hexdigest()[:12]}.db"

    @property
    def lineage(self) -> Path:
        """OpenLineage events, one JSON object per line."""
        return self.home / "lineage.jsonl"

    @property
    def airflow(self) -> Path:
        """`AIRFLOW_HOME`."""
        return self.home / "airflow"

    @property
    def airflow_database(self) -> Path:
        """Airflow's metadata database."""
        return self.airflow / "airflow.db"

    @property
    def airflow_passwords(self) -> Path:
        """Passwords of Airflow's users; readable by the owner only."""
        return self.airflow / "passwords.json"

    @property
    def work(self) -> Path:
        """Working directory of the processes."""
        return self.home / "work"

    @property
    def java(self) -> Path:
        """A generated `JAVA_HOME`, where the machine has no suitable one."""
        return self.home / "java"

    def empty_database(self, version: str) -> Path:
        """A migrated, empty metadata database of one Airflow version."""
        return self.home / f"airflow-{version}-empty.db"

    def record(self, component: str) -> Path:
        """The process of a component."""
        return self.home / "run" / f"{component}.json"

    def log(self, component: str) -> Path:
        """Output of a component since its last start."""
        return self.home / "logs" / f"{component}.log"

    def make(self) -> None:
        """Create the folders; the state folder is private to its owner."""
        self.home.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        for folder in (self.airflow, self.work, self.record("x").parent, self.log("x").parent):
            folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically by one that only its owner can read."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=PRIVATE_FILE, exist_ok=False)
    fresh.write_text(text)
    fresh.replace(path)
