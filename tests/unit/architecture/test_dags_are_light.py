"""Airflow parses the DAG folder continuously: the imports must be names and small modules only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.unit.architecture.source_tree import ROOT, file_of, imported_at_top, named, sources

HEAVY = {
    "pyspark",
    "great_expectations",
    "openlineage",
    "numpy",
    "pandas",
    "pyarrow",
    "pyiceberg",
    "boto3",
    "botocore",
    "mcap",
    "rosbags",
    "PIL",
    "lz4",
    "zstandard",
    "torch",
    "matplotlib",
}
LIGHT_OF_SENSORS = ("sensors.errors", "sensors.printable")  # which import nothing else
OURS_TO_NAME_ONLY = {"spark_jobs", "scenes", "sensors", "quality", "lineage", "fleet", "ops", "cli"}


def reached(path: Path) -> dict[str, str]:
    """Every module that importing the file imports, following the project's own; each with the importing file."""
    found: dict[str, str] = {}
    pending, seen = [path], {path}
    while pending:
        current = pending.pop()
        for module in imported_at_top(current):
            found.setdefault(module, named(current))
            parents = [".".join(module.split(".")[:end]) for end in range(1, module.count(".") + 2)]
            for candidate in (file_of(name, ROOT, ROOT / "dags") for name in parents):
                if candidate is not None and candidate not in seen:
                    seen.add(candidate)
                    pending.append(candidate)
    return found


def heavy(modules: Iterable[str]) -> set[str]:
    return {module for module in modules if module.split(".")[0] in HEAVY}


@pytest.mark.parametrize("path", sorted((ROOT / "dags").glob("*.py")), ids=named)
def test_parsing_a_dag_file_reaches_nothing_heavy(path: Path) -> None:
    modules = reached(path)
    assert {module: modules[module] for module in heavy(modules)} == {}, "import it inside the task that needs it"


def test_no_module_of_the_dags_imports_anything_heavy_itself() -> None:
    assert {named(path): found for path in sources("dags") if (found := heavy(imported_at_top(path)))} == {}


def test_the_dags_only_name_the_packages_that_do_the_work() -> None:
    modules = {
        named(path): [name.split(".")[0] for name in imported_at_top(path) if not name.startswith(LIGHT_OF_SENSORS)]
        for path in sources("dags")
    }
    assert {path: found for path, names in modules.items() if (found := OURS_TO_NAME_ONLY & set(names))} == {}


def test_the_search_follows_our_own_modules() -> None:
    assert "boto3" in reached(ROOT / "lake" / "storage.py")
    assert reached(ROOT / "scenes" / "build" / "payloads.py")["numpy"].endswith(".py")
    assert "great_expectations" not in reached(ROOT / "spark_jobs" / "audit.py"), "an import in a function is not reached"
