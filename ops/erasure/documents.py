"""The documents of an erasure, in the lake bucket. None of them names the drive: they lie under its pseudonym.

`erasures/<request>/<pseudonym>/before.json`: what there was, written before anything is deleted.
`erasures/<request>/<pseudonym>/payloads.sha256`: SHA-256 of each payload that its data files held, 32 bytes each, for searches.
`erasures/<request>/<pseudonym>/certificate.json`: the certificate.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from lake.errors import AbsentError
from lake.storage import ObjectStore, ObjectVersion
from ops.errors import InputError

VERSION = 1
_REQUEST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LEAF, _NODE = b"\x00", b"\x01"  # RFC 6962, section 2.1


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True):
    """A version of an object before it was deleted. `key_hash`: the pseudonym of key and version; `sha256`: of its bytes."""

    key_hash: str
    what: str
    version_id: str
    bytes: int
    sha256: str


class Before(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What there was of a drive. `markers`, `uploads`: delete markers and multipart uploads; `rows`: by table; `items`: of the
    ledger; `letters`: dead letters; `in_work_until_ns`: until when a run that had begun may write."""

    version: int = VERSION
    request: str
    basis: str
    pseudonym: str
    begun_ns: int
    entries: tuple[Entry, ...]
    markers: int
    uploads: int
    rows: dict[str, int]
    items: int
    letters: int
    baselines: int
    in_work_until_ns: int | None = None

    def root(self) -> str:
        """The Merkle root over the entries, in their order (RFC 6962, section 2.1)."""
        return merkle_root([msgspec.json.encode(entry) for entry in self.entries])


@dataclass(frozen=True, slots=True)
class ErasureDocuments:
    """The documents of one erasure."""

    store: ObjectStore
    bucket: str
    request: str
    pseudonym: str

    def at(self, name: str) -> ObjectVersion:
        """Where a document lies."""
        return ObjectVersion(self.bucket, f"erasures/{self.request}/{self.pseudonym}/{name}")

    def before(self) -> Before | None:
        """What there was; None if nothing was deleted yet.

        Raises:
            InputError: It is of another version, or damaged.
        """
        try:
            body = self.store.read(self.at("before.json"))
        except AbsentError:
            return None
        try:
            found = msgspec.json.decode(body, type=Before)
        except msgspec.MsgspecError as error:
            raise InputError(f"{self.at('before.json').uri} cannot be read: {error}") from error
        if found.version != VERSION:
            raise InputError(f"{self.at('before.json').uri} is of version {found.version}; this code reads version {VERSION}")
        return found

    def keep_before(self, found: Before) -> Before:
        """Write what there is, with what an earlier run found and has deleted since; returns both together."""
        earlier = self.before()
        if earlier is not None:
            known = {(one.key_hash, one.version_id): one for one in (*found.entries, *earlier.entries)}
            found = msgspec.structs.replace(
                earlier,
                entries=tuple(sorted(known.values())),
                markers=max(earlier.markers, found.markers),
                uploads=max(earlier.uploads, found.uploads),
                rows={name: max(rows, found.rows.get(name, 0)) for name, rows in earlier.rows.items()},
                items=max(earlier.items, found.items),
                letters=max(earlier.letters, found.letters),
                baselines=max(earlier.baselines, found.baselines),
            )
        if found != earlier:
            self.store.put(self.at("before.json"), msgspec.json.encode(found))
        return found

    def payloads(self) -> frozenset[str]:
        """SHA-256 of the payloads that the drive had, hex."""
        try:
            body = self.store.read(self.at("payloads.sha256"))
        except AbsentError:
            return frozenset()
        return frozenset(body[at : at + 32].hex() for at in range(0, len(body), 32))

    def keep_payloads(self, digests: frozenset[str]) -> None:
        """Add to those that are kept."""
        known = self.payloads()
        if digests - known:
            self.store.put(self.at("payloads.sha256"), b"".join(map(bytes.fromhex, sorted(digests | known))))


def check_request(request: str, basis: str, names: Iterable[str]) -> None:
    """Refuse a request id or a basis that cannot be kept: both outlive the drive.

    Raises:
        InputError: They are malformed, or name the drive.
    """
    if _REQUEST.fullmatch(request) is None:
        raise InputError(f"request {request[:80]!r} must match {_REQUEST.pattern}", "name it as the register of requests does")
    if not 3 <= len(basis) <= 500 or not basis.isprintable():
        raise InputError("a basis has 3 to 500 printable characters", "say on what ground the drive is forgotten")
    for name in names:
        if name in request or name in basis:
            raise InputError(f"request and basis must not hold {name!r}: both are kept", "leave the name out")


def merkle_root(leaves: Sequence[bytes]) -> str:
    """Root of a Merkle tree as RFC 6962, section 2.1, defines it, hex."""
    return _tree(leaves).hex()


def _tree(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 0:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(_LEAF + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(_NODE + _tree(leaves[:split]) + _tree(leaves[split:])).digest()
