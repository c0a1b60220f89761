"""The Lambda's package stays small: the handler's imports are in its own lock, and the data plane is not."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions

from tests.unit.architecture.source_tree import ROOT


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


LOCKED = {
    _normal(name)
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements" / "lambda.lock").read_text(), re.MULTILINE)
}
# Imports the handler where every distribution that the lock does not name is as if it were not installed.
WITHOUT_OTHERS = """
import sys
absent = frozenset(sys.argv[1:])
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in absent:
            raise ModuleNotFoundError(f'{name} is not in the lock of the functions', name=name)
sys.meta_path.insert(0, Absent())
import ingest.handler
"""


def test_the_lock_holds_nothing_of_airflow_spark_or_the_emulator() -> None:
    assert {"boto3", "jsonschema"} <= LOCKED
    assert LOCKED.isdisjoint({"apache-airflow", "pyspark", "pyarrow", "numpy", "pandas", "great-expectations", "moto"})
    assert len(LOCKED) < 30


def others() -> list[str]:
    """Top-level modules that only distributions outside of the lock bring."""
    owners = packages_distributions()
    outside = {name for name, owned in owners.items() if not {_normal(each) for each in owned} & LOCKED}
    return sorted(outside - {"sensors", "lake", "ingest"})


def run_without(modules: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_OTHERS, *modules]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_the_handler_needs_only_what_its_lock_names() -> None:
    assert {"numpy", "airflow", "pyspark"} <= set(others())
    done = run_without(others())
    assert done.returncode == 0, done.stderr


def test_a_module_that_is_missing_is_seen() -> None:
    assert "boto3 is not in the lock" in run_without(["boto3"]).stderr
