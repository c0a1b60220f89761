"""What an erasure cannot reach, and until when: the exceptions of its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ingest.answers import integer, mapping
from ingest.queues import depth
from lake import pseudonyms
from ops.erasure.buckets import FoundVersion
from ops.erasure.certificate import Exempt
from sensors.time_units import NS_PER_S

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

BACKUP_DAYS = 35  # Amazon DynamoDB Developer Guide, "Point-in-time backups for DynamoDB"
_DAY_S = 86_400


def of_runs(until_ns: int | None, now_ns: int) -> Iterator[Exempt]:
    """A run that lost its lease may write until the longest lease has passed; nothing that it writes can be published."""
    if until_ns is not None and until_ns > now_ns:
        why = "a run that lost its lease may still write files, which nothing refers to: check again then"
        yield Exempt("work of runs that had begun", why, _utc(until_ns))


def of_commits(until_ns: int, now_ns: int) -> Iterator[Exempt]:
    """A publication of another drive, or a compaction, that had read the tables before the drive was taken out of them fails at
    its commit. What it had copied from a file that drives share stays until it is swept, or found by the next run."""
    if until_ns > now_ns:
        why = "what fails at its commit may leave copies of shared files, which nothing refers to: run this again then"
        yield Exempt("publications and maintenance that had begun", why, _utc(until_ns))


def kept_by_store(s3: S3Client, version: FoundVersion, salt: str) -> Exempt:
    """A version that is still there after the deletion, its key as a pseudonym.

    An object lock keeps it until a date, a legal hold for as long as that is set.
    """
    named: Any = {"Bucket": version.bucket, "Key": version.key, "VersionId": version.version_id}
    what = f"a version in {version.bucket}, {pseudonyms.of_object(salt, version.key, version.version_id)}"
    try:
        retention = s3.get_object_retention(**named).get("Retention", {})
    except ClientError:
        retention = {}
    until = retention.get("RetainUntilDate")
    if until is not None:
        return Exempt(
            what, f"an object lock ({retention.get('Mode', '').lower()}) keeps it", _utc(int(until.timestamp()) * NS_PER_S)
        )
    return Exempt(what, "the store did not delete it: a legal hold, a policy of the bucket, or it came after the deletion", None)


def of_ledger(client: DynamoDBClient, table: str, begun_ns: int) -> Iterator[Exempt]:
    """Continuous backups of the ledger, where there are any."""
    try:
        answer = client.describe_continuous_backups(TableName=table)
        status: str = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    except (ClientError, KeyError):
        status = "unknown"
    if status != "DISABLED":
        until = _utc(begun_ns + BACKUP_DAYS * _DAY_S * NS_PER_S)
        yield Exempt("backups of the ledger", f"point-in-time recovery is {status.lower()}", until)


def of_queue(client: SQSClient, url: str, now_ns: int) -> Iterator[Exempt]:
    """Messages of a queue in work. They cannot be looked at without taking them; whoever takes one of the drive deletes it."""
    name = url.rpartition("/")[2]
    total = depth(client, url).total
    if total:
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["MessageRetentionPeriod"])
        kept_s = integer(mapping(answer, "Attributes", "GetQueueAttributes"), "MessageRetentionPeriod", "GetQueueAttributes")
        why = f"{total} messages that cannot be looked at without taking them; one about the drive is deleted when it is taken"
        yield Exempt(f"queue {name}", why, _utc(now_ns + kept_s * NS_PER_S))


def out_of_reach() -> Iterator[Exempt]:
    """Places that no process of this deployment can delete from."""
    yield Exempt("logs of the functions, of Airflow and its database", "they hold keys and drive ids", None)
    yield Exempt("lineage: its file, and what it was posted to", "events name drives; no payload", None)
    yield Exempt("copies that people made", "exports, reports and pictures on their machines; caches of readers", None)
    yield Exempt("models", "what was trained with the drive: no training run is recorded in this lake", None)


def _utc(moment_ns: int) -> str:
    return datetime.fromtimestamp(moment_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
