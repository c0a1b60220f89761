"""`docs/configuration.md` and the code name the same variables: every one read is on the page, and every one named is read."""

from __future__ import annotations

import re

import pytest

from lake.settings import variables
from ops.configuration import PAGE, PROCESSES, render
from tests.unit.architecture.source_tree import PACKAGES, ROOT

VARIABLE = re.compile(r"\bSCENELAKE_[A-Z0-9_]*[A-Z0-9]\b")
PLACES = (
    *PACKAGES, "dags", "plugins", "localstack", "deploy", "docs",
    "Makefile", "Dockerfile", "docker-compose.yml", ".env.example", "README.md", "ARCHITECTURE.md",
)  # fmt: skip
TEXT = {".py", ".md", ".yml", ".yaml", ".sh", ".env", ".json", ".j2", ".toml", ".example", ""}
NOT_SETTINGS = {
    "SCENELAKE_STACK_MARK": "set on the processes of a local stack to find them again; never read from one's own environment",
    "SCENELAKE_TEST_DATA": "where tests and benchmarks find recordings",
    "SCENELAKE_TEST_EVERY_FAULT": "has the tests that take minutes run",
    "SCENELAKE_TEST_STACK": "what kind of stack the end-to-end tests run on",
}


def fields() -> set[str]:
    return {name for process in PROCESSES for model in process.models for one in variables(model) for name in one.names}


def on_the_page() -> set[str]:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `") and line.count(" | ") == 4]
    return {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row[0])}


def named_in_the_repository() -> dict[str, str]:
    found: dict[str, str] = {}
    for place in (ROOT / name for name in PLACES):
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file() and path.suffix in TEXT:
                for name in VARIABLE.findall(path.read_text()):
                    found.setdefault(name, path.relative_to(ROOT).as_posix())
    return found


def test_the_page_is_what_the_models_make_of_it() -> None:
    assert PAGE.read_text() == render(), "run `make configuration`"


def test_every_field_is_on_the_page_and_nothing_else_is() -> None:
    assert on_the_page() == fields()


def test_every_variable_that_is_named_anywhere_is_a_field() -> None:
    named = named_in_the_repository()
    assert {name: named[name] for name in named.keys() - fields() - NOT_SETTINGS.keys()} == {}


def test_what_is_excused_is_named_somewhere_and_no_field() -> None:
    assert NOT_SETTINGS.keys() <= named_in_the_repository().keys() - fields()


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_every_variable_has_a_sentence_of_its_own(process: object) -> None:
    for model in process.models:  # type: ignore[attr-defined]
        for one in variables(model):
            assert one.description.endswith("."), one


def test_no_two_models_of_a_process_read_one_variable_differently() -> None:
    for process in PROCESSES:
        kinds: dict[str, set[tuple[str, str | None]]] = {}
        for model in process.models:
            for one in variables(model):
                kinds.setdefault(one.names[0], set()).add((one.kind, one.default))
        assert [name for name, found in kinds.items() if len(found) > 1] == []


def test_the_search_finds_a_planted_name_and_passes_over_a_prefix() -> None:
    assert VARIABLE.findall("x=${SCENELAKE_PLANTED:-1} SCENELAKE_DAG_<FIELD> SCENELAKE_…") == ["SCENELAKE_PLANTED"]
