"""Data files are replaced in one snapshot, whose manifests say so, and only those that can matter are opened."""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.manifest import DataFile, ManifestEntry, ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation

from lake.errors import TableError
from lake.iceberg import manifest_clusters
from lake.iceberg.data_files import data_files
from lake.iceberg.internals import begin, replace_files
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables.creation import ensure_tables
from lake.tables.publish import publish
from lake.tables.schemas import FRAMES, RECORDS
from tests.unit.lake.iceberg.counting_io import CountingIO
from tests.unit.lake.tables.fence_lake import DAY, DRIVE, FenceLake, frame, held, record

FRAMES_TABLE = "gold.frames"
PARTS = tuple((vehicle, DAY + datetime.timedelta(days=day)) for vehicle in ("car-1", "car-2") for day in (0, 1))


class Frames:
    """`gold.frames` of a lake in a folder, changed file by file."""

    def __init__(self, folder: Path) -> None:
        self.lake = FenceLake(folder, lambda: counting(folder))

    @property
    def table(self) -> Table:
        return self.lake.catalog().load_table(FRAMES_TABLE)

    def file(self, part: int) -> str:
        vehicle, day = PARTS[part]
        return self.lake.put([frame(DriveId(vehicle, "a"), "r", self.lake.files) | {"day": day}], FRAMES)

    def change(self, removed: list[DataFile], added: list[str], *, merge: bool = False) -> None:
        table = self.table
        change = begin(table)
        replace_files(change, table.io, removed, data_files(table, added), {}, merge=merge)
        self.lake.catalog().commit_together([change])

    def files(self) -> dict[str, DataFile]:
        return {task.file.file_path: task.file for task in self.table.scan().plan_files()}

    def entries(self) -> list[ManifestEntry]:
        table = self.table
        current = table.current_snapshot()
        assert current is not None
        return [
            entry
            for manifest in current.manifests(table.io)
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        ]

    def deleted(self) -> set[str]:
        return {entry.data_file.file_path for entry in self.entries() if entry.status is ManifestEntryStatus.DELETED}


def counting(folder: Path) -> LakeCatalog:
    properties = {"py-io-impl": f"{CountingIO.__module__}.{CountingIO.__qualname__}"}
    return LakeCatalog("unit", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse", **properties)


Change = tuple[list[int], list[int], bool]  # partitions of added files, positions of removed ones, whether to merge
CHANGES = st.lists(
    st.tuples(st.lists(st.integers(0, 3), max_size=3), st.lists(st.integers(0, 20), max_size=3), st.booleans()), max_size=5
)


@settings(max_examples=20)
@given(CHANGES)
def test_after_any_changes_the_table_holds_what_was_added_and_not_removed(
    changes: list[Change],
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in {"FEW_ENTRIES": 3, "MOST_MANIFESTS": 2, "MOST_ENTRIES": 4}.items():
            patch.setattr(manifest_clusters, name, value)
        frames, expected = Frames(Path(folder)), set[str]()
        for number, (parts, chosen, merge) in enumerate(changes):
            there = frames.files()
            removed = {sorted(there)[position % len(there)] for position in chosen} if there else set[str]()
            added = [frames.file(part) for part in parts]
            frames.change([there[uri] for uri in removed], added, merge=merge)
            expected = (expected - removed) | set(added)
            assert set(frames.files()) == expected
            assert frames.deleted() == removed
            assert len(frames.table.snapshots()) == number + 1
            summary = frames.table.snapshots()[-1].summary
            assert summary is not None
            assert int(summary["total-data-files"]) == len(expected)


def test_a_snapshot_says_what_it_did_and_the_next_one_no_longer_names_what_was_removed(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    frames.change([], [frames.file(0), frames.file(1)])
    first = frames.files()
    frames.change(list(first.values()), [frames.file(0)])
    second = frames.table.current_snapshot()
    assert second is not None
    assert [entry.snapshot_id for entry in frames.entries() if entry.status is ManifestEntryStatus.DELETED] == [
        second.snapshot_id
    ] * 2
    frames.change(list(frames.files().values()), [])
    frames.change([], [])
    operations = [snapshot.summary.operation for snapshot in frames.table.snapshots() if snapshot.summary]
    assert operations == [Operation.APPEND, Operation.OVERWRITE, Operation.DELETE, Operation.APPEND]
    assert frames.entries() == []


def test_only_manifests_that_can_hold_a_removed_file_are_opened(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    for part in range(4):
        frames.change([], [frames.file(part), frames.file(part)])
    file = next(file for file in frames.files().values() if file.partition[1] == PARTS[2][0])
    table = frames.table
    change = begin(table)
    CountingIO.start()
    replace_files(change, table.io, [file], (), {})
    assert CountingIO.manifests() == 1
    kept = {entry.data_file.file_path: entry for entry in frames.entries()}
    frames.lake.catalog().commit_together([change])
    for entry in frames.entries():
        if entry.status is not ManifestEntryStatus.DELETED:
            before = kept[entry.data_file.file_path]
            assert (entry.sequence_number, entry.snapshot_id) == (before.sequence_number, before.snapshot_id)


def test_files_of_several_partitions_get_a_manifest_for_each(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    frames.change([], [frames.file(part) for part in (0, 1, 2, 0)])
    table = frames.table
    current = table.current_snapshot()
    assert current is not None
    assert sorted(manifest.added_files_count or 0 for manifest in current.manifests(table.io)) == [1, 1, 2]


def test_a_file_that_is_not_in_the_table_cannot_be_removed(tmp_path: Path) -> None:
    frames = Frames(tmp_path)
    frames.change([], [frames.file(0)])
    (gone,) = frames.files().values()
    frames.change([gone], [frames.file(0)])
    before = frames.files()
    with pytest.raises(TableError, match="not in the table"):
        frames.change([gone], [])
    assert frames.files() == before


def test_the_rows_of_other_drives_in_a_shared_file_stay_as_they_are_and_in_their_order(tmp_path: Path) -> None:
    lake, others = FenceLake(tmp_path), [DriveId("car-1", f"b-{number}") for number in range(3)]
    publish(lake.catalog(), lake.batch("r1", 1, tuple(range(0, 70, 10))))
    for number, other in enumerate(others):
        publish(lake.catalog(), lake.batch(f"o{number}", 1, (5, 15, 25), other))
    lake.merge_frames()
    before = lake.catalog().load_table(FRAMES_TABLE).scan().to_arrow()
    publish(lake.catalog(), lake.batch("r2", 2, (100,)))
    after = lake.catalog().load_table(FRAMES_TABLE)
    (shared,) = (task.file for task in after.scan().plan_files() if task.file.record_count > 1)
    rest = pq.read_table(shared.file_path.removeprefix("file://"))
    assert rest.to_pylist() == [row for row in before.to_pylist() if row["drive_id"] != DRIVE.drive_id]
    assert DRIVE.drive_id not in shared.file_path
    assert pq.ParquetFile(shared.file_path.removeprefix("file://")).metadata.num_row_groups > 1
    assert lake.rows() == held("r2", (100,))
    for number, other in enumerate(others):
        assert lake.rows(other) == held(f"o{number}", (5, 15, 25))


def test_a_shared_file_without_the_drive_is_left_alone(tmp_path: Path) -> None:
    """Its bounds do not rule the drive out: it holds drives before and after it."""
    lake = FenceLake(tmp_path)
    for name in ("a", "c"):
        publish(lake.catalog(), lake.batch("r1", 1, (10,), DriveId("car-1", name)))
    lake.merge_frames()
    (before,) = (task.file.file_path for task in lake.catalog().load_table(FRAMES_TABLE).scan().plan_files())
    publish(lake.catalog(), lake.batch("r1", 1, (10,), DriveId("car-1", "b")))
    files = {task.file.file_path for task in lake.catalog().load_table(FRAMES_TABLE).scan().plan_files()}
    assert before in files
    assert len(files) == 2


def test_old_records_without_a_day_are_replaced(tmp_path: Path) -> None:
    """The table is partitioned by day from now on; a file of before is of the older partitioning."""
    lake = FenceLake(tmp_path)
    catalog = lake.catalog()
    catalog.drop_table("quarantine.records")
    older = pa.schema([field for field in RECORDS if field.name != "day"])
    catalog.create_table("quarantine.records", older, properties={"write.metadata.metrics.column.drive_id": "full"})
    table = catalog.load_table("quarantine.records")
    with table.update_spec() as spec:
        spec.add_identity("vehicle_id")
    row = {name: value for name, value in record(DRIVE, "r0", 1).items() if name != "day"}
    catalog.load_table("quarantine.records").add_files([lake.put([row], older)])
    ensure_tables(lake.catalog())
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20)))
    assert lake.rows() == held("r1", (10, 20))
    publish(lake.catalog(), lake.batch("r2", 2, (30,)))
    assert lake.rows() == held("r2", (30,))
