"""A walk over the drives of `gold.drives` in the order of their names, from any place in it: one vehicle in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow.parquet as pq
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import AlwaysTrue, And

from lake.iceberg.internals import plan_manifests
from lake.iceberg.manifest_clusters import files_of
from lake.landing import DriveId
from lake.tables.drive_rows import equal, of_drive
from lake.tables.drives import DRIVES_TABLE
from lake.tables.names import RECORDS_TABLE
from lake.tables.planned_files import drive_spans, is_drive
from lake.tables.rows import DriveRow, row_of
from lake.tables.schemas import QUARANTINED

if TYPE_CHECKING:
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table

COLUMNS = (
    "vehicle_id", "drive_id", "revision", "generation", "committed_ns", "verdict", "scenes", "frames", "records", "days",
    "scenes_snapshot_id",
)  # fmt: skip


class LoadsTables(Protocol):
    """A catalog, or tables that were loaded before."""

    def load_table(self, identifier: str) -> Table:
        """The table of that name."""
        ...


def drives_after(drives: Table, after: DriveId | None = None, vehicle_id: str | None = None) -> Iterator[DriveRow]:
    """The newest publication of each drive, without its files, by vehicle and drive.

    Args:
        drives: `gold.drives`.
        after: Begin behind this drive, which need not exist.
        vehicle_id: Only drives of this vehicle.
    """
    for one in [vehicle_id] if vehicle_id is not None else vehicles(drives):
        if after is not None and one < after.vehicle_id:
            continue
        newest: dict[str, DriveRow] = {}
        for batch in drives.scan(row_filter=equal("vehicle_id", one), selected_fields=COLUMNS).to_arrow_batch_reader():
            for row in (row_of(DriveRow, columns) for columns in batch.to_pylist()):
                known = newest.get(row.drive_id)
                if is_drive(f"{row.vehicle_id}/{row.drive_id}") and (known is None or known.generation < row.generation):
                    newest[row.drive_id] = row
        for name in sorted(newest):
            if after is None or newest[name].drive > after:
                yield newest[name]


def drives_with_rule(
    catalog: LoadsTables, rule_id: str, drive: DriveId | None = None, after: DriveId | None = None
) -> Iterator[tuple[DriveId, int]]:
    """Drives in the order of their names, each with the number of its records that name the rule and are neither released nor
    rejected. The caller stops when it has enough: drives are read one by one, and of their records neither findings nor payload.

    `drive`: only this one. `after`: begin behind this one.
    """
    try:
        records = catalog.load_table(RECORDS_TABLE)
    except NoSuchTableError:
        return  # nothing has been published yet
    walk = (row.drive for row in drives_after(catalog.load_table(DRIVES_TABLE), after) if row.records != 0)
    for one in walk if drive is None else (drive,):
        row_filter = And(equal("status", QUARANTINED), of_drive(one))
        batches = records.scan(row_filter=row_filter, selected_fields=("rule_ids", "status")).to_arrow_batch_reader()
        count = sum(rule_id in rules for batch in batches for rules in batch["rule_ids"].to_pylist())
        if count:
            yield one, count


def drives_with_records(
    records: Table,
    wanted: Callable[[Mapping[str, Any]], bool],
    columns: Sequence[str],
    report: Callable[[int, int], None],
    vehicle_id: str | None = None,
) -> list[DriveId]:
    """The drives that have a record which `wanted` selects by these columns, in the order of their names.

    Every file of `quarantine.records`, or of a vehicle in it, is opened; of each only these columns are read, so neither findings
    nor payload. `report`: called with the files that were read and all of them.
    """
    where = AlwaysTrue() if vehicle_id is None else equal("vehicle_id", vehicle_id)
    snapshot, scan = records.current_snapshot(), records.scan(row_filter=where)
    manifests = [] if snapshot is None else snapshot.manifests(records.io)
    total, done, found = sum(map(files_of, manifests)), 0, set[tuple[str, str]]()
    for manifest in manifests:
        for task in plan_manifests(scan, [manifest]):
            with records.io.new_input(task.file.file_path).open() as stream, pq.ParquetFile(stream) as file:
                for batch in file.iter_batches(columns=["vehicle_id", "drive_id", *columns]):
                    found |= {(row["vehicle_id"], row["drive_id"]) for row in batch.to_pylist() if wanted(row)}
            done += 1
            report(done, total)
    return [DriveId(*names) for names in sorted(found) if vehicle_id in (None, names[0])]


def vehicles(drives: Table) -> list[str]:
    """The vehicles that have a drive, sorted. Manifests of one vehicle are not opened."""
    snapshot = drives.current_snapshot()
    found: set[str] = set()
    for manifest in () if snapshot is None else snapshot.manifests(drives.io):
        one = _vehicle(drives, manifest)
        found |= {one} if one is not None else _vehicles_in(drives, manifest)
    return sorted(found)


def _vehicle(drives: Table, manifest: ManifestFile) -> str | None:
    fields = [field.name for field in drives.metadata.specs()[manifest.partition_spec_id].fields]
    if "vehicle_id" not in fields or not manifest.partitions:
        return None
    summary = manifest.partitions[fields.index("vehicle_id")]
    if summary.lower_bound is None or summary.lower_bound != summary.upper_bound:
        return None
    return summary.lower_bound.decode()


def _vehicles_in(drives: Table, manifest: ManifestFile) -> set[str]:
    found: set[str] = set()
    for entry in manifest.fetch_manifest_entry(drives.io):
        (low, high), _ = drive_spans(entry.data_file, drives.schema())
        if low is not None and low == high:
            found.add(low)
        else:
            rows = drives.scan(row_filter=AlwaysTrue(), selected_fields=("vehicle_id",)).to_arrow_batch_reader()
            return {name for batch in rows for name in batch["vehicle_id"].to_pylist()}
    return found
