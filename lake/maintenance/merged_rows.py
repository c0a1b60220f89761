"""Files of facts (`gold.frames`, `quarantine.records`) from many small ones: the same rows, in larger row groups.

Files of a handful of rows are mostly footer, so rows are written anew, in their order. A digest over them proves it,
computed from the files that are merged and from the merged ones as they are stored; it does not depend on row groups or files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from lake.errors import TableError
from lake.parquet.row_group import RangeRead, read_footer, read_row_group

ROW_GROUP_ROWS = 131_072
"""Few enough that the rows of a drive can be read from a file of many drives without most of the others."""


def table_rows(read: RangeRead, uri: str, size: int, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of a file, a row group at a time, in the columns of `schema`; a column that the file lacks is null.

    Raises:
        TableError: The file has columns that `schema` has not, or of other types.
        LakeError: It cannot be read, or a page is not what its CRC says.
    """
    metadata = read_footer(read, uri, size)
    found = metadata.schema.to_arrow_schema()
    names = found.names
    if unknown := sorted(_leaves(found) - _leaves(schema)):
        raise TableError(f"{uri} has columns that this version does not know, and would lose: {', '.join(unknown)}")
    for number in range(metadata.num_row_groups):
        yield _as(schema, read_row_group(read, uri, metadata, number, names), uri)


def rechunked(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The rows of the tables in tables of `rows`, the last with what remains; no more than one of either is held."""
    held, count = list[pa.Table](), 0
    for table in tables:
        at = 0
        while at < len(table):
            part = table.slice(at, rows - count)
            held.append(part)
            count += len(part)
            at += len(part)
            if count == rows:
                yield pa.concat_tables(held).combine_chunks()
                held, count = [], 0
    if count:
        yield pa.concat_tables(held).combine_chunks()


class RowsDigest:
    """Counts rows in their order, and digests them: equal rows in tables of equal lengths give equal digests."""

    def __init__(self) -> None:
        self._found = hashlib.sha256()
        self.rows = 0

    def add(self, table: pa.Table) -> None:
        """Count in rows as `rechunked` gives them."""
        self.rows += len(table)
        self._found.update(_plain(table))

    def result(self) -> tuple[int, str]:
        """How many rows there were, and SHA-256 (hex) over them."""
        return self.rows, self._found.hexdigest()


def _plain(table: pa.Table) -> memoryview:
    """The values of a table and nothing else: in memory, what lies under a null or behind the last bit may be anything."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False, store_schema=False)
    return memoryview(sink.getvalue())


def _as(schema: pa.Schema, table: pa.Table, uri: str) -> pa.Table:
    columns = [table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type) for field in schema]
    try:
        return pa.table(columns, names=schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise TableError(f"{uri} does not have the columns of its table: {error}") from error


def _leaves(fields: Iterable[pa.Field], inside: str = "") -> set[str]:
    found = set[str]()
    for field in fields:
        kind, name = field.type, f"{inside}{field.name}"
        while pa.types.is_list(kind):
            kind = kind.value_type
        found |= _leaves(kind, f"{name}.") if pa.types.is_struct(kind) else {name}
    return found
