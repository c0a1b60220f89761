"""Scenes as an Arrow table, column by column; the caller chooses how payload is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from lake.tables.schemas import OPAQUE_LEAVES, POSE, SCENES

PayloadColumn: TypeAlias = Callable[[str, Sequence[Any]], pa.Array]
"""Converts a payload column's leaf and values (buffers, None where there is none) to the column to store."""

_PAYLOADS = frozenset(leaf.rpartition(".")[2] for leaf in OPAQUE_LEAVES if "." in leaf)


def scene_table(scenes: Sequence[Mapping[str, Any]], payload_column: PayloadColumn) -> pa.Table:
    """Rows of `lake.tables.schemas.SCENES`, but for the types that `payload_column` gives to payload.

    An element of `lidars`, `cameras` and `radars` may leave out what it does not have; a payload is any buffer of bytes.
    """
    arrays, fields = [], []
    for field in SCENES:
        values: list[Any] = [scene.get(field.name) if field.nullable else scene[field.name] for scene in scenes]
        if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
            array = _elements(field.name, values, field.type, payload_column)
        else:
            array = _column(values, field.type)
        arrays.append(array)
        fields.append(field.with_type(array.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if kind.equals(POSE):
        return _poses(values)
    return _shared(values, kind) if pa.types.is_list(kind) else pa.array(values, kind)


def _shared(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Lists of which many are the same object: each is converted once."""
    distinct = {id(value): value for value in values}
    numbers = {key: number for number, key in enumerate(distinct)}
    return pa.array(list(distinct.values()), kind).take(pa.array([numbers[id(value)] for value in values], pa.int32()))


def _elements(
    column: str, lists: Sequence[Sequence[Mapping[str, Any]]], kind: pa.ListType, payload_column: PayloadColumn
) -> pa.Array:
    elements = [element for entries in lists for element in entries]
    children, fields = [], []
    for field in kind.value_type:
        values = [element.get(field.name) for element in elements]
        leaf = f"{column}.list.element.{field.name}"  # as Parquet calls it
        array = payload_column(leaf, values) if field.name in _PAYLOADS else _column(values, field.type)
        children.append(array)
        fields.append(field.with_type(array.type))
    struct = pa.StructArray.from_arrays(children, fields=fields)
    offsets = pa.array([0, *accumulate(len(entries) for entries in lists)], pa.int32())
    return pa.ListArray.from_arrays(offsets, struct, type=pa.list_(kind.value_field.with_type(struct.type)))


def _poses(poses: Sequence[Sequence[float] | None]) -> pa.Array:
    absent = np.array([pose is None for pose in poses], dtype=np.bool_)
    filled = np.array([pose or (0.0,) * len(POSE) for pose in poses], dtype=np.float64).reshape(-1, len(POSE))
    children = [pa.array(np.ascontiguousarray(filled[:, value])) for value in range(len(POSE))]
    return pa.StructArray.from_arrays(children, fields=list(POSE), mask=pa.array(absent))
