"""The replay of quarantined drives: a dry run by default, and never more drives than its limit."""

from __future__ import annotations

from typing import Any

import pytest
import replay_quarantine
from airflow.sdk import DAG
from scenelake_airflow.errors import PayloadError
from scenelake_airflow.replay_steps import parse_drive, requeue

from ingest.errors import ContentionError, DriveBusyError, StaleReviewError, UnknownDriveError
from ingest.ledger.records import DriveRecord
from ingest.ledger.states import DriveState
from lake.errors import LandingError
from lake.landing import DriveId


@pytest.fixture(scope="module")
def dag() -> DAG:
    built: Any = replay_quarantine.replay_quarantine()
    assert isinstance(built, DAG)
    return built


def test_a_dry_run_is_the_default(dag: DAG) -> None:
    assert {name: sorted(task.downstream_task_ids) for name, task in dag.task_dict.items()} == {"find": ["replay"], "replay": []}
    assert dag.schedule is None
    assert dag.max_active_runs == 1
    assert dag.params["dry_run"] is True
    assert "dry run" in (dag.doc_md or "")


@pytest.mark.parametrize(
    ("name", "wrong"), [("rule", "lid1"), ("rule", None), ("most", 0), ("most", 10**6), ("drive", 7), ("dry_run", "no")]
)
def test_parameters_are_bounded(dag: DAG, name: str, wrong: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(wrong)


class FakeDesk:
    def __init__(self, **errors: Exception) -> None:
        self.errors, self.queued = errors, []

    def reprocess(self, drive: DriveId) -> DriveRecord:
        if error := self.errors.get(drive.drive_id):
            raise error
        self.queued.append(drive)
        return DriveRecord(drive, DriveState.QUEUED, "0" * 64, generation=4)


def test_a_drive_that_is_judged_again_anyway_is_passed_over() -> None:
    desk = FakeDesk(busy=DriveBusyError("is processing"), stale=StaleReviewError("has landed"), gone=UnknownDriveError("none"))
    outcomes = requeue(desk, ["car/one", "car/busy", "car/stale", "car/gone", "car/two"])
    assert [str(drive) for drive in desk.queued] == ["car/one", "car/two"]
    assert outcomes["car/one"] == "queued, generation 4"
    assert all(outcomes[f"car/{name}"].startswith("skipped") for name in ("busy", "stale", "gone"))


def test_what_could_not_be_queued_for_another_reason_fails_the_task() -> None:
    desk = FakeDesk(two=ContentionError("changed all the time"))
    with pytest.raises(ContentionError):
        requeue(desk, ["car/one", "car/two", "car/three"])


def test_a_drive_is_named_by_vehicle_and_drive() -> None:
    assert parse_drive("car/one") == DriveId("car", "one")
    with pytest.raises(PayloadError):
        parse_drive("car")
    with pytest.raises(LandingError):
        parse_drive("car/../x")
