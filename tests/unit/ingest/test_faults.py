"""Promise P2 for ingest: whatever happens to events and processes, the ledger and the messages end as in a clean run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.handler import handle
from ingest.ledger.states import DriveState
from ingest.sweep import SweepLimits
from lake.landing import DriveId
from tests.unit.ingest.ingest_fakes import DRIVE, RAW, Killed, Steps, World, drive_files, s3_body, sqs_event

OTHER = DriveId("car-2", "2023-11-14")
STRAY = f"{DRIVE}/notes.pkl"
POISON = ("garbage", "{}", s3_body("k" * 2000), '{"Records": [null]}')
FILES = drive_files() | {STRAY: b"x"} | drive_files(OTHER, sensor_objects=1)


def clean_run() -> dict[str, Any]:
    world = World()
    for key, body in FILES.items():
        world.objects.put(key, body)
        handle(sqs_event({"m": s3_body(key)}), world.registrar(), RAW)
    return world.outcome()


CLEAN = clean_run()


def test_the_clean_run_queues_both_drives_and_refuses_the_stray() -> None:
    assert {drive: state for drive, (state, *_) in CLEAN["drives"].items()} == {
        DRIVE: DriveState.QUEUED,
        OTHER: DriveState.QUEUED,
    }
    assert len(CLEAN["messages"]) == len(CLEAN["inputs"]) == 2
    assert [key for key, _ in CLEAN["refused"]] == [STRAY]


def recover(world: World) -> None:
    """Recovery by time and the sweep alone. The overdue limit is not reached: nothing may depend on it."""
    for _ in range(3):
        world.clock.advance(world.limits.reconcile_after_s + 1)
        assert world.sweep().run().failed == 0


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_duplicated_reordered_dropped_delayed_and_poisoned_events(data: st.DataObject) -> None:
    world = World()
    keys = data.draw(st.permutations(list(FILES)))
    for number, key in enumerate(keys):
        world.objects.put(key, FILES[key])
        world.clock.advance(0.5)
        # An event may come now or later, any number of times, or never.
        arriving = data.draw(st.lists(st.sampled_from(keys[: number + 1]), max_size=4))
        bodies = {f"m{number}-{place}": s3_body(name) for place, name in enumerate(arriving)}
        poison = data.draw(st.sampled_from([None, *POISON]))
        if poison is not None:
            bodies["poison"] = poison
        answer = handle(sqs_event(bodies), world.registrar(), RAW)
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        assert failed == (set() if poison is None else {"poison"})
    recover(world)
    assert world.outcome() == CLEAN


def test_all_events_lost() -> None:
    world = World()
    for key, body in FILES.items():
        world.objects.put(key, body)
    recover(world)
    assert world.outcome() == CLEAN


def test_a_short_sweep_goes_round_the_bucket() -> None:
    world = World(SweepLimits(objects=2))
    for key, body in FILES.items():
        world.objects.put(key, body)
    world.clock.advance(world.limits.reconcile_after_s + 1)
    listed = [world.sweep().run().listed for _ in range(len(FILES))]
    assert set(listed[:4]) == {2}
    recover(world)
    assert world.outcome() == CLEAN


def deliver_all(world: World, steps: Steps | None = None) -> None:
    handle(sqs_event({str(number): s3_body(key) for number, key in enumerate(FILES)}), world.registrar(steps), RAW)


def filled() -> World:
    world = World()
    for key, body in FILES.items():
        world.objects.put(key, body)
    return world


def total_steps() -> int:
    steps = Steps()
    deliver_all(filled(), steps)
    return steps.count


STEPS = total_steps()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("redelivered", [False, True], ids=["sweep-only", "redelivered"])
def test_killed_at_every_step(after: bool, redelivered: bool) -> None:
    for step in range(1, STEPS + 1):
        world = filled()
        with pytest.raises(Killed):
            deliver_all(world, Steps(step, after))
        if redelivered:
            deliver_all(world)
        recover(world)
        assert world.outcome() == CLEAN, f"killed at step {step}"


def sweep_steps() -> int:
    world, steps = filled(), Steps()
    world.clock.advance(world.limits.reconcile_after_s + 1)
    world.sweep(steps).run()
    return steps.count


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_sweep_killed_at_every_step(after: bool) -> None:
    for step in range(1, sweep_steps() + 1):
        world = filled()
        world.clock.advance(world.limits.reconcile_after_s + 1)
        with pytest.raises(Killed):
            world.sweep(Steps(step, after)).run()
        recover(world)
        assert world.outcome() == CLEAN, f"killed at step {step}"


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_new_versions_under_any_delivery_end_at_the_newest(data: st.DataObject) -> None:
    """With versions replaced while events are under way, the last revision and the state are those of the newest bytes."""
    files = drive_files()
    world, reference = World(), World()
    for key, body in files.items():
        for version in range(1 if key == DRIVE.manifest_key else data.draw(st.integers(1, 3))):
            world.objects.put(key, body if key == DRIVE.manifest_key else body[:-1] + bytes([version]))
            arriving = data.draw(st.lists(st.sampled_from(list(files)), max_size=2))
            handle(sqs_event({str(place): s3_body(name) for place, name in enumerate(arriving)}), world.registrar(), RAW)
    reference.objects = world.objects
    for each in (world, reference):
        each.clock.advance(0 if each is world else world.clock.now_ns)
        recover(each)
    found, expected = world.ledger.drive_items[DRIVE], reference.ledger.drive_items[DRIVE]
    assert (found.revision, found.state, found.settling) == (expected.revision, DriveState.QUEUED, False)
    assert world.queue.sent[-1].revision == expected.revision
    revisions = [work.revision for work in world.queue.sent]
    assert len(set(revisions)) == len(revisions) == found.generation
