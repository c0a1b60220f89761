"""The certificate of an erasure: an in-toto statement in a DSSE envelope.

in-toto Attestation Framework, "Statement layer specification", version 1; DSSE, "DSSE Protocol", version 1.0.0. The statement
does not name the drive. The request leads back to it: whoever holds the request can show, with the salt, that the pseudonym is
the drive's.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lake.documents import canonical_json
from ops.erasure.documents import Before
from ops.erasure.search import SearchResult
from ops.errors import InputError

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://scenelake.dev/attestations/erasure/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Exempt:
    """Something that could not be reached, why, and when it is gone by itself; None: nobody here can say."""

    what: str
    why: str
    until: str | None


@dataclass(frozen=True, slots=True)
class Successor:
    """A pinned version that goes on without the drive."""

    table: str
    ref: str
    snapshot_id: int
    successor: int
    rows: int


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs certificates with an Ed25519 key in a PEM file without a password.

    Raises:
        InputError: There is no such key.
    """

    path: Path

    def sign(self, message: bytes) -> tuple[str, bytes]:
        """The key's id, SHA-256 over the public key's 32 bytes, hex, and the signature."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            key = serialization.load_pem_private_key(self.path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{self.path} is not a private key that can be used: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise InputError(f"{self.path} is not an Ed25519 key", "`openssl genpkey -algorithm ed25519` makes one")
        public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return hashlib.sha256(public).hexdigest(), key.sign(message)


def statement(
    before: Before, after: SearchResult, successors: Sequence[Successor], exempt: Sequence[Exempt], issued_ns: int, *, deep: bool
) -> dict[str, Any]:
    """The statement about one erasure."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": f"drive:{before.pseudonym}", "digest": {"sha256": before.root()}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "request": before.request,
            "basis": before.basis,
            "begun_ns": before.begun_ns,
            "issued_ns": issued_ns,
            "before": _before(before),
            "successors": [
                {
                    "table": one.table,
                    "ref": one.ref,
                    "from": str(one.snapshot_id),
                    "to": str(one.successor),
                    "rows": one.rows,
                }
                for one in successors
            ],
            "after": _after(after, deep=deep),
            "exceptions": [{"what": one.what, "why": one.why, "until": one.until} for one in exempt],
            "derived": {
                "baselines": "versions that name the drive are deleted; what was learned from others with it, too",
                "models": "not known: no training run is recorded in this lake",
            },
        },
    }


def _before(before: Before) -> dict[str, Any]:
    by_place: dict[str, dict[str, int]] = {}
    for entry in before.entries:
        counted = by_place.setdefault(entry.what, {"versions": 0, "bytes": 0})
        counted["versions"] += 1
        counted["bytes"] += entry.bytes
    return {
        "merkle_root": before.root(),
        "versions": len(before.entries),
        "bytes": sum(entry.bytes for entry in before.entries),
        "places": dict(sorted(by_place.items())),
        "delete_markers": before.markers,
        "uploads": before.uploads,
        "rows": before.rows,
        "ledger_items": before.items,
        "dead_letters": before.letters,
        "baselines": before.baselines,
    }


def _after(after: SearchResult, *, deep: bool) -> dict[str, Any]:
    return {
        "clean": after.clean,
        "left": after.count,
        "unreadable": len(after.unreadable),
        "searched": {
            "deep": deep,
            "versions": after.versions,
            "opened": after.opened,
            "bytes": after.bytes,
            "not_opened": after.unopened,
            "shared_with_other_drives": after.shared,
            "snapshots": after.snapshots,
            "ledger_items": after.items,
            "messages": after.letters,
        },
    }


def envelope(said: dict[str, Any], signer: Signer | None) -> dict[str, Any]:
    """The statement in its envelope; without a signer it has no signature, and no verifier accepts it as signed."""
    payload = canonical_json(said)
    signatures = []
    if signer is not None:
        key_id, signature = signer.sign(pre_authentication(PAYLOAD_TYPE, payload))
        signatures = [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}]
    return {"payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode(), "signatures": signatures}


def pre_authentication(kind: str, payload: bytes) -> bytes:
    """What is signed: DSSE Protocol, "PAE definition"."""
    return b" ".join((b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload))


def opened(body: bytes) -> dict[str, Any]:
    """The statement in an envelope.

    Raises:
        InputError: It is not an envelope with a statement about an erasure.
    """
    try:
        document = json.loads(body)
        said: dict[str, Any] = json.loads(base64.b64decode(document["payload"], validate=True))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"not a certificate: {error}") from error
    if document.get("payloadType") != PAYLOAD_TYPE or said.get("predicateType") != PREDICATE_TYPE:
        raise InputError("not a certificate of an erasure")
    return said
