"""The drives that the lake's watch reads, and the state after an interrupted reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

import ops.metrics.lake as lake_watch
from ingest.ledger.records import DriveRecord, ObjectHead, RefusedRecord
from ingest.ledger.states import DriveState
from lake.errors import LakeError
from lake.landing import DriveId
from lake.tables.catalog import LakeCatalog
from ops.audit import lake_reader
from ops.metrics.drive_facts import Amount, DriveFacts, Sources
from ops.metrics.lake import LakeWatch
from ops.metrics.ledger import DriveMark, LedgerWatch
from quality.rules.rule import Outcome
from tests.unit.ops import lake_builders as rows

REFUSED = RefusedRecord(ObjectHead("a.pkl", "v1", 3, "e", 0), "KEY001", "", "", 0)


@dataclass
class World:
    """A ledger and the facts of each drive; `read` records each drive that was read, and whether in full."""

    catalog: LakeCatalog
    records: dict[DriveId, DriveRecord] = field(default_factory=dict)
    broken: set[DriveId] = field(default_factory=set)
    unreadable: set[DriveId] = field(default_factory=set)
    refused_objects: list[RefusedRecord] = field(default_factory=list)
    refusing: bool = False
    seen: list[tuple[str, bool]] = field(default_factory=list)
    opened: int = 0

    def put(self, name: str, state: DriveState = DriveState.PUBLISHED, updated_ns: int = 1) -> DriveId:
        drive = DriveId("veh-1", name)
        self.records[drive] = DriveRecord(drive, state, updated_ns=updated_ns)
        return drive

    def publish(self, name: str, generation: int = 1) -> None:
        drive = self.put(name, updated_ns=generation)
        rows.fill(self.catalog, [rows.scene(0, drive)], drive=drive, generation=generation)

    def read_drive(
        self, sources: Sources, tables: Any, record: DriveRecord, batches: Sequence[lake_reader.Snapshot], *, whole: bool
    ) -> DriveFacts:
        if record.drive in self.unreadable:
            raise LakeError("cannot be read")
        self.seen.append((record.drive.drive_id, whole))
        return DriveFacts(
            {"published": Amount(1, 10)},
            {"adds up": record.drive not in self.broken},
            scenes=len(batches),
            outcomes={"LID001": Outcome.PASSED} if whole else {},
        )

    def read(self) -> dict[DriveId, DriveMark]:
        """As `LedgerWatch`."""
        return {drive: DriveMark.of(record) for drive, record in sorted(self.records.items())}

    def drive(self, drive: DriveId) -> DriveRecord | None:
        return self.records.get(drive)

    def refused(self) -> Iterator[RefusedRecord]:
        if self.refusing:
            raise LakeError("no answer")
        yield from self.refused_objects

    def open(self) -> LakeCatalog:
        self.opened += 1
        return self.catalog

    def taken(self) -> list[tuple[str, bool]]:
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(rows.catalog_of(tmp_path))
    monkeypatch.setattr(lake_watch, "read_drive", made.read_drive)
    return made


@pytest.fixture
def watch(world: World) -> LakeWatch:
    sources = Sources(cast(Any, None), cast(Any, None), cast(Any, world))
    return LakeWatch(sources, cast(LedgerWatch, world), world.open)


def test_a_drive_is_read_for_each_change_of_its_record_or_its_publication(world: World, watch: LakeWatch) -> None:
    world.publish("a")
    world.publish("b")
    world.put("c", DriveState.LANDING)
    first = watch.read()
    assert world.taken() == [("a", True), ("b", True), ("c", False)]
    assert (first.publications, first.published_scenes, first.scenes, first.recent_drives) == (2, 2, 2, 2)
    assert watch.read() is first
    assert world.taken() == []
    world.put("c", DriveState.QUEUED, updated_ns=2)
    watch.read()
    assert world.taken() == [("c", False)]
    world.publish("b", generation=2)
    assert watch.read().scenes == 3
    assert world.taken() == [("b", True)]
    assert world.opened == 1


def test_only_the_newest_are_kept_whole(world: World, watch: LakeWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_watch, "RECENT_DRIVES", 2)
    for name in "abc":
        world.publish(name)
    found = watch.read()
    assert world.taken() == [("a", False), ("b", True), ("c", True)]
    assert (found.recent_drives, found.rules) == (2, {("LID001", Outcome.PASSED): 2})
    world.publish("a", generation=2)
    assert watch.read().rules == {("LID001", Outcome.PASSED): 2}
    assert world.taken() == [("a", True)], "b falls out of the newest without being read again"
    world.publish("b", generation=2)
    assert watch.read().recent_drives == 2
    assert world.taken() == [("b", True)]


def test_what_does_not_add_up_is_looked_at_again_until_it_does(world: World, watch: LakeWatch) -> None:
    world.publish("good")
    bad = world.put("bad")
    world.broken.add(bad)
    assert watch.read().unbalanced_drives == 1
    world.taken()
    assert watch.read().unbalanced_drives == 1
    assert world.taken() == [("bad", False)]
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
        turns.append("".join(name for name, _ in world.taken()))
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
