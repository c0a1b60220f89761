"""Ports, endpoint and secrets: chosen once, found again, private."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.stack.choices import Choices, Secrets, choose
from ops.stack.layout import StackLayout


def pick(*preferred: int | None) -> int:
    """8080 is taken, everything else is free."""
    return next((port for port in preferred if port not in (None, 8080)), 49152) or 0


LAST = Choices(airflow_port=8181, emulator_port=5111)


@pytest.mark.parametrize(
    ("last", "running", "ports"),
    [
        (None, frozenset(), (49152, 5000)),
        (LAST, frozenset(), (8181, 5111)),
        (Choices(8080, 5111), frozenset(), (49152, 5111)),  # somebody else has taken it meanwhile
        (Choices(8080, 5111), frozenset({"api-server"}), (8080, 5111)),  # it is we who have taken it
    ],
)
def test_ports_are_the_last_ones_else_the_usual_ones_else_any(
    last: Choices | None, running: frozenset[str], ports: tuple[int, int]
) -> None:
    chosen = choose(last, {}, running, pick)
    assert (chosen.airflow_port, chosen.emulator_port) == ports


def test_an_endpoint_in_the_environment_is_used_unless_it_is_our_own() -> None:
    own = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5111/"}
    assert choose(LAST, own, frozenset(), pick).external_endpoint is None
    assert choose(None, own, frozenset(), pick).external_endpoint == "http://127.0.0.1:5111"
    other = choose(LAST, {"AWS_ENDPOINT_URL": "http://localhost:4566"}, frozenset(), pick)
    assert other.endpoint == other.external_endpoint == "http://localhost:4566"
    assert choose(LAST, {"AWS_ENDPOINT_URL": ""}, frozenset(), pick).endpoint == "http://127.0.0.1:5111"


def test_choices_and_secrets_are_found_again_in_private_files(tmp_path: Path) -> None:
    layout = StackLayout.of(tmp_path / "home")
    assert Choices.load(layout) is None
    layout.make()
    LAST.save(layout)
    assert Choices.load(layout) == LAST
    secrets = Secrets.load_or_generate(layout)
    assert Secrets.load_or_generate(layout) == secrets
    assert [path.stat().st_mode & 0o777 for path in (layout.choices, layout.secrets)] == [0o600, 0o600]
    assert layout.home.stat().st_mode & 0o777 == 0o700


def test_secrets_differ_are_long_enough_and_never_printed(tmp_path: Path) -> None:
    both = []
    for name in "ab":
        layout = StackLayout.of(tmp_path / name)
        layout.make()
        both.append(Secrets.load_or_generate(layout))
    assert both[0] != both[1]
    assert len(both[0].jwt_secret.encode()) >= 64
    assert repr(both[0]) == "Secrets(…)"
    assert both[0].airflow_password in json.loads(StackLayout.of(tmp_path / "a").secrets.read_text()).values()
