"""Payload for a library without a prior copy: views of buffers, and a dictionary where values repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from scenes.build.scene_file import PAYLOAD_LEAVES

MAX_VALUE_BYTES = 2**31 - 1
INLINE_BYTES = 12  # Arrow columnar format, "Variable-size Binary View Layout": shorter values stand in the view itself
_VIEW = np.dtype([("length", "<i4"), ("prefix", "S4"), ("buffer", "<i4"), ("offset", "<i4")])
_NOTHING = (0, b"", 0, 0)


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


def shared_leaves(scenes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The payload leaves in which scenes share a value, that is, the same object."""
    shared = []
    for leaf in PAYLOAD_LEAVES:
        column, name = leaf.split(".")[0], leaf.rpartition(".")[2]
        values = [id(value) for scene in scenes for entry in scene[column] if (value := entry.get(name)) is not None]
        if len(set(values)) < len(values):
            shared.append(leaf)
    return shared
