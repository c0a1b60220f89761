"""The tables: creating those that do not exist, and bringing those of an older lake up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException, NamespaceAlreadyExistsError, TableAlreadyExistsError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import IdentityTransform
from sqlalchemy.exc import IntegrityError

from lake.errors import TableError
from lake.iceberg.attempts import commit
from lake.iceberg.internals import begin, numbered_schema
from lake.tables.backfill import fill_drives
from lake.tables.drives import DRIVES_TABLE, FILLED
from lake.tables.schemas import PARTITIONS, PUBLISHED, SORTING

if TYPE_CHECKING:
    from lake.iceberg.catalog import AnyCatalog

_FIRST_PARTITION_ID = 1000  # Iceberg table spec, "Partition Field IDs"
_PROPERTIES = {
    # `publish` re-reads `gold.drives` before each attempt; a blind retry would publish a batch twice.
    "commit.retry.num-retries": "0",
    "write.metadata.delete-after-commit.enabled": "false",
    "write.metadata.compression-codec": "gzip",
    "write.metadata.previous-versions-max": "20",  # names of earlier metadata files, in every metadata file
    # Bounds and counts of other columns are of no use to any reader, and would be most of every manifest.
    "write.metadata.metrics.default": "none",
}
# Bounds cut to 16 characters, as by default, cannot prove that a file holds one drive only.
_BOUNDED = (
    *("vehicle_id", "drive_id", "revision", "generation", "day", "sensor", "fate", "status", "level"),
    *("scene_id", "anchor_ns", "record_id", "stamp_ns", "committed_ns", "first_anchor_ns", "last_anchor_ns"),
)
# How rows are read, for whoever finds the table without this code.
READER, POINT_LAYOUT = "scenelake.reader", "scenelake.point-layout"
_ANY_READER = "any Iceberg reader"
_OWN_PROPERTIES = {
    "gold.scenes": {
        READER: "lake.tables.scene_reader.SceneReader; any Iceberg reader for columns without points",
        POINT_LAYOUT: "column point_layout: rows (as in the message), planes (byte k of every point, for each k) or null (rows)",
    }
}


def ensure_tables(catalog: AnyCatalog) -> None:
    """Create the published tables that do not exist yet, and add what an older lake lacks: columns, descriptions, partition
    fields, properties, and the rows of `gold.drives`.

    Safe to call from several processes at once. A new column is null in every row that was written before it.
    """
    for name, schema in PUBLISHED.items():
        namespace = name.split(".")[0]
        if not catalog.namespace_exists(namespace):
            try:
                catalog.create_namespace(namespace)
            except (NamespaceAlreadyExistsError, IntegrityError):
                pass  # another process was faster: the table exists
        if not catalog.table_exists(name):
            try:
                numbered = numbered_schema(schema)
                catalog.create_table(
                    name,
                    numbered,
                    partition_spec=_partitioning(name, numbered),
                    sort_order=_sorting(name, numbered),
                    properties=_properties(name, schema),
                )
            except TableAlreadyExistsError:
                pass  # as above
        table = _bring_up_to_date(catalog, name, schema)
        if name == DRIVES_TABLE and FILLED not in table.properties:
            fill_drives(catalog)


def _bring_up_to_date(catalog: AnyCatalog, name: str, schema: pa.Schema) -> Table:
    """Give a table of an older lake the columns, descriptions, partition fields and properties that it
    lacks; its files stay as they are."""
    expected, properties = numbered_schema(schema), _properties(name, schema)

    def attempt() -> tuple[list[Transaction], Table | None]:
        table = catalog.load_table(name)
        columns_lack = not _docs(expected).items() <= _docs(table.schema()).items()
        partitions = [field.name for field in table.spec().fields]
        coarse = [column for column in PARTITIONS[name] if column not in partitions]
        if not columns_lack and not coarse and properties.items() <= table.properties.items():
            return [], table
        change = begin(table)
        if columns_lack:
            with change.update_schema() as columns:
                columns.union_by_name(expected)
        if coarse:
            with change.update_spec() as spec:
                for column in coarse:
                    spec.add_identity(column)
        change.set_properties(properties)
        return [change], None

    try:
        return commit(catalog, attempt) or catalog.load_table(name)
    except CommitFailedException as error:
        raise TableError(f"{name}: its columns could not be brought up to date: {error}", "run it again") from error


def _docs(schema: Schema) -> dict[str, str | None]:
    """Description by column, nested ones included."""
    return {name: schema.find_field(name).doc for name in schema.column_names}


def _properties(name: str, schema: pa.Schema) -> dict[str, str]:
    bounded = [column for column in _BOUNDED if column in schema.names]
    own = {READER: _ANY_READER} | _OWN_PROPERTIES.get(name, {})
    return _PROPERTIES | {f"write.metadata.metrics.column.{column}": "full" for column in bounded} | own


def _partitioning(name: str, schema: Schema) -> PartitionSpec:
    return PartitionSpec(
        *(
            PartitionField(
                source_id=schema.find_field(column).field_id,
                field_id=_FIRST_PARTITION_ID + position,
                transform=IdentityTransform(),
                name=column,
            )
            for position, column in enumerate(PARTITIONS[name])
        )
    )


def _sorting(name: str, schema: Schema) -> SortOrder:
    """How the writers order rows within a file; Iceberg only records it."""
    return SortOrder(
        *(SortField(source_id=schema.find_field(column).field_id, transform=IdentityTransform()) for column in SORTING[name])
    )
