"""Promise P1 for work: a drive that has a revision reaches a run, whatever happened to its message."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.ledger.states import WAITING, DriveState
from ingest.sweep import Sweep, SweepLimits
from lake.landing import DriveId
from tests.unit.ingest.ingest_fakes import DRIVE, World, drive_files

DAY_S = 86400.0


def fleet(*states: DriveState) -> World:
    """A drive in each of these states, in this order of age; each has its message."""
    world = World()
    for number, state in enumerate(states):
        drive = DriveId("car-1", f"d-{number}")
        registrar = world.registrar()
        for key, body in drive_files(drive, sensor_objects=1).items():
            world.objects.put(key, body)
            registrar.register(key)
        registrar.evaluate(drive)
        world.finish(drive, state)
        world.clock.advance(1)
    world.queue.sent.clear()
    return world


def later(world: World, seconds: float | None = None) -> list[str]:
    """What one sweep sends again after this long, by drive."""
    world.queue.sent.clear()
    world.clock.advance(world.limits.reconcile_after_s + 1 if seconds is None else seconds)
    report = world.sweep().run()
    assert report.failed == 0
    assert report.replaced == len(world.queue.sent)
    return [work.drive.drive_id for work in world.queue.sent]


def test_a_purged_queue_is_filled_again_in_one_sweep() -> None:
    world = fleet(*WAITING, DriveState.PUBLISHED, DriveState.QUARANTINED)
    before = dict(world.ledger.drive_items)
    world.queue.held.clear()
    assert later(world) == ["d-0", "d-1", "d-2"]
    for drive, record in world.ledger.drive_items.items():
        assert replace(record, updated_ns=0) == replace(before[drive], updated_ns=0), "the same revision, generation and state"
    assert later(world) == [], "the messages exist again"


def test_what_is_in_work_or_among_the_dead_letters_is_not_sent_again() -> None:
    world = fleet(*WAITING)
    for _ in range(50):
        assert later(world) == []


def test_one_lost_message_of_a_busy_fleet_is_found_by_counting() -> None:
    world = fleet(*[DriveState.PROCESSING] * 5)
    world.queue.held = [work for work in world.queue.held if work.drive.drive_id != "d-3"]
    sent: list[str] = []
    for _ in range(10):
        sent += later(world)
        # A run that receives a message finds the drive at work under another lease, or takes it over, and deletes one.
        names = [work.drive.drive_id for work in world.queue.held]
        world.queue.held = [work for place, work in enumerate(world.queue.held) if names.index(work.drive.drive_id) == place]
        if "d-3" in sent:
            break
    assert sent == ["d-0", "d-1", "d-2", "d-3"], "those that have waited longest, each once"
    assert later(world) == []


@pytest.mark.parametrize("state", WAITING)
def test_by_age_alone_where_nothing_counts_messages(state: DriveState) -> None:
    world = fleet(state)
    world.queue.held.clear()
    sweep = Sweep(world.registrar(), world.objects, world.ledger, SweepLimits(), world.clock)
    world.clock.advance(14 * DAY_S)
    assert sweep.run().replaced == 0, "SQS may still hold it"
    world.clock.advance(DAY_S)
    assert sweep.run().replaced == 1
    assert sweep.run().replaced == 0
    assert [work.drive.drive_id for work in world.queue.sent] == ["d-0"]


@pytest.mark.parametrize("every_s", [20, 60, 240, 600])
def test_a_lost_message_is_found_while_drives_keep_arriving(every_s: int) -> None:
    """The messages of young drives are no stand-in for that of the lost one."""
    world = fleet(DriveState.QUEUED)
    world.queue.held.clear()
    for number in range(1, 40):
        drive = DriveId("car-1", f"d-{number}")
        for key, body in drive_files(drive, sensor_objects=1).items():
            world.objects.put(key, body)
            world.registrar().register(key)
        world.registrar().evaluate(drive)
        world.clock.advance(every_s)
        world.sweep().run()
        if "d-0" in [work.drive.drive_id for work in world.queue.held]:
            assert number * every_s <= world.limits.reconcile_after_s + every_s
            break
    else:
        pytest.fail("the message of d-0 was never missed")
    assert [work.drive.drive_id for work in world.queue.held].count("d-0") == 1


def test_messages_that_nobody_can_read_do_not_hide_a_lost_one_for_ever() -> None:
    world = fleet(DriveState.FAILED)
    world.queue.held *= 3
    assert later(world) == []
    assert later(world, 15 * DAY_S) == ["d-0"]


def test_a_queue_that_cannot_be_counted_fails_the_sweep_but_none_of_its_other_steps() -> None:
    world = fleet(DriveState.PROCESSING)
    key = f"{DRIVE}/lidar/lidar_top/1700000000000000000.mcap"
    world.objects.put(key, b"its event was lost")
    world.clock.advance(1000)

    def away() -> int:
        raise ConnectionError("the queue is away")

    report = Sweep(world.registrar(), world.objects, world.ledger, world.limits, world.clock, away).run()
    assert (report.failed, report.replaced, report.reconciled) == (1, 0, 1), "asked once"


def test_a_drive_that_ends_meanwhile_gets_no_message() -> None:
    world = fleet(DriveState.PROCESSING)
    drive = DriveId("car-1", "d-0")
    world.clock.advance(1000)

    def ended_while_counting() -> int:
        world.finish(drive)
        return len(world.queue.held)

    report = Sweep(world.registrar(), world.objects, world.ledger, world.limits, world.clock, ended_while_counting).run()
    assert world.queue.held == []
    assert (report.replaced, world.queue.sent) == (0, [])
    assert not world.ledger.drive_items[drive].unsent


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_lost_every_drive_reaches_a_run(data: st.DataObject) -> None:
    """Messages vanish, runs die or fail; once that ends, every drive is published, and no sweep sends more than it must."""
    world = fleet(*[DriveState.QUEUED] * data.draw(st.integers(1, 4)))
    drives = list(world.ledger.drive_items)
    for _ in range(data.draw(st.integers(0, 6))):
        drive = data.draw(st.sampled_from(drives))
        act = data.draw(st.sampled_from(["purge", "die", "fail", "publish", "sweep"]))
        if act == "purge":
            world.queue.held.clear()
        elif act == "sweep":
            later(world)
        elif any(work.drive == drive for work in world.queue.held):
            states = {"die": DriveState.PROCESSING, "fail": DriveState.FAILED, "publish": DriveState.PUBLISHED}
            world.finish(drive, states[act])
    for _ in range(2 * len(drives)):
        later(world)
        for work in list(world.queue.held):
            world.finish(work.drive)
    assert {record.state for record in world.ledger.drive_items.values()} == {DriveState.PUBLISHED}
    assert world.queue.held == []
