from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_network(socket_disabled: None) -> None:
    """Unit tests of this folder open no socket."""
