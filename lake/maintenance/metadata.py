"""Merges what publications leave small besides data files: the manifests of all tables, and row files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lake.maintenance.manifests import merge_manifests, merge_row_files, mergeable_manifests, small_row_files
from lake.tables.existing import existing_tables
from lake.tables.names import ROW_TABLES

if TYPE_CHECKING:
    from lake.iceberg.publisher import Publisher


def merge_metadata(catalog: Publisher, *, apply: bool) -> dict[str, int]:
    """Merge manifests and row files where `apply` says so; how many of each went into larger ones, or would.

    Raises:
        MaintenanceError: Other commits won every attempt, or storage or catalog failed. Nothing is half-done; try again.
    """
    tables = tuple(existing_tables(catalog))
    found = {f"row files of {name}": _row_files(catalog, name, apply=apply) for name in ROW_TABLES if name in tables}
    for name in tables:
        mergeable = mergeable_manifests(catalog, name)
        if apply and mergeable:
            merge_manifests(catalog, name)
        found[f"manifests of {name}"] = mergeable
    return found


def _row_files(catalog: Publisher, name: str, *, apply: bool) -> int:
    mergeable = small_row_files(catalog, name)
    if apply and mergeable:
        merge_row_files(catalog, name)
    return mergeable
