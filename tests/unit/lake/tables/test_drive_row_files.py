"""A file is rewritten without one drive: the rows of others and of none stay, in their order, row groups and pages checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import DataFile

from lake.iceberg.replace_files import data_files
from lake.landing import DriveId
from lake.parquet.table_file import WRITE_OPTIONS
from lake.tables.drive_row_files import DRIVE as DRIVE_COLUMN
from lake.tables.drive_row_files import VEHICLE, DriveRowFiles
from lake.tables.publish import publish
from lake.tables.schemas import FRAMES
from tests.unit.lake.tables.fence_lake import DRIVE, FenceLake, frame

OTHER = DriveId(DRIVE.vehicle_id, "another-drive")
LAX = pa.schema([field.with_nullable(True) if field.name in (VEHICLE, DRIVE_COLUMN) else field for field in FRAMES])


@pytest.fixture
def lake(tmp_path: Path) -> FenceLake:
    """A lake whose ids another tool has made optional: otherwise no row without one can be added."""
    made = FenceLake(tmp_path)
    with made.catalog().load_table("gold.frames").update_schema() as columns:
        columns.make_column_optional(VEHICLE)
        columns.make_column_optional(DRIVE_COLUMN)
    return made


def file_of(lake: FenceLake, rows: Sequence[Mapping[str, Any]], row_group: int = 100, path: str = "mixed.parquet") -> DataFile:
    target = lake.folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=LAX), target, row_group_size=row_group)
    (found,) = data_files(lake.catalog().load_table("gold.frames"), [f"file://{target}"])
    found.spec_id = lake.catalog().load_table("gold.frames").spec().spec_id
    return found


def files(lake: FenceLake) -> DriveRowFiles:
    return DriveRowFiles(lake.catalog().load_table("gold.frames"), DRIVE)


def rest(lake: FenceLake, file: DataFile) -> Path:
    return Path(files(lake).write_rest(file).removeprefix("file://"))


def corrupt(path: Path) -> None:
    """Flip a bit in the last page of the stamps."""
    group = pq.read_metadata(path).row_group(0)
    column = next(group.column(at) for at in range(group.num_columns) if group.column(at).path_in_schema == "stamp_ns")
    body = bytearray(path.read_bytes())
    begin = column.dictionary_page_offset or column.data_page_offset
    body[begin + column.total_compressed_size - 4] ^= 1
    path.write_bytes(body)


def test_the_rows_of_others_stay_in_their_order_and_row_groups(lake: FenceLake) -> None:
    rows = [frame(DRIVE if at % 3 == 0 or at >= 8 else OTHER, "r1", at) for at in range(12)]
    file = file_of(lake, rows, row_group=4)
    assert files(lake).rows_of_drive(file) == 7
    found = pq.ParquetFile(rest(lake, file))
    assert found.read()["stamp_ns"].to_pylist() == [1, 2, 4, 5, 7]
    assert found.read().to_pylist() == pq.read_table(lake.folder / "mixed.parquet").take([1, 2, 4, 5, 7]).to_pylist()
    assert [found.metadata.row_group(at).num_rows for at in range(found.num_row_groups)] == [2, 3]


def test_every_page_of_the_rest_has_a_crc(lake: FenceLake) -> None:
    path = rest(lake, file_of(lake, [frame(drive, "r1", at) for at in range(2000) for drive in (DRIVE, OTHER)]))
    assert WRITE_OPTIONS["write_page_checksum"] is True
    pq.ParquetFile(path, page_checksum_verification=True).read()
    corrupt(path)
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


@pytest.mark.parametrize("column", ["vehicle_id", "drive_id"])
def test_a_row_of_no_drive_is_not_lost_with_one(lake: FenceLake, column: str) -> None:
    """The bounds of the file name one drive: rows without an id are in none."""
    file = file_of(lake, [frame(DRIVE, "r1", 1), {**frame(DRIVE, "r1", 2), column: None}, frame(DRIVE, "r1", 3)])
    assert files(lake).rows_of_drive(file) == 2
    assert pq.read_table(rest(lake, file))["stamp_ns"].to_pylist() == [2]


def test_a_file_of_the_drive_alone_is_not_read(lake: FenceLake) -> None:
    file = file_of(lake, [frame(DRIVE, "r1", 1)])
    (lake.folder / "mixed.parquet").unlink()
    assert files(lake).rows_of_drive(file) == 1


def test_the_rest_does_not_lie_where_the_drive_is_named(lake: FenceLake) -> None:
    file = file_of(lake, [frame(DRIVE, "r1", 1), frame(OTHER, "r1", 1)], path=f"data/{DRIVE}/mixed.parquet")
    assert DRIVE.drive_id not in str(rest(lake, file))


def test_a_new_revision_leaves_the_others_in_a_merged_file(lake: FenceLake) -> None:
    for drive in (DRIVE, OTHER):
        publish(lake.catalog(), lake.batch("r1", 1, (10, 20, 30), drive))
    lake.merge_frames()
    publish(lake.catalog(), lake.batch("r2", 2, (40,)))
    assert lake.rows(OTHER)["gold.frames"] == [("r1", 10), ("r1", 20), ("r1", 30)]
    assert lake.rows()["gold.frames"] == [("r2", 40)]
    for task in lake.catalog().load_table("gold.frames").scan().plan_files():
        path = task.file.file_path.removeprefix("file://")
        assert set(pq.read_table(path)["drive_id"].to_pylist()) in ({DRIVE.drive_id}, {OTHER.drive_id})
