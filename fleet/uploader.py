"""Uploads a drive folder to the raw bucket: objects first, then the calibration, the manifest last.

A drive with a manifest has landed completely; an interrupted upload leaves none. Every object carries its SHA-256 as
metadata, and as the checksum that S3 itself verifies (one per part for large files). Objects that the bucket already holds,
by size and SHA-256, are not sent again, so a second run resumes the first.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError

from fleet import Progress, silent
from fleet.drive_folder import DriveFile, DriveFolder
from fleet.errors import UploadError
from fleet.object_summary import sha256_of
from lake.landing import CALIBRATION, MANIFEST

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

SINGLE_PUT_BYTES = 64 * 1024 * 1024
PART_BYTES = 16 * 1024 * 1024
THREADS = 4
ATTEMPTS = 5
SHA256_METADATA = "sha256"

CLIENT_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": ATTEMPTS},
    connect_timeout=10,
    read_timeout=60,
    max_pool_connections=2 * THREADS,
    # The checksum header guards the body; hashing it once more for the signature would read every file twice.
    s3={"payload_signing_enabled": False},
)
"""For `boto3.client("s3", config=CLIENT_CONFIG)`: retries, timeouts, and no second hash of every body."""


@dataclass(frozen=True, slots=True)
class UploadReport:
    """Keys that were sent, in order of completion, keys that already existed, and the bytes sent."""

    sent: tuple[str, ...]
    skipped: tuple[str, ...]
    bytes_sent: int


def upload(
    folder: DriveFolder, s3: S3Client, bucket: str, *, threads: int = THREADS, progress: Progress | None = None
) -> UploadReport:
    """Send the objects that the bucket does not hold yet; the manifest is sent last, and again whenever anything else was sent.

    `progress(key, bytes done, bytes)` is called from several threads, one key at a time in each; a skipped file is
    reported as done at once. An exception in `progress` ends the upload, as does any that is raised in the caller's
    thread (Ctrl-C); objects under way are finished or aborted, the manifest is not sent.

    Raises:
        UploadError: The bucket or endpoint cannot be reached, access is denied, or an object is not stored as sent; names
            the cause and the next step. Run again to resume.

    """
    _check_bucket(s3, bucket)
    sender = _Sender(s3, bucket, progress or silent)
    objects: list[DriveFile] = []
    documents: list[DriveFile] = []
    for file in folder.files():
        is_document = file.key in (folder.drive.calibration_key, folder.drive.manifest_key)
        (documents if is_document else objects).append(file)
    _all(sender.send, objects, threads)
    for file in documents:
        last = file.key == folder.drive.manifest_key
        sender.send(file, always=last and bool(sender.sent))
    return UploadReport(tuple(sender.sent), tuple(sender.skipped), sender.bytes_sent)


def _all(send: Callable[[DriveFile], None], files: Iterable[DriveFile], threads: int) -> None:
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="upload") as pool:
        waiting = [pool.submit(send, file) for file in files]
        try:
            for done in as_completed(waiting):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Sender:
    def __init__(self, s3: S3Client, bucket: str, progress: Progress) -> None:
        self._s3, self._bucket, self._progress = s3, bucket, progress
        self._lock = threading.Lock()
        self.sent: list[str] = []
        self.skipped: list[str] = []
        self.bytes_sent = 0

    def send(self, file: DriveFile, always: bool = False) -> None:
        """Send a file unless the bucket already holds it, and verify that it is stored."""
        sha256 = sha256_of(file.path)
        try:
            if not always and self._difference(file, sha256) is None:
                self._progress(file.key, file.size_bytes, file.size_bytes)
                with self._lock:
                    self.skipped.append(file.key)
                return
            self._put(file, sha256)
            difference = self._difference(file, sha256)
        except (BotoCoreError, ClientError, S3UploadFailedError) as error:
            raise UploadError(f"{file.key} was not sent: {_explained(error, self._s3, self._bucket)}") from error
        if difference is not None:
            kept = f"s3://{self._bucket}/{file.key} was not kept as sent: {difference}"
            raise UploadError(f"{kept}; run the upload again to resend it")
        with self._lock:
            self.sent.append(file.key)
            self.bytes_sent += file.size_bytes

    def _put(self, file: DriveFile, sha256: str) -> None:
        single = file.size_bytes <= SINGLE_PUT_BYTES
        extra: dict[str, Any] = {"Metadata": {SHA256_METADATA: sha256}, "ContentType": _content_type(file.key)}
        if single:
            extra["ChecksumSHA256"] = base64.b64encode(bytes.fromhex(sha256)).decode()
        else:
            extra["ChecksumAlgorithm"] = "SHA256"
        done = 0

        def count(more: int) -> None:
            nonlocal done
            with self._lock:
                done += more
                reached = done
            self._progress(file.key, reached, file.size_bytes)

        config = TransferConfig(multipart_threshold=SINGLE_PUT_BYTES + 1, multipart_chunksize=PART_BYTES, max_concurrency=2)
        with file.path.open("rb") as body:
            self._s3.upload_fileobj(body, self._bucket, file.key, ExtraArgs=extra, Callback=count, Config=config)
        if file.size_bytes == 0:
            self._progress(file.key, 0, 0)

    def _difference(self, file: DriveFile, sha256: str) -> str | None:
        """How the stored object differs from the file; None if it does not."""
        try:
            head = self._s3.head_object(Bucket=self._bucket, Key=file.key, ChecksumMode="ENABLED")
        except ClientError as error:
            if _status(error) == 404:
                return "it is not there"
            raise
        if head["ContentLength"] != file.size_bytes:
            return f"it has {head['ContentLength']} bytes instead of {file.size_bytes}"
        kept = head["Metadata"].get(SHA256_METADATA)
        if kept != sha256:
            return f"its SHA-256 is noted as {kept} instead of {sha256}"
        stored = head.get("ChecksumSHA256")
        whole = stored is not None and "-" not in stored  # a composite of parts ends in -N and is not a hash of the file
        if whole and file.size_bytes <= SINGLE_PUT_BYTES and base64.b64decode(stored or "") != bytes.fromhex(sha256):
            return f"its stored checksum is {stored}"
        return None


def _check_bucket(s3: S3Client, bucket: str) -> None:
    try:
        s3.head_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        raise UploadError(_explained(error, s3, bucket)) from error


def _explained(error: Exception, s3: S3Client, bucket: str) -> str:
    """Cause and next step for an error of the client."""
    endpoint = s3.meta.endpoint_url
    if isinstance(error, S3UploadFailedError) and isinstance(error.__context__, BotoCoreError | ClientError):
        error = error.__context__
    if isinstance(error, EndpointConnectionError):
        return f"{endpoint} does not respond; start the local stack with `scenelake up`, or set AWS_ENDPOINT_URL"
    if isinstance(error, NoCredentialsError):
        return "no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        if _status(error) == 404 or code == "NoSuchBucket":
            return f"there is no bucket {bucket!r} at {endpoint}; `scenelake up` makes it, SCENELAKE_RAW_BUCKET names another"
        if _status(error) == 403:
            return f"access to the bucket {bucket!r} at {endpoint} is denied; check the credentials and the vehicle's role"
    return f"{error}; run the upload again to resume"


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _content_type(key: str) -> str:
    return "application/json" if key.endswith((f"/{CALIBRATION}", f"/{MANIFEST}")) else "application/octet-stream"
