"""The raw bucket and the two destinations for copies, on S3."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ingest.errors import GoneError, StoreError, UnversionedError
from ingest.ledger.records import NO_VERSION, ObjectHead
from lake.documents import MAX_BASELINE_BYTES
from lake.drive_input import InputObject, baseline_key
from lake.landing import MAX_KEY_BYTES

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MAX_COPY_BYTES = 5 * 1024**3  # Amazon S3 API Reference, CopyObject
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class S3Objects:
    """`LandingObjects` on S3."""

    def __init__(self, client: S3Client, raw_bucket: str, lake_bucket: str, quarantine_bucket: str) -> None:
        self._client = client
        self._raw_bucket = raw_bucket
        self._lake_bucket = lake_bucket
        self._quarantine_bucket = quarantine_bucket

    def check_versioning(self) -> None:
        """Refuse a raw bucket, or a lake bucket, that does not keep every version.

        Raises:
            UnversionedError: Its versioning was never enabled, or is suspended.
        """
        for kind, bucket in (("raw", self._raw_bucket), ("lake", self._lake_bucket)):
            status = self._client.get_bucket_versioning(Bucket=bucket).get("Status", "not enabled")
            if status != "Enabled":
                raise UnversionedError(
                    f"versioning of the {kind} bucket {bucket} is {status.lower()}: no revision could pin its objects",
                    f"enable it: aws s3api put-bucket-versioning --bucket {bucket} "
                    "--versioning-configuration Status=Enabled; then put the objects of the meantime again",
                )

    def head(self, key: str) -> ObjectHead | None:
        """The current version of a raw object; None if there is none, or a delete marker in its place."""
        try:
            answer = self._client.head_object(Bucket=self._raw_bucket, Key=key)
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise
        return ObjectHead(
            key=key,
            version_id=answer.get("VersionId") or NO_VERSION,
            size_bytes=answer["ContentLength"],
            etag=answer["ETag"].strip('"'),
            last_modified_ns=_ns(answer["LastModified"]),
        )

    def read(self, head: ObjectHead, max_bytes: int) -> bytes:
        """The bytes of exactly that version.

        Raises:
            GoneError: The version is gone.
            StoreError: It is larger than `max_bytes`.
        """
        if head.size_bytes > max_bytes:
            raise StoreError(f"{head.key!r} of {head.size_bytes} bytes exceeds {max_bytes}")
        try:
            answer = self._client.get_object(Bucket=self._raw_bucket, Key=head.key, **_pin(head))
        except ClientError as error:
            if _status(error) == 404 and error.response["Error"].get("Code") != "NoSuchBucket":
                raise GoneError(f"version {head.version_id} of {head.key!r} is gone from {self._raw_bucket}") from error
            raise
        with answer["Body"] as body:
            content = body.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise StoreError(f"{head.key!r} has more than the {max_bytes} bytes that its entry states")
        return content

    def list_after(self, key: str, limit: int) -> Sequence[ObjectHead]:
        """Up to `limit` current raw objects with keys greater than `key`, in key order; version ids are unknown (`""`)."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._raw_bucket, StartAfter=key, PaginationConfig={"MaxItems": limit}
        )
        return [
            ObjectHead(entry["Key"], "", entry["Size"], entry["ETag"].strip('"'), _ns(entry["LastModified"]))
            for page in pages
            for entry in page.get("Contents", [])
        ]

    def keep_refused(self, head: ObjectHead) -> str:
        """Copy a raw version to `refused/…` of the quarantine bucket, on the server's side, unopened.

        A version above 5 GiB, which one copy cannot take, is left where it is: raw versions are never removed. Returns
        the URI of the copy or, then, of the version.
        """
        if head.size_bytes > MAX_COPY_BYTES:
            return f"s3://{self._raw_bucket}/{head.key}?versionId={head.version_id}"
        key = refused_key(head)
        source: Any = {"Bucket": self._raw_bucket, "Key": head.key, **_pin(head)}
        self._client.copy_object(
            Bucket=self._quarantine_bucket,
            Key=key,
            CopySource=source,
            MetadataDirective="REPLACE",
            ContentType="application/octet-stream",  # so that no client opens it automatically
            TaggingDirective="REPLACE",
        )
        return f"s3://{self._quarantine_bucket}/{key}"

    def keep_input(self, key: str, body: bytes) -> None:
        """Write a revision's input document to the lake bucket."""
        self._client.put_object(Bucket=self._lake_bucket, Key=key, Body=body, ContentType="application/json")

    def baseline(self, vehicle_id: str) -> InputObject | None:
        """The current version of a vehicle's baseline in the lake bucket; None if it has none.

        Its content is not parsed here: whoever put it did, and whoever compares with it does.

        Raises:
            StoreError: It exceeds its size limit.
        """
        key = baseline_key(vehicle_id)
        try:
            answer = self._client.get_object(Bucket=self._lake_bucket, Key=key)
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise
        with answer["Body"] as body:
            content = body.read(MAX_BASELINE_BYTES + 1)
        if len(content) > MAX_BASELINE_BYTES:
            raise StoreError(f"{key!r} exceeds {MAX_BASELINE_BYTES} bytes: put a baseline of the usual size in its place")
        return InputObject(key, answer.get("VersionId") or NO_VERSION, hashlib.sha256(content).hexdigest())


def refused_key(head: ObjectHead) -> str:
    """Key of a refused version's copy; a key too long for the prefix is replaced by its SHA-256."""
    plain = f"refused/{head.key}/{head.version_id}"
    if len(plain.encode()) <= MAX_KEY_BYTES:
        return plain
    return f"refused/sha256/{hashlib.sha256(head.key.encode()).hexdigest()}/{head.version_id}"


def _pin(head: ObjectHead) -> Any:
    return {} if head.version_id == NO_VERSION else {"VersionId": head.version_id}


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND * 1000
