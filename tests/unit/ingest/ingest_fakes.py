"""A world in memory for the registrar: raw bucket, ledger, queue and clock, and a way to be killed between two steps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote_plus

from ingest.errors import GoneError
from ingest.ledger.records import DecisionRecord, DriveRecord, ObjectHead, ObjectRecord, RefusedRecord, Requeue
from ingest.ledger.states import FINAL, TRANSITIONS, WAITING, DriveState, ObjectState
from ingest.ledger.work_message import DriveWork
from ingest.register import Registrar
from ingest.review import ReviewDesk
from ingest.sweep import Sweep, SweepLimits
from lake.documents import Manifest, ManifestObject
from lake.drive_input import InputObject, baseline_key
from lake.landing import DriveId

RAW = "raw-bucket"
START_NS = 1_700_000_000_000_000_000
NS_PER_S = 1_000_000_000
DRIVE = DriveId("car-1", "2023-11-14")


class Killed(BaseException):
    """The process was killed: nothing may catch this as an ordinary failure."""


def drive_files(drive: DriveId = DRIVE, sensor_objects: int = 3) -> dict[str, bytes]:
    """Key to content of a whole drive; the manifest last."""
    calibration = b'{"rig": "any"}'
    files = {}
    entries = []
    for number in range(sensor_objects):
        start_ns = START_NS + number * NS_PER_S
        key = f"{drive}/lidar/lidar_top/{start_ns:019d}.mcap"
        body = f"sweep {number} of {drive}".encode()
        files[key] = body
        entries.append(
            ManifestObject(key, len(body), hashlib.sha256(body).hexdigest(), "lidar", "lidar_top", start_ns, start_ns + 1, 1)
        )
    files[drive.calibration_key] = calibration
    manifest = Manifest(
        drive=drive,
        rig_id="rig-1",
        start_ns=START_NS,
        end_ns=START_NS + sensor_objects * NS_PER_S,
        recorder="test",
        recorder_version="1",
        calibration_sha256=hashlib.sha256(calibration).hexdigest(),
        objects=tuple(entries),
    )
    files[drive.manifest_key] = manifest.to_bytes()
    return files


def s3_body(*keys: str, bucket: str = RAW, event_name: str = "ObjectCreated:Put") -> str:
    """An S3 notification as it stands in a message."""
    return json.dumps(
        {
            "Records": [
                {
                    "eventSource": "aws:s3",
                    "eventName": event_name,
                    "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), "size": 1, "eTag": "e"}},
                }
                for key in keys
            ]
        }
    )


def sqs_event(bodies: Mapping[str, str]) -> dict[str, Any]:
    """A batch as Lambda gets it; message id to body."""
    return {"Records": [{"messageId": name, "body": body, "eventSource": "aws:sqs"} for name, body in bodies.items()]}


@dataclass
class FakeClock:
    now_ns: int = START_NS

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * NS_PER_S)


@dataclass
class FakeObjects:
    clock: FakeClock
    versions: dict[str, list[tuple[ObjectHead, bytes]]] = field(default_factory=dict)
    refused: dict[str, ObjectHead] = field(default_factory=dict)
    inputs: dict[str, bytes] = field(default_factory=dict)
    baselines: list[bytes] = field(default_factory=list)  # every version of the vehicle's

    def put(self, key: str, body: bytes) -> ObjectHead:
        past = self.versions.setdefault(key, [])
        etag = hashlib.md5(body).hexdigest()
        head = ObjectHead(key, f"v{len(past) + 1}-{etag[:4]}", len(body), etag, self.clock() // NS_PER_S * NS_PER_S)
        past.append((head, body))
        return head

    def head(self, key: str) -> ObjectHead | None:
        past = self.versions.get(key)
        return past[-1][0] if past else None

    def read(self, head: ObjectHead, max_bytes: int) -> bytes:
        for found, body in self.versions.get(head.key, []):
            if found.version_id == head.version_id:
                return body[: max_bytes + 1]
        raise GoneError(f"no version {head.version_id} of {head.key}")

    def list_after(self, key: str, limit: int) -> list[ObjectHead]:
        names = sorted(name for name, past in self.versions.items() if past and name > key)
        return [replace(self.versions[name][-1][0], version_id="") for name in names[:limit]]

    def keep_refused(self, head: ObjectHead) -> str:
        uri = f"s3://quarantine/refused/{head.key}/{head.version_id}"
        self.refused[uri] = head
        return uri

    def keep_input(self, key: str, body: bytes) -> None:
        assert self.inputs.get(key, body) == body, "a revision's input document changed"
        self.inputs[key] = body

    def baseline(self, vehicle_id: str) -> InputObject | None:
        if not self.baselines:
            return None
        return InputObject(baseline_key(vehicle_id), f"b{len(self.baselines)}", hashlib.sha256(self.baselines[-1]).hexdigest())


@dataclass
class FakeQueue:
    """`sent` is the history; `held` is what still exists: waiting, leased, or among the dead letters."""

    sent: list[DriveWork] = field(default_factory=list)
    held: list[DriveWork] = field(default_factory=list)

    def send(self, work: DriveWork) -> None:
        self.sent.append(work)
        self.held.append(work)


class FakeLedger:
    """The landing half of the ledger in a dictionary, with the same conditions."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.drive_items: dict[DriveId, DriveRecord] = {}
        self.object_items: dict[tuple[DriveId, str], ObjectRecord] = {}
        self.refused_items: dict[tuple[str, str], RefusedRecord] = {}
        self.outbox: dict[DriveId, int] = {}
        self.decided: list[DecisionRecord] = []
        self.tombstones: dict[DriveId, str] = {}
        self.late: set[tuple[DriveId, str, str]] = set()
        self.place = ""

    def drive(self, drive: DriveId) -> DriveRecord | None:
        return self.drive_items.get(drive)

    def object_of(self, drive: DriveId, key: str) -> ObjectRecord | None:
        return self.object_items.get((drive, key))

    def objects(self, drive: DriveId) -> list[ObjectRecord]:
        return [found for (owner, _), found in sorted(self.object_items.items()) if owner == drive]

    def objects_between(self, drive: DriveId, first: str, last: str) -> list[ObjectRecord]:
        return [found for found in self.objects(drive) if first <= found.key <= last]

    def forgotten(self, drive: DriveId) -> str | None:
        return self.tombstones.get(drive)

    def refuse_late(self, drive: DriveId, head: ObjectHead) -> None:
        self.late.add((drive, head.key, head.version_id))

    def put_object(self, drive: DriveId, head: ObjectHead, previous: ObjectRecord | None) -> bool:
        if drive in self.tombstones:
            return False
        known = self.object_items.get((drive, head.key))
        if (known is None) != (previous is None):
            return False
        if known is not None and previous is not None and known.version_id != previous.version_id:
            return False
        self.object_items[drive, head.key] = ObjectRecord(head, ObjectState.LANDED, self._clock())
        self._count(drive, changed=True)
        return True

    def touch(self, drive: DriveId) -> None:
        if drive not in self.tombstones:
            self._count(drive, changed=False)

    def _count(self, drive: DriveId, *, changed: bool) -> None:
        now_ns = self._clock()
        known = self.drive_items.get(drive) or DriveRecord(drive, created_ns=now_ns, updated_ns=now_ns)
        changed_ns = now_ns if changed or not known.changed_ns else known.changed_ns
        turn_ns = now_ns if changed or not known.turn_ns else known.turn_ns
        counted = replace(known, changes=known.changes + 1, settling=True, changed_ns=changed_ns, turn_ns=turn_ns)
        self.drive_items[drive] = counted

    def begin_evaluation(self, drive: DriveId) -> None:
        known = self.drive_items[drive]
        self.drive_items[drive] = replace(known, tries=known.tries + 1, turn_ns=self._clock(), tried_ns=self._clock())

    def pass_over(self, drive: DriveId) -> None:
        self.drive_items[drive] = replace(self.drive_items[drive], turn_ns=self._clock())

    def end_evaluation(self, drive: DriveId) -> None:
        self.drive_items[drive] = replace(self.drive_items[drive], tries=0)

    def _unmoved(self, seen: DriveRecord) -> bool:
        known = self.drive_items[seen.drive]
        return (known.generation, known.changes) == (seen.generation, seen.changes)

    def _undecided(self, seen: DriveRecord) -> bool:
        return self.drive_items[seen.drive].decisions == seen.decisions

    def queue(self, seen: DriveRecord, requeue: Requeue) -> DriveRecord | None:
        known = self.drive_items[seen.drive]
        if not self._unmoved(seen) or not self._undecided(seen) or DriveState.QUEUED not in TRANSITIONS[known.state]:
            return None
        self.drive_items[seen.drive] = replace(
            known,
            state=DriveState.QUEUED,
            revision=requeue.revision,
            generation=known.generation + 1,
            reason=requeue.reason,
            updated_ns=self._clock(),
            tries=0,
            settling=False,
            unsent=True,
            attempts=0,
            manifest_version=requeue.manifest_version,
            manifest_fault=requeue.manifest_fault,
            overrides=requeue.overrides,
            baseline=requeue.baseline,
            detail_json=None,
        )
        self.outbox[seen.drive] = self._clock()
        return self.drive_items[seen.drive]

    def decisions(self, drive: DriveId) -> list[DecisionRecord]:
        return [found for found in self.decided if found.drive == drive]

    def decide(self, seen: DriveRecord, overrides: frozenset[str], requeue: Requeue | None) -> DriveRecord | None:
        known = self.drive_items[seen.drive]
        if known.state not in FINAL or not self._undecided(seen) or not self._unmoved(seen):
            return None
        self.decided.append(
            DecisionRecord(seen.drive, seen.decisions + 1, overrides, self._clock(), seen.revision or "", seen.generation)
        )
        self.drive_items[seen.drive] = replace(known, decisions=seen.decisions + 1)
        return (
            self.drive_items[seen.drive] if requeue is None else self.queue(replace(seen, decisions=seen.decisions + 1), requeue)
        )

    def settle(self, seen: DriveRecord) -> bool:
        if not self._unmoved(seen):
            return False
        self.drive_items[seen.drive] = replace(self.drive_items[seen.drive], settling=False, tries=0)
        return True

    def sent(self, queued: DriveRecord) -> None:
        known = self.drive_items[queued.drive]
        if known.generation == queued.generation:
            self.drive_items[queued.drive] = replace(known, unsent=False)
            self.outbox.pop(queued.drive, None)

    def waiting(self, before_ns: int, limit: int) -> list[DriveRecord]:
        old = [known for known in self.drive_items.values() if known.state in WAITING and known.updated_ns < before_ns]
        return sorted((known for known in old if not known.unsent), key=lambda known: (known.updated_ns, known.drive))[:limit]

    def resend(self, seen: DriveRecord) -> DriveRecord | None:
        known = self.drive_items[seen.drive]
        unchanged = (known.generation, known.updated_ns) == (seen.generation, seen.updated_ns)
        if known.state not in WAITING or not unchanged:
            return None
        self.drive_items[seen.drive] = replace(known, unsent=True, updated_ns=self._clock())
        self.outbox[seen.drive] = self._clock()
        return self.drive_items[seen.drive]

    def unsent(self, before_ns: int, limit: int) -> list[DriveId]:
        waiting = sorted((since_ns, drive) for drive, since_ns in self.outbox.items() if since_ns < before_ns)
        return [drive for _, drive in waiting[:limit]]

    def settling(self, before_ns: int, limit: int) -> list[DriveId]:
        found = sorted((known.turn_ns, drive) for drive, known in self.drive_items.items() if known.settling)
        return [drive for turn_ns, drive in found if turn_ns < before_ns][:limit]

    def refuse(self, record: RefusedRecord) -> bool:
        identity = (record.head.key, record.head.version_id)
        if identity in self.refused_items:
            return False
        self.refused_items[identity] = record
        return True

    def refused_versions(self, key: str) -> list[RefusedRecord]:
        return [found for (name, _), found in sorted(self.refused_items.items()) if name == key]

    def cursor(self) -> str:
        return self.place

    def move_cursor(self, key: str) -> None:
        self.place = key


class Steps:
    """Counts the calls that reach the outside, and kills before or after the one with the number `kill_at`."""

    def __init__(self, kill_at: int | None = None, after: bool = False) -> None:
        self.kill_at = kill_at
        self.after = after
        self.count = 0

    def wrap(self, port: Any) -> Any:
        return _Stepped(port, self)


class _Stepped:
    def __init__(self, port: Any, steps: Steps) -> None:
        self._port = port
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            steps = self._steps
            steps.count += 1
            mine = steps.count
            if mine == steps.kill_at and not steps.after:
                raise Killed
            answer = method(*args, **kwargs)
            if isinstance(answer, Iterable) and not isinstance(answer, str | bytes | list | tuple):
                answer = list(answer)
            if mine == steps.kill_at:
                raise Killed
            return answer

        return call


class World:
    """Everything that outlives a process. `registrar()` and `sweep()` are new processes."""

    def __init__(self, limits: SweepLimits | None = None) -> None:
        self.clock = FakeClock()
        self.objects = FakeObjects(self.clock)
        self.ledger = FakeLedger(self.clock)
        self.queue = FakeQueue()
        self.limits = limits or SweepLimits()
        self.sleeps: list[float] = []  # the pauses of every retry; nothing really sleeps

    def registrar(self, steps: Steps | None = None) -> Registrar:
        wrap = (steps or Steps()).wrap
        return Registrar(wrap(self.objects), wrap(self.ledger), wrap(self.queue), self.clock, self.sleeps.append)

    def desk(self, steps: Steps | None = None) -> ReviewDesk:
        return ReviewDesk(self.registrar(steps), (steps or Steps()).wrap(self.ledger), self.sleeps.append)

    def sweep(self, steps: Steps | None = None) -> Sweep:
        wrap = (steps or Steps()).wrap
        held = lambda: len(self.queue.held)  # noqa: E731
        return Sweep(self.registrar(steps), wrap(self.objects), wrap(self.ledger), self.limits, self.clock, held)

    def finish(self, drive: DriveId, state: DriveState = DriveState.PUBLISHED) -> None:
        """The effect of a run on the drive, simplified; one that ends deletes its message."""
        known = self.ledger.drive_items[drive]
        self.ledger.drive_items[drive] = replace(known, state=state, updated_ns=self.clock())
        if state in FINAL:
            self.queue.held = [work for work in self.queue.held if work.drive != drive]

    def outcome(self) -> dict[str, Any]:
        """The outcome that must not depend on the order of events: drives, objects, refusals, inputs; no times or counters."""
        return {
            "drives": {
                drive: (found.state, found.revision, found.generation, found.reason, found.settling, found.unsent)
                for drive, found in self.ledger.drive_items.items()
            },
            "objects": {
                identity: (found.version_id, found.head.size_bytes, found.head.etag, found.state)
                for identity, found in self.ledger.object_items.items()
            },
            "refused": {identity: found.rule_id for identity, found in self.ledger.refused_items.items()},
            "inputs": dict(self.objects.inputs),
            "messages": {(work.drive, work.revision, work.reason) for work in self.queue.sent},
        }
