"""A deployment whose adapters are given, for commands that would connect to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.folder_settings import SETTINGS
from ops.deployment import Deployment
from ops.settings import CommandSettings


@dataclass(frozen=True)
class FakeDeployment(Deployment):
    """What is not given must not be asked for."""

    given: dict[str, Any] | None = None

    def store(self) -> Any:
        return self._given("store")

    def ledger(self) -> Any:
        return self._given("ledger")

    def catalog(self) -> Any:
        return self._given("catalog")

    def _given(self, name: str) -> Any:
        assert self.given is not None and name in self.given, f"nobody said that {name} is needed"
        return self.given[name]


def deployment_with(**given: Any) -> FakeDeployment:
    return FakeDeployment(SETTINGS, CommandSettings(), Path("/nonexistent"), given)
