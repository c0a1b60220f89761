"""Scenes as one Parquet file: small row groups, payload without statistics, equal bytes for equal scenes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.parquet.payload_pages import Payloads, with_payloads
from lake.tables.schemas import SCENES
from scenes.build.scene_table import scene_table

ROW_GROUP_BYTES = 8 * 1024 * 1024
DICTIONARY_BYTES = 2**31 - 1  # no limit of its own: a row group is one already
_LISTS = ("lidars", "cameras", "radars")
_PAYLOADS = ("points", "image")


def scene_pieces(scenes: Sequence[Mapping[str, Any]], *, compress_points: bool = True) -> list[bytes | memoryview]:
    """The file of scenes, at least one, in their order, as pieces to be written one after the other.

    Images are stored as they are: JPEG does not compress further. A payload that scenes of a row group share is stored once.
    """
    groups = list(row_groups(scenes))
    payloads: list[dict[str, Payloads]] = [{} for _ in groups]

    def placeholders(leaf: str, values: Sequence[memoryview | None]) -> pa.Array:
        column, found, at = leaf.split(".")[0], list[bytes | None](), 0
        for group, of_group in zip(groups, payloads, strict=True):
            place = of_group.setdefault(leaf, Payloads()).place
            end = at + sum(len(scene[column]) for scene in group)
            found += [None if value is None else place(value) for value in values[at:end]]
            at = end
        return pa.array(found, pa.binary())

    table, first, sink, metadata = scene_table(scenes, placeholders), 0, pa.BufferOutputStream(), list[pq.FileMetaData]()
    with scene_writer(sink, table.schema, PAYLOAD_LEAVES, metadata, compress_points=compress_points) as writer:
        for group in groups:
            writer.write_table(table.slice(first, len(group)))
            first += len(group)
    compression = _compression(compress_points=compress_points)
    return with_payloads(memoryview(sink.getvalue()), metadata[0], payloads, compression)


def scene_writer(
    sink: Any,
    schema: pa.Schema,
    shared: Sequence[str],
    metadata: list[pq.FileMetaData] | None = None,
    *,
    compress_points: bool = True,
) -> pq.ParquetWriter:
    """A writer of scene tables; each table becomes a row group. `shared`: leaves whose values repeat.

    `metadata` is given that of the file when it is closed.
    """
    return pq.ParquetWriter(
        sink,
        schema,
        compression=_compression(compress_points=compress_points),
        use_dictionary=list(shared),
        dictionary_pagesize_limit=DICTIONARY_BYTES,
        write_statistics=_STATISTICS,
        # The stored Arrow schema would name the types written from; the stored type is `binary`.
        store_schema=False,
        write_page_checksum=True,
        metadata_collector=metadata,
    )


def _compression(*, compress_points: bool) -> dict[str, str]:
    """Compression by leaf. A row group has only a few hundred bytes per fact column, not worth setting up Zstandard."""
    payload = dict.fromkeys(_IMAGES, "none") | dict.fromkeys(_POINTS, "zstd" if compress_points else "none")
    return dict.fromkeys(_LEAVES, "snappy") | payload


def _payloads(scene: Mapping[str, Any]) -> list[Any]:
    return [value for column in _LISTS for entry in scene[column] for name in _PAYLOADS if (value := entry.get(name)) is not None]


def row_groups(scenes: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Sizes of the row groups: few enough scenes that one can be fetched alone; a payload that they share counts once."""
    group: list[Mapping[str, Any]] = []
    held, seen = 0, set[int]()
    for scene in scenes:
        payloads = {id(payload): len(payload) for payload in _payloads(scene)}
        size = len(scene["calibration"]) + sum(length for at, length in payloads.items() if at not in seen)
        if group and held + size > ROW_GROUP_BYTES:
            yield group
            group, held, seen = [], 0, set()
            size = len(scene["calibration"]) + sum(payloads.values())
        group.append(scene)
        held += size
        seen |= payloads.keys()
    if group:
        yield group


def _leaves(kind: pa.DataType, path: str) -> Iterable[tuple[str, pa.DataType]]:
    if pa.types.is_list(kind):
        yield from _leaves(kind.value_type, f"{path}.list.element")
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(field.type, f"{path}.{field.name}")
    else:
        yield path, kind


_KINDS = dict(leaf for field in SCENES for leaf in _leaves(field.type, field.name))
_LEAVES = list(_KINDS)
_IMAGES = [leaf for leaf in _LEAVES if leaf.endswith(".image")]
_POINTS = [leaf for leaf in _LEAVES if leaf.endswith(".points")]
PAYLOAD_LEAVES = (*_IMAGES, *_POINTS)
# Bounds for a scene's own numbers, and for the ids that readers query: no reader prunes by the content of lists. Bounds of
# other text would be of no use either, and would put bytes chosen by a recording into the footer, which
# `lake.parquet.footer` searches.
_IDS = ("scene_id", "vehicle_id", "drive_id", "revision", "anchor_sensor")
_STATISTICS = [
    leaf
    for leaf, kind in _KINDS.items()
    if leaf in _IDS or not (".list." in leaf or pa.types.is_string(kind) or pa.types.is_binary(kind))
]
