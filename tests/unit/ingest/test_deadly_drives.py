"""A drive whose evaluation kills the process, or fails, holds up neither the fleet nor the messages of its batch."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.handler import handle
from ingest.ledger.records import ObjectHead
from ingest.ledger.states import DriveState
from ingest.register import Registrar
from ingest.sweep import Sweep
from lake.landing import DriveId
from tests.unit.ingest.ingest_fakes import RAW, Killed, World, drive_files, s3_body, sqs_event

BAD, BEHIND, LOST = DriveId("car-1", "bad"), DriveId("car-2", "behind"), DriveId("car-3", "lost")


class DeadlyObjects:
    """The raw bucket; reading the manifest of a deadly drive is the end of the process."""

    def __init__(self, world: World, end: Callable[[], None], *deadly: DriveId) -> None:
        self._objects = world.objects
        self._end = end
        self._deadly = {drive.manifest_key for drive in deadly}

    def __getattr__(self, name: str) -> object:
        return getattr(self._objects, name)

    def read(self, head: ObjectHead, max_bytes: int) -> bytes:
        if head.key in self._deadly:
            self._end()
        return self._objects.read(head, max_bytes)


def killed() -> None:
    raise Killed


def fails() -> None:
    raise OSError("the connection was reset")


def registrar(world: World, end: Callable[[], None], *deadly: DriveId) -> Registrar:
    return Registrar(DeadlyObjects(world, end, *deadly), world.ledger, world.queue, world.clock, world.sleeps.append)  # type: ignore[arg-type]


def sweep(world: World, end: Callable[[], None] = killed, *deadly: DriveId) -> Sweep:
    return Sweep(registrar(world, end, *(deadly or (BAD,))), world.objects, world.ledger, world.limits, world.clock)


def land(world: World, drive: DriveId, *, manifest: bool = True) -> None:
    for key, body in drive_files(drive, sensor_objects=1).items():
        if manifest or key != drive.manifest_key:
            world.objects.put(key, body)
            world.registrar().register(key)
    world.clock.advance(1)


def fleet() -> World:
    """A deadly drive that has waited longest, one that is overdue, and one of which no event came."""
    world = World()
    land(world, BAD)
    land(world, BEHIND, manifest=False)
    for key, body in drive_files(LOST, sensor_objects=1).items():
        world.objects.put(key, body)
    world.clock.advance(2 * world.limits.overdue_after_s)
    return world


def states(world: World) -> dict[DriveId, DriveState]:
    return {drive: record.state for drive, record in world.ledger.drive_items.items()}


def test_a_sweep_that_is_killed_is_followed_by_one_that_reaches_the_drives_behind() -> None:
    world = fleet()
    with pytest.raises(Killed):
        sweep(world).run()
    assert world.ledger.object_of(LOST, LOST.manifest_key) is not None, "what no event brought is registered first"
    world.clock.advance(60)
    report = sweep(world).run()
    assert (states(world)[BEHIND], report.evaluated, report.failed) == (DriveState.QUEUED, 1, 0)
    world.clock.advance(world.limits.reconcile_after_s + 1)
    with pytest.raises(Killed):
        sweep(world).run()
    world.clock.advance(60)
    assert sweep(world).run().failed == 0, "of the two whose turn came at the same moment, the other one is left"
    assert states(world) == {BAD: DriveState.LANDING, BEHIND: DriveState.QUEUED, LOST: DriveState.QUEUED}


def test_many_deadly_drives_do_not_hold_up_the_fleet() -> None:
    world = World()
    deadly = [DriveId("car-1", f"bad-{number}") for number in range(20)]
    for drive in deadly:
        land(world, drive)
    land(world, BEHIND)
    world.clock.advance(world.limits.reconcile_after_s + 1)
    for _ in range(20):
        with pytest.raises(Killed):
            sweep(world, killed, *deadly).run()
        world.clock.advance(1)
    assert sweep(world, killed, *deadly).run().evaluated == 1
    assert states(world)[BEHIND] is DriveState.QUEUED


def test_a_drive_that_fails_does_not_stop_a_sweep_and_goes_to_the_back_too() -> None:
    world = fleet()
    report = sweep(world, fails).run()
    assert (report.evaluated, report.failed, states(world)[BEHIND]) == (1, 1, DriveState.QUEUED)
    assert world.ledger.drive_items[BAD].tries == 0
    world.clock.advance(60)
    assert sweep(world, fails).run().failed == 0, "its turn has not come again"
    world.clock.advance(world.limits.reconcile_after_s + 1)
    assert sweep(world, fails).run().failed == 1


def test_a_deadly_drive_that_reconciliation_finds_ends_the_sweep_after_its_cursor_has_moved() -> None:
    world = World()
    for drive in (BAD, LOST):
        for key, body in drive_files(drive, sensor_objects=1).items():
            world.objects.put(key, body)
    world.clock.advance(world.limits.reconcile_after_s + 1)
    with pytest.raises(Killed):
        sweep(world).run()
    assert world.ledger.object_of(LOST, LOST.manifest_key) is not None
    world.clock.advance(world.limits.reconcile_after_s + 1)
    with pytest.raises(Killed):
        sweep(world).run()
    world.clock.advance(world.limits.reconcile_after_s + 1)
    with pytest.raises(Killed):
        sweep(world).run()
    assert states(world)[LOST] is DriveState.QUEUED


def test_a_bucket_that_cannot_be_listed_does_not_keep_drives_from_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    world = fleet()
    monkeypatch.setattr(world.objects, "list_after", lambda *_: fails())
    report = sweep(world, lambda: None).run()
    assert (report.failed, report.listed, report.evaluated) == (1, 0, 2)


def test_the_batch_mates_of_a_deadly_drive_are_not_delivered_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """SQS delivers a batch again while its handler dies, five times in all."""
    world = World()
    bodies = {}
    for drive in (BAD, BEHIND):
        for key, body in drive_files(drive, sensor_objects=1).items():
            world.objects.put(key, body)
            bodies[key] = s3_body(key)
    ended = []
    for _ in range(5):
        try:
            ended.append(handle(sqs_event(bodies), registrar(world, killed, BAD), RAW))
            break
        except Killed:
            world.clock.advance(30)
    assert ended == [{"batchItemFailures": []}]
    assert states(world) == {BAD: DriveState.LANDING, BEHIND: DriveState.QUEUED}
    assert world.ledger.drive_items[BAD].settling, "the sweep goes on with it"
    assert [record.drive for record in caplog.records if record.msg == "evaluations_did_not_end"] == [BAD]  # type: ignore[attr-defined]


def test_evaluations_that_run_at_the_same_time_are_not_taken_for_dead() -> None:
    world = World()
    land(world, BEHIND)
    for _ in range(3):
        world.ledger.begin_evaluation(BEHIND)
    assert world.registrar().evaluate(BEHIND).state is DriveState.QUEUED
    assert world.ledger.drive_items[BEHIND].tries == 0


def test_a_deadly_drive_whose_objects_stream_in_kills_few_of_its_handlers() -> None:
    """Each new object gives the drive a new turn, and no new innocence."""
    world = World()
    land(world, BAD)
    killed_handlers = 0
    for number in range(20):
        key = f"{BAD}/lidar/lidar_top/{1_700_000_100_000_000_000 + number:019d}.mcap"
        world.objects.put(key, b"more of it")
        world.clock.advance(5)
        try:
            handle(sqs_event({key: s3_body(key)}), registrar(world, killed, BAD), RAW)
        except Killed:
            killed_handlers += 1
    assert killed_handlers == 4
    assert world.ledger.drive_items[BAD].settling, "the sweep goes on with it"


def test_drives_that_wait_for_their_manifest_leave_their_place_to_others() -> None:
    world = World()
    for number in range(world.limits.drives):
        key = f"car-9/d-{number}/lidar/lidar_top/1700000000000000000.mcap"
        world.objects.put(key, b"its manifest is to come")
        world.registrar().register(key)
    world.clock.advance(1)
    land(world, BEHIND)
    for _ in range(2):
        world.clock.advance(world.limits.reconcile_after_s + 1)
        sweep(world, lambda: None).run()
    assert states(world)[BEHIND] is DriveState.QUEUED


@pytest.mark.parametrize("complete", [True, False])
def test_an_evaluation_that_ends_leaves_no_mark(complete: bool) -> None:
    world = World()
    land(world, BEHIND)
    if not complete:
        key = next(key for key in drive_files(BEHIND, sensor_objects=1) if key.endswith(".mcap"))
        del world.ledger.object_items[BEHIND, key]
    world.registrar().evaluate(BEHIND)
    assert world.ledger.drive_items[BEHIND].tries == 0


def test_the_mark_outlives_a_process_that_the_system_kills(tmp_path: Path) -> None:
    """A real SIGKILL in the middle of an evaluation: what the ledger has by then is what the next process sees."""
    marks = tmp_path / "marks"

    def run() -> None:
        world = fleet()
        begin = world.ledger.begin_evaluation

        def persisted(drive: DriveId) -> None:
            begin(drive)
            with marks.open("a") as file:
                file.write(f"{drive}\n")

        world.ledger.begin_evaluation = persisted  # type: ignore[method-assign]
        sweep(world, lambda: os.kill(os.getpid(), signal.SIGKILL)).run()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert marks.read_text().splitlines() == [str(BAD)]
