"""From PUT to work message on a real endpoint that the template provisioned: the emulator's own events, queue, table."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from emulator import Emulator
from scenelake_airflow import lease_steps
from scenelake_airflow.settings import SchedulingSettings

from ingest import handler as entry
from ingest.environment import MappingSettings
from ingest.event_source_mapping import READY, EventSourceMapping, LocalContext, connect
from ingest.lease import keep_alive
from ingest.ledger.detail import RunFailure, RunResult
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import DriveWork, WorkReason
from ingest.queues import QueueDepth, WorkQueue, depth
from lake.landing import DriveId
from lake.settings import Settings
from tests.unit.ingest.ingest_fakes import DRIVE, drive_files, s3_body, sqs_event
from tests.unit.localstack.stack_tools import LOCALSTACK, ROOT, provision

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")  # moto, of types that its CloudFormation lacks

REGION = "us-east-1"
FILES = drive_files()
Found = TypeVar("Found")
names = (f"chain-{uuid.uuid4().hex[:8]}" for _ in itertools.count())


class Deployment:
    """A provisioned stack and clients on it."""

    def __init__(self, endpoint: str, stack: str, variables: dict[str, str]) -> None:
        self.endpoint = endpoint
        self.stack = stack
        self.variables = variables
        self.s3, self.sqs, self.dynamodb = boto3.client("s3"), boto3.client("sqs"), boto3.client("dynamodb")
        self.raw = variables["SCENELAKE_RAW_BUCKET"]
        self.work_url = variables["SCENELAKE_DRIVE_WORK_URL"]
        self.events_url = variables["SCENELAKE_OBJECT_EVENTS_URL"]
        self.queue = WorkQueue(self.sqs, self.work_url)
        self.ledger = Ledger(self.dynamodb, variables["SCENELAKE_LEDGER_TABLE"])

    def upload(self, files: dict[str, bytes]) -> None:
        for key, body in files.items():
            self.s3.put_object(Bucket=self.raw, Key=key, Body=body)

    def mapping(self) -> EventSourceMapping:
        sqs, mapped = connect(MappingSettings.from_env())
        return EventSourceMapping(sqs, mapped, entry.handler, entry.sweep_handler)

    def drain(self) -> int:
        """Take everything from the event queue through the handler, as the mapping does."""
        mapping, total = self.mapping(), 0
        while taken := mapping.poll(0):
            total += taken
        return total

    def messages(self) -> list[DriveWork]:
        found = []
        while received := self.queue.receive(10):
            for message in received:
                found.append(message.work)
                self.queue.delete(message.receipt_handle)
        return found


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The emulator that AWS_ENDPOINT_URL names, else one in a thread, on loopback."""
    with ExitStack() as held:
        url = os.environ.get("AWS_ENDPOINT_URL") or held.enter_context(Emulator()).url
        patch = held.enter_context(pytest.MonkeyPatch.context())
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, os.environ.get(name, "test"))
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.setenv(name, REGION)
        patch.setenv("AWS_ENDPOINT_URL", url)
        yield url


@pytest.fixture
def deployed(aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    stack = next(names)
    made = provision.provision(aws, stack, REGION)
    for name, value in {**made.variables, "SCENELAKE_RECONCILE_AFTER_S": "0", "SCENELAKE_EVENT_VISIBILITY_S": "0"}.items():
        monkeypatch.setenv(name, value)
    entry._service.cache_clear()
    yield Deployment(aws, stack, dict(made.variables))
    entry._service.cache_clear()


def wait_for(look: Callable[[], Found | None], what: str, timeout_s: float = 20) -> Found:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {timeout_s} s")


def test_put_to_work_message(deployed: Deployment) -> None:
    stray = f"{DRIVE}/with blank+plus.pkl"
    deployed.upload({**FILES, stray: b"\x80"})
    assert deployed.drain() == len(FILES) + 2  # the stray, and the test event
    found = deployed.ledger.drive(DRIVE)
    assert found is not None
    assert (found.state, found.generation, found.reason, found.unsent) == (DriveState.QUEUED, 1, WorkReason.COMPLETE, False)
    assert deployed.messages() == [DriveWork(DRIVE, str(found.revision), WorkReason.COMPLETE)]
    for known in deployed.ledger.objects(DRIVE):
        head = deployed.s3.head_object(Bucket=deployed.raw, Key=known.key)
        assert (known.version_id, known.head.size_bytes) == (head["VersionId"], head["ContentLength"])
    [refused] = deployed.ledger.refused()
    assert refused.head.key == stray
    bucket, _, key = refused.payload_uri.removeprefix("s3://").partition("/")
    assert deployed.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"\x80"
    assert depth(deployed.sqs, deployed.events_url).visible == 0


def test_multipart_upload_whose_event_comes_before_the_object(deployed: Deployment) -> None:
    [first, *others] = FILES
    deployed.upload({key: FILES[key] for key in others})
    deployed.drain()
    upload = deployed.s3.create_multipart_upload(Bucket=deployed.raw, Key=first)["UploadId"]
    part = deployed.s3.upload_part(Bucket=deployed.raw, Key=first, UploadId=upload, PartNumber=1, Body=FILES[first])
    early = deployed.drain()
    waiting = deployed.ledger.drive(DRIVE)
    assert waiting is not None
    assert waiting.state is DriveState.LANDING
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    deployed.s3.complete_multipart_upload(Bucket=deployed.raw, Key=first, UploadId=upload, MultipartUpload=parts)
    assert deployed.drain() >= 1
    done = deployed.ledger.drive(DRIVE)
    assert done is not None
    assert (done.state, done.generation) == (DriveState.QUEUED, 1)
    assert depth(deployed.sqs, deployed.events_url).in_flight == 0, f"of {early} early events some were not taken"


def test_a_deleted_object_is_not_registered_and_a_registered_one_is_kept(deployed: Deployment) -> None:
    kept, gone = list(FILES)[:2]
    deployed.upload({kept: FILES[kept], gone: FILES[gone]})
    deployed.s3.delete_object(Bucket=deployed.raw, Key=gone)
    deployed.drain()
    assert [known.key for known in deployed.ledger.objects(DRIVE)] == [kept]
    deployed.s3.delete_object(Bucket=deployed.raw, Key=kept)
    assert entry.handler(sqs_event({"m": s3_body(kept, bucket=deployed.raw)}), LocalContext()) == {"batchItemFailures": []}
    assert [known.key for known in deployed.ledger.objects(DRIVE)] == [kept]


def test_lost_events_are_reconciled(deployed: Deployment) -> None:
    deployed.upload(FILES)
    deployed.sqs.purge_queue(QueueUrl=deployed.events_url)

    def work() -> list[DriveWork] | None:
        assert entry.sweep_handler({}, LocalContext())["failed"] == 0
        return deployed.messages() or None

    [found] = wait_for(work, "the message, sweep by sweep")
    queued = deployed.ledger.drive(DRIVE)
    assert queued is not None
    assert (queued.state, queued.revision, queued.generation) == (DriveState.QUEUED, found.revision, 1)


def test_eight_handlers_at_once_queue_one_revision_and_send_one_message(deployed: Deployment) -> None:
    drives = [DriveId("car-1", f"d{number}") for number in range(3)]
    for drive in drives:
        files = drive_files(drive)
        deployed.upload(files)
        event = sqs_event({"m": s3_body(*files, bucket=deployed.raw)})
        start = threading.Barrier(8)

        def handle(_: int, event: Any = event, start: threading.Barrier = start) -> Any:
            start.wait()
            return entry.handler(event, LocalContext())

        entry._service()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(handle, range(8)))
        if any(answer["batchItemFailures"] for answer in answers):
            entry.handler(event, LocalContext())  # what gave way to the others is delivered again
        found = deployed.ledger.drive(drive)
        assert found is not None
        assert (found.state, found.generation, found.settling, found.unsent) == (DriveState.QUEUED, 1, False, False)
        assert deployed.messages() == [DriveWork(drive, str(found.revision), WorkReason.COMPLETE)]


def test_poison_ends_in_the_dead_letters_of_the_template_and_harms_nothing_else(deployed: Deployment) -> None:
    deployed.sqs.send_message(QueueUrl=deployed.events_url, MessageBody="{poison")
    deployed.upload(FILES)
    mapping = deployed.mapping()
    for _ in range(8):
        mapping.poll(0)
    dead = deployed.sqs.get_queue_url(QueueName=deployed.events_url.rsplit("/", 1)[1] + "-dead")["QueueUrl"]
    [message] = deployed.sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]
    assert message["Body"] == "{poison"
    assert [work.drive for work in deployed.messages()] == [DRIVE]


def test_a_kept_lease_outlives_its_visibility_and_ends_with_the_keeping(deployed: Deployment) -> None:
    queue = deployed.queue
    queue.send(DriveWork(DRIVE, "a" * 64, WorkReason.COMPLETE))
    [held] = queue.receive(1, visibility_s=1)
    with keep_alive(queue, held.receipt_handle, 1) as heartbeat:
        wait_for(lambda: True if heartbeat.beats >= 8 else None, "more than two visibilities of beats")
        assert queue.receive(1) == []
        assert not heartbeat.lost.is_set()
    again = wait_for(lambda: queue.receive(1) or None, "the message to come back")
    assert (again[0].work, again[0].receive_count) == (held.work, 2)
    queue.delete(again[0].receipt_handle)
    with keep_alive(queue, again[0].receipt_handle, 1) as heartbeat:
        assert heartbeat.lost.wait(timeout=5)


class NoFailures:
    """A task instance whose jobs pushed nothing."""

    map_index = 0

    def xcom_pull(self, *, task_ids: list[str], key: str, map_indexes: int | None) -> list[None]:
        return [None for _ in task_ids]


def test_a_drive_is_leased_abandoned_leased_again_and_finished(deployed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCENELAKE_CATALOG_URI", "sqlite://")
    deployed.upload(FILES)
    deployed.drain()
    settings, scheduling = Settings.from_env(), SchedulingSettings(redelivery_delay_s=0)
    [first] = lease_steps.lease(settings, "run-1", scheduling)
    assert depth(deployed.sqs, deployed.work_url).in_flight == 1
    assert lease_steps.lease(settings, "run-2", scheduling) == []
    lease_steps.abandon(settings, first, NoFailures(), scheduling)
    failed = deployed.ledger.drive(DRIVE)
    assert failed is not None
    assert isinstance(failed.detail, RunFailure)
    assert (failed.state, failed.detail.receive_count) == (DriveState.FAILED, 1)
    [again] = lease_steps.lease(settings, "run-3", scheduling)
    assert (again["receive_count"], again["generation"]) == (2, 1)
    assert again["work"] != first["work"]
    report = {"outcome": "published", "snapshot_id": 7, "scenes": 1, "records": 0, "rows": {}, "already": False}
    assert lease_steps.acknowledge(settings, again, report) == "published"
    finished = deployed.ledger.drive(DRIVE)
    assert finished is not None
    assert finished.detail == RunResult(snapshot_id=7, scenes=1, records=0)
    assert (finished.state, finished.attempts) == (DriveState.PUBLISHED, 2)
    assert {known.state for known in deployed.ledger.objects(DRIVE)} == {ObjectState.PUBLISHED}
    assert deployed.queue.depth() == QueueDepth(0, 0, 0)


def test_provisioning_twice_changes_nothing_and_everything_is_as_declared(deployed: Deployment) -> None:
    deployed.upload({DRIVE.calibration_key: b"{}"})
    again = provision.provision(deployed.endpoint, deployed.stack, REGION)
    assert dict(again.variables) == deployed.variables
    assert again.applied == ()
    assert deployed.s3.get_object(Bucket=deployed.raw, Key=DRIVE.calibration_key)["Body"].read() == b"{}"
    assert deployed.s3.get_bucket_versioning(Bucket=deployed.raw)["Status"] == "Enabled"
    redrive = deployed.sqs.get_queue_attributes(QueueUrl=deployed.work_url, AttributeNames=["RedrivePolicy"])["Attributes"]
    assert json.loads(redrive["RedrivePolicy"])["maxReceiveCount"] == 5


def test_notifications_that_were_removed_are_set_again(deployed: Deployment) -> None:
    deployed.s3.put_bucket_notification_configuration(Bucket=deployed.raw, NotificationConfiguration={})
    again = provision.provision(deployed.endpoint, deployed.stack, REGION)
    assert again.applied == (f"notifications of bucket {deployed.raw}",)
    [queue] = deployed.s3.get_bucket_notification_configuration(Bucket=deployed.raw)["QueueConfigurations"]
    assert queue["QueueArn"].endswith(f":{deployed.stack}-object-events")


def test_a_queue_without_dead_letters_is_an_error(deployed: Deployment) -> None:
    deployed.sqs.set_queue_attributes(QueueUrl=deployed.work_url, Attributes={"RedrivePolicy": ""})
    with pytest.raises(provision.ProvisionError, match="has no dead-letter target"):
        provision.provision(deployed.endpoint, deployed.stack, REGION)


def test_the_command_writes_the_variables(aws: str, tmp_path: Path) -> None:
    stack = next(names)
    env_file = tmp_path / "sub" / "aws.env"
    command = [sys.executable, LOCALSTACK / "provision.py", "--endpoint", aws, "--stack", stack, "--env-file", env_file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert done.stdout == env_file.read_text()
    variables = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert set(variables) == set(provision.VARIABLES)
    assert variables["SCENELAKE_RAW_BUCKET"].startswith(f"{stack}-raw-")


def test_the_command_fails_in_bounded_time_without_an_endpoint(aws: str) -> None:
    command = [sys.executable, LOCALSTACK / "provision.py", "--endpoint", "http://127.0.0.1:9", "--timeout", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ))
    assert done.returncode == 1
    assert "does not respond" in done.stderr


def test_the_mapping_as_a_process_from_ready_line_to_sigterm(deployed: Deployment) -> None:
    command = [sys.executable, "-m", "ingest.event_source_mapping"]
    env = {**os.environ, "SCENELAKE_SWEEP_EVERY_S": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(READY)
            deployed.upload(FILES)
            [work] = wait_for(lambda: deployed.messages() or None, "the work message")
            assert work.drive == DRIVE
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 0
        finally:
            process.kill()
    assert [known.state for known in deployed.ledger.objects(DRIVE)] == [ObjectState.LANDED] * len(FILES)


def test_the_mapping_says_what_it_misses(aws: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SCENELAKE_")}
    command = [sys.executable, "-m", "ingest.event_source_mapping"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "SCENELAKE_RAW_BUCKET" in done.stderr
