"""Airflow parses `dags/` continuously: its top-level imports are light."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3] / "dags"
FILES = sorted(ROOT.rglob("*.py"))
HEAVY = {
    "boto3", "botocore", "great_expectations", "mcap", "numpy", "pandas", "PIL", "pyarrow", "pyiceberg", "pyspark", "rosbags",
    "spark_jobs", "scenes", "sensors", "quality", "lineage", "fleet", "ops", "cli",
}  # fmt: skip
# Read by `process_drive` at its top level; the other modules are imported inside its tasks.
PARSED = {
    "process_drive",
    "doorbell",
    "job_operator",
    "job_process",
    "guard",
    "lease",
    "lease_hold",
    "settings",
    "errors",
    "__init__",
}
LIGHT_OF_OURS = {"ingest.retries", "lake.errors", "lake.landing", "lake.settings"}
LIGHT_OF_SENSORS = {"sensors.errors", "sensors.printable"}  # which import nothing else


def top_level_imports(tree: ast.Module) -> set[str]:
    """Modules imported when the file is, those for type checkers left out."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports do not work in a DAG folder"
            found.add(str(node.module))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_heavy_is_imported_at_the_top_level(file: Path) -> None:
    names = top_level_imports(ast.parse(file.read_text()))
    assert not {name for name in names if name.split(".")[0] in HEAVY and name not in LIGHT_OF_SENSORS}
    if file.stem in PARSED:
        ours = {name for name in names if name.split(".")[0] in {"lake", "ingest"}}
        assert ours <= LIGHT_OF_OURS


def test_the_rule_sees_a_planted_import() -> None:
    planted = "import pyspark.sql\nfrom numpy import array\ndef late():\n    import pandas\n"
    assert top_level_imports(ast.parse(planted)) == {"pyspark.sql", "numpy"}


def test_layout_of_the_folder() -> None:
    assert not (ROOT / "__init__.py").exists(), "Airflow puts this folder on the module path: its files would have two names"
    assert (ROOT / ".airflowignore").read_text().split() == ["scenelake_airflow/"]
    assert {file.stem for file in FILES} >= PARSED
