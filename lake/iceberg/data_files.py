"""Parquet files as manifests describe them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyiceberg.io.pyarrow import parquet_file_to_data_file

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table


def data_files(table: Table, uris: Iterable[str]) -> list[DataFile]:
    """Parquet files as the table's manifests would describe them; only their footers are read."""
    with bounds_may_lack():
        return [parquet_file_to_data_file(table.io, table.metadata, uri) for uri in uris]


@contextmanager
def bounds_may_lack() -> Iterator[None]:
    """Silence the library's warnings about columns without bounds: some ten thousand lines per drive.

    The files have bounds in the columns that readers prune by (`scenes.build.scene_file`).
    """
    logger = logging.getLogger("pyiceberg.io.pyarrow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
