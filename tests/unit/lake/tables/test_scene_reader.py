"""One scene out of many drives: planned from the catalog, fetched by two ranged reads, and never a wrong one."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.table import Table

from lake.errors import AbsentError, LakeError
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.storage import ObjectStore, ObjectVersion
from lake.tables import scene_reader
from lake.tables.creation import ensure_tables
from lake.tables.scene_key import SceneKey
from lake.tables.scene_reader import PAYLOAD_COLUMNS, SceneReader
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.lake.tables.scenes_files import IMAGE_BYTES, LIDAR_BYTES, RADAR_BYTES, noise, parquet

EPOCH_NS = 1_714_521_600 * 10**9  # 2024-05-01T00:00:00Z
PERIOD_NS = 100_000_000
SCENES, WINDOW, GROUP = 24, 12, 4
DRIVES = [DriveId(f"car-{vehicle}", f"drive-{drive}") for vehicle in range(2) for drive in range(2)]


def key(drive: DriveId, number: int) -> SceneKey:
    return SceneKey(drive, EPOCH_NS + number * PERIOD_NS)


class Lake:
    """A catalog in a folder; the data files that it names are read from a fake S3."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = LakeCatalog("unit", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse")
        ensure_tables(self.catalog)
        self.s3 = FakeS3()

    @property
    def table(self) -> Table:
        return self.catalog.load_table("gold.scenes")

    def add(self, *bodies: bytes) -> None:
        paths = []
        for body in bodies:
            path = self.folder / f"{len(self.s3.versions)}.parquet"
            path.write_bytes(body)
            ObjectStore(self.s3).put(ObjectVersion("lake", path.name), body)  # type: ignore[arg-type]
            paths.append(str(path))
        self.table.add_files(paths)

    def reader(self, snapshot_id: int | None = None) -> SceneReader:
        store = ObjectStore(self.s3)  # type: ignore[arg-type]

        def through_s3(uri: str, start: int, length: int) -> bytes:
            return store.read(ObjectVersion.from_uri(uri), start, length)

        return SceneReader(
            self.table, lambda uri, start, length: through_s3(f"s3://lake/{Path(uri).name}", start, length), snapshot_id
        )


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    for drive in DRIVES:
        keys = [key(drive, number) for number in range(SCENES)]
        lake.add(*(parquet(keys[at : at + WINDOW], GROUP) for at in range(0, SCENES, WINDOW)))
    yield lake
    lake.catalog.engine.dispose()


@pytest.fixture
def lake(filled: Lake) -> Lake:
    filled.s3.gets.clear()
    return filled


def read_bytes(s3: FakeS3) -> int:
    return sum(length or 0 for _, _, length in s3.gets)


@pytest.mark.parametrize("drive", DRIVES, ids=str)
@pytest.mark.parametrize("number", [0, 3, 4, 11, 12, 23])
def test_a_scene_comes_whole(lake: Lake, drive: DriveId, number: int) -> None:
    wanted = key(drive, number)
    row = lake.reader().scene(wanted)
    assert row is not None
    assert (row.scene_id, row.anchor_ns, row.day) == (str(wanted), wanted.anchor_ns, datetime.date(2024, 5, 1))
    seed = wanted.anchor_ns % 2**32
    assert row.lidars[0].points == noise(seed, LIDAR_BYTES)
    assert [entry.image for entry in row.cameras] == [noise(seed + 1, IMAGE_BYTES), noise(seed + 2, IMAGE_BYTES)]
    assert row.radars[0].points == noise(seed + 3, RADAR_BYTES)


def test_the_first_scene_costs_a_footer_and_one_range_and_the_next_one_the_range_alone(lake: Lake) -> None:
    reader = lake.reader()
    reader.scene(key(DRIVES[1], 5))
    assert [name for name, _, _ in lake.s3.gets] == ["2.parquet", "2.parquet"]
    lake.s3.gets.clear()
    reader.scene(key(DRIVES[1], 9))
    (only,) = lake.s3.gets
    assert GROUP * (LIDAR_BYTES + 2 * IMAGE_BYTES + RADAR_BYTES) < (only[2] or 0) < GROUP * 82_000 + 8_000


@pytest.mark.parametrize(
    ("modality", "at_most", "payload"),
    [("lidars", 2, LIDAR_BYTES), ("cameras", 2, 2 * IMAGE_BYTES + RADAR_BYTES), ("radars", 2, RADAR_BYTES)],
)
def test_one_modality_costs_two_ranges_and_its_own_bytes(lake: Lake, modality: str, at_most: int, payload: int) -> None:
    reader = lake.reader()
    whole = reader.scene(key(DRIVES[0], 1))
    lake.s3.gets.clear()
    row = reader.scene(key(DRIVES[0], 2), (modality,))
    assert row is not None
    assert whole is not None
    assert len(lake.s3.gets) <= at_most
    assert GROUP * payload < read_bytes(lake.s3) < GROUP * payload + 8_000
    assert [name for name in PAYLOAD_COLUMNS if getattr(row, name)] == [modality]
    assert all(getattr(whole, name) for name in PAYLOAD_COLUMNS)


def test_facts_alone_cost_no_payload(lake: Lake) -> None:
    reader = lake.reader()
    reader.scene(key(DRIVES[0], 1), ())
    lake.s3.gets.clear()
    row = reader.scene(key(DRIVES[0], 2), ())
    assert row is not None
    assert row.quality_flags == ("SYN003",)
    assert len(lake.s3.gets) == 2
    assert read_bytes(lake.s3) < 4_000


@pytest.mark.parametrize(
    "absent",
    [
        SceneKey(DriveId("car-9", "drive-0"), EPOCH_NS),
        SceneKey(DriveId("car-0", "drive-9"), EPOCH_NS),
        SceneKey(DRIVES[0], EPOCH_NS - PERIOD_NS),
        SceneKey(DRIVES[0], EPOCH_NS + SCENES * PERIOD_NS),
        SceneKey(DRIVES[0], EPOCH_NS + 86_400 * 10**9),
    ],
    ids=str,
)
def test_a_scene_that_is_not_there_is_none_and_costs_nothing(lake: Lake, absent: SceneKey) -> None:
    assert lake.reader().scene(absent) is None
    assert lake.s3.gets == []


def test_a_time_between_two_scenes_is_none(lake: Lake) -> None:
    assert lake.reader().scene(SceneKey(DRIVES[0], EPOCH_NS + PERIOD_NS + 1)) is None


def test_plans_and_footers_are_kept_up_to_a_bound(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_reader, "KEPT_FOOTERS", 2)
    reader = lake.reader()
    for number in (0, 12, 1, 13):
        reader.scene(key(DRIVES[0], number))
    assert len(lake.s3.gets) == 2 * 2 + 2
    for number in (0, 12):
        reader.scene(key(DRIVES[1], number))
    lake.s3.gets.clear()
    reader.scene(key(DRIVES[0], 2))
    assert len(lake.s3.gets) == 2, "the footer had made room"


def test_a_reader_stays_with_its_snapshot(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    drive = DRIVES[0]
    lake.add(parquet([key(drive, 0)], 1))
    first = lake.reader()
    snapshot_id = lake.table.metadata.current_snapshot_id
    lake.add(parquet([key(drive, 1)], 1))
    assert first.scene(key(drive, 1)) is None
    assert lake.reader(snapshot_id).scene(key(drive, 1)) is None
    assert lake.reader().scene(key(drive, 1)) is not None
    lake.catalog.engine.dispose()


def test_a_file_without_statistics_is_read_group_by_group(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    keys = [key(DRIVES[0], number) for number in range(4)]
    lake.add(parquet(keys, 1, statistics=["vehicle_id", "day"]))
    row = lake.reader().scene(keys[2])
    assert row is not None
    assert row.anchor_ns == keys[2].anchor_ns
    assert len(lake.s3.gets) == 1 + 3
    lake.catalog.engine.dispose()


def test_the_tables_own_file_access_reads_the_same(lake: Lake) -> None:
    wanted = key(DRIVES[2], 7)
    row = SceneReader(lake.table).scene(wanted, ("radars",))
    assert row == lake.reader().scene(wanted, ("radars",))


def test_faults_are_errors_of_the_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.add(parquet([key(DRIVES[0], 0)], 1))
    with pytest.raises(LakeError, match="no such modality: sonars; there are lidars, cameras, radars"):
        lake.reader().scene(key(DRIVES[0], 0), ("sonars",))
    lake.s3.versions[("lake", "0.parquet")][-1] = ("v1", b"PAR1")
    with pytest.raises(LakeError):
        lake.reader().scene(key(DRIVES[0], 0))
    (tmp_path / "0.parquet").write_bytes(b"PAR1")
    with pytest.raises(LakeError):
        SceneReader(lake.table).scene(key(DRIVES[0], 0))
    del lake.s3.versions[("lake", "0.parquet")]
    with pytest.raises(AbsentError):
        lake.reader().scene(key(DRIVES[0], 0))
    lake.catalog.engine.dispose()


def test_rows_that_were_deleted_beside_their_file_are_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    class Task:
        file: Any = None
        delete_files = frozenset({"positions.parquet"})

    class Scan:
        def plan_files(self) -> list[Task]:
            task = Task()
            task.file = type("File", (), {"file_path": "s3://lake/a.parquet"})()
            return [task]

    monkeypatch.setattr(Table, "scan", lambda *_, **__: Scan())
    with pytest.raises(LakeError, match=r"a\.parquet has delete files"):
        lake.reader().scene(key(DRIVES[0], 0))
