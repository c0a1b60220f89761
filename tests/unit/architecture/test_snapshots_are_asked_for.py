"""Ways to read and change versions that answer wrongly without a word are used nowhere."""

from __future__ import annotations

import ast

from tests.unit.architecture.source_tree import FOLDERS, named, sources, tree

ASKS_FIRST = "lake/iceberg/snapshots.py"  # it refuses a snapshot that is not there
SILENT = {
    "expire_snapshots",  # loses a tag that is made meanwhile
    "create_tag",  # moves a tag that exists; `lake.versions.tags.create_tag` is a function, not a method
    "remove_tag",
    "incremental_append_scan",  # forgets deletions
    "rollback_to_snapshot",
    "set_current_snapshot",
}


def methods(path: object) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree(path))  # type: ignore[arg-type]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]


def test_a_snapshot_is_scanned_by_id_in_one_place() -> None:
    found = {
        named(path)
        for path in sources(*FOLDERS)
        for call in methods(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in {"scan", "use_ref"}
        and (call.func.attr == "use_ref" or any(keyword.arg == "snapshot_id" for keyword in call.keywords))
    }
    assert found == {ASKS_FIRST}


def test_pyicebergs_silent_changes_of_versions_are_not_called() -> None:
    found = {
        f"{named(path)}:{call.lineno} {call.func.attr}"
        for path in sources(*FOLDERS)
        for call in methods(path)
        if isinstance(call.func, ast.Attribute) and call.func.attr in SILENT
    }
    assert found == set()
