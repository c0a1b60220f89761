"""Lands a drive of the soak and walks it through the ledger, as vehicle, registration and the pipeline do.

The objects hold a few bytes: what is soaked are the tables, the ledger and the buckets, not the sensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.soak_lake.fleet import FleetDrive
from ingest.ledger.detail import RunResult
from ingest.ledger.records import DriveRecord, ObjectHead, ObjectOutcome, Requeue
from ingest.ledger.repository import Ledger
from ingest.ledger.states import DriveState, ObjectState
from ingest.ledger.work_message import WorkReason
from lake.documents import Manifest, ManifestObject
from lake.landing import SensorKey
from sensors.time_units import NS_PER_MS

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

FRAMES = 4
PERIOD_NS = 100 * NS_PER_MS
LIDAR = "lidar_top"


@dataclass(frozen=True, slots=True)
class Landed:
    """A drive whose revision is in work. `objects`: key, version id and SHA-256 of each raw object, the manifest last."""

    drive: FleetDrive
    record: DriveRecord
    objects: tuple[tuple[str, str, str], ...]

    @property
    def revision(self) -> str:
        """The revision in work."""
        return self.record.revision or ""

    @property
    def generation(self) -> int:
        """Its generation."""
        return self.record.generation


def stamps_ns(drive: FleetDrive) -> tuple[int, ...]:
    """Stamps of the lidar's frames, each the anchor of a scene."""
    return tuple(drive.start_ns + number * PERIOD_NS for number in range(FRAMES))


class Landing:
    """Puts drives into the raw bucket and moves them on in the ledger."""

    def __init__(self, s3: S3Client, ledger: Ledger, raw_bucket: str) -> None:
        self._s3, self._ledger, self._bucket = s3, ledger, raw_bucket

    def land(self, drive: FleetDrive, content: str) -> Landed:
        """Upload the drive, register its objects, and begin the revision that they make."""
        key = str(SensorKey(drive.id, "lidar", LIDAR, drive.start_ns))
        body = f"{drive.id} {content}".encode()
        entry = ManifestObject(
            key, len(body), hashlib.sha256(body).hexdigest(), "lidar", LIDAR, stamps_ns(drive)[0], stamps_ns(drive)[-1], FRAMES
        )
        manifest = Manifest(drive.id, "rig-1", entry.start_ns, entry.end_ns, "soak", "1", "0" * 64, (entry,)).to_bytes()
        objects = tuple(self._put(drive, *one) for one in ((key, body), (drive.id.manifest_key, manifest)))
        revision = hashlib.sha256(repr(objects).encode()).hexdigest()
        return self._begin(drive, objects, Requeue(revision, WorkReason.COMPLETE, objects[-1][1], None))

    def release(self, landed: Landed) -> Landed:
        """Begin the revision that a reviewer's decision makes of the same objects."""
        seen = landed.record
        revision = hashlib.sha256(f"{seen.revision} released".encode()).hexdigest()
        requeue = Requeue(revision, WorkReason.RELEASED, seen.manifest_version, None)
        return self._begin(landed.drive, landed.objects, requeue)

    def finish(self, landed: Landed, snapshot_id: int, *, scenes: int, records: int) -> Landed:
        """Record that the revision was published."""
        outcomes = [ObjectOutcome(key, version, ObjectState.PUBLISHED) for key, version, _ in landed.objects]
        result = RunResult(snapshot_id=snapshot_id, scenes=scenes, records=records)
        record = self._ledger.finish(landed.drive.id, landed.revision, DriveState.PUBLISHED, outcomes, result)
        return Landed(landed.drive, record, landed.objects)

    def _put(self, drive: FleetDrive, key: str, body: bytes) -> tuple[str, str, str]:
        answer = self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)
        head = ObjectHead(key, answer["VersionId"], len(body), answer["ETag"], drive.start_ns)
        assert self._ledger.put_object(drive.id, head, self._ledger.object_of(drive.id, key))
        return key, head.version_id, hashlib.sha256(body).hexdigest()

    def _begin(self, drive: FleetDrive, objects: Sequence[tuple[str, str, str]], requeue: Requeue) -> Landed:
        seen = self._ledger.drive(drive.id)
        assert seen is not None
        queued = self._ledger.queue(seen, requeue)
        assert queued is not None
        self._ledger.sent(queued)
        return Landed(drive, self._ledger.begin(drive.id, requeue.revision), tuple(objects))
