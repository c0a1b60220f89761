"""The keys of the objects that a publication quarantined: a file beside its data, named by its commit.

A manifest may name 100,000 objects, and each of them may be faulty: their keys fit neither a job's result nor a snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from lake.documents import canonical_json
from lake.errors import LakeError
from lake.storage import ObjectStore, ObjectVersion

SCHEMA_VERSION = 1
MAX_BYTES = 256 * 1024 * 1024  # 100,000 keys of 1,024 bytes, each of which JSON may escape to twice its length


def write_keys(store: ObjectStore, target: ObjectVersion, keys: Iterable[str]) -> str | None:
    """Write the keys, sorted, and return their URI; None, and nothing is written, if there are none."""
    listed = sorted(set(keys))
    if not listed:
        return None
    store.put(target, canonical_json({"schema_version": SCHEMA_VERSION, "keys": listed}))
    return target.uri


def read_keys(store: ObjectStore, uri: str | None) -> frozenset[str]:
    """Read what `write_keys` returned.

    Raises:
        LakeError: It could not be read, is damaged, or of another version.
    """
    if uri is None:
        return frozenset()
    body = store.read(ObjectVersion.from_uri(uri), limit=MAX_BYTES)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise LakeError(f"{uri} is not JSON: {error}") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise LakeError(f"{uri} has the schema version {version!r}, this code reads {SCHEMA_VERSION}")
    keys = document.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise LakeError(f"{uri} holds no list of keys")
    return frozenset(keys)
