"""Lease, gate, acknowledge, abandon: their effects on queue and ledger, with both in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from scenelake_airflow.errors import PayloadError
from scenelake_airflow.lease import Lease, work_uri
from scenelake_airflow.lease_steps import fail_drive, finish_drive, object_outcomes, passes_gate, take
from scenelake_airflow.results import PublicationSummary, parse_result
from scenelake_airflow.settings import SchedulingSettings

from ingest.errors import ContentionError, SupersededWorkError
from ingest.ledger.detail import RunFailure, RunResult
from ingest.ledger.records import DriveRecord, ObjectOutcome
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import DriveWork, WorkReason
from ingest.queues import ReceivedWork
from lake.drive_input import DriveInput, InputObject
from lake.landing import DriveId

MONDAY = DriveId("car", "monday")
INPUT = DriveInput(
    MONDAY,
    frozenset({InputObject("car/monday/lidar/top/1.mcap", "v1", "s"), InputObject("car/monday/radar/front/1.mcap", "v2", "s")}),
    InputObject("car/monday/manifest.json", "v3", ""),
    InputObject("car/monday/calibration.json", "v4", "s"),
)


class FakeQueue:
    """Gives its messages in order and records what is done with each."""

    def __init__(self, *waiting: ReceivedWork) -> None:
        self.waiting = list(waiting)
        self.deleted: list[str] = []
        self.extended: dict[str, int] = {}

    def messages(self, most: int) -> Iterator[ReceivedWork]:
        for _ in range(min(most, len(self.waiting))):
            yield self.waiting.pop(0)

    def extend(self, receipt_handle: str, visibility_s: int) -> bool:
        self.extended[receipt_handle] = visibility_s
        return True

    def delete(self, receipt_handle: str) -> bool:
        self.deleted.append(receipt_handle)
        return True


@dataclass
class FakeLedger:
    """Answers `begin` from `begins`; records everything else."""

    begins: Mapping[DriveId, DriveState | Exception] = field(default_factory=dict)
    superseded: bool = False
    finished: list[tuple[DriveState, list[ObjectOutcome], RunResult]] = field(default_factory=list)
    failed: list[RunFailure] = field(default_factory=list)

    def begin(self, drive: DriveId, revision: str) -> DriveRecord:
        answer = self.begins.get(drive, DriveState.PROCESSING)
        if isinstance(answer, Exception):
            raise answer
        return DriveRecord(drive, answer, revision, generation=2)

    def finish(
        self,
        drive: DriveId,
        revision: str,
        state: DriveState,
        outcomes: Iterable[ObjectOutcome],
        result: RunResult,
        *,
        generation: int | None = None,
    ) -> DriveRecord:
        assert generation == 2, "a run ends the generation that it was given, no other"
        self._refuse(drive)
        self.finished.append((state, list(outcomes), result))
        return DriveRecord(drive, state, revision)

    def fail(self, drive: DriveId, revision: str, failure: RunFailure, *, generation: int | None = None) -> DriveRecord:
        assert generation == 2
        self._refuse(drive)
        self.failed.append(failure)
        return DriveRecord(drive, DriveState.FAILED, revision)

    def _refuse(self, drive: DriveId) -> None:
        if self.superseded:
            raise SupersededWorkError(f"{drive} has another revision")


def message(name: str, receive_count: int = 1, handle: str | None = None, revision: str = "a") -> ReceivedWork:
    work = DriveWork(DriveId("car", name), revision * 64, WorkReason.COMPLETE)
    return ReceivedWork(work, handle or name, receive_count, f"id-{name}")


def taken(queue: FakeQueue, ledger: FakeLedger, most: int = 4) -> list[str]:
    return [
        lease.drive_id for lease in take(queue, ledger, "lake", "run+1", SchedulingSettings(drives_per_run=most, lease_s=600))
    ]


def test_it_takes_as_many_as_it_may_and_extends_them() -> None:
    queue = FakeQueue(*(message(name) for name in "abcde"))
    assert taken(queue, FakeLedger(), most=3) == ["a", "b", "c"]
    assert [left.receipt_handle for left in queue.waiting] == ["d", "e"]
    assert queue.extended == {"a": 600, "b": 600, "c": 600}
    assert queue.deleted == []


def test_a_message_seen_before_is_taken_alone_or_is_the_last() -> None:
    first = FakeQueue(message("again", receive_count=2), message("new"))
    assert taken(first, FakeLedger()) == ["again"]
    later = FakeQueue(message("new"), message("again", receive_count=2), message("newer"))
    assert taken(later, FakeLedger()) == ["new", "again"]
    assert [left.receipt_handle for left in later.waiting] == ["newer"]


def test_what_needs_no_work_is_deleted_and_what_fails_is_left_to_come_back() -> None:
    ledger = FakeLedger(
        {
            DriveId("car", "done"): DriveState.PUBLISHED,
            DriveId("car", "dark"): DriveState.QUARANTINED,
            DriveId("car", "old"): SupersededWorkError("newer"),
            DriveId("car", "busy"): ContentionError("others"),
        }
    )
    queue = FakeQueue(*(message(name) for name in ("done", "dark", "old", "busy", "new")))
    assert taken(queue, ledger, most=8) == ["new"]
    assert queue.deleted == ["done", "dark", "old"]
    assert set(queue.extended) == {"new"}


def test_a_second_message_for_the_same_revision_is_deleted_but_not_one_for_another() -> None:
    queue = FakeQueue(message("a"), message("a", handle="double"), message("a", handle="other", revision="b"))
    assert taken(queue, FakeLedger()) == ["a", "a"]
    assert queue.deleted == ["double"]


def test_a_payload_survives_the_way_between_tasks() -> None:
    (lease,) = take(FakeQueue(message("a", receive_count=3)), FakeLedger(), "lake", "run+1", SchedulingSettings())
    assert Lease.parse(lease.payload()) == lease
    assert (lease.generation, lease.receive_count, lease.reason) == (2, 3, "complete")
    assert lease.work == work_uri("lake", DriveId("car", "a"), "a" * 64, "run+1", 0, 3)
    assert lease.work.startswith("s3://lake/work/car/a/" + "a" * 64 + "/")


def test_every_attempt_has_a_work_area_of_its_own() -> None:
    drive = DriveId("car", "a")
    attempts = [("run1", 0, 1), ("run2", 0, 1), ("run1", 1, 1), ("run1", 0, 2)]
    uris = {work_uri("lake", drive, "a" * 64, *attempt) for attempt in attempts}
    assert len(uris) == 4
    assert work_uri("lake", drive, "a" * 64, "run1", 0, 1) in uris


LEASED = take(FakeQueue(message("monday", receive_count=2)), FakeLedger(), "lake", "run", SchedulingSettings())[0]


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (None, "has the version None, expected 1"),
        ("lease", "has the version None, expected 1"),
        ({}, "has the version None, expected 1"),
        (LEASED.payload() | {"schema_version": 2}, "has the version 2, expected 1"),
        ({name: value for name, value in LEASED.payload().items() if name != "schema_version"}, "has the version None"),
        ({"schema_version": 1, "vehicle_id": "car"}, "version 1 is invalid: .*missing required field"),
        (LEASED.payload() | {"more": 1}, "version 1 is invalid: .*unknown field `more`"),
        (LEASED.payload() | {"generation": "3"}, r"version 1 is invalid: .*Expected `int`, got `str` - at `\$.generation`"),
    ],
)
def test_a_lease_document_of_another_form_is_refused_by_version_or_field(payload: object, fault: str) -> None:
    with pytest.raises(PayloadError, match=fault):
        Lease.parse(payload)


def test_a_lease_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        LEASED.generation = 4  # type: ignore[misc]


@pytest.mark.parametrize(("verdict", "builds"), [("build", True), ("quarantine", False)])
def test_the_gate_goes_by_the_verdict(verdict: str, builds: bool) -> None:
    assert passes_gate(LEASED.payload(), {"verdict": verdict, "rule_ids": ["CAL001"]}) is builds


@pytest.mark.parametrize("inspection", [{}, {"verdict": "maybe"}, {"verdict": None}])
def test_the_gate_does_not_guess(inspection: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match=r"result of inspect is invalid: .*verdict"):
        passes_gate(LEASED.payload(), inspection)


def test_a_published_drive_is_recorded_object_by_object_then_its_message_is_deleted() -> None:
    queue, ledger = FakeQueue(), FakeLedger()
    report = {"outcome": "published", "snapshot_id": 7, "scenes": 5, "records": 1, "already": True,
                   "warnings": ["CMP004"], "quarantined_objects": ["car/monday/radar/front/1.mcap"]}  # fmt: skip
    publication = parse_result(report, PublicationSummary, "publish")
    assert finish_drive(queue, ledger, LEASED, publication, INPUT) == "published"
    ((state, outcomes, result),) = ledger.finished
    assert state is DriveState.PUBLISHED
    assert {(outcome.key.rpartition("/")[2], outcome.version_id, outcome.state) for outcome in outcomes} == {
        ("1.mcap", "v1", ObjectState.PUBLISHED),
        ("1.mcap", "v2", ObjectState.QUARANTINED),
        ("manifest.json", "v3", ObjectState.PUBLISHED),
        ("calibration.json", "v4", ObjectState.PUBLISHED),
    }
    assert result == RunResult(snapshot_id=7, scenes=5, records=1, warnings=("CMP004",))
    assert queue.deleted == ["monday"]


def test_all_objects_of_a_quarantined_drive_are_quarantined() -> None:
    outcomes = list(object_outcomes(INPUT, DriveState.QUARANTINED, PublicationSummary("quarantined")))
    assert len(outcomes) == 4
    assert {outcome.state for outcome in outcomes} == {ObjectState.QUARANTINED}


def test_a_superseded_publication_leaves_the_ledger_alone() -> None:
    queue, ledger = FakeQueue(), FakeLedger()
    assert finish_drive(queue, ledger, LEASED, PublicationSummary("superseded"), INPUT) == "superseded"
    assert (ledger.finished, queue.deleted) == ([], ["monday"])


def test_a_revision_that_was_overtaken_after_its_commit_is_done_with() -> None:
    queue, ledger = FakeQueue(), FakeLedger(superseded=True)
    assert finish_drive(queue, ledger, LEASED, PublicationSummary("published"), INPUT) == "superseded"
    assert queue.deleted == ["monday"]


@pytest.mark.parametrize(
    "publication", [None, {}, {"outcome": "already"}, {"outcome": "failed"}, {"outcome": "published", "scenes": "many"}]
)
def test_an_unknown_outcome_keeps_the_message(publication: Any) -> None:
    with pytest.raises(PayloadError, match="result of publish is invalid"):
        parse_result(publication, PublicationSummary, "publish")


def test_a_failed_drive_comes_back_later_each_time() -> None:
    queue, ledger = FakeQueue(), FakeLedger()
    fail_drive(queue, ledger, LEASED, 30, lost=False, error="inspect: no space left")
    assert queue.extended == {"monday": 60}
    assert queue.deleted == []
    assert ledger.failed == [RunFailure(error="inspect: no space left", receive_count=2)]


def test_a_drive_whose_lease_was_lost_is_left_to_the_other_run() -> None:
    queue, ledger = FakeQueue(), FakeLedger()
    fail_drive(queue, ledger, LEASED, 30, lost=True, error="inspect: no space left")
    assert (queue.extended, queue.deleted, ledger.failed) == ({}, [], [])


def test_a_failure_of_a_superseded_revision_needs_no_second_delivery() -> None:
    queue, ledger = FakeQueue(), FakeLedger(superseded=True)
    fail_drive(queue, ledger, LEASED, 30, lost=False, error="inspect: no space left")
    assert (queue.extended, queue.deleted) == ({}, ["monday"])
