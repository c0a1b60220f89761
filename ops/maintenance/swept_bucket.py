"""A bucket of S3 as a sweep sees it: with the versions of its objects, and the uploads that were left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lake.errors import LakeError
from lake.maintenance.swept_buckets import MOST_VERSIONS, ObjectEntry, ObjectVersions, UnfinishedUpload

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_EPOCH = datetime.fromtimestamp(0, UTC)
Found = tuple[str, bool, ObjectEntry]  # key, whether it is the latest of its key


class SweptBucket:
    """The adapter of `lake.maintenance.swept_buckets.Bucket`."""

    def __init__(self, client: S3Client, name: str) -> None:
        self._client = client
        self._name = name

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def keys(self, prefix: str) -> Iterator[ObjectVersions]:
        """The keys under a prefix with their versions, in order."""
        for key, found in groupby(self._entries(prefix), key=lambda one: one[0]):
            entries: list[ObjectEntry] = []
            for _, is_latest, entry in found:
                if is_latest:
                    entries.insert(0, entry)
                elif len(entries) < MOST_VERSIONS:
                    entries.append(entry)
            yield ObjectVersions(key, tuple(entries[:MOST_VERSIONS]))

    def delete(self, versions: Sequence[tuple[str, str]]) -> None:
        """Delete versions by id."""
        objects: Any = [{"Key": key, "VersionId": version} for key, version in versions]
        with self._answers("delete from"):
            answer = self._client.delete_objects(Bucket=self._name, Delete={"Objects": objects, "Quiet": True})
        errors = answer.get("Errors", ())
        if errors:
            first = errors[0]
            raise LakeError(
                f"{self._name} kept {len(errors)} of {len(versions)} versions, {first.get('Key')} among them: "
                f"{first.get('Code')}, {first.get('Message')}"
            )

    def uploads(self) -> Iterator[UnfinishedUpload]:
        """Multipart uploads that are neither completed nor aborted."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._name)
        with self._answers("list the uploads of"):
            for page in pages:
                for found in page.get("Uploads", ()):
                    yield UnfinishedUpload(self._name, found["Key"], found["UploadId"], _ns(found["Initiated"]))

    def abort(self, upload: UnfinishedUpload) -> None:
        """Abort an upload; one that has ended is no error."""
        try:
            with self._answers("abort an upload to"):
                self._client.abort_multipart_upload(Bucket=self._name, Key=upload.key, UploadId=upload.upload_id)
        except LakeError as error:
            cause = error.__cause__
            if not isinstance(cause, ClientError) or cause.response["Error"]["Code"] != "NoSuchUpload":
                raise

    def _entries(self, prefix: str) -> Iterator[Found]:
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._name, Prefix=prefix)
        with self._answers("list"):
            for page in pages:
                versions = [_entry(found, is_marker=False) for found in page.get("Versions", ())]
                markers = [_entry(found, is_marker=True) for found in page.get("DeleteMarkers", ())]
                # Both kinds come in key order; those of one key are ordered by the time that they share.
                yield from sorted(versions + markers, key=lambda one: (one[0], -one[2].modified_ns))

    @contextmanager
    def _answers(self, what: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise LakeError(f"cannot {what} {self._name}: {error}") from error


def _entry(found: Any, *, is_marker: bool) -> Found:
    entry = ObjectEntry(found["VersionId"], _ns(found["LastModified"]), int(found.get("Size", 0)), is_marker)
    return found["Key"], bool(found["IsLatest"]), entry


def _ns(moment: datetime) -> int:
    since = moment - _EPOCH
    return ((since.days * 86400 + since.seconds) * 10**6 + since.microseconds) * 1000
