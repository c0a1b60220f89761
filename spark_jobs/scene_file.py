"""Scenes as one Parquet file: small row groups, payload without statistics, equal scenes in equal bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.tables import OPAQUE_LEAVES, SCENES
from spark_jobs.scene_table import scene_table

ROW_GROUP_BYTES = 8 * 1024 * 1024
DICTIONARY_BYTES = 2**31 - 1  # no limit of its own: a row group is one already
FILE_ROOM_BYTES, SCENE_ROOM_BYTES, ENTRY_ROOM_BYTES, FIELD_ROOM_BYTES = 1 << 20, 128 << 10, 32 << 10, 128
PAYLOAD_GROWTH = 128  # compression adds less than one byte to so many
_LISTS = ("lidars", "cameras", "radars")
_PAYLOADS = ("points", "image")


def most_bytes(scenes: Sequence[Mapping[str, Any]]) -> int:
    """More than the file of these scenes can take."""
    forms: dict[int, int] = {}  # frames of one sensor share the list of their fields
    return sum(payload_bytes(scene) + _room(scene, forms) for scene in scenes) + FILE_ROOM_BYTES


def write_scenes(sink: Any, scenes: Sequence[Mapping[str, Any]], *, compress_points: bool = True) -> None:
    """Write scenes, at least one, in their order. Images are stored as they are: JPEG does not shrink again."""
    table, first = scene_table(scenes), 0
    with scene_writer(sink, table.schema, shared_leaves(scenes), compress_points=compress_points) as writer:
        for group in row_groups(scenes):
            writer.write_table(table.slice(first, len(group)))
            first += len(group)


def scene_writer(sink: Any, schema: pa.Schema, shared: Sequence[str], *, compress_points: bool = True) -> pq.ParquetWriter:
    """A writer of scene tables; each table becomes a row group. `shared`: leaves whose values come again."""
    payload = dict.fromkeys(_IMAGES, "none") | dict.fromkeys(_POINTS, "zstd" if compress_points else "none")
    return pq.ParquetWriter(
        sink,
        schema,
        # Of the other columns a row group holds a few hundred bytes each: setting up Zstandard would cost more than they do.
        compression=dict.fromkeys(_LEAVES, "snappy") | payload,
        # A payload that comes again in a row group is an index into its dictionary; one that never does would only be copied.
        use_dictionary=list(shared),
        dictionary_pagesize_limit=DICTIONARY_BYTES,
        write_statistics=_STATISTICS,
        # The stored Arrow schema would name the views that we wrote from; what is stored is `binary`.
        store_schema=False,
    )


def shared_leaves(scenes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The payload leaves of which scenes share a value: it is the same object."""
    shared = []
    for leaf in _IMAGES + _POINTS:
        column, name = leaf.split(".")[0], leaf.rpartition(".")[2]
        values = [id(value) for scene in scenes for entry in scene[column] if (value := entry.get(name)) is not None]
        if len(set(values)) < len(values):
            shared.append(leaf)
    return shared


def payload_bytes(scene: Mapping[str, Any]) -> int:
    """Bytes of all payload of a scene."""
    return sum(map(len, _payloads(scene)))


def _payloads(scene: Mapping[str, Any]) -> list[Any]:
    return [
        value for column in _LISTS for entry in scene[column] for name in _PAYLOADS if (value := entry.get(name)) is not None
    ]


def _room(scene: Mapping[str, Any], forms: dict[int, int]) -> int:
    """More bytes than all but payload takes in a file, and what compression adds to payload that does not shrink.

    `forms` remembers, by identity, what a list of point fields takes.
    """
    own = SCENE_ROOM_BYTES + len(scene["calibration"]) * 4 + payload_bytes(scene) // PAYLOAD_GROWTH
    for column in _LISTS:
        for entry in scene[column]:
            fields = entry.get("point_fields") or ()
            if id(fields) not in forms:
                forms[id(fields)] = sum(FIELD_ROOM_BYTES + len(field["name"]) * 4 for field in fields)
            own += ENTRY_ROOM_BYTES + forms[id(fields)]
    return own + sum(len(source["key"]) * 4 for source in scene["sources"])


def row_groups(scenes: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Few enough scenes a group that one can be fetched alone; a payload that they share counts once."""
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


def _leaves(kind: pa.DataType, path: str) -> Iterable[str]:
    if pa.types.is_list(kind):
        yield from _leaves(kind.value_type, f"{path}.list.element")
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(field.type, f"{path}.{field.name}")
    else:
        yield path


_LEAVES = [leaf for field in SCENES for leaf in _leaves(field.type, field.name)]
_IMAGES = [leaf for leaf in _LEAVES if leaf.endswith(".image")]
_POINTS = [leaf for leaf in _LEAVES if leaf.endswith(".points")]
_STATISTICS = [leaf for leaf in _LEAVES if leaf.replace(".list.", ".") not in OPAQUE_LEAVES]
