"""Rows of `gold.compactions`: one for each compaction, appended in its commit (ADR 0038)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from lake.iceberg.replace_files import replace_files
from lake.parquet.table_file import WRITE_OPTIONS
from lake.tables.rows import CompactionRow, row_of
from lake.tables.schemas import COMPACTIONS

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction

COMPACTIONS_TABLE = "gold.compactions"


def compactions(table: Table) -> tuple[CompactionRow, ...]:
    """All compactions, in the order of their commits."""
    found = table.scan().to_arrow().to_pylist()
    return tuple(sorted((row_of(CompactionRow, row) for row in found), key=lambda row: (row.committed_ns, row.snapshot_id)))


def add_row(transaction: Transaction, table: Table, row: CompactionRow, summary: Mapping[str, str]) -> str:
    """Let a transaction on the table add a row; returns the URI of its file, which no reader sees until the commit."""
    uri = f"{table.location()}/data/{row.vehicle_id}/{uuid.uuid4().hex}.parquet"
    sink = pa.BufferOutputStream()
    built = msgspec.to_builtins(row, builtin_types=(date,))
    pq.write_table(pa.Table.from_pylist([built], schema=COMPACTIONS), sink, **WRITE_OPTIONS)
    with table.io.new_output(uri).create(overwrite=True) as stream:
        stream.write(sink.getvalue().to_pybytes())
    replace_files(transaction, table.io, (), [uri], summary)
    return uri
