"""Which manifests of a table belong together, and when they are merged.

A manifest of one partition stays one: a look for a drive opens the few of its vehicle and days, however many there are of
others. `merge_manifests` (`lake.maintenance.manifests`) makes large ones of several partitions, in the order of partitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from pyiceberg.conversions import from_bytes, to_bytes
from pyiceberg.manifest import ManifestContent

if TYPE_CHECKING:
    from pyiceberg.manifest import ManifestEntry, ManifestFile
    from pyiceberg.typedef import Record
    from pyiceberg.types import PrimitiveType, StructType

FEW_ENTRIES = 64  # files of one partition, whose manifests are merged by every commit that adds to it
MOST_MANIFESTS = 8  # of one partition with more files; the commit that would exceed it merges them
MOST_ENTRIES = 1000  # files of a manifest; opening it takes some 20 ms
_IN_MEMORY = 20 * MOST_ENTRIES  # entries that are sorted together
Cluster = tuple[int, tuple[bytes | None, ...]]  # number of the partitioning, and the partition
Position = tuple[tuple[bool, object], ...]


def files_of(manifest: ManifestFile) -> int:
    """The files that a manifest names and that are still there."""
    return (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)


def is_mergeable(manifest: ManifestFile) -> bool:
    """Whether a manifest names so few files that maintenance should merge it with others."""
    return 0 < files_of(manifest) < MOST_ENTRIES // 2 and manifest.content is ManifestContent.DATA


def belong_together(manifests: Sequence[ManifestFile], added: int) -> bool:
    """Whether manifests of one partition are to be merged with `added` files of it."""
    few = added + sum(map(files_of, manifests)) <= FEW_ENTRIES
    return len(manifests) >= (1 if few else MOST_MANIFESTS)


def cluster_of(manifest: ManifestFile) -> Cluster | None:
    """The partition of a manifest; None for one that is not to be merged: full, of several partitions, or of delete files."""
    partitions = manifest.partitions or []
    if any(one.lower_bound != one.upper_bound or (one.contains_null and one.lower_bound is not None) for one in partitions):
        return None
    if files_of(manifest) >= MOST_ENTRIES or manifest.content is not ManifestContent.DATA:
        return None
    return manifest.partition_spec_id, tuple(one.lower_bound for one in partitions)


def cluster_of_files(spec_id: int, kind: StructType, partition: Record) -> Cluster:
    """The cluster of manifests with files of this partition, whose type is `kind`."""
    values = zip(_types(kind), _values(partition), strict=True)
    return spec_id, tuple(None if value is None else to_bytes(of, value) for of, value in values)


def first_of(manifest: ManifestFile, kind: StructType) -> Position:
    """Where a manifest begins in the order of partitions, which are of type `kind`."""
    bounds = zip(_types(kind), (one.lower_bound for one in manifest.partitions or ()), strict=True)
    return _position([None if bound is None else from_bytes(of, bound) for of, bound in bounds])


def in_parts(entries: Iterable[ManifestEntry]) -> Iterator[list[ManifestEntry]]:
    """Entries, in the order of their partitions, in as few manifests as may be, of about equal size."""
    ordered = sorted(entries, key=lambda entry: _position(_values(entry.data_file.partition)))
    count = max(1, -(-len(ordered) // MOST_ENTRIES))
    size = -(-len(ordered) // count)
    for first in range(0, len(ordered), size or 1):
        yield ordered[first : first + size]


def in_batches(manifests: Iterable[ManifestFile]) -> Iterator[list[ManifestFile]]:
    """Manifests in groups whose entries fit in memory together."""
    group: list[ManifestFile] = []
    held = 0
    for manifest in manifests:
        if group and held + files_of(manifest) > _IN_MEMORY:
            yield group
            group, held = [], 0
        group.append(manifest)
        held += files_of(manifest)
    if group:
        yield group


def _types(kind: StructType) -> list[PrimitiveType]:
    return [cast("PrimitiveType", field.field_type) for field in kind.fields]


def _values(partition: Record) -> list[Any]:
    return [partition[position] for position in range(len(partition))]


def _position(partition: Sequence[object]) -> Position:
    """Nulls are last."""
    return tuple((value is None, 0 if value is None else value) for value in partition)
