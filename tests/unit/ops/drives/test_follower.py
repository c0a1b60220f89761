"""Following a drive: its end, and when to give up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from ingest.ledger.detail import RunFailure, RunResult, encode_detail
from ingest.ledger.records import DriveRecord, ObjectHead, ObjectRecord
from ingest.ledger.states import DriveState, ObjectState
from lake.landing import DriveId
from ops.drives.airflow_steps import TaskInstance, step_of
from ops.drives.follower import FAILED_PATIENCE_S, Follower, NoSteps, Sighting
from ops.errors import WaitTimeoutError

DRIVE = DriveId("veh-1", "drive-a")
RECORD = DriveRecord(DRIVE, DriveState.PUBLISHED, revision="a" * 64, generation=1, manifest_version="m1", updated_ns=7)


class FakeLedger:
    """Gives one record after the other, and the last one for ever."""

    def __init__(self, records: Sequence[DriveRecord | None]) -> None:
        self.records = list(records)

    def drive(self, drive: DriveId) -> DriveRecord | None:
        return self.records.pop(0) if len(self.records) > 1 else self.records[0]

    def objects(self, drive: DriveId) -> Iterator[ObjectRecord]:
        yield ObjectRecord(ObjectHead(drive.manifest_key, "m1", 2, "e", 0), ObjectState.PUBLISHED, 0)


class FakeClock:
    """Time that passes only in pauses."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds


def follow(
    records: Sequence[DriveRecord | None], manifest: str | None = "m1", timeout_s: float = 900.0
) -> tuple[Sighting, list[str], float]:
    clock, seen = FakeClock(), []
    follower = Follower(FakeLedger(records), lambda _: manifest, NoSteps())
    end = follower.follow(DRIVE, timeout_s, lambda found: seen.append(found.state), clock=clock, pause=clock.pause)
    return end, seen, clock.now_s


def test_a_drive_is_followed_from_nothing_to_published() -> None:
    states = [DriveState.LANDING, DriveState.QUEUED, DriveState.PROCESSING]
    end, seen, took_s = follow([None, *(replace(RECORD, state=state) for state in states), RECORD])
    assert seen == ["not seen yet", "landing", "queued", "processing", "published"]
    assert (end.final, end.landed, end.objects, took_s) == (True, 1, (("published", 1),), 4.0)


@pytest.mark.parametrize("before", [replace(RECORD, settling=True), replace(RECORD, manifest_version="m0")])
def test_the_end_of_the_previous_revision_does_not_count(before: DriveRecord) -> None:
    _, seen, took_s = follow([before, RECORD])
    assert took_s == 1.0
    assert seen[-1] == "published"


def test_a_failed_drive_may_be_tried_again() -> None:
    failed = replace(RECORD, state=DriveState.FAILED, detail_json=encode_detail(RunFailure(error="executor lost")))
    end, seen, _ = follow([failed, failed, replace(RECORD, state=DriveState.PROCESSING, attempts=2), RECORD])
    assert end.final
    assert seen == ["failed", "failed", "processing", "published"]


def test_a_drive_that_stays_failed_is_given_up_with_its_problem() -> None:
    end, _, took_s = follow(
        [replace(RECORD, state=DriveState.FAILED, detail_json=encode_detail(RunFailure(error="executor lost")))]
    )
    assert (end.final, end.state, end.problem, took_s) == (False, "failed", "executor lost", FAILED_PATIENCE_S)


@pytest.mark.parametrize(
    ("record", "hint"),
    [(None, "nothing of it has landed"), (replace(RECORD, state=DriveState.LANDING), "every object in its manifest")],
)
def test_waiting_ends_with_what_to_do(record: DriveRecord | None, hint: str) -> None:
    with pytest.raises(WaitTimeoutError) as caught:
        follow([record], timeout_s=5)
    assert "after 5 s" in str(caught.value)
    assert caught.value.hint is not None
    assert hint in caught.value.hint


def test_the_summary_names_state_step_and_attempt() -> None:
    found = Sighting(DRIVE, "processing", "", 2, 5, (), "build_scenes", False, "", 0)
    assert found.summary == "processing · build_scenes · attempt 2"


def instance(task: str, state: str, drive: str | None, map_index: int = 0) -> TaskInstance:
    return TaskInstance(task_id=f"drive.{task}", state=state, rendered_map_index=drive, map_index=map_index, dag_run_id="r1")


@pytest.mark.parametrize("scenes", [0, 7, None])
def test_a_drive_that_is_published_without_a_scene_says_so(scenes: int | None) -> None:
    detail = RunResult(scenes=scenes)
    end, _, _ = follow([replace(RECORD, detail_json=encode_detail(detail))])
    assert end.scenes == scenes
    assert end.summary == ("published · 0 scenes" if scenes == 0 else "published")
    quarantined, _, _ = follow([replace(RECORD, state=DriveState.QUARANTINED, detail_json=encode_detail(detail))])
    assert (quarantined.scenes, quarantined.summary) == (None, "quarantined")


def test_the_step_is_found_by_the_name_of_the_drive() -> None:
    found = [instance("inspect", "running", "veh-1/drive-b", 1), instance("build_scenes", "running", "veh-1/drive-a")]
    assert step_of(found, DRIVE) == "build_scenes"
    assert step_of(found, DriveId("veh-1", "drive")) is None


def test_a_step_that_waits_is_known_by_its_place() -> None:
    found = [
        instance("inspect", "success", "veh-1/drive-a"),
        instance("gate", "queued", None),
        instance("gate", "queued", None, 1),
    ]
    assert step_of(found, DRIVE) == "gate (queued)"
