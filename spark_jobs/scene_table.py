"""Scenes as an Arrow table whose payload columns are views of the bytes as they were fetched: nothing is copied before
the Parquet writer does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from lake.tables import OPAQUE_LEAVES, POSE, SCENES

MAX_VALUE_BYTES = 2**31 - 1
INLINE_BYTES = 12  # Arrow columnar format, "Variable-size Binary View Layout": shorter values stand in the view itself
_VIEW = np.dtype([("length", "<i4"), ("prefix", "S4"), ("buffer", "<i4"), ("offset", "<i4")])
_NOTHING = (0, b"", 0, 0)
_PAYLOADS = frozenset(leaf.rpartition(".")[2] for leaf in OPAQUE_LEAVES if "." in leaf)


def scene_table(scenes: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of `lake.tables.SCENES`; payload leaves have type `binary_view`, which Parquet stores as `binary`.

    An element of `lidars`, `cameras` and `radars` may leave out what it does not have; a payload is any buffer of bytes.
    """
    arrays, fields = [], []
    for field in SCENES:
        if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
            array = _elements([scene[field.name] for scene in scenes], field.type)
        else:
            array = _column([scene[field.name] for scene in scenes], field.type)
        arrays.append(array)
        fields.append(field.with_type(array.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def payload_array(payloads: Sequence[Any]) -> pa.Array:
    """Buffers as one array of type `binary_view` that refers to them; None stays null.

    Raises:
        pa.ArrowInvalid: A payload of 2 GiB or more.
    """
    views = np.zeros(len(payloads), dtype=_VIEW)
    inline = views.view(np.uint8).reshape(-1, _VIEW.itemsize)
    present = np.ones(len(payloads), dtype=np.bool_)
    entries: list[tuple[int, bytes, int, int]] = []
    buffers: list[pa.Buffer] = []
    short: list[int] = []
    for row, payload in enumerate(payloads):
        if payload is None:
            present[row] = False
            entries.append(_NOTHING)
            continue
        data = memoryview(payload)
        if data.nbytes > MAX_VALUE_BYTES:
            raise pa.ArrowInvalid(f"a payload of {data.nbytes} bytes; a value has at most 2 GiB")
        if data.nbytes <= INLINE_BYTES:
            short.append(row)
            entries.append(_NOTHING)
        else:
            entries.append((data.nbytes, bytes(data[:4]), len(buffers), 0))
            buffers.append(pa.py_buffer(data))
    if entries:
        views[:] = entries  # S4 drops trailing zero bytes when it is read, never when it is stored
    for row in short:
        data = memoryview(payloads[row])
        views[row]["length"] = data.nbytes
        inline[row, 4 : 4 + data.nbytes] = np.frombuffer(data, dtype=np.uint8)
    validity = None if present.all() else pa.array(present).buffers()[1]
    return pa.Array.from_buffers(pa.binary_view(), len(payloads), [validity, pa.py_buffer(views), *buffers])


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return _poses(values) if kind.equals(POSE) else pa.array(values, kind)


def _elements(lists: Sequence[Sequence[Mapping[str, Any]]], kind: pa.ListType) -> pa.Array:
    elements = [element for entries in lists for element in entries]
    children, fields = [], []
    for field in kind.value_type:
        values = [element.get(field.name) for element in elements]
        array = payload_array(values) if field.name in _PAYLOADS else _column(values, field.type)
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
