"""The Iceberg catalog: opening it, creating the tables, and committing several tables in one transaction.

Iceberg promises atomicity per table. A drive's publication touches four (scenes, frames, quarantine records, and the row that
says so), so this catalog stages each table's new metadata file and then moves all pointers in one SQL transaction (ADR 0004).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NamespaceAlreadyExistsError, TableAlreadyExistsError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import IdentityTransform
from sqlalchemy import create_engine, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from lake.errors import TableError
from lake.settings import AwsSettings, Settings
from lake.tables.backfill import fill_drives
from lake.tables.drives import DRIVES_TABLE, FILLED
from lake.tables.iceberg_internals import IcebergTables, begin, numbered_schema, stage, table_of
from lake.tables.rest_catalog import RestLakeCatalog, rest_properties
from lake.tables.schemas import PARTITIONS, PUBLISHED, SORTING

CATALOG_NAME = "scenelake"
BUSY_TIMEOUT_S = 60
MAX_ATTEMPTS = 5
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
_S3_PROPERTIES = {  # of PyIceberg's file IO, each from the equivalent argument of boto3
    "s3.endpoint": "endpoint_url",
    "s3.region": "region_name",
    "s3.access-key-id": "aws_access_key_id",
    "s3.secret-access-key": "aws_secret_access_key",
    "s3.session-token": "aws_session_token",
}
# How rows are read, for whoever finds the table without this code.
READER, POINT_LAYOUT = "scenelake.reader", "scenelake.point-layout"
_ANY_READER = "any Iceberg reader"
_OWN_PROPERTIES = {
    "gold.scenes": {
        READER: "lake.tables.scene_reader.SceneReader; any Iceberg reader for columns without points",
        POINT_LAYOUT: "column point_layout: rows (as in the message), planes (byte k of every point, for each k) or null (rows)",
    }
}


class LakeCatalog(SqlCatalog):
    """An SQL catalog that can commit several tables at once: the adapter of `lake.tables.publisher.Publisher`.

    Atomic: the pointers of all tables, in one transaction of the database, each only from the metadata file that its change was
    staged on. Metadata and data files of a commit that failed stay unreferenced.
    """

    def __init__(self, name: str, **properties: str) -> None:
        super().__init__(name, **properties)
        if properties["uri"].startswith("sqlite:///"):
            # A file needs no connection pool, and a connection left to the garbage collector holds its lock until then.
            self.engine.dispose()
            self.engine = create_engine(properties["uri"], poolclass=NullPool)

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        """Make the staged changes of all transactions visible, or none of them (`Publisher.commit_together`).

        Raises:
            CommitFailedException: Another commit moved one of the tables, and nothing has changed; or the database is busy or
                did not answer.
        """
        staged = [(transaction, stage(transaction)) for transaction in transactions]
        try:
            with Session(self.engine) as session:
                for transaction, location in staged:
                    self._move_pointer(session, transaction, location)
                session.commit()
        except OperationalError as error:
            raise CommitFailedException(f"catalog is busy: {error}") from error

    def pointers(self) -> dict[str, str]:
        """The current metadata file of every table, by table name, as of one moment; the files are not read."""
        of_catalog = IcebergTables.catalog_name == self.name
        columns = (IcebergTables.table_namespace, IcebergTables.table_name, IcebergTables.metadata_location)
        with Session(self.engine) as session:
            found = session.execute(select(*columns).where(of_catalog)).all()
        return {f"{namespace}.{table}": str(location) for namespace, table, location in found}

    def _move_pointer(self, session: Session, transaction: Transaction, location: str) -> None:
        current = table_of(transaction)
        namespace = Catalog.namespace_to_string(Catalog.namespace_from(current.name()))
        moved: Any = session.execute(
            update(IcebergTables)
            .where(
                IcebergTables.catalog_name == self.name,
                IcebergTables.table_namespace == namespace,
                IcebergTables.table_name == Catalog.table_name_from(current.name()),
                IcebergTables.metadata_location == current.metadata_location,
            )
            .values(
                metadata_location=location,
                previous_metadata_location=current.metadata_location,
            )
        )
        if moved.rowcount != 1:
            raise CommitFailedException(f"{'.'.join(current.name())} was changed by another commit")


AnyCatalog = LakeCatalog | RestLakeCatalog


def open_catalog(settings: Settings) -> AnyCatalog:
    """Open the catalog that `settings` names, with the S3 endpoint, region and credentials of `settings.aws`.

    Raises:
        SettingsError: The address of a REST catalog is not one.
        TableError: The REST catalog cannot commit several tables at once.
    """
    uri = settings.catalog_uri.get_secret_value()
    if uri.startswith("rest+"):
        return RestLakeCatalog(CATALOG_NAME, **_s3_properties(settings.aws), **rest_properties(uri))
    properties = {"uri": uri, "warehouse": settings.warehouse, **_s3_properties(settings.aws)}
    if uri.startswith("sqlite:"):
        properties["uri"] = f"{uri}{'&' if '?' in uri else '?'}timeout={BUSY_TIMEOUT_S}"
    else:
        properties["pool_pre_ping"] = "true"  # a connection that a restarted server has closed is replaced before use
    try:
        return LakeCatalog(CATALOG_NAME, **properties)
    except (IntegrityError, OperationalError, ProgrammingError):
        # Another process may have created the catalog's own tables between check and creation. A real fault recurs.
        return LakeCatalog(CATALOG_NAME, **properties)


def _s3_properties(aws: AwsSettings) -> dict[str, str]:
    given = aws.client_arguments("s3")
    return {name: given[argument] for name, argument in _S3_PROPERTIES.items() if argument in given}


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
    for _ in range(MAX_ATTEMPTS):
        table = catalog.load_table(name)
        columns_lack = not _docs(expected).items() <= _docs(table.schema()).items()
        partitions = [field.name for field in table.spec().fields]
        coarse = [column for column in PARTITIONS[name] if column not in partitions]
        if not columns_lack and not coarse and properties.items() <= table.properties.items():
            return table
        change = begin(table)
        if columns_lack:
            with change.update_schema() as columns:
                columns.union_by_name(expected)
        if coarse:
            with change.update_spec() as spec:
                for column in coarse:
                    spec.add_identity(column)
        change.set_properties(properties)
        try:
            catalog.commit_together([change])
        except CommitFailedException:
            continue  # another process changed the table: read it again
    raise TableError(f"{name}: its columns could not be brought up to date in {MAX_ATTEMPTS} attempts; run it again")


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
