"""The port to a bucket that is swept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

MOST_VERSIONS = 1_000  # of one key that one sweep looks at, and of one request to delete


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """A version of an object, or a delete marker; the time is in ns since the Unix epoch."""

    version_id: str
    modified_ns: int
    bytes: int
    is_marker: bool = False


@dataclass(frozen=True, slots=True)
class ObjectVersions:
    """The versions and delete markers of a key, the latest first; of more than `MOST_VERSIONS` the latest ones."""

    key: str
    entries: tuple[ObjectEntry, ...]


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that was begun (ns since the Unix epoch) and neither completed nor aborted."""

    bucket: str
    key: str
    upload_id: str
    begun_ns: int


class Bucket(Protocol):
    """A versioned bucket."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def keys(self, prefix: str) -> Iterator[ObjectVersions]:
        """The keys under a prefix with their versions, in the order of their UTF-8 bytes.

        Raises:
            LakeError: The bucket does not answer.
        """
        ...

    def delete(self, versions: Sequence[tuple[str, str]]) -> None:
        """Delete versions, each a key and a version id, up to `MOST_VERSIONS`; one that is gone already is no error.

        Raises:
            LakeError: Some are left; the message says how many.
        """
        ...

    def uploads(self) -> Iterator[UnfinishedUpload]:
        """Multipart uploads that are neither completed nor aborted.

        Raises:
            LakeError: The bucket does not answer.
        """
        ...

    def abort(self, upload: UnfinishedUpload) -> None:
        """Abort an upload; one that has ended is no error.

        Raises:
            LakeError: The bucket does not answer.
        """
        ...
