"""Release, reject, reprocess: exactly one effect each, or a clear error and none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from ingest.errors import ContentionError, DecidedError, DriveBusyError, ReviewError, StaleReviewError, UnknownDriveError
from ingest.handler import handle
from ingest.ledger.detail import RunResult
from ingest.ledger.records import DriveRecord, Requeue
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState
from ingest.ledger.work_message import DriveWork, WorkReason
from ingest.retries import CONTENTION_ATTEMPTS
from lake.drive_input import DriveInput, input_key
from lake.landing import DriveId
from lake.overrides import Decisions, Override, Verdict, scene_target
from tests.unit.ingest.ingest_fakes import DRIVE, RAW, FakeClock, FakeLedger, Killed, Steps, World, drive_files, s3_body

FILES = drive_files()
A, B, C = (scene_target(number) for number in (1, 2, 3))


def landed(state: DriveState = DriveState.PUBLISHED) -> World:
    world = World()
    for key, body in FILES.items():
        world.objects.put(key, body)
        handle(json.loads(s3_body(key)), world.registrar(), RAW)
    world.finish(DRIVE, state)
    return world


def record(world: World) -> DriveRecord:
    found = world.ledger.drive(DRIVE)
    assert found is not None
    return found


def drive_input(world: World) -> DriveInput:
    revision = record(world).revision or ""
    return DriveInput.parse(world.objects.inputs[input_key(DRIVE, revision)], revision)


def override(world: World, *targets: str, verdict: Verdict = Verdict.RELEASE, **more: Any) -> Override:
    values = {"rules": ("SYN001",), "reviewer": "alice", "reason": "a parked car"} | more
    return Override(verdict, drive_input(world).base, targets, **values)


def release(world: World, *targets: str, steps: Steps | None = None, **more: Any) -> DriveRecord:
    return world.desk(steps).release(DRIVE, record(world).revision or "", [override(world, *targets, **more)])


def reject(world: World, *targets: str, steps: Steps | None = None) -> DriveRecord:
    revision = record(world).revision or ""
    return world.desk(steps).reject(DRIVE, revision, [override(world, *targets, verdict=Verdict.REJECT)])


def frozen(world: World) -> tuple[Any, ...]:
    return world.outcome(), list(world.ledger.decided), list(world.queue.sent)


def test_a_release_makes_a_revision_of_the_same_data_with_the_decision_in_it() -> None:
    world = landed(DriveState.QUARANTINED)
    first, base = record(world), drive_input(world).base
    assert base == first.revision, "a drive as it came has no decision in its revision"
    queued = release(world, A)
    assert (queued.state, queued.generation, queued.reason) == (DriveState.QUEUED, 2, WorkReason.RELEASED)
    assert queued.revision not in (None, first.revision)
    found = drive_input(world)
    assert (found.base, found.objects) == (base, DriveInput.parse(world.objects.inputs[input_key(DRIVE, base)], base).objects)
    decisions = Decisions.of(found)
    assert set(decisions.released) == {A}
    assert (decisions.released[A].reviewer, decisions.released[A].reason) == ("alice", "a parked car")
    assert world.queue.sent[-1] == DriveWork(DRIVE, queued.revision or "", WorkReason.RELEASED)
    (kept,) = world.ledger.decisions(DRIVE)
    assert (kept.number, kept.revision, kept.generation, kept.decided_ns) == (1, first.revision, 1, world.clock())


def test_a_rejection_is_recorded_processes_nothing_and_enters_the_next_revision() -> None:
    world = landed()
    before = record(world)
    after = reject(world, B)
    assert replace(after, decisions=0) == before
    assert len(world.queue.sent) == 1
    release(world, A)
    decisions = Decisions.of(drive_input(world))
    assert (set(decisions.released), set(decisions.rejected)) == ({A}, {B})


@pytest.mark.parametrize("state", [DriveState.QUEUED, DriveState.PROCESSING, DriveState.FAILED, DriveState.LANDING])
def test_a_drive_that_is_not_at_rest_is_left_alone(state: DriveState) -> None:
    world = landed(state)
    before = frozen(world)
    for act in (release, reject):
        with pytest.raises(DriveBusyError):
            act(world, A)
    with pytest.raises(DriveBusyError):
        world.desk().reprocess(DRIVE)
    assert frozen(world) == before


def test_nothing_is_decided_twice() -> None:
    world = landed()
    reject(world, B)
    release(world, A)
    with pytest.raises(DriveBusyError, match="generation 2, reason released"):
        release(world, A)
    world.finish(DRIVE)
    before = frozen(world)
    with pytest.raises(DecidedError, match="released already by alice: a parked car"):
        release(world, A, reviewer="bob")
    with pytest.raises(DecidedError, match="released already"):
        reject(world, A)
    with pytest.raises(DecidedError, match="rejected already"):
        release(world, B, C)  # and so not C either
    with pytest.raises(DecidedError, match="rejected already"):
        reject(world, B)
    assert frozen(world) == before


def test_what_is_not_there_cannot_be_decided_about() -> None:
    world = landed()
    before = frozen(world)
    with pytest.raises(UnknownDriveError):
        world.desk().release(DriveId("car-9", "none"), "0" * 64, [override(world, A)])
    with pytest.raises(StaleReviewError):
        world.desk().release(DRIVE, "0" * 64, [override(world, A)])
    with pytest.raises(StaleReviewError):
        world.desk().release(DRIVE, record(world).revision or "", [replace(override(world, A), input="0" * 64)])
    with pytest.raises(ReviewError, match="nothing to release"):
        world.desk().release(DRIVE, record(world).revision or "", [])
    with pytest.raises(ReviewError, match="another verdict"):
        world.desk().release(DRIVE, record(world).revision or "", [override(world, A, verdict=Verdict.REJECT)])
    assert frozen(world) == before


def test_data_that_landed_since_makes_the_decision_stale_and_voids_earlier_ones() -> None:
    world = landed()
    release(world, A)
    world.finish(DRIVE)
    key = next(key for key in FILES if key.endswith(".mcap"))
    seen = override(world, B)
    world.objects.put(key, b"longer than before, by far")  # its manifest is still to come
    handle(json.loads(s3_body(key)), world.registrar(), RAW)
    with pytest.raises(StaleReviewError, match="have landed"):
        world.desk().release(DRIVE, record(world).revision or "", [seen])
    world.clock.advance(world.limits.overdue_after_s + 1)
    world.sweep().run()
    assert record(world).reason is WorkReason.OVERDUE
    assert drive_input(world).overrides == frozenset(), "nobody has looked at the new data"
    world.finish(DRIVE)
    with pytest.raises(StaleReviewError):
        world.desk().release(DRIVE, record(world).revision or "", [seen])


def test_a_duplicate_event_after_a_decision_makes_no_revision() -> None:
    world = landed()
    reject(world, B)
    release(world, A)
    world.finish(DRIVE)
    before = record(world)
    for key in FILES:
        handle(json.loads(s3_body(key)), world.registrar(), RAW)
    assert (record(world).generation, record(world).revision) == (before.generation, before.revision)


def test_reprocessing_is_a_new_generation_of_the_same_data() -> None:
    world = landed()
    first = record(world)
    queued = world.desk().reprocess(DRIVE)
    assert (queued.generation, queued.reason, queued.revision) == (2, WorkReason.REPROCESS, first.revision)
    assert world.queue.sent[-1] == DriveWork(DRIVE, first.revision or "", WorkReason.REPROCESS)
    world.finish(DRIVE)
    reject(world, B)
    again = world.desk().reprocess(DRIVE)
    assert again.generation == 3
    assert set(Decisions.of(drive_input(world)).rejected) == {B}, "a rejection survives"


def test_decisions_that_do_not_fit_are_refused_whole() -> None:
    world = landed()
    before = frozen(world)
    many = [override(world, *(scene_target(first + n) for n in range(4000))) for first in (10**18, 2 * 10**18, 3 * 10**18)]
    with pytest.raises(ReviewError, match="correct the rule"):
        world.desk().release(DRIVE, record(world).revision or "", many)
    assert frozen(world)[1:] == before[1:]
    assert record(world).generation == 1


class Racing(FakeLedger):
    """Another reviewer acts between this reviewer's read and write."""

    other: Any = None

    def decide(self, seen: DriveRecord, overrides: frozenset[str], requeue: Requeue | None) -> DriveRecord | None:
        if self.other is not None:
            act, self.other = self.other, None
            act()
        return super().decide(seen, overrides, requeue)


@pytest.mark.parametrize(
    ("mine", "theirs", "error"),
    [
        ((release, A), (reject, A), DecidedError),
        ((reject, A), (reject, A), DecidedError),
        ((release, A), (release, A), DriveBusyError),
        ((release, A), (reject, B), None),
        ((reject, A), (reject, B), None),
    ],
)
def test_of_two_concurrent_reviewers_one_gets_an_error_with_the_decision_of_the_other(
    mine: Any, theirs: Any, error: type[Exception] | None
) -> None:
    world = landed()
    racing = Racing(world.clock)
    racing.__dict__ |= world.ledger.__dict__
    world.ledger = racing
    racing.other = lambda: theirs[0](world, theirs[1])
    if error is None:
        mine[0](world, mine[1])
    else:
        with pytest.raises(error):
            mine[0](world, mine[1])
    assert len(racing.decided) == (2 if error is None else 1)
    assert [found.number for found in racing.decided] == list(range(1, len(racing.decided) + 1))


def test_a_drive_that_never_rests_is_contention() -> None:
    world = landed()

    class Moving(FakeLedger):
        def decide(self, *_: Any) -> None:
            return None

    moving = Moving(world.clock)
    moving.__dict__ |= world.ledger.__dict__
    world.ledger = moving
    with pytest.raises(ContentionError, match="kept changing while a decision about it was being recorded"):
        release(world, A)
    assert len(world.sleeps) == CONTENTION_ATTEMPTS - 1


def kill_points() -> int:
    steps = Steps()
    release(landed(), A, steps=steps)
    return steps.count


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, kill_points() + 1))
def test_a_killed_release_is_done_once_or_not_at_all(step: int, after: bool) -> None:
    world = landed()
    with pytest.raises(Killed):
        release(world, A, steps=Steps(step, after))
    world.clock.advance(world.limits.resend_after_s + 1)
    assert world.sweep().run().failed == 0
    if not world.ledger.decided:
        assert record(world).generation == 1
        release(world, A)
    else:
        with pytest.raises(DriveBusyError):
            release(world, A)
    assert len(world.ledger.decided) == 1
    assert (record(world).generation, record(world).state, record(world).unsent) == (2, DriveState.QUEUED, False)
    assert {work.reason for work in world.queue.sent[1:]} == {WorkReason.RELEASED}


@pytest.fixture(params=["fake", "dynamodb"])
def store(request: pytest.FixtureRequest, clock: FakeClock) -> Any:
    made: Any = FakeLedger(clock) if request.param == "fake" else request.getfixturevalue("ledger")
    made.touch(DRIVE, changed=True)
    made.queue(made.drive(DRIVE), Requeue("1" * 64, WorkReason.COMPLETE, "m1", None))
    return made


def rest(store: Any, state: DriveState = DriveState.PUBLISHED) -> DriveRecord:
    seen = store.drive(DRIVE)
    if isinstance(store, Ledger):
        store.begin(DRIVE, seen.revision)
        store.finish(DRIVE, seen.revision, state, [], RunResult())
    else:
        store.drive_items[DRIVE] = replace(seen, state=state)
    found: DriveRecord = store.drive(DRIVE)
    return found


def test_contract_a_decision_comes_with_its_revision_or_not_at_all(store: Any, clock: FakeClock) -> None:
    requeue = Requeue("2" * 64, WorkReason.RELEASED, "m1", None, frozenset({"x"}))
    assert store.decide(store.drive(DRIVE), frozenset({"x"}), requeue) is None, "a queued drive is not at rest"
    seen = rest(store)
    kept = store.decide(seen, frozenset({"r"}), None)
    assert (kept.decisions, kept.state, kept.generation) == (1, DriveState.PUBLISHED, 1)
    assert store.decide(seen, frozenset({"x"}), requeue) is None, "somebody decided since"
    assert store.decide(seen, frozenset({"x"}), None) is None
    queued = store.decide(kept, frozenset({"x"}), requeue)
    assert (queued.state, queued.revision, queued.generation, queued.reason) == (
        DriveState.QUEUED, "2" * 64, 2, WorkReason.RELEASED,
    )  # fmt: skip
    assert (queued.overrides, queued.decisions, queued.unsent) == (frozenset({"x"}), 2, True)
    assert store.unsent(clock.now_ns + 1, 9) == [DRIVE]
    log = store.decisions(DRIVE)
    assert [(one.number, one.overrides, one.revision) for one in log] == [
        (1, frozenset({"r"}), "1" * 64),
        (2, frozenset({"x"}), "1" * 64),
    ]
    touched = rest(store)
    store.touch(DRIVE, changed=False)
    assert store.decide(touched, frozenset({"y"}), None) is None, "something was registered since"


class Reviewing(RuleBasedStateMachine):
    """Reviewers, events and runs in any order, checked against the allowed effects."""

    targets = Bundle("targets")

    @initialize()
    def begin(self) -> None:
        self.world = landed()
        self.decided: dict[str, Verdict] = {}

    @rule(target=targets, number=st.integers(1, 6))
    def scene(self, number: int) -> str:
        return scene_target(number)

    @rule(wanted=targets, verdict=st.sampled_from(Verdict), number=st.integers(0, 30), after=st.booleans())
    def decide(self, wanted: str, verdict: Verdict, number: int, after: bool) -> None:
        before, act = frozen(self.world), release if verdict is Verdict.RELEASE else reject
        at_rest = record(self.world).state in (DriveState.PUBLISHED, DriveState.QUARANTINED)
        log = len(self.world.ledger.decided)
        try:
            act(self.world, wanted, steps=Steps(number or None, after))
        except (DecidedError, DriveBusyError):
            assert frozen(self.world) == before
            assert wanted in self.decided or not at_rest
        except Killed:
            if len(self.world.ledger.decided) > log:
                self.decided[wanted] = verdict
        else:
            assert at_rest
            assert wanted not in self.decided
            self.decided[wanted] = verdict

    @precondition(lambda self: record(self.world).state is DriveState.QUEUED)
    @rule(state=st.sampled_from([DriveState.PUBLISHED, DriveState.QUARANTINED, DriveState.PROCESSING]))
    def run(self, state: DriveState) -> None:
        self.world.clock.advance(self.world.limits.resend_after_s + 1)
        self.world.sweep().run()
        self.world.finish(DRIVE, state)

    @precondition(lambda self: record(self.world).state is DriveState.PROCESSING)
    @rule()
    def end(self) -> None:
        self.world.finish(DRIVE)

    @rule()
    def reprocess(self) -> None:
        try:
            self.world.desk().reprocess(DRIVE)
        except DriveBusyError:
            return
        assert dict(self._held()) == self.decided

    @rule(key=st.sampled_from(sorted(FILES)))
    def duplicate(self, key: str) -> None:
        generation = record(self.world).generation
        handle(json.loads(s3_body(key)), self.world.registrar(), RAW)
        assert record(self.world).generation == generation

    def _held(self) -> dict[str, Verdict]:
        decisions = Decisions.of(drive_input(self.world))
        return dict.fromkeys(decisions.released, Verdict.RELEASE) | dict.fromkeys(decisions.rejected, Verdict.REJECT)

    @invariant()
    def what_is_in_the_revision_was_decided_and_every_release_is_in_it(self) -> None:
        held = self._held()
        assert held.items() <= self.decided.items()
        releases = {target for target, verdict in self.decided.items() if verdict is Verdict.RELEASE}
        assert releases <= held.keys()

    @invariant()
    def the_log_is_numbered_without_gaps(self) -> None:
        log = self.world.ledger.decided
        assert [one.number for one in log] == list(range(1, len(log) + 1))
        assert len(log) == len(self.decided) == record(self.world).decisions


TestReviewing = Reviewing.TestCase
TestReviewing.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(st.text(max_size=40), st.text(max_size=40))
def test_who_and_why_are_bounded_before_anything_is_written(reviewer: str, reason: str) -> None:
    from lake.errors import OverrideError

    try:
        made = Override(Verdict.REJECT, "0" * 64, (A,), ("SYN001",), reviewer, reason)
    except OverrideError:
        return
    assert Override.parse(made.to_string()) == made
    assert reason.isprintable()
    assert reviewer.isascii()
