"""Buckets by version: everything that a prefix ever held, and deleting it for good.

The buckets are versioned. A delete without a version id leaves a marker and frees nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lake.storage import ObjectVersion

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

AT_ONCE = 1000  # Amazon S3 API Reference, DeleteObjects


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """A version of an object, or a delete marker, which has no bytes."""

    bucket: str
    key: str
    version_id: str
    size: int
    marker: bool

    @property
    def location(self) -> ObjectVersion:
        """Where its bytes are."""
        return ObjectVersion(self.bucket, self.key, self.version_id)


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload that was not completed."""

    bucket: str
    key: str
    upload_id: str


def versions(s3: S3Client, bucket: str, prefix: str = "") -> Iterator[FoundVersion]:
    """Every version and delete marker under a prefix, page by page."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Versions", ()):
            yield FoundVersion(bucket, entry["Key"], entry.get("VersionId", "null"), int(entry["Size"]), marker=False)
        for gone in page.get("DeleteMarkers", ()):
            yield FoundVersion(bucket, gone["Key"], gone.get("VersionId", "null"), 0, marker=True)


def uploads(s3: S3Client, bucket: str, prefix: str = "") -> Iterator[OpenUpload]:
    """Every multipart upload under a prefix that was not completed; its parts are bytes that no listing of objects shows."""
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Uploads", ()):
            yield OpenUpload(bucket, entry["Key"], entry["UploadId"])


def delete(s3: S3Client, bucket: str, found: Iterable[FoundVersion]) -> None:
    """Delete versions and markers of one bucket by their ids. What the store keeps (an object lock, a policy) is listed again."""
    remaining = iter(found)
    while batch := list(islice(remaining, AT_ONCE)):
        named: Any = {"Objects": [{"Key": one.key, "VersionId": one.version_id} for one in batch], "Quiet": True}
        s3.delete_objects(Bucket=bucket, Delete=named)


def abort(s3: S3Client, upload: OpenUpload) -> None:
    """Abort an upload; one that was completed or aborted meanwhile is none any more."""
    try:
        s3.abort_multipart_upload(Bucket=upload.bucket, Key=upload.key, UploadId=upload.upload_id)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchUpload":
            raise
