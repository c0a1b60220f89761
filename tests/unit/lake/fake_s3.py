"""S3 in memory, as far as `lake.storage` uses it: versions, ranges, S3's own error codes, and bodies that break off."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError


def refusal(code: str, operation: str = "GetObject") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


@dataclass
class FakeS3:
    """`gets` logs every GetObject as (key, first byte, number of bytes asked for or None). `broken_bodies`: how many of the
    next bodies break off. `denied`: answer every read with AccessDenied."""

    buckets: set[str] = field(default_factory=lambda: {"raw", "lake", "quarantine"})
    versions: dict[tuple[str, str], list[tuple[str, bytes]]] = field(default_factory=dict)
    gets: list[tuple[str, int, int | None]] = field(default_factory=list)
    broken_bodies: int = 0
    denied: bool = False

    def put_object(self, *, Bucket: str, Key: str, Body: bytes | bytearray, ChecksumSHA256: str | None = None) -> dict[str, Any]:
        assert isinstance(Body, (bytes, bytearray)), "boto3 takes no memoryview"
        body = bytes(Body)
        if ChecksumSHA256 not in (None, base64.b64encode(hashlib.sha256(body).digest()).decode()):
            raise refusal("BadDigest", "PutObject")
        past = self.versions.setdefault((Bucket, Key), [])
        past.append((f"v{len(past) + 1}", body))
        return {"VersionId": past[-1][0]}

    def get_object(self, *, Bucket: str, Key: str, VersionId: str | None = None, Range: str | None = None) -> dict[str, Any]:
        body = self._find(Bucket, Key, VersionId)
        start, length = 0, None
        if Range is not None:
            first, _, last = Range.removeprefix("bytes=").partition("-")
            start = int(first)
            length = None if last == "" else int(last) - start + 1
            if start >= len(body):
                raise refusal("InvalidRange")
        self.gets.append((Key, start, length))
        piece = body[start:] if length is None else body[start : start + length]
        if self.broken_bodies:
            self.broken_bodies -= 1
            return {"Body": _Broken(piece[: len(piece) // 2]), "ContentLength": len(piece)}
        return {"Body": io.BytesIO(piece), "ContentLength": len(piece)}

    def head_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:
        try:
            return {"ContentLength": len(self._find(Bucket, Key, VersionId))}
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise refusal("403" if code == "AccessDenied" else "404", "HeadObject") from error  # a HEAD has no body to say more

    def copy(self, source: dict[str, str], bucket: str, key: str) -> None:
        self.put_object(Bucket=bucket, Key=key, Body=self._find(source["Bucket"], source["Key"], source.get("VersionId")))

    def get_paginator(self, operation: str) -> FakeS3:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        keys = sorted(key for bucket, key in self.versions if bucket == Bucket and key.startswith(Prefix))
        for start in range(0, len(keys), 2):
            yield {"Contents": [{"Key": key} for key in keys[start : start + 2]]}
        yield {}

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        self.versions.pop((Bucket, Key), None)

    def delete_version(self, bucket: str, key: str, version_id: str) -> None:
        past = self.versions[bucket, key]
        self.versions[bucket, key] = [entry for entry in past if entry[0] != version_id]

    def body(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return self._find(bucket, key, None)

    def _find(self, bucket: str, key: str, version_id: str | None) -> bytes:
        if self.denied:
            raise refusal("AccessDenied")
        if bucket not in self.buckets:
            raise refusal("NoSuchBucket")
        past = self.versions.get((bucket, key), [])
        if version_id is None:
            if not past:
                raise refusal("NoSuchKey")
            return past[-1][1]
        for known, body in past:
            if known == version_id:
                return body
        raise refusal("NoSuchVersion")


class _Broken(io.BytesIO):
    """Half of the bytes, then nothing."""

    def read(self, _size: int | None = -1, /) -> bytes:
        raise ReadTimeoutError(endpoint_url="http://127.0.0.1")

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        if not count:
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
        return count
