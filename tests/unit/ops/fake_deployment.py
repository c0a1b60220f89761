"""A deployment with given adapters, for commands that would otherwise connect to one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.folder_settings import SETTINGS
from ops.deployment import Deployment
from ops.settings import CommandSettings
from scenes.accounting.settings import AuditSettings


@dataclass(frozen=True)
class FakeDeployment(Deployment):
    """A deployment; using an adapter that is not given fails."""

    given: dict[str, Any] | None = None

    def store(self) -> Any:
        return self._given("store")

    def ledger(self) -> Any:
        return self._given("ledger")

    def catalog(self) -> Any:
        return self._given("catalog")

    def _given(self, name: str) -> Any:
        assert self.given is not None and name in self.given, f"{name} is used but was not given"
        return self.given[name]


def deployment_with(**given: Any) -> FakeDeployment:
    return FakeDeployment(SETTINGS, CommandSettings(), Path("/nonexistent"), AuditSettings(), given)
