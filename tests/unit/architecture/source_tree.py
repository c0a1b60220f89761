"""The repository's own source, read as text: none of it is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = ("sensors", "lake", "ingest", "quality", "lineage", "scenes", "spark_jobs", "fleet", "ops", "cli")
FOLDERS = (*PACKAGES, "dags", "plugins", "localstack", "bench")


def sources(*folders: str) -> list[Path]:
    """All Python files under these folders of the repository, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_at_top(path: Path) -> Iterator[str]:
    """Dotted names that importing the file imports: not those inside functions, nor for type checkers only."""
    yield from _imports(tree(path).body)


def _imports(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and not _is_type_checking(node.test):
            yield from _imports(node.body)
            yield from _imports(node.orelse)
        elif isinstance(node, ast.Try):
            for part in (node.body, node.orelse, node.finalbody, *(handler.body for handler in node.handlers)):
                yield from _imports(part)
        elif isinstance(node, ast.With | ast.ClassDef):
            yield from _imports(node.body)


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def file_of(module: str, *roots: Path) -> Path | None:
    """The file of a module of this project; None for others, and for a name inside a module."""
    for root in roots:
        place = root.joinpath(*module.split("."))
        for candidate in (place.with_suffix(".py"), place / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None
