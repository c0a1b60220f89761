"""Iceberg's files in a bucket of this process: pyiceberg's own S3 client opens sockets, which moto does not answer in process."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import boto3
from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from lake.storage import ObjectVersion


@cache
def _s3() -> Any:
    return boto3.client("s3")


class _Sink(io.BytesIO):
    def __init__(self, at: ObjectVersion) -> None:
        super().__init__()
        self._at = at

    def close(self) -> None:
        if not self.closed:
            _s3().put_object(Bucket=self._at.bucket, Key=self._at.key, Body=self.getvalue())
        super().close()


class _Input(InputFile):
    def __len__(self) -> int:
        at = ObjectVersion.from_uri(self.location)
        return int(_s3().head_object(Bucket=at.bucket, Key=at.key)["ContentLength"])

    def exists(self) -> bool:
        return True

    def open(self, seekable: bool = True) -> InputStream:
        at = ObjectVersion.from_uri(self.location)
        body: Any = io.BytesIO(_s3().get_object(Bucket=at.bucket, Key=at.key)["Body"].read())
        found: InputStream = body
        return found


class _Output(OutputFile):
    def __len__(self) -> int:
        return len(_Input(self.location))

    def exists(self) -> bool:
        return False

    def to_input_file(self) -> InputFile:
        return _Input(self.location)

    def create(self, overwrite: bool = False) -> OutputStream:
        sink: Any = _Sink(ObjectVersion.from_uri(self.location))
        made: OutputStream = sink
        return made


class BucketIO(FileIO):
    def new_input(self, location: str) -> InputFile:
        return _Input(location)

    def new_output(self, location: str) -> OutputFile:
        return _Output(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        at = ObjectVersion.from_uri(location if isinstance(location, str) else location.location)
        _s3().delete_object(Bucket=at.bucket, Key=at.key)
