"""What there is of a drive before it is forgotten, counted and hashed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lake import pseudonyms
from lake.errors import AbsentError
from lake.storage import CONNECTIONS, ObjectStore
from ops.erasure.buckets import FoundVersion
from ops.erasure.contents import payload_digests
from ops.erasure.documents import Entry
from ops.errors import InputError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A version of the drive, and the place that it was found at."""

    what: str
    version: FoundVersion


@dataclass(frozen=True, slots=True)
class Sum:
    """Versions with bytes, delete markers, and bytes at one place."""

    what: str
    versions: int
    markers: int
    bytes: int


def sums(listed: Iterable[ListedVersion]) -> list[Sum]:
    """The sums by place, in the order in which the places appear."""
    counts: dict[str, Counter[str]] = {}
    for one in listed:
        counted = counts.setdefault(one.what, Counter())
        counted["markers" if one.version.marker else "versions"] += 1
        counted["bytes"] += one.version.size
    return [Sum(what, found["versions"], found["markers"], found["bytes"]) for what, found in counts.items()]


def hashed(s3: S3Client, listed: Iterable[ListedVersion], salt: str, report: Report) -> tuple[list[Entry], frozenset[str]]:
    """Read every version, and return an entry for each, and SHA-256 of every payload in the data files among them."""
    with_bytes = [one for one in listed if not one.version.marker]
    store = ObjectStore(s3)
    entries: list[Entry] = []
    payloads: set[str] = set()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for found in threads.map(lambda one: _hashed(store, one, salt), with_bytes):
            report("hashing what there is", len(entries), len(with_bytes))
            if found is not None:
                entries.append(found[0])
                payloads |= found[1]
    return sorted(entries), frozenset(payloads)


def _hashed(store: ObjectStore, one: ListedVersion, salt: str) -> tuple[Entry, frozenset[str]] | None:
    version = one.version
    digest, held = hashlib.sha256(), frozenset[str]()
    try:
        if version.key.endswith(".parquet"):
            body = store.read(version.location)
            digest.update(body)
            held = frozenset(payload_digests(body))
        else:
            stream = store.stream(version.location)
            while piece := stream.read(1 << 20):
                digest.update(piece)
    except AbsentError:
        return None  # deleted meanwhile
    except InputError:
        pass  # a damaged data file has no payload to look for
    key_hash = pseudonyms.of_object(salt, version.key, version.version_id)
    entry = Entry(key_hash=key_hash, what=one.what, version_id=version.version_id, bytes=version.size, sha256=digest.hexdigest())
    return entry, held
