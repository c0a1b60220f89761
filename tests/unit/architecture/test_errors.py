"""All errors of the project have one root, so that one `except` ends a command, a job or a request with a message."""

from __future__ import annotations

import importlib
import inspect
import pickle

import pytest

from sensors.errors import ScenelakeError
from tests.unit.architecture.source_tree import FOLDERS, ROOT, named, sources

MODULES = [path for path in sources(*FOLDERS) if path.name == "errors.py"]


def test_every_package_that_raises_has_a_module_of_errors() -> None:
    packages = {path.relative_to(ROOT).parts[0] for path in MODULES}
    assert {"sensors", "lake", "ingest", "quality", "lineage", "scenes", "fleet", "ops", "dags"} <= packages


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_an_error_of_ours_descends_from_the_root(path: object) -> None:
    relative = path.relative_to(ROOT).with_suffix("")  # type: ignore[attr-defined]
    module = importlib.import_module(".".join(relative.parts).removeprefix("dags."))
    errors = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Exception)]
    assert errors
    assert [kind.__name__ for kind in errors if not issubclass(kind, ScenelakeError)] == []


def test_an_error_keeps_its_next_step_on_its_way_between_processes() -> None:
    sent = pickle.loads(pickle.dumps(ScenelakeError("cause", "step")))
    assert (str(sent), sent.exit_code) == ("cause", 1)
    assert sent.hint == "step"
