"""Expiry keeps what a ref pins, changes nothing that it did not plan, and never loses what is committed meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.errors import MaintenanceError, VersionError
from lake.maintenance import expire as module
from lake.maintenance.expire import ExpirePolicy, expire
from lake.tables.publish import PublishOutcome, publish
from lake.tables.schemas import PUBLISHED
from lake.versions.moments import load_together, resolve
from lake.versions.tags import create_tag, remove_tag, tags
from tests.unit.lake.versions.version_lake import DRIVE, OTHER, VersionLake

NOW = ExpirePolicy(max_age_s=0, keep_last=1)


@pytest.fixture
def lake(tmp_path: Path) -> VersionLake:
    return VersionLake(tmp_path)


def snapshots(lake: VersionLake, table: str = "gold.scenes") -> list[int]:
    return [snapshot.snapshot_id for snapshot in lake.catalog().load_table(table).snapshots()]


def test_what_no_ref_pins_goes_and_the_fence_holds(lake: VersionLake) -> None:
    for generation in range(1, 5):
        lake.publish(f"r{generation}", generation, (10 * generation,))
    create_tag(lake.catalog(), "run-1", f"{DRIVE}@2")
    pinned = resolve(load_together(lake.catalog()), "run-1")
    plans = expire(lake.catalog(), NOW, apply=True)
    for plan in plans:
        current = lake.current().get(plan.table)
        if current is not None:
            assert set(snapshots(lake, plan.table)) == {current, pinned.of(plan.table)}
    assert lake.anchors_at(pinned) == [20]
    assert publish(lake.catalog(), lake.batch("r4", 4, (40,), DRIVE)).outcome is PublishOutcome.ALREADY


def test_a_dry_run_writes_nothing_and_names_what_the_real_one_removes(lake: VersionLake) -> None:
    for generation in range(1, 4):
        lake.publish(f"r{generation}", generation, (10,))
    before = lake.locations()
    planned = expire(lake.catalog(), NOW, apply=False)
    assert lake.locations() == before
    assert [(plan.table, plan.expired) for plan in expire(lake.catalog(), NOW, apply=True)] == [
        (plan.table, plan.expired) for plan in planned
    ]
    assert any(plan.expired for plan in planned)


def test_an_expiry_that_removes_nothing_writes_nothing(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    expire(lake.catalog(), NOW, apply=True)
    before = lake.locations()
    plans = expire(lake.catalog(), NOW, apply=True)
    assert all(plan.is_empty for plan in plans)
    assert lake.locations() == before


def test_age_and_count_keep_and_each_kept_thing_has_a_line_with_its_reason(lake: VersionLake) -> None:
    rows = [lake.publish(f"r{generation}", generation, (10,)) for generation in range(1, 6)]
    create_tag(lake.catalog(), "hold-a", f"{DRIVE}@1")
    times = {s.snapshot_id: s.timestamp_ms for s in lake.catalog().load_table("gold.scenes").snapshots()}
    now_ns = (times[rows[-1].scenes_snapshot_id] + 100_000) * 10**6
    (plan,) = [
        p for p in expire(lake.catalog(), ExpirePolicy(50, 2), apply=False, clock=lambda: now_ns) if p.table == "gold.scenes"
    ]
    reasons = {kept.reason: kept.snapshots for kept in plan.kept}
    assert reasons[f"snapshot {rows[-1].scenes_snapshot_id}: the current state"] == 1
    assert reasons[f"snapshot {rows[0].scenes_snapshot_id}: hold tag hold-a"] == 1
    assert reasons["among the newest 2"] == 1
    assert set(snapshots(lake)) >= set(plan.expired)
    assert len(plan.expired) == len(snapshots(lake)) - 3
    young = expire(lake.catalog(), ExpirePolicy(200, 1), apply=False, clock=lambda: now_ns)
    assert all(p.expired == () for p in young)


def test_a_tag_that_is_made_between_plan_and_commit_survives_with_its_snapshots(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    lake.publish("r2", 2, (20,))
    lake.publish("r3", 3, (30,))
    catalog = lake.interrupted(lambda: create_tag(lake.catalog(), "run-1", f"{DRIVE}@1"))
    plans = expire(catalog, NOW, apply=True)
    assert catalog.commits == 2
    version = resolve(load_together(lake.catalog()), "run-1")
    assert lake.anchors_at(version) == [10]
    assert all(version.snapshots[plan.table] not in plan.expired for plan in plans if plan.table in version.snapshots)
    assert any(plan.expired for plan in plans)


def test_an_expiry_between_a_tag_and_its_commit_makes_the_tag_fail(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    lake.publish("r2", 2, (20,))
    catalog = lake.interrupted(lambda: expire(lake.catalog(), NOW, apply=True))
    with pytest.raises(VersionError, match="has expired"):
        create_tag(catalog, "run-1", f"{DRIVE}@1")
    assert tags(lake.catalog()) == ()


def test_a_publication_between_plan_and_commit_is_not_lost(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    lake.publish("r2", 2, (20,))
    catalog = lake.interrupted(lambda: lake.publish("b1", 1, (77,), OTHER))
    expire(catalog, NOW, apply=True)
    assert lake.rows(OTHER)["gold.scenes"] == [("b1", 77)]
    assert lake.rows(DRIVE)["gold.scenes"] == [("r2", 20)]


class Died(BaseException):
    """The process was killed."""


def test_an_expiry_that_dies_at_its_commit_leaves_the_lake_as_it_was_or_as_it_is_to_be(lake: VersionLake) -> None:
    for generation in range(1, 4):
        lake.publish(f"r{generation}", generation, (10 * generation,))
    before, rows = lake.locations(), lake.rows()

    def die() -> None:
        raise Died

    with pytest.raises(Died):
        expire(lake.interrupted(die), NOW, apply=True)
    assert lake.locations() == before
    dying = lake.interrupted()
    committed = type(dying).commit_together

    def commit_and_die(transactions) -> None:  # type: ignore[no-untyped-def]
        committed(dying, transactions)
        raise Died

    dying.commit_together = commit_and_die  # type: ignore[method-assign]
    with pytest.raises(Died):
        expire(dying, NOW, apply=True)
    assert lake.rows() == rows
    assert all(plan.is_empty for plan in expire(lake.catalog(), NOW, apply=True))
    assert len(snapshots(lake)) == 1


def test_many_snapshots_go_in_commits_of_a_bounded_size_oldest_first(lake: VersionLake, monkeypatch: pytest.MonkeyPatch) -> None:
    for generation in range(1, 8):
        lake.publish(f"r{generation}", generation, (10,))
    monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    done: list[tuple[int, int]] = []
    catalog = lake.interrupted()
    plans = expire(catalog, NOW, apply=True, progress=lambda _, removed, total: done.append((removed, total)))
    assert catalog.commits == len(done) > 2
    assert done[-1][0] == done[-1][1] == sum(len(plan.expired) for plan in plans)
    assert len(snapshots(lake)) == 1


def test_a_deadline_that_another_tool_gave_a_run_does_not_end_it(lake: VersionLake) -> None:
    lake.publish("r1", 1, (10,))
    for name in PUBLISHED:
        table = lake.catalog().load_table(name)
        if table.current_snapshot() is not None:
            table.manage_snapshots().create_tag(lake.current()[name], "run-1", max_ref_age_ms=1).commit()
    lake.publish("r2", 2, (20,))
    expire(lake.catalog(), NOW, apply=True, clock=lambda: time.time_ns() + 10**15)
    assert lake.anchors_at(resolve(load_together(lake.catalog()), "run-1")) == [10]


@pytest.mark.parametrize(("age", "keep"), [(-1.0, 1), (0.0, 0)])
def test_a_policy_that_would_drop_the_current_state_is_refused(age: float, keep: int) -> None:
    with pytest.raises(MaintenanceError):
        ExpirePolicy(age, keep)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 1)),
        st.tuples(st.just("tag"), st.integers(0, 3)),
        st.tuples(st.just("untag"), st.integers(0, 3)),
        st.tuples(st.just("expire"), st.integers(1, 3)),
    ),
    min_size=3,
    max_size=9,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_every_order_of_publish_tag_and_expire_leaves_each_tag_as_it_was_made(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = VersionLake(tmp_path_factory.mktemp("lake"))
    held: dict[str, list[int]] = {}
    generation, scenes = 0, {}
    for what, number in (("publish", 0), *steps):
        if what == "publish":
            generation += 1
            drive = (DRIVE, OTHER)[number]
            lake.publish(f"r{generation}", generation, (generation,), drive)
            scenes[drive] = generation
        elif what == "tag" and f"t{number}" not in held:
            create_tag(lake.catalog(), f"t{number}")
            held[f"t{number}"] = sorted(scenes.values())
        elif what == "untag" and held.pop(f"t{number}", None) is not None:
            remove_tag(lake.catalog(), f"t{number}")
        elif what == "expire":
            expire(lake.catalog(), ExpirePolicy(0, number), apply=True)
    found = load_together(lake.catalog())
    assert {tag.name: lake.anchors_at(resolve(found, tag.name)) for tag in tags(lake.catalog())} == held
    assert lake.anchors_at(resolve(found, "main")) == sorted(scenes.values())
