"""Merges what publications leave small besides data files: the manifests of all tables, and the row files of `gold.drives`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lake.maintenance.manifests import compact_drives, merge_manifests, mergeable_manifests, small_row_files
from lake.tables.drives import DRIVES_TABLE
from lake.tables.schemas import PUBLISHED

if TYPE_CHECKING:
    from lake.iceberg.publisher import Publisher


def merge_metadata(catalog: Publisher, *, apply: bool) -> dict[str, int]:
    """Merge manifests and row files where `apply` says so; how many of each went into larger ones, or would.

    Raises:
        MaintenanceError: Other commits won every attempt, or storage or catalog failed. Nothing is half-done; try again.
    """
    found = {f"row files of {DRIVES_TABLE}": _row_files(catalog, apply=apply)}
    for name in PUBLISHED:
        mergeable = mergeable_manifests(catalog, name)
        if apply and mergeable:
            merge_manifests(catalog, name)
        found[f"manifests of {name}"] = mergeable
    return found


def _row_files(catalog: Publisher, *, apply: bool) -> int:
    mergeable = small_row_files(catalog)
    if apply and mergeable:
        compact_drives(catalog)
    return mergeable
