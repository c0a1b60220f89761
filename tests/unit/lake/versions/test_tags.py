"""A tag pins one moment of all tables, is never moved, and goes only when it is told to."""

from __future__ import annotations

import datetime
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.exceptions import CommitFailedException

from lake.errors import LakeError, MaintenanceError, VersionError
from lake.iceberg.snapshots import scan_at
from lake.maintenance.expire import ExpirePolicy, expire
from lake.tables.publish import publish
from lake.tables.scene_key import SceneKey
from lake.tables.scene_reader import SceneReader
from lake.versions import tags as tags_module
from lake.versions.moments import load_together, resolve
from lake.versions.names import TagKind, check_name, kind_of
from lake.versions.reader_pins import ReaderPin
from lake.versions.tags import create_tag, remove_tag, renew_tag, tags
from tests.unit.lake.tables.fence_lake import DAY
from tests.unit.lake.versions.version_lake import DRIVE, OTHER, TABLES, VersionLake

NOW = ExpirePolicy(max_age_s=0, keep_last=1)
S = 10**9
DAY_NS = (DAY - datetime.date(1970, 1, 1)).days * 86400 * S


@pytest.fixture
def lake(tmp_path: Path) -> VersionLake:
    return VersionLake(tmp_path)


def test_a_tag_pins_every_table_as_it_was_and_survives_expiry(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10, 20))
    version = create_tag(lake.catalog(), "release-1")
    assert version.snapshots == lake.current()
    assert version.snapshots.keys() >= TABLES
    lake.publish("r2", 2, (30,))
    expire(lake.catalog(), NOW, apply=True)
    found = resolve(load_together(lake.catalog()), "release-1")
    assert found == version
    assert lake.anchors_at(found) == [10, 20]
    assert lake.anchors_at(found, "gold.frames", "stamp_ns") == [10, 20]
    assert lake.anchors_at(found, "gold.drives", "generation") == [1]
    (tag,) = tags(lake.catalog())
    assert (tag.name, tag.kind, tag.snapshots, tag.deadline_ns, tag.missing) == (
        "release-1", TagKind.USER, version.snapshots, None, ()
    )  # fmt: skip


def test_an_existing_name_is_refused_and_the_tag_stays_where_it_is(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    first = create_tag(lake.catalog(), "release-1")
    lake.publish("r2", 2, (20,))
    before = lake.locations()
    with pytest.raises(VersionError, match=r"exists already, in gold\.drives, gold\.frames, gold\.scenes, quarantine\.records"):
        create_tag(lake.catalog(), "release-1")
    assert lake.locations() == before
    assert resolve(load_together(lake.catalog()), "release-1") == first


def test_a_name_that_another_tool_gave_in_one_table_is_taken_and_is_no_version(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    table = lake.catalog().load_table("gold.frames")
    table.manage_snapshots().create_tag(lake.current()["gold.frames"], "stray").commit()
    with pytest.raises(VersionError, match=r"exists already, in gold\.frames"):
        create_tag(lake.catalog(), "stray")
    (tag,) = tags(lake.catalog())
    assert tag.missing == ("gold.drives", "gold.scenes", "quarantine.records")
    with pytest.raises(VersionError, match="not a version of the lake"):
        resolve(load_together(lake.catalog()), "stray")


def test_a_publication_between_reading_and_commit_is_in_the_tag_of_all_tables_or_of_none(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    catalog = lake.interrupted(lambda: lake.publish("b1", 1, (77,), OTHER))
    version = create_tag(catalog, "release-1")
    assert catalog.commits == 2
    assert version.snapshots == lake.current()
    assert lake.anchors_at(version) == [10, 77]
    assert lake.anchors_at(version, "gold.frames", "stamp_ns") == [10, 77]


def test_two_who_give_one_name_at_once_end_with_one_tag(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    first = []

    def other() -> None:
        first.append(create_tag(lake.catalog(), "release-1"))
        lake.publish("r2", 2, (20,))

    with pytest.raises(VersionError, match="exists already"):
        create_tag(lake.interrupted(other), "release-1")
    assert resolve(load_together(lake.catalog()), "release-1") == first[0]


def test_a_state_in_which_one_table_is_a_commit_ahead_is_never_loaded(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    catalog, loads = lake.catalog(), []
    plain = catalog.load_table

    def load(name: str):  # type: ignore[no-untyped-def]
        loads.append(name)
        if len(loads) == 3:
            lake.publish("b1", 1, (77,), OTHER)
        return plain(name)

    catalog.load_table = load  # type: ignore[method-assign,assignment]
    version = resolve(load_together(catalog), "main")
    assert version.snapshots == lake.current()


def test_tables_that_change_all_the_time_are_refused_with_a_next_step(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    generations = iter(range(2, 99))
    busy = [lambda: lake.publish("rx", next(generations), (10,))] * 99
    pauses = pytest.MonkeyPatch()
    with pauses.context() as patch:
        patch.setattr("lake.iceberg.attempts.time.sleep", lambda _: None)
        with pytest.raises(MaintenanceError, match="12 commits lost the race") as caught:
            create_tag(lake.interrupted(*busy), "release-1")
    assert caught.value.hint == "run it again"
    assert tags(lake.catalog()) == ()


def test_a_past_publication_is_pinned_by_drive_generation_or_snapshot(lake: VersionLake) -> None:
    row = lake.publish("r1", 1, (10,))
    past = lake.current()
    lake.publish("b1", 1, (77,), OTHER)
    lake.publish("r2", 2, (20,))
    by_generation = create_tag(lake.catalog(), "one", f"{DRIVE}@1")
    by_snapshot = create_tag(lake.catalog(), "two", str(row.scenes_snapshot_id))
    newest = create_tag(lake.catalog(), "three", str(DRIVE))
    assert {**by_generation.snapshots} == {**by_snapshot.snapshots} == past
    assert newest.snapshots == lake.current()


def test_the_state_between_a_delete_and_an_append_is_no_version(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    table = lake.catalog().load_table("gold.scenes")
    table.delete(f"drive_id == '{DRIVE.drive_id}'")
    between = lake.current()["gold.scenes"]
    with pytest.raises(VersionError, match="was not made by a publication"):
        create_tag(lake.catalog(), "one", str(between))
    assert tags(lake.catalog()) == ()


@pytest.mark.parametrize("at", ["nothing", "12345", "car-1/unknown", "car-1/drive-a@9", "NO/drive", "//", "²", "9" * 5000])
def test_an_unknown_version_is_an_error(lake: VersionLake, at: str) -> None:
    lake.publish("r1", 1, (10,))
    before = lake.locations()
    with pytest.raises(VersionError):
        create_tag(lake.catalog(), "one", at)
    assert lake.locations() == before


def test_an_expired_version_is_an_error_everywhere_and_not_an_empty_one(lake: VersionLake) -> None:
    row = lake.publish("r1", 1, (10,))
    lake.publish("r2", 2, (20,))
    expire(lake.catalog(), NOW, apply=True)
    table = lake.catalog().load_table("gold.scenes")
    assert table.scan(snapshot_id=row.scenes_snapshot_id).count() == 0  # pyiceberg's own answer
    for read in (
        lambda: SceneReader(table, snapshot_id=row.scenes_snapshot_id),
        lambda: SceneReader.at_tag(table, "gone"),
        lambda: SceneReader.at_tag(table, "main"),
        lambda: scan_at(table, row.scenes_snapshot_id),
        lambda: create_tag(lake.catalog(), "one", str(row.scenes_snapshot_id)),
        lambda: create_tag(lake.catalog(), "one", f"{DRIVE}@1"),
    ):
        with pytest.raises(VersionError):
            read()


def test_a_reader_at_a_tag_reads_what_it_pins(lake: VersionLake) -> None:
    first, second = DAY_NS + 10, DAY_NS + 20
    lake.publish("r1", 1, (first,))
    create_tag(lake.catalog(), "release-1")
    lake.publish("r2", 2, (second,))
    table = lake.catalog().load_table("gold.scenes")
    tagged, current = SceneReader.at_tag(table, "release-1"), SceneReader(table)
    for reader, held, revision, gone in ((tagged, first, "r1", second), (current, second, "r2", first)):
        scene = reader.scene(SceneKey(DRIVE, held), ())
        assert scene is not None
        assert scene.revision == revision
        assert reader.scene(SceneKey(DRIVE, gone), ()) is None


def test_an_empty_gold_cannot_be_tagged(lake: VersionLake) -> None:
    with pytest.raises(VersionError, match="gold is empty"):
        create_tag(lake.catalog(), "one")


@pytest.mark.parametrize("name", ["run-7", "hold-incident"])
def test_a_run_and_a_hold_lose_their_tag_only_if_it_is_said(lake: VersionLake, name: str) -> None:
    lake.publish("r1", 1, (10,))
    create_tag(lake.catalog(), name)
    with pytest.raises(VersionError, match="may expire"):
        remove_tag(lake.catalog(), name)
    assert [tag.name for tag in tags(lake.catalog())] == [name]
    remove_tag(lake.catalog(), name, even_protected=True)
    assert tags(lake.catalog()) == ()


def test_a_tag_is_removed_from_all_tables_and_unknown_ones_are_named(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    create_tag(lake.catalog(), "one")
    remove_tag(lake.catalog(), "one")
    assert all("one" not in lake.catalog().load_table(name).metadata.refs for name in TABLES)
    with pytest.raises(VersionError, match="there is no tag 'one'"):
        remove_tag(lake.catalog(), "one")
    with pytest.raises(VersionError, match="there is no tag 'main'"):
        remove_tag(lake.catalog(), "main")
    assert lake.current().keys() >= TABLES


def test_a_reader_holds_its_version_while_it_renews_and_is_forgotten_when_it_ends(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    started = lake.catalog().load_table("gold.scenes").current_snapshot().timestamp_ms * 10**6  # type: ignore[union-attr]
    now = [started]
    with ReaderPin(lake.catalog(), max_age_s=100, clock=lambda: now[0]) as pin:
        version = pin.version
        lake.publish("r2", 2, (20,))
        now[0] = started + 90 * S
        pin.renew()
        now[0] = started + 180 * S
        expire(lake.catalog(), NOW, apply=True, clock=lambda: now[0])
        assert lake.anchors_at(version) == [10]
        (tag,) = tags(lake.catalog())
        assert (tag.kind, tag.deadline_ns) == (TagKind.READER, started + 190 * S)
    assert tags(lake.catalog()) == ()


def test_a_reader_that_died_is_forgotten_and_cannot_renew(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    started = lake.catalog().load_table("gold.scenes").current_snapshot().timestamp_ms * 10**6  # type: ignore[union-attr]
    create_tag(lake.catalog(), "reader-x", max_age_s=100, clock=lambda: started)
    lake.publish("r2", 2, (20,))
    plans = expire(lake.catalog(), NOW, apply=True, clock=lambda: started + 101 * S)
    assert {plan.table: plan.forgotten for plan in plans if plan.table in TABLES} == dict.fromkeys(TABLES, ("reader-x",))
    with pytest.raises(VersionError, match="forgotten at its deadline"):
        renew_tag(lake.catalog(), "reader-x", 100)
    assert len(lake.catalog().load_table("gold.scenes").snapshots()) == 1


@pytest.mark.parametrize(
    ("name", "age"), [("reader-x", None), ("release", 10.0), ("reader-x", 0.0), ("reader-x", tags_module.MAX_READER_AGE_S + 1)]
)
def test_only_a_reader_has_a_maximum_age_and_it_has_bounds(lake: VersionLake, name: str, age: float | None) -> None:
    lake.publish("r1", 1, (10,))
    with pytest.raises(VersionError):
        create_tag(lake.catalog(), name, max_age_s=age)


@pytest.mark.parametrize(
    "name", ["", "main", "123", "Upper", "a/b", "-a", ".a", "a b", "run-", "hold-", "reader-", "a" * 101, "a\n", "\u0661", "é"]
)
def test_a_name_that_could_be_taken_for_something_else_is_refused(name: str) -> None:
    with pytest.raises(VersionError, match="cannot be the name of a tag"):
        check_name(name)


@given(st.text(max_size=120))
def test_a_checked_name_is_neither_a_drive_nor_a_snapshot_nor_main(name: str) -> None:
    try:
        kind = check_name(name)
    except VersionError:
        return
    assert "/" not in name and not name.isdigit() and name != "main" and len(name) <= 100
    assert kind is kind_of(name)
    assert (kind is TagKind.USER) == (not name.startswith(("run-", "hold-", "reader-")))


def test_publishers_and_taggers_at_once_all_come_through(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    failures: list[Exception] = []

    def run(work) -> None:  # type: ignore[no-untyped-def]
        try:
            work()
        except (LakeError, CommitFailedException) as error:
            failures.append(error)

    batch = lake.batch("b1", 1, (77,), OTHER)
    work = [lambda: create_tag(lake.catalog(), "one"), lambda: create_tag(lake.catalog(), "two")]
    work.append(lambda: publish(lake.catalog(), batch))
    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    for tag in tags(lake.catalog()):
        version = resolve(load_together(lake.catalog()), tag.name)
        assert lake.anchors_at(version) == lake.anchors_at(version, "gold.frames", "stamp_ns")
