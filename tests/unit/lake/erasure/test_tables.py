"""A drive is forgotten in every version of the tables, and nothing else changes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.table import Table

from lake.erasure.redact import redactions
from lake.erasure.tables import forget_rows, keep_salt, put_tombstone, rows_of
from lake.errors import ForgottenError
from lake.iceberg.internals import begin
from lake.iceberg.replace_files import replace_files
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables import drives
from lake.tables.drives import DRIVES_TABLE, publications
from lake.tables.names import DATA_TABLES
from lake.tables.publish import Batch, publish
from lake.tables.rows import PublicationFacts
from lake.tables.schemas import FRAMES, PUBLISHED
from tests.unit.lake.tables.fence_lake import DRIVE, FenceLake, frame, held

OTHER = DriveId(DRIVE.vehicle_id, "another-drive")
THIRD = DriveId("car-2", "third-drive")
SALT = "ab" * 32
REQUEST = "F-2026-17"


@pytest.fixture
def lake(tmp_path: Path) -> FenceLake:
    return FenceLake(tmp_path)


def put(lake: FenceLake, drive: DriveId, generation: int, anchors: tuple[int, ...]) -> None:
    publish(lake.catalog(), lake.batch(f"r{generation}-{drive.drive_id[:3]}", generation, anchors, drive))


def forget(lake: FenceLake, drive: DriveId = DRIVE, request: str = REQUEST) -> dict[str, Any]:
    catalog = lake.catalog()
    keep_salt(catalog, SALT)
    put_tombstone(catalog, drive, request, 5)
    return {one.table: one for one in forget_rows(catalog, drive, request)}


def tag(lake: FenceLake, name: str) -> None:
    catalog = lake.catalog()
    for table in map(catalog.load_table, PUBLISHED):
        current = table.current_snapshot()
        if current is not None:
            table.manage_snapshots().create_tag(current.snapshot_id, name).commit()


def reachable(table: Table) -> Iterator[tuple[str, bytes]]:
    """Every metadata file that the table leads to, decoded as far as its bytes need it; without pyiceberg's reader."""
    yield table.metadata_location, table.io.new_input(table.metadata_location).open().read()
    for snapshot in table.snapshots():
        for path in [snapshot.manifest_list, *(one.manifest_path for one in snapshot.manifests(table.io))]:
            yield path, inflated(table.io.new_input(path).open().read())


def inflated(body: bytes) -> bytes:
    """An Avro file with all of its deflated or gzipped blocks unpacked, wherever they begin."""
    found, sync = [body], body[-16:]
    for block in body.split(sync):
        for start in range(min(12, len(block))):
            for bits in (-15, 31):
                try:
                    found.append(zlib.decompressobj(bits).decompress(block[start:]))
                except zlib.error:
                    continue
    return b"\n".join(found)


def mentions(lake: FenceLake, name: str) -> list[str]:
    catalog = lake.catalog()
    tables = [catalog.load_table(one) for one in PUBLISHED]
    return [path for table in tables for path, body in reachable(table) if name.encode() in body]


def scene_rows(table: Table, **scan: Any) -> list[tuple[str, int]]:
    rows = table.scan(**scan).to_arrow() if not isinstance(table, pa.Table) else table
    return sorted(zip(rows["drive_id"].to_pylist(), rows["anchor_ns"].to_pylist(), strict=True))


def test_the_rows_go_and_nothing_that_is_left_names_the_drive(lake: FenceLake) -> None:
    put(lake, OTHER, 1, (1, 2))
    put(lake, DRIVE, 1, (10, 20, 30))
    put(lake, THIRD, 1, (7,))
    put(lake, DRIVE, 2, (10, 20))
    kept = {drive: (lake.rows(drive), lake.drives(drive)) for drive in (OTHER, THIRD)}
    assert rows_of(lake.catalog(), DRIVE) == {
        "gold.scenes": 2,
        "gold.frames": 2,
        "quarantine.records": 1,
        "gold.drives": 2,
        "gold.recalls": 0,
        "gold.compactions": 0,
    }
    assert mentions(lake, DRIVE.drive_id), "the search of this test finds what it looks for"

    done = forget(lake)

    assert done["gold.scenes"].rows == 2
    assert lake.rows(DRIVE) == held("", ())
    assert lake.drives(DRIVE) == ()
    assert {drive: (lake.rows(drive), lake.drives(drive)) for drive in (OTHER, THIRD)} == kept
    assert mentions(lake, DRIVE.drive_id) == []
    assert rows_of(lake.catalog(), DRIVE) == dict.fromkeys(PUBLISHED, 0)


def test_a_tag_moves_to_a_successor_and_reads_on_without_the_drive(lake: FenceLake) -> None:
    put(lake, OTHER, 1, (1, 2))
    put(lake, DRIVE, 1, (10, 20, 30))
    tag(lake, "run-7")
    written = (*DATA_TABLES, DRIVES_TABLE)
    before = {name: lake.catalog().load_table(name).snapshot_by_name("run-7") for name in written}
    put(lake, DRIVE, 2, (10,))
    put(lake, OTHER, 2, (3,))

    forget(lake)

    catalog = lake.catalog()
    scenes = catalog.load_table("gold.scenes")
    assert [anchor for _, anchor in scene_rows(scenes.scan().use_ref("run-7").to_arrow())] == [1, 2]
    assert [anchor for _, anchor in scene_rows(scenes)] == [3]
    for name, old in before.items():
        table = catalog.load_table(name)
        assert old is not None and table.snapshot_by_id(old.snapshot_id) is None
        now = table.snapshot_by_name("run-7")
        assert now is not None and redactions(table)[old.snapshot_id].successor == now.snapshot_id
    found = redactions(scenes)[before["gold.scenes"].snapshot_id]  # type: ignore[union-attr]
    assert (found.request, found.rows) == (REQUEST, 3)
    assert mentions(lake, DRIVE.drive_id) == []


def test_a_version_is_redacted_again_and_its_first_id_still_leads_to_it(lake: FenceLake) -> None:
    put(lake, OTHER, 1, (1, 2))
    put(lake, DRIVE, 1, (10, 20, 30))
    tag(lake, "run-7")
    first = lake.catalog().load_table("gold.scenes").current_snapshot()
    assert first is not None
    forget(lake)
    forget(lake, OTHER, "F-2026-18")
    scenes = lake.catalog().load_table("gold.scenes")
    now = scenes.snapshot_by_name("run-7")
    assert now is not None and redactions(scenes)[first.snapshot_id].successor == now.snapshot_id
    assert redactions(scenes)[first.snapshot_id].request == REQUEST
    assert scenes.scan().use_ref("run-7").to_arrow().num_rows == 0
    assert mentions(lake, OTHER.drive_id) == []


def test_versions_from_before_the_drive_stay_as_they_are(lake: FenceLake) -> None:
    put(lake, OTHER, 1, (1, 2))
    tag(lake, "before")
    before = lake.catalog().load_table("gold.scenes").current_snapshot()
    assert before is not None
    put(lake, DRIVE, 1, (10,))
    forget(lake)
    scenes = lake.catalog().load_table("gold.scenes")
    assert scenes.snapshot_by_name("before") == before
    current = scenes.current_snapshot()
    assert current is not None and current.parent_snapshot_id == before.snapshot_id


def test_a_file_that_drives_share_is_written_anew_without_one_of_them(lake: FenceLake) -> None:
    put(lake, OTHER, 1, (1, 2))
    put(lake, DRIVE, 1, (10, 20))
    catalog = lake.catalog()
    table = catalog.load_table("gold.frames")
    shared = lake.put([frame(DRIVE, "r1", 10), frame(OTHER, "r1", 1), frame(DRIVE, "r1", 20), frame(OTHER, "r1", 2)], FRAMES)
    change = begin(table)
    replace_files(change, table.io, [task.file for task in table.scan().plan_files()], [shared], {})
    catalog.commit_together([change])
    tag(lake, "run-8")

    forget(lake)

    frames = lake.catalog().load_table("gold.frames")
    for scan in (frames.scan(), frames.scan().use_ref("run-8")):
        rows = scan.to_arrow()
        assert set(rows["drive_id"].to_pylist()) == {OTHER.drive_id}
        assert sorted(rows["stamp_ns"].to_pylist()) == [1, 2]
    files = {ref: [task.file.file_path for task in frames.scan().use_ref(ref).plan_files()] for ref in ("main", "run-8")}
    assert files["main"] == files["run-8"] and shared not in files["main"]
    assert mentions(lake, DRIVE.drive_id) == []


def test_a_late_publisher_is_refused(lake: FenceLake) -> None:
    put(lake, DRIVE, 1, (10,))
    forget(lake)
    with pytest.raises(ForgottenError, match=REQUEST):
        put(lake, DRIVE, 2, (10,))
    put(lake, OTHER, 1, (1,))
    assert lake.rows(DRIVE) == held("", ()) and lake.rows(OTHER) == held("r1-ano", (1,))


def test_the_tombstone_does_not_name_the_drive(lake: FenceLake) -> None:
    put(lake, DRIVE, 1, (10,))
    forget(lake)
    table = lake.catalog().load_table(DRIVES_TABLE)
    assert drives.tombstone(table, DRIVE) == REQUEST and drives.tombstone(table, OTHER) is None
    assert DRIVE.drive_id not in json.dumps(table.scan().to_arrow().to_pylist(), default=str)
    assert publications(table) == ()


def test_it_is_forgotten_once(lake: FenceLake) -> None:
    put(lake, OTHER, 1, (1,))
    put(lake, DRIVE, 1, (10,))
    forget(lake)
    locations = {name: lake.catalog().load_table(name).metadata_location for name in PUBLISHED}
    assert forget(lake) == {}
    assert {name: lake.catalog().load_table(name).metadata_location for name in PUBLISHED} == locations
    assert lake.catalog().load_table(DRIVES_TABLE).scan().to_arrow().num_rows == 2


def test_a_drive_that_was_never_published_gets_its_tombstone(lake: FenceLake) -> None:
    forget(lake)
    with pytest.raises(ForgottenError):
        put(lake, DRIVE, 1, (10,))


def test_the_first_salt_stays(lake: FenceLake) -> None:
    assert keep_salt(lake.catalog(), SALT) == SALT
    assert keep_salt(lake.catalog(), "cd" * 32) == SALT


class OvertakenCatalog(LakeCatalog):
    """Another publication comes first, once."""

    overtaking: list[Batch]

    def commit_together(self, transactions: Any) -> None:
        if self.overtaking:
            publish(LakeCatalog(self.name, **self.properties), self.overtaking.pop())
        super().commit_together(transactions)


def test_a_publication_that_comes_first_is_forgotten_too(lake: FenceLake) -> None:
    put(lake, DRIVE, 1, (10,))
    keep_salt(lake.catalog(), SALT)
    plain = lake.catalog()
    catalog = OvertakenCatalog(plain.name, **plain.properties)
    catalog.overtaking = [lake.batch("r2", 2, (10, 20, 40))]
    put_tombstone(catalog, DRIVE, REQUEST, 5)
    assert len(lake.drives(DRIVE)) == 2, "it was overtaken"
    catalog.overtaking = [lake.batch("r1", 1, (1,), OTHER)]
    forget_rows(catalog, DRIVE, REQUEST)
    assert lake.rows(DRIVE) == held("", ()) and lake.rows(OTHER) == held("r1", (1,))
    assert mentions(lake, DRIVE.drive_id) == []


def test_files_of_a_batch_are_counted_where_bounds_are_missing(lake: FenceLake) -> None:
    """Files of a foreign writer may have no bounds: then their rows are read."""
    rows = [frame(DRIVE, "r1", 10), frame(OTHER, "r1", 1)]
    import pyarrow.parquet as pq

    path = lake.folder / "unbounded.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=FRAMES), path, write_statistics=["vehicle_id", "day"])
    facts = PublicationFacts(verdict="publish", scenes=0, frames=2, records=0)
    publish(lake.catalog(), Batch(DRIVE, "r1", 1, {"gold.frames": [f"file://{path}"]}, facts))
    assert rows_of(lake.catalog(), DRIVE)["gold.frames"] == 1
    forget(lake)
    assert lake.catalog().load_table("gold.frames").scan().to_arrow()["drive_id"].to_pylist() == [OTHER.drive_id]
