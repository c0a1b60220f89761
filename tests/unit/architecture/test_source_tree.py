"""Size, names and layout of the source: the project's rules as tests."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from collections import Counter
from fnmatch import fnmatch

import pytest

from tests.unit.architecture.source_tree import FOLDERS, PACKAGES, ROOT, named, sources, tree

LONGEST_MODULE, LONGEST_FUNCTION = 400, 50
MOST_MODULES, MOST_FOLDERS = 20, 20
GRAB_BAGS = {"utils", "util", "utilities", "helpers", "helper", "common", "misc", "shared", "stuff", "base", "core", "tools"}
PRESENT = tuple(package for package in PACKAGES if (ROOT / package).is_dir())


def test_modules_are_short() -> None:
    lengths = {named(path): len(path.read_text().splitlines()) for path in sources(*FOLDERS)}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_a_folder_can_be_read_at_a_glance() -> None:
    modules = Counter(path.parent for path in sources(*FOLDERS, "tests") if path.name != "__init__.py")
    assert {named(folder): count for folder, count in modules.items() if count > MOST_MODULES} == {}
    top = subprocess.run(["git", "ls-tree", "-d", "--name-only", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if top.returncode == 0:  # an unpacked archive has no git
        shown = [name for name in top.stdout.split() if not name.startswith(".")]
        assert len(shown) <= MOST_FOLDERS, shown


def test_functions_are_short() -> None:
    lengths = {
        f"{named(path)}:{node.name}": _lines_of_code(node)
        for path in sources(*FOLDERS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def _lines_of_code(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end: a docstring that answers every question makes no function long, a signature does."""
    docstring = function.body[0] if ast.get_docstring(function) else None
    return _span(function) - (_span(docstring) if docstring else 0)


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_module_or_package_is_a_grab_bag() -> None:
    names = [part.removesuffix(".py") for path in sources(*FOLDERS) for part in path.relative_to(ROOT).parts]
    assert GRAB_BAGS & set(names) == set()


def test_a_class_name_means_one_thing() -> None:
    owners: dict[str, list[str]] = {}
    for path in sources(*(folder for folder in FOLDERS if folder != "bench")):
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                owners.setdefault(node.name, []).append(named(path))
    assert {name: modules for name, modules in owners.items() if len(modules) > 1} == {}


def test_a_module_begins_with_what_it_is() -> None:
    assert [named(path) for path in sources(*FOLDERS) if not ast.get_docstring(tree(path))] == []


@pytest.mark.parametrize("package", PRESENT)
def test_a_package_docstring_states_its_purpose_in_one_paragraph(package: str) -> None:
    docstring = ast.get_docstring(tree(ROOT / package / "__init__.py"))
    assert docstring
    assert len(docstring) > 20


@pytest.mark.parametrize("folder", ["dags", "localstack"])
def test_a_folder_that_would_shadow_a_package_is_none(folder: str) -> None:
    assert (ROOT / folder).is_dir()
    assert not (ROOT / folder / "__init__.py").exists()


def test_every_package_is_in_the_wheel_under_the_linter_and_under_mypy() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    inits = [path for path in sources(*PRESENT) if path.name == "__init__.py"]
    assert sorted(project["tool"]["setuptools"]["packages"]) == sorted(
        path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in inits
    )
    assert set(PRESENT) == set(project["tool"]["importlinter"]["root_packages"])
    assert set(PRESENT) <= set(project["tool"]["mypy"]["files"])


def test_nothing_swallows_an_exception_and_nothing_evaluates_data() -> None:
    found = []
    for path in sources(*FOLDERS):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and _swallows(node):
                found.append(f"{named(path)}:{node.lineno}: except …: pass")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}:
                found.append(f"{named(path)}:{node.lineno}: {node.func.id}()")
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                if {"pickle", "marshal", "shelve", "dill"} & {module.split(".")[0] for module in modules}:
                    found.append(f"{named(path)}:{node.lineno}: unpickles")
    assert found == []


def _swallows(handler: ast.ExceptHandler) -> bool:
    broad = handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id in {"Exception", "BaseException"})
    return broad and all(isinstance(one, ast.Pass) for one in handler.body)


def test_pytest_visits_every_folder_that_holds_tests() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    folders = {part for path in (ROOT / "tests").rglob("test_*.py") for part in path.relative_to(ROOT).parts[:-1]}
    assert "build" in folders, "the name that pytest leaves out by default"
    assert {name for name in folders for pattern in options["norecursedirs"] if fnmatch(name, pattern)} == set()
