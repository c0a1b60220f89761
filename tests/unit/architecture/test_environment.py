"""A process reads its environment through its settings model, and in no other way; nothing changes it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.unit.architecture.source_tree import PACKAGES, ROOT, named, sources, tree

PRODUCT = (*PACKAGES, "dags", "plugins", "localstack", "deploy")
READERS = {
    "lake/settings.py": "every model reads through `inherited`",
    "deploy/compose/settings.py": "checks what containers get before anything but Python is installed",
}
DOORS = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
MODULES = {"os", "posix", "nt"}


def touches(source: ast.Module) -> list[int]:
    """Lines that access the environment of the process, under any alias of `os` or its members."""
    calls = {id(node.func) for node in ast.walk(source) if isinstance(node, ast.Call)}
    lines = []
    for node in ast.walk(source):
        if isinstance(node, ast.Attribute) and node.attr in DOORS:
            # `process.environ()` of psutil is a call and asks another process; `os.environ` cannot be called.
            found = not (node.attr == "environ" and id(node) in calls)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            found = any(alias.name in DOORS | {"*"} for alias in node.names)
        else:  # getattr(os, "environ"), vars(os)["getenv"]
            found = isinstance(node, ast.Constant) and node.value in DOORS
        if found:
            lines.append(node.lineno)
    return sorted(lines)


def offenders() -> dict[str, list[int]]:
    return {named(path): lines for path in sources(*PRODUCT) if (lines := touches(tree(path)))}


def test_no_module_reads_or_changes_the_environment_but_the_settings() -> None:
    found = offenders()
    assert {path: found[path] for path in found.keys() - READERS.keys()} == {}


def test_whoever_is_excused_still_needs_it() -> None:
    assert READERS.keys() - offenders().keys() == set()


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ.update({})",
        "import os as system\nsystem.environ['A']",
        "import os\nalias = os\nalias.getenv('A')",
        "from os import environ",
        "from os import getenv as read",
        "from os import *",
        "from posix import environ",
        "import os\ngetattr(os, 'environ')",
        "import os\nvars(os)['environ']",
        "import os.path\nos.path.os.environ",
        "__import__('os').environ",
        "import os\ncopy = os.environ.copy()",
        "import os\nos.putenv('A', 'b')",
        "def late():\n    import os\n    return os.environb",
    ],
)
def test_no_other_name_hides_it(source: str) -> None:
    assert touches(ast.parse(source))


@pytest.mark.parametrize(
    "source", ["import os\nos.path.join('a')", "process.environ()", "def app(environ): return environ['PATH']"]
)
def test_what_only_looks_like_it_is_let_through(source: str) -> None:
    assert touches(ast.parse(source)) == []


def test_the_lists_name_files_that_are_there() -> None:
    assert [path for path in READERS if not (ROOT / Path(path)).is_file()] == []
