"""Compaction changes files and nothing else, whatever comes between, and never silently keeps what is damaged."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Transaction
from pyiceberg.table.snapshots import Operation

from lake.errors import LakeError
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.maintenance import compact as module
from lake.maintenance.compact import LONGEST_S, Compaction, CompactionError, MergeOutcome, compact
from lake.maintenance.compaction_plan import ALONE, LARGE, RunBudget, plan
from lake.maintenance.lake_files import LakeWriter
from lake.maintenance.merge_sizes import MB, SMALLEST_SCENES, Sizes
from lake.tables.compactions import COMPACTIONS_TABLE, compactions
from lake.tables.names import DATA_TABLES
from lake.tables.scene_key import SceneKey
from lake.tables.scene_reader import SceneReader
from scenes.plan.windows import WINDOW_BYTES
from tests.unit.lake.maintenance.small_files import DRIVES, SMALL, SmallFilesLake, at
from tests.unit.lake.tables.fence_lake import DAY


@pytest.fixture
def lake(tmp_path: Path) -> SmallFilesLake:
    made = SmallFilesLake(tmp_path)
    for drive in DRIVES:
        made.publish(drive)
    return made


def compact_all(lake: SmallFilesLake, sizes: Sizes = SMALL) -> list[Compaction]:
    catalog = lake.catalog()
    return [compact(catalog, job, sizes) for job in plan(catalog, sizes).jobs]


def test_files_are_merged_and_every_row_stays(lake: SmallFilesLake) -> None:
    before, old = lake.contents(), {name: lake.data_files(name) for name in lake.contents()}
    found = compact_all(lake)
    assert {one.outcome for one in found} == {MergeOutcome.COMPACTED}
    assert lake.contents() == before
    assert {name: len(lake.data_files(name)) for name in before} == {
        "gold.scenes": 3,  # one a drive
        "gold.frames": 1,
        "quarantine.records": 1,
    }
    for name, files in old.items():
        snapshot = lake.catalog().load_table(name).current_snapshot()
        assert snapshot is not None
        assert snapshot.summary is not None
        assert snapshot.summary.operation is Operation.REPLACE
        assert snapshot.summary["deleted-data-files"] == ("4" if name == "gold.scenes" else "3")
        assert set(files) <= lake.referenced(), "the snapshots before it keep their files"


def test_scene_files_never_mix_drives_and_keep_layout_and_bounds(lake: SmallFilesLake) -> None:
    groups = {uri: pq.ParquetFile(uri.removeprefix("file://")).metadata.num_row_groups for uri in lake.data_files("gold.scenes")}
    compact_all(lake)
    merged = 0
    for uri in lake.data_files("gold.scenes"):
        file = pq.ParquetFile(uri.removeprefix("file://"), page_checksum_verification=True)
        (drive,) = set(file.read(columns=["drive_id"])["drive_id"].to_pylist())
        assert f"/car-1/{drive}/" in uri, "all files of a drive can be listed"
        merged += file.metadata.num_row_groups
        column = file.metadata.row_group(0).column(0)
        assert column.statistics.has_min_max
    assert merged == sum(groups.values()), "a scene is read with as few bytes as before"
    reader = SceneReader(lake.catalog().load_table("gold.scenes"))
    row = reader.scene(SceneKey(DRIVES[1], at(7)))
    assert row is not None
    assert row.lidars[0].payload_sha256 == hashlib.sha256(row.lidars[0].points or b"").hexdigest()


def test_the_commit_says_what_it_did(lake: SmallFilesLake) -> None:
    found = compact_all(lake)
    rows = compactions(lake.catalog().load_table(COMPACTIONS_TABLE))
    assert list(rows) == [one.row for one in found]
    assert [(row.table, row.vehicle_id, row.day, row.replaced_files, row.rows) for row in rows] == [
        *[("gold.scenes", "car-1", DAY, 4, 12)] * 3,
        ("gold.frames", "car-1", DAY, 3, 36),
        ("quarantine.records", "car-1", rows[-1].day, 3, 3),
    ]
    for row in rows:
        assert lake.catalog().load_table(row.table).snapshot_by_id(row.snapshot_id) is not None
        for file in row.files:
            body = Path(file.uri.removeprefix("file://")).read_bytes()
            assert (file.bytes, file.sha256) == (len(body), hashlib.sha256(body).hexdigest())


def test_a_second_run_finds_nothing_to_do(lake: SmallFilesLake) -> None:
    compact_all(lake)
    again = plan(lake.catalog(), SMALL)
    assert again.jobs == ()
    assert {why for reasons in again.left.values() for why in reasons} <= {ALONE, LARGE}
    lake.publish(DriveId("car-1", "drive-d"))
    assert {job.drive for job in plan(lake.catalog(), SMALL).jobs} == {"drive-d", None}


@pytest.mark.parametrize("rows", [5, 1000])
def test_large_tables_of_rows_become_several_files_that_are_left_next_time(
    lake: SmallFilesLake, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROW_GROUP_ROWS", rows)
    sizes = Sizes(4000, 9000, 4000)
    before = lake.contents()
    compact_all(lake, sizes)
    assert lake.contents() == before
    assert plan(lake.catalog(), sizes).jobs == ()


def test_only_the_day_and_the_vehicle_that_were_asked_for(lake: SmallFilesLake) -> None:
    lake.publish(DriveId("car-2", "drive-a"))
    catalog = lake.catalog()
    assert {job.vehicle_id for job in plan(catalog, SMALL, vehicle_id="car-2").jobs} == {"car-2"}
    assert plan(catalog, SMALL, day=DAY.replace(year=2020)).jobs == ()
    assert {job.day for job in plan(catalog, SMALL, day=DAY).jobs} == {DAY}


def test_a_size_that_would_merge_again_and_again_is_refused() -> None:
    with pytest.raises(LakeError, match="half of the second"):
        Sizes(100, 150, 1)
    with pytest.raises(LakeError, match="files of 100 to 150 bytes"):
        Sizes(1, 150, 100)


def test_scenes_in_files_as_the_build_makes_them_are_left_and_frames_are_merged(tmp_path: Path) -> None:
    """Otherwise nearly all scenes of a fleet would be copied every day."""
    assert SMALLEST_SCENES < WINDOW_BYTES * 0.6, "lidar is stored in about two thirds of its bytes"
    lake = SmallFilesLake(tmp_path)
    for drive in DRIVES[:2]:
        lake.publish(drive, windows=2, scenes=1, points=33 * MB)
    planned = plan(lake.catalog())
    assert {job.table for job in planned.jobs} == {"gold.frames", "quarantine.records"}
    assert {why: left.files for why, left in planned.left["gold.scenes"].items()} == {LARGE: 4}


def test_the_tail_of_a_drive_has_nothing_to_be_merged_with(tmp_path: Path) -> None:
    lake = SmallFilesLake(tmp_path)
    lake.publish(DRIVES[0], windows=2, points=30_000, tail=1)
    planned = plan(lake.catalog(), Sizes(60_000, 180_000, 90_000))
    assert planned.jobs == ()
    assert {why: left.files for why, left in planned.left["gold.scenes"].items()} == {LARGE: 2, ALONE: 1}


def budgeted(lake: SmallFilesLake, most: int) -> tuple[list[Compaction], RunBudget]:
    catalog, budget = lake.catalog(), RunBudget(most)
    jobs = [job for job in map(budget.take, plan(catalog, SMALL).jobs) if job is not None]
    return [compact(catalog, job, SMALL) for job in jobs], budget


def test_a_run_merges_so_many_bytes_and_the_next_one_goes_on(lake: SmallFilesLake) -> None:
    before, planned = lake.contents(), plan(lake.catalog(), SMALL).jobs
    most = planned[0].size + planned[1].size
    found, budget = budgeted(lake, most)
    assert [one.job for one in found] == list(planned[:2])
    assert budget.taken == most
    assert (budget.waiting.files, budget.waiting.size) == (
        sum(len(job.files) for job in planned[2:]),
        sum(job.size for job in planned[2:]),
    )
    assert plan(lake.catalog(), SMALL).jobs == planned[2:]
    runs = 0
    while plan(lake.catalog(), SMALL).jobs:
        found, budget = budgeted(lake, most)
        assert 0 < sum(one.job.size for one in found) == budget.taken <= most
        runs += 1
    assert runs == 1
    assert budget.waiting.files == 0
    assert lake.contents() == before


def test_a_job_that_is_larger_than_a_run_is_merged_over_several(lake: SmallFilesLake) -> None:
    before, jobs, runs = lake.contents(), len(plan(lake.catalog(), SMALL).jobs), 0
    while plan(lake.catalog(), SMALL).jobs:
        found, budget = budgeted(lake, 1)
        assert [(len(one.job.files), one.outcome) for one in found] == [(2, MergeOutcome.COMPACTED)]
        assert budget.taken == found[0].job.size
        runs += 1
    assert runs > jobs
    assert lake.contents() == before


class Meanwhile(LakeCatalog):
    """Another process acts right before the first commit."""

    act: Callable[[], None] | None = None

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        act, self.act = self.act, None
        if act is not None:
            act()
        super().commit_together(transactions)


def meanwhile(lake: SmallFilesLake, act: Callable[[], None]) -> Meanwhile:
    catalog = Meanwhile("unit", uri=f"sqlite:///{lake.folder}/catalog.db", warehouse=f"file://{lake.folder}/warehouse")
    catalog.act = act
    return catalog


def test_a_publication_that_replaces_a_file_wins_and_nothing_is_left(lake: SmallFilesLake) -> None:
    job = plan(lake.catalog(), SMALL).jobs[0]
    catalog = meanwhile(lake, lambda: lake.publish(DRIVES[0], "r2", 2))
    found = compact(catalog, job, SMALL)
    assert (found.outcome, found.row) == (MergeOutcome.LOST, None)
    assert {row["revision"] for row in lake.contents()["gold.scenes"] if row["drive_id"] == DRIVES[0].drive_id} == {"r2"}
    assert lake.stored() <= lake.referenced(), "no merged file stays behind"
    assert compactions(lake.catalog().load_table(COMPACTIONS_TABLE)) == ()


def test_a_publication_of_another_drive_changes_nothing(lake: SmallFilesLake) -> None:
    job = plan(lake.catalog(), SMALL).jobs[0]
    catalog = meanwhile(lake, lambda: lake.publish(DriveId("car-1", "drive-d")))
    assert compact(catalog, job, SMALL).outcome is MergeOutcome.COMPACTED
    assert len(lake.contents()["gold.scenes"]) == 48
    assert lake.stored() <= lake.referenced()


def test_a_commit_that_was_made_and_not_confirmed_is_found(lake: SmallFilesLake, monkeypatch: pytest.MonkeyPatch) -> None:
    before, job, done = lake.contents(), plan(lake.catalog(), SMALL).jobs[0], LakeCatalog.commit_together

    def silent(self: LakeCatalog, transactions: Sequence[Transaction]) -> None:
        done(self, transactions)
        raise CommitFailedException("no answer")

    monkeypatch.setattr(LakeCatalog, "commit_together", silent)
    found = compact(lake.catalog(), job, SMALL)
    assert found.outcome is MergeOutcome.COMPACTED
    assert [found.row] == list(compactions(lake.catalog().load_table(COMPACTIONS_TABLE)))
    assert lake.contents() == before


class LateCatalog(LakeCatalog):
    """Makes its first commit when the next one comes, long after it gave no answer to it, and refuses that one."""

    waiting: Sequence[Transaction] = ()
    commits = 0

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        self.commits += 1
        if self.commits == 1:
            self.waiting = transactions
            raise CommitFailedException("HTTP 504")
        if self.commits == 2:
            super().commit_together(self.waiting)
        super().commit_together(transactions)


def test_a_commit_that_comes_through_late_keeps_its_files(lake: SmallFilesLake) -> None:
    """Where a proxy gives up, the catalog may still be at work."""
    before, catalog = lake.contents(), LateCatalog("unit", **lake.catalog().properties)
    found = [compact(catalog, job, SMALL) for job in plan(lake.catalog(), SMALL).jobs[:1]]
    assert [one.outcome for one in found] == [MergeOutcome.COMPACTED]
    assert [one.row for one in found] == list(compactions(lake.catalog().load_table(COMPACTIONS_TABLE)))
    assert lake.contents() == before
    assert lake.stored() <= lake.referenced()


def test_merged_files_that_a_sweep_may_have_listed_are_not_committed(lake: SmallFilesLake) -> None:
    """A process that slept for days must not bring files back whose deletion nobody can rule out."""
    before, job = lake.contents(), plan(lake.catalog(), SMALL).jobs[0]
    times = iter((0, LONGEST_S * 10**9 + 1))
    with pytest.raises(CompactionError, match="43200 s ago") as raised:
        compact(lake.catalog(), job, SMALL, lambda: next(times))
    assert raised.value.hint == "run it again"
    assert lake.contents() == before
    assert compactions(lake.catalog().load_table(COMPACTIONS_TABLE)) == ()
    assert compact(lake.catalog(), job, SMALL).outcome is MergeOutcome.COMPACTED


@pytest.mark.parametrize("table", [0, -1])
def test_a_full_disk_is_an_error_in_words_and_nothing_is_left(
    lake: SmallFilesLake, monkeypatch: pytest.MonkeyPatch, table: int
) -> None:
    before, job = lake.contents(), plan(lake.catalog(), SMALL).jobs[table]

    def full(self: LakeWriter, piece: bytes | memoryview) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LakeWriter, "write", full)
        with pytest.raises(CompactionError, match=r"storage or catalog failed: .*No space left on device") as raised:
            compact(lake.catalog(), job, SMALL)
    assert raised.value.hint == "run it again"
    assert lake.contents() == before
    assert lake.stored() <= lake.referenced()
    assert compact(lake.catalog(), job, SMALL).outcome is MergeOutcome.COMPACTED


class Killed(BaseException):
    """Ends the process."""


def kill_at_access(monkeypatch: pytest.MonkeyPatch, kill_at: int) -> None:
    """Let the process end at the n-th access to storage or catalog."""
    done = 0

    def counted(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def step(*arguments: object, **options: object) -> object:
            nonlocal done
            done += 1
            if done == kill_at:
                raise Killed
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, step)

    for owner, name in (
        (PyArrowFileIO, "new_input"),
        (PyArrowFileIO, "new_output"),
        (LakeCatalog, "load_table"),
        (LakeCatalog, "commit_together"),
    ):
        counted(owner, name)


@pytest.mark.parametrize("table", DATA_TABLES)
def test_killed_at_any_step_the_lake_is_as_before_or_after_and_the_next_run_finishes(
    tmp_path: Path, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = SmallFilesLake(tmp_path)
    for drive in DRIVES[:2]:
        lake.publish(drive, windows=2, scenes=1)
    before, pointers = lake.contents(), lake.catalog().pointers()
    job = next(job for job in plan(lake.catalog(), SMALL).jobs if job.table == table)
    for kill_at in count(1):
        with monkeypatch.context() as patch:
            kill_at_access(patch, kill_at)
            try:
                found = compact(lake.catalog(), job, SMALL)
            except Killed:
                found = None
        assert all(Path(uri.removeprefix("file://")).exists() for uri in lake.data_files(table))
        if lake.catalog().pointers() != pointers:
            assert lake.contents() == before
        if found is not None:
            break
    assert kill_at > 15
    assert len(compactions(lake.catalog().load_table(COMPACTIONS_TABLE))) == 1
    compact_all(lake)
    assert lake.contents() == before
    assert plan(lake.catalog(), SMALL).jobs == ()


def flip(uri: str, at: int) -> None:
    path = Path(uri.removeprefix("file://"))
    body = bytearray(path.read_bytes())
    body[at] ^= 4
    path.write_bytes(body)


def test_a_flipped_bit_is_found_and_the_files_are_left(lake: SmallFilesLake) -> None:
    job = plan(lake.catalog(), SMALL).jobs[0]
    path = job.files[1].uri.removeprefix("file://")
    column = pq.read_metadata(path).row_group(0)
    images = next(
        column.column(at)
        for at in range(column.num_columns)
        if column.column(at).path_in_schema.endswith("s.image")
        or column.column(at).path_in_schema == "cameras.list.element.image"
    )
    flip(job.files[1].uri, images.dictionary_page_offset + 1000)
    old = lake.data_files("gold.scenes")
    found = compact(lake.catalog(), job, SMALL)
    assert found.outcome is MergeOutcome.REFUSED
    assert "CRC" in found.reason
    assert lake.data_files("gold.scenes") == old
    assert lake.stored() <= lake.referenced()


def test_a_merged_file_that_is_stored_damaged_is_not_committed(lake: SmallFilesLake, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, real = plan(lake.catalog(), SMALL).jobs, module.writing

    @contextmanager
    def damaged(io: FileIO, uri: str) -> Iterator[LakeWriter]:
        with real(io, uri) as target:
            yield target
        flip(uri, target.size // 3)

    monkeypatch.setattr(module, "writing", damaged)
    for job in (jobs[0], jobs[-2]):
        assert compact(lake.catalog(), job, SMALL).outcome is MergeOutcome.REFUSED
    assert lake.stored() <= lake.referenced()


def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    """What grows is one footer and one digest a scene. Arrow's memory is not Python's."""
    peaks, default = [], pa.default_memory_pool()
    for windows in (4, 40):
        folder = tmp_path / str(windows)
        folder.mkdir()
        lake = SmallFilesLake(folder)
        lake.publish(DRIVES[0], windows=windows, points=300_000)
        catalog, sizes = lake.catalog(), Sizes(2_000_000, 100_000_000, 2_000_000)
        job = plan(catalog, sizes).jobs[0]
        assert len(job.files) == windows
        pool = pa.proxy_memory_pool(default)
        pa.set_memory_pool(pool)
        tracemalloc.start()
        try:
            assert compact(catalog, job, sizes).outcome is MergeOutcome.COMPACTED
            peaks.append(tracemalloc.get_traced_memory()[1] + pool.max_memory())
        finally:
            tracemalloc.stop()
            pa.set_memory_pool(default)
    assert job.size > 30_000_000
    assert peaks[1] < peaks[0] + 6_000_000
