"""Bulk access to objects: ranged reads of pinned versions, and atomic writes.

A file is written from memory in one request. Streaming writers publish a half-written object when an exception passes
through them; a single PUT cannot.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lake.clients import client
from lake.errors import AbsentError, LakeError, OversizeError
from lake.object_stream import READ_ATTEMPTS, ObjectStream, ResponseBody
from lake.settings import AwsSettings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CONNECTIONS = 16  # concurrent requests; more threads would only wait for each other
ABSENT_OBJECT = frozenset({"404", "NoSuchKey", "NoSuchVersion"})
ABSENT = ABSENT_OBJECT | {"NoSuchBucket"}
_MACHINE = AwsSettings()


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One immutable version of an object. `version_id` is None where the current version is meant."""

    bucket: str
    key: str
    version_id: str | None = None

    @classmethod
    def from_uri(cls, uri: str) -> ObjectVersion:
        """Read `s3://bucket/key`.

        Raises:
            LakeError: Not an `s3://` URI with a bucket and a key.
        """
        bucket, slash, key = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or not bucket or not slash or not key:
            raise LakeError(f"{uri!r} is not s3://BUCKET/KEY")
        return cls(bucket, key)

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"

    def request(self) -> dict[str, Any]:
        """The parameters that name this version in an S3 request."""
        named: dict[str, Any] = {"Bucket": self.bucket, "Key": self.key}
        return named if self.version_id is None else {**named, "VersionId": self.version_id}


class ObjectStore:
    """S3 objects as bytes. Clients are not shared between processes: build one where it is used."""

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._room = bytearray()

    @classmethod
    def connect(cls, aws: AwsSettings = _MACHINE) -> ObjectStore:
        """A store at the endpoint of `aws`; without it, at the one that boto3 resolves on this machine."""
        config = Config(retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=CONNECTIONS)
        return cls(client("s3", aws, config))

    def read(self, source: ObjectVersion, start: int = 0, length: int | None = None, limit: int | None = None) -> bytes:
        """The bytes [start, start + length) of an object; to its end where `length` is None.

        Raises:
            AbsentError: There is no such object or version (a missing bucket is a LakeError).
            OversizeError: The response has more than `limit` bytes; none of them was read.
            LakeError: The object is shorter than the range, or the endpoint does not deliver.
        """
        if length == 0:
            return b""
        request = source.request()
        if start or length is not None:
            request["Range"] = f"bytes={start}-" + ("" if length is None else str(start + length - 1))
        body = self._get(source, request, limit)
        if length is not None and len(body) != length:
            raise LakeError(f"{source.uri} ends at byte {start + len(body)}, but bytes up to {start + length} are needed")
        return body

    def _get(self, source: ObjectVersion, request: dict[str, Any], limit: int | None) -> bytes:
        named = _named(source)
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._answer(source, request)
                if limit is not None and answer["ContentLength"] > limit:
                    raise OversizeError(f"{named} has {answer['ContentLength']} bytes, at most {limit} are read")
                body: bytes = answer["Body"].read()
                return body
            except BotoCoreError as error:
                # The client retries requests itself, but not one whose body was cut short.
                if attempt == READ_ATTEMPTS:
                    raise LakeError(f"cannot read {named} in {READ_ATTEMPTS} attempts: {error}") from error

    def _answer(self, source: ObjectVersion, request: dict[str, Any]) -> Any:
        try:
            return self._client.get_object(**request)
        except ClientError as error:
            kind = AbsentError if error.response["Error"]["Code"] in ABSENT_OBJECT else LakeError
            raise kind(f"cannot read {_named(source)}: {error}") from error

    def stream(self, source: ObjectVersion) -> ObjectStream:
        """The whole object as a stream, in one request; nothing is buffered, and a read returns what has arrived.

        Its reads raise LakeError where the endpoint does not deliver.

        Raises:
            AbsentError: There is no such object or version.
        """

        def open_at(start: int) -> tuple[ResponseBody, int]:
            request = source.request()
            if start:
                request["Range"] = f"bytes={start}-"
            answer = self._answer(source, request)
            return answer["Body"], answer["ContentLength"]

        return ObjectStream(_named(source), open_at)

    def size(self, source: ObjectVersion) -> int | None:
        """Size in bytes, or None where the object or version is absent."""
        try:
            return int(self._client.head_object(**source.request())["ContentLength"])
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT_OBJECT:
                return None
            raise LakeError(f"cannot read {source.uri}: {error}") from error

    def put(self, target: ObjectVersion, body: bytes | memoryview) -> None:
        """Write a whole object. A view is copied first: the client does not accept one."""
        self._client.put_object(Bucket=target.bucket, Key=target.key, Body=bytes(body))

    def write(self, target: ObjectVersion, pieces: Sequence[bytes | memoryview], sha256: str | None = None) -> int:
        """Write an object given as several buffers, in one request; returns its size. S3 checks `sha256` (hex), and keeps it.

        They are joined in memory that is reused for the next object: fresh memory costs a page fault for every 4 KiB, which
        for files of some 64 MiB is more than copying them. Without `sha256` the client reads them once more, for a CRC.
        """
        size = sum(map(len, pieces))
        self._room.extend(bytes(max(0, size - len(self._room))))
        del self._room[size:]
        with memoryview(self._room) as room:
            at = 0
            for piece in pieces:
                room[at : at + len(piece)] = piece
                at += len(piece)
        body: Any = self._room  # which the client takes, though its stubs do not say so
        checked: dict[str, Any] = {"ChecksumSHA256": base64.b64encode(bytes.fromhex(sha256)).decode()} if sha256 else {}
        self._client.put_object(Bucket=target.bucket, Key=target.key, Body=body, **checked)
        return size

    def copy(self, source: ObjectVersion, target: ObjectVersion) -> None:
        """Copy a version inside S3, in parts where it exceeds the limit of one copy request."""
        origin: Any = source.request()
        self._client.copy(origin, target.bucket, target.key)

    def delete(self, target: ObjectVersion) -> None:
        """Delete the current version of an object, if there is one. A versioned bucket keeps the deleted version."""
        self._client.delete_object(Bucket=target.bucket, Key=target.key)

    def list(self, bucket: str, prefix: str) -> Iterator[str]:
        """Keys of the current objects under a prefix, in key order."""
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                yield entry["Key"]


def _named(source: ObjectVersion) -> str:
    return f"{source.uri} (version {source.version_id})"


Connect: TypeAlias = Callable[[], ObjectStore]
