"""The promises of docker-compose.yml, the Dockerfile and .env.example, checked on their text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
SERVICES: Mapping[str, Any] = yaml.safe_load(COMPOSE)["services"]
ONCE = {"settings", "provision", "lake-init", "airflow-init", "demo"}
LONG_RUNNING = sorted(SERVICES.keys() - ONCE)
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("scenelake:"))
OF_LAPTOP_BYTES = 16e9
UNITS = {"m": 1e6, "g": 1e9}
SECRET = re.compile(r"PASSWORD|SECRET|FERNET_KEY|CATALOG_URI|SQL_ALCHEMY_CONN")


def limits(name: str) -> dict[str, Any]:
    found: dict[str, Any] = SERVICES[name]["deploy"]["resources"]["limits"]
    return found


def memory_bytes(name: str) -> float:
    text = str(limits(name)["memory"])
    return float(text[:-1]) * UNITS[text[-1]]


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_on_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+_PORT:-\d+\}:\d+", port)
    assert SERVICES[name].get("network_mode") in (None, "none")


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_what_runs_on_is_checked_and_says_what_becomes_of_it_when_it_ends(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    # The emulator is the one that must not come back by itself: it would be empty.
    assert service["restart"] == ("no" if name == "localstack" else "unless-stopped")


@pytest.mark.parametrize("name", sorted(ONCE))
def test_what_runs_once_is_not_started_again(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"
    assert "healthcheck" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_resources_are_bounded(name: str) -> None:
    assert limits(name).keys() == {"cpus", "memory", "pids"}
    assert float(limits(name)["cpus"]) <= 2, "an engine with two processors refuses more"


def test_all_that_starts_by_itself_fits_a_laptop() -> None:
    running = [name for name in LONG_RUNNING if "profiles" not in SERVICES[name]]
    assert sum(map(memory_bytes, running)) < OF_LAPTOP_BYTES


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_no_service_mounts_the_engine_socket(name: str) -> None:
    service = SERVICES[name]
    _, _, tag = service["image"].partition(":")
    assert tag
    assert tag != "latest"
    assert not service.get("privileged")
    assert "no-new-privileges:true" in service["security_opt"]
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", OURS)
def test_our_containers_hold_nothing_that_they_do_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["init"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_state_their_condition(name: str) -> None:
    for other, term in SERVICES[name].get("depends_on", {}).items():
        healthy = other not in ONCE
        assert term["condition"] == ("service_healthy" if healthy else "service_completed_successfully")


def test_everything_waits_for_the_check_of_the_settings() -> None:
    def waits(name: str) -> bool:
        others = SERVICES[name].get("depends_on", {})
        return "settings" in others or any(map(waits, others))

    assert [name for name in SERVICES if name != "settings" and not waits(name)] == []


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_written_down(name: str) -> None:
    for variable, value in (SERVICES[name].get("environment") or {}).items():
        if SECRET.search(variable) and "PASSWORDS_FILE" not in variable and variable != "AWS_SECRET_ACCESS_KEY":
            assert re.search(r"\$\{[A-Z_]+:\?", str(value)), f"{variable} of {name} is taken from .env, and asked for"
    # What the emulator takes is no secret: it takes anything.
    assert (SERVICES[name].get("environment") or {}).get("AWS_SECRET_ACCESS_KEY", "test") == "test"


def test_every_setting_is_used_and_every_secret_checked() -> None:
    named = set(re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE, re.MULTILINE)) - {"COMPOSE_PROFILES"}
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
    assert named - used == set()
    examples = set(re.findall(r"^([A-Z_]+)=example-", EXAMPLE, re.MULTILINE))
    assert examples == SERVICES["settings"]["environment"].keys()


def test_volumes_are_named_and_used() -> None:
    document = yaml.safe_load(COMPOSE)
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert {name for name in mounted if not name.startswith("./")} == document["volumes"].keys()
    for path in (name for name in mounted if name.startswith("./") and not name.startswith("./build")):
        assert (ROOT / path).exists(), path


def test_the_image_has_a_pinned_base_and_an_unprivileged_user() -> None:
    text = (ROOT / "Dockerfile").read_text()
    bases = [line.split()[1] for line in text.splitlines() if line.startswith("FROM ")]
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE))
    assert set(bases) - stages == {"python:3.12-slim-bookworm"}
    assert "# syntax" not in text, "it would be fetched before anything is built"
    assert "--require-hashes -r requirements/compose.lock" in text
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["scenelake"]
    assert text.index("requirements/compose.lock") < text.index("COPY . ."), "packages are installed before the code comes"


def test_only_what_runs_goes_into_the_image() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    admitted = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert not {".env", ".git", ".venv", "tests", "build"} & admitted
    compiled = re.search(r"-m compileall -q (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert compiled is not None
    assert set(compiled[1].split()) <= admitted
