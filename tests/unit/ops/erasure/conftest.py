from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from tests.unit.ingest.conftest import CREDENTIALS
from tests.unit.ops.erasure.erasure_world import Deployed


@pytest.fixture(autouse=True)
def no_network(socket_disabled: None) -> None:
    """Unit tests of this folder open no socket."""


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Deployed(tmp_path)
