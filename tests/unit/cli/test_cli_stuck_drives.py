"""`dlq`, `drive reprocess` and `drive requeue` at the terminal: what brings on what stands still."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from cli.main import app
from ingest.ledger.records import Requeue
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState
from ingest.ledger.work_message import DriveWork, WorkReason
from lake.landing import DriveId
from ops import deployment
from tests.unit.ingest.ingest_fakes import DRIVE, World, drive_files, s3_body
from tests.unit.localstack.stack_tools import table_arguments
from tests.unit.ops.fake_deployment import FakeDeployment, deployment_with

WORK = DriveWork(DRIVE, "a" * 64, WorkReason.COMPLETE)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words, env={"COLUMNS": "300"})


# ---- reprocess and requeue ----


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    registrar = made.registrar()
    for key, body in drive_files().items():
        made.objects.put(key, body)
        registrar.register(key)
    registrar.evaluate(DRIVE)
    monkeypatch.setattr(deployment, "enter", lambda endpoint, home: deployment_with())
    monkeypatch.setattr("ops.review.decisions.open_desk", lambda settings: made.desk())
    return made


def test_a_finished_drive_is_processed_again(world: World) -> None:
    world.finish(DRIVE)
    result = run("drive", "reprocess", DRIVE.vehicle_id, DRIVE.drive_id, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) | {"revision": ""} == {
        "drive": str(DRIVE), "state": "queued", "revision": "", "generation": 2, "reason": "reprocess",
    }  # fmt: skip
    assert [work.reason for work in world.queue.sent] == [WorkReason.COMPLETE, WorkReason.REPROCESS]


@pytest.mark.parametrize("state", [DriveState.QUEUED, DriveState.PROCESSING, DriveState.FAILED])
def test_the_message_of_a_drive_that_stands_still_is_sent_again(world: World, state: DriveState) -> None:
    world.finish(DRIVE, state)
    result = run("drive", "requeue", DRIVE.vehicle_id, DRIVE.drive_id)
    assert result.exit_code == 0
    assert f"{DRIVE}: its work message was sent again ({state.value}, generation 1)" in result.stderr
    assert "scenelake drive wait car-1 2023-11-14" in result.stderr
    assert len(world.queue.sent) == 2


@pytest.mark.parametrize(
    ("act", "state", "said"),
    [
        ("reprocess", DriveState.PROCESSING, "scenelake drive requeue"),
        ("requeue", DriveState.PUBLISHED, "scenelake drive reprocess"),
        ("requeue", DriveState.LANDING, "once it is overdue"),
    ],
)
def test_the_wrong_one_of_the_two_names_the_right_one(world: World, act: str, state: DriveState, said: str) -> None:
    world.finish(DRIVE, state)
    result = run("drive", act, DRIVE.vehicle_id, DRIVE.drive_id)
    assert (result.exit_code, len(world.queue.sent)) == (1, 1)
    assert said in result.stderr


def test_an_unknown_drive(world: World) -> None:
    for act in ("reprocess", "requeue"):
        result = run("drive", act, "car-9", "none")
        assert (result.exit_code, "the ledger has no drive car-9/none" in result.stderr) == (1, True)


# ---- dead letters ----


@dataclass(frozen=True)
class OnMoto(FakeDeployment):
    """A deployment whose queues are in this process."""

    def client(self, service: str, config: Any = None) -> Any:
        return boto3.client(service)


@dataclass
class Queues:
    sqs: Any
    work: str
    events: str

    def bury(self, url: str, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=url, MessageBody=body)
        for _ in range(2):
            self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)

    def waiting(self, url: str) -> list[str]:
        answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [message["Body"] for message in answer.get("Messages", [])]


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        sqs = boto3.client("sqs")
        urls = []
        for name in ("work", "events"):
            dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
            arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
            urls.append(sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy})["QueueUrl"])
        boto3.client("dynamodb").create_table(**table_arguments())
        ledger = Ledger(boto3.client("dynamodb"), table_arguments()["TableName"])
        base = deployment_with(ledger=ledger)
        settings = base.settings.model_copy(update={"drive_work_url": urls[0], "object_events_url": urls[1]})
        made = OnMoto(settings, base.command, base.home, base.audit, base.given)
        monkeypatch.setattr(deployment, "enter", lambda endpoint, home: made)
        yield Queues(sqs, *urls)


def listed(*words: str) -> list[dict[str, str]]:
    result = run("dlq", "ls", "--json", *words)
    assert result.exit_code == 0
    return list(json.loads(result.stdout))


def test_what_is_listed_can_be_listed_again(queues: Queues) -> None:
    queues.bury(queues.work, WORK.to_message(), "\x1b[2J junk")
    queues.bury(queues.events, s3_body("car-1/d/manifest.json"))
    first = listed()
    assert listed() == first
    assert {(one["queue"], one["about"].partition(" ")[0], bool(one["fault"])) for one in first} == {
        ("drive-work", str(DRIVE), False),
        ("drive-work", "", True),
        ("object-events", "car-1/d/manifest.json", False),
    }
    assert [one["queue"] for one in listed("--queue", "object-events")] == ["object-events"]
    assert "unreadable: drive-work message is not JSON" in run("dlq", "ls").stdout
    assert run("dlq", "ls", "--queue", "other").exit_code == 2


def test_a_dead_letter_is_shown_with_what_ended_its_drive(queues: Queues) -> None:
    queues.bury(queues.work, WORK.to_message())
    ledger = Ledger(boto3.client("dynamodb"), table_arguments()["TableName"])
    ledger.touch(DRIVE)
    seen = ledger.drive(DRIVE)
    assert seen is not None
    ledger.queue(seen, Requeue(WORK.revision, WorkReason.COMPLETE, None, None))
    ledger.fail(DRIVE, WORK.revision, {"error": "inspect: the Python worker died 3 times on car-1/x.mcap"})
    (one,) = listed()
    shown = json.loads(run("dlq", "show", one["message_id"][:6], "--json").stdout)
    assert (shown["body"], shown["error"]) == (WORK.to_message(), "inspect: the Python worker died 3 times on car-1/x.mcap")
    assert "died 3 times" in run("dlq", "show", one["message_id"]).stdout
    assert run("dlq", "show", "zzz").exit_code == 1


def test_dead_letters_go_back_to_their_queues(queues: Queues) -> None:
    event = s3_body("car-1/d/manifest.json")
    queues.bury(queues.work, WORK.to_message(), "junk")
    queues.bury(queues.events, event)
    result = run("dlq", "redrive", "--all", "--yes")
    assert result.exit_code == 1, "one stays"
    assert "2 messages sent back" in result.stderr
    assert "cannot be read" in result.stderr
    assert (queues.waiting(queues.work), queues.waiting(queues.events)) == ([WORK.to_message()], [event])
    (left,) = listed()
    assert run("dlq", "redrive", left["message_id"], left["message_id"][:8], "--force", "--yes", "--json").exit_code == 0
    assert listed("--queue", "object-events") == []


def test_more_letters_than_are_looked_at_are_said(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.dead_letters.MOST", 2)
    queues.bury(queues.work, *(replace(WORK, revision=digit * 64).to_message() for digit in "abc"))
    assert "at least 2 dead letters" in run("dlq", "ls").stderr
    assert "2 messages sent back; there may be more: run it again" in run("dlq", "redrive", "--all", "--yes").stderr
    assert "1 dead letter:" in run("dlq", "ls").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no messages selected"),
        (("--all", "x"), "no messages selected"),
        (("zzz", "--yes"), "no dead letter"),
        (("--all",), "--yes"),
    ],
)
def test_a_redrive_that_is_not_clear_does_nothing(queues: Queues, words: tuple[str, ...], said: str) -> None:
    queues.bury(queues.work, WORK.to_message())
    result = run("dlq", "redrive", *words)
    assert (result.exit_code, said in result.stderr) == (1, True)
    assert queues.waiting(queues.work) == []
    assert len(listed()) == 1, "and it is visible again"


def test_a_message_that_many_ids_begin_with(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    queues.bury(queues.work, *(replace(WORK, drive=DriveId("car-1", f"d-{n}")).to_message() for n in range(2)))
    result = run("dlq", "show", "")
    assert (result.exit_code, "several dead letters" in result.stderr) == (1, True)
