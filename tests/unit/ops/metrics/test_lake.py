"""The drives that the lake's watch reads, and the state after an interrupted reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

import ops.metrics.lake as lake_watch
from ingest.ledger.records import DriveRecord, ObjectHead, RefusedRecord
from ingest.ledger.states import DriveState
from lake.errors import LakeError
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from ops.audit import lake_reader
from ops.metrics.drive_facts import Amount, DriveFacts, RecentFacts
from ops.metrics.lake import LakeWatch
from ops.metrics.ledger import LedgerWatch
from quality.rules.rule import Outcome
from scenes.accounting.drive_sources import AuditSources
from tests.unit.ops import lake_builders as rows

REFUSED = RefusedRecord(ObjectHead("a.pkl", "v1", 3, "e", 0), "KEY001", "", "", 0)


@dataclass
class World:
    """A ledger and the facts of each drive; `read` records each drive that was read, and `details` those read in full."""

    catalog: LakeCatalog
    records: dict[DriveId, DriveRecord] = field(default_factory=dict)
    changed: set[DriveId] = field(default_factory=set)
    broken: set[DriveId] = field(default_factory=set)
    unreadable: set[DriveId] = field(default_factory=set)
    refused_objects: list[RefusedRecord] = field(default_factory=list)
    refusing: bool = False
    seen: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    opened: int = 0

    def put(self, name: str, state: DriveState = DriveState.PUBLISHED, updated_ns: int = 1) -> DriveId:
        drive = DriveId("veh-1", name)
        self.records[drive] = DriveRecord(drive, state, updated_ns=updated_ns)
        self.changed.add(drive)
        return drive

    def publish(self, name: str, generation: int = 1) -> None:
        drive = self.put(name, updated_ns=generation)
        rows.fill(self.catalog, [rows.scene(0, drive)], drive=drive, generation=generation)

    def read_facts(self, sources: Any, tables: Any, record: DriveRecord) -> DriveFacts:
        if record.drive in self.unreadable:
            raise LakeError("cannot be read")
        self.seen.append(record.drive.drive_id)
        scenes = len(lake_reader.publications(tables, record.drive))
        return DriveFacts({"published": Amount(1, 10)}, {"adds up": record.drive not in self.broken}, scenes=scenes)

    def read_recent(self, sources: Any, tables: Any, drive: DriveId) -> RecentFacts:
        self.details.append(drive.drive_id)
        return RecentFacts(outcomes={"LID001": Outcome.PASSED})

    def read(self, changed: Callable[[DriveId], None]) -> None:
        """As `LedgerWatch`."""
        for drive in sorted(self.changed):
            changed(drive)
        self.changed.clear()

    def drive(self, drive: DriveId) -> DriveRecord | None:
        return self.records.get(drive)

    def refused(self) -> Iterator[RefusedRecord]:
        if self.refusing:
            raise LakeError("no answer")
        yield from self.refused_objects

    def open(self) -> AuditSources:
        self.opened += 1
        return AuditSources(cast(Any, None), cast(Any, None), cast(Any, self), self.catalog)

    def taken(self) -> list[str]:
        seen, self.seen = self.seen, []
        return seen

    def detailed(self) -> list[str]:
        details, self.details = self.details, []
        return sorted(details)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(rows.catalog_of(tmp_path))
    monkeypatch.setattr(lake_watch, "read_facts", made.read_facts)
    monkeypatch.setattr(lake_watch, "read_recent", made.read_recent)
    return made


@pytest.fixture
def watch(world: World) -> LakeWatch:
    return LakeWatch(world.open, cast(LedgerWatch, world))


def test_a_drive_is_read_for_each_change_of_its_record_or_its_publication(world: World, watch: LakeWatch) -> None:
    world.publish("a")
    world.publish("b")
    world.put("c", DriveState.LANDING)
    first = watch.read()
    assert (world.taken(), world.detailed()) == (["a", "b", "c"], ["a", "b"])
    assert (first.publications, first.published_scenes, first.scenes, first.recent_drives) == (2, 2, 2, 2)
    assert watch.read() is first
    assert (world.taken(), world.detailed()) == ([], [])
    world.put("c", DriveState.QUEUED, updated_ns=2)
    watch.read()
    assert world.taken() == ["c"]
    world.publish("b", generation=2)
    assert watch.read().scenes == 3
    assert (world.taken(), world.detailed()) == (["b"], ["b"])
    rows.fill(world.catalog, [rows.scene(0, DriveId("veh-1", "a"))], drive=DriveId("veh-1", "a"), generation=2)
    assert watch.read().publications == 4
    assert world.taken() == ["a"], "its ledger record is the same"
    assert world.opened == 1


def test_only_new_rows_of_the_index_are_read(world: World, watch: LakeWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcdef":
        world.publish(name)
    assert watch.read().publications == 6
    opened: list[str] = []
    real = lake_watch.added_publications
    monkeypatch.setattr(
        lake_watch, "added_publications", lambda *given: (opened.append(row.drive_id) or row for row in real(*given))
    )
    world.publish("g")
    assert watch.read().publications == 7
    assert opened == ["g"]


def test_rows_that_maintenance_writes_anew_count_once(world: World, watch: LakeWatch) -> None:
    for name in "ab":
        world.publish(name)
    assert watch.read().publications == 2
    table = world.catalog.load_table("gold.drives")
    table.overwrite(table.scan().to_arrow())
    assert (watch.read().publications, watch.read().published_scenes) == (2, 2)


def test_a_table_that_was_put_back_is_counted_anew(world: World, watch: LakeWatch) -> None:
    world.publish("a")
    table = world.catalog.load_table("gold.drives")
    before = table.current_snapshot()
    world.publish("b")
    assert watch.read().publications == 2
    assert before is not None
    world.catalog.load_table("gold.drives").manage_snapshots().set_current_snapshot(before.snapshot_id).commit()
    world.taken()
    assert watch.read().publications == 1
    assert world.taken() == ["a", "b"]


def test_only_the_newest_are_kept_whole(world: World, watch: LakeWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_watch, "RECENT_DRIVES", 2)
    for name in "abc":
        world.publish(name)
    found = watch.read()
    assert (world.taken(), world.detailed()) == (["a", "b", "c"], ["b", "c"])
    assert (found.recent_drives, found.rules) == (2, {("LID001", Outcome.PASSED): 2})
    world.publish("a", generation=2)
    assert watch.read().rules == {("LID001", Outcome.PASSED): 2}
    assert (world.taken(), world.detailed()) == (["a"], ["a"]), "b falls out of the newest without being read again"


def test_a_drive_that_is_gone_is_taken_away(world: World, watch: LakeWatch) -> None:
    world.publish("a")
    gone = world.put("b")
    assert watch.read().objects["published"] == Amount(2, 20)
    del world.records[gone]
    assert watch.read().objects["published"] == Amount(1, 10)


def test_what_does_not_add_up_is_looked_at_again_until_it_does(world: World, watch: LakeWatch) -> None:
    world.publish("good")
    bad = world.put("bad")
    world.broken.add(bad)
    assert watch.read().unbalanced_drives == 1
    world.taken()
    assert watch.read().unbalanced_drives == 1
    assert world.taken() == ["bad"]
    world.broken.clear()
    assert watch.read().unbalanced_drives == 0
    world.taken()
    watch.read()
    assert world.taken() == []


def test_however_many_do_not_add_up_few_are_looked_at_again_each_in_turn(
    world: World, watch: LakeWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_watch, "MAX_AGAIN", 2)
    world.broken.update(world.put(name) for name in "abcde")
    assert watch.read().unbalanced_drives == 5
    world.taken()
    turns = []
    for _ in range(5):
        assert watch.read().unbalanced_drives == 5
        turns.append("".join(world.taken()))
    assert turns == ["ab", "cd", "ae", "bc", "ad"]


def test_a_reading_that_is_broken_off_leaves_no_old_summary(world: World, watch: LakeWatch) -> None:
    world.publish("a")
    assert watch.read().scenes == 1
    world.publish("a", generation=2)
    world.refusing = True
    with pytest.raises(LakeError):
        watch.read()
    world.taken()
    world.refusing = False
    assert watch.read().scenes == 2
    assert world.taken() == [], "what had been read is kept"
    world.unreadable.add(world.put("b"))
    for _ in range(2):
        with pytest.raises(LakeError):
            watch.read()
    world.unreadable.clear()
    assert watch.read().objects["published"] == Amount(2, 20)


def test_refused_objects_are_counted_up_to_a_bound(world: World, watch: LakeWatch) -> None:
    assert watch.read().objects == {"refused": Amount()}
    world.refused_objects = [REFUSED] * 5
    assert watch.read().objects["refused"] == Amount(5, 15)
    world.refused_objects = [REFUSED] * (lake_watch.MAX_REFUSED + 5)
    assert watch.read().objects["refused"] == Amount(1000, 3000)
