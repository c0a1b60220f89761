"""Feather files (Arrow IPC) as numpy arrays: bounded before anything is decompressed, and no value changed on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fleet.errors import SourceError
from fleet.importers.argoverse2.feather_sizes import declared_size
from fleet.importers.source import read_bounded

MAX_FILE_BYTES = 256 * 1024 * 1024
MAX_DATA_BYTES = 512 * 1024 * 1024  # once decompressed

Rows = npt.NDArray[np.void]


def read_rows(path: Path, dtype: np.dtype[Any], max_rows: int) -> Rows:
    """The columns that `dtype` names, (N,) of `dtype`: members of type object are text, the others numbers.

    A number may become a wider type that holds every value of the narrower one (float16 to float32), never the reverse.

    Raises:
        SourceError: The file is missing, damaged or too large, by its size, its rows or what its headers say it holds once
            decompressed; it lacks a column, or one is of a type that does not fit or has empty cells.

    """
    file = read_bounded(path, MAX_FILE_BYTES)
    try:
        size = declared_size(file)
    except ValueError as error:
        raise SourceError(f"{path} is no whole Feather file: {error}") from error
    if size.rows > max_rows:
        raise SourceError(f"{path} has {size.rows} rows, the limit is {max_rows}")
    if size.data_bytes > MAX_DATA_BYTES:
        raise SourceError(f"{path} would need {size.data_bytes} bytes once decompressed, the limit is {MAX_DATA_BYTES}")
    names = dtype.names or ()
    table = _table(path, file, names)
    rows = np.empty(table.num_rows, dtype=dtype)
    for name in names:
        rows[name] = _column(path, table, name, dtype[name])
    return rows


def _table(path: Path, file: bytes, names: tuple[str, ...]) -> pa.Table:
    try:
        with pa.ipc.open_file(pa.BufferReader(file)) as reader:
            there = list(reader.schema.names)
            absent = [name for name in names if there.count(name) != 1]
            if absent:
                raise SourceError(f"{path} lacks the columns {', '.join(absent)}, or has them twice, not once")
            included = pa.ipc.IpcReadOptions(included_fields=[there.index(name) for name in names])
        with pa.ipc.open_file(pa.BufferReader(file), options=included) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"{path} is no whole Feather file: {error}") from error
    return table


def _column(path: Path, table: pa.Table, name: str, wanted: np.dtype[Any]) -> npt.NDArray[Any] | list[str]:
    column = table[name]
    if column.null_count:
        raise SourceError(f"{path}: {column.null_count} of {table.num_rows} cells of the column {name} are empty")
    if wanted.kind == "O":
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise SourceError(f"{path}: the column {name} is {column.type} instead of text")
        texts: list[str] = column.to_pylist()
        return texts
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if not is_number or not np.can_cast(column.type.to_pandas_dtype(), wanted, "safe"):
        raise SourceError(f"{path}: the column {name} is {column.type}, which {wanted} does not hold without loss")
    return np.asarray(column.to_numpy())
