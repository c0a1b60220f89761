"""Certificates: the statement, its envelope, its signature, and the Merkle root over what there was."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ops.erasure.certificate import PAYLOAD_TYPE, Signer, envelope, opened, pre_authentication, statement
from ops.erasure.documents import Before, Entry, merkle_root
from ops.erasure.search import SearchResult
from ops.errors import InputError

BEFORE = Before(
    request="F-1",
    basis="a request",
    pseudonym="ab" * 32,
    begun_ns=1,
    entries=(Entry(key_hash="k", what="raw", version_id="v", bytes=5, sha256="00" * 32),),
    markers=1,
    uploads=0,
    rows={"gold.scenes": 2},
    items=3,
    letters=0,
    baselines=0,
)


def pem(path: Path, key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> Path:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return path


def said() -> dict[str, object]:
    return statement(BEFORE, SearchResult(), [], [], 2, deep=True)


def test_a_signature_is_over_type_and_payload(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    made = envelope(said(), Signer(pem(tmp_path / "key.pem", key)))
    (signature,) = made["signatures"]
    payload = base64.b64decode(made["payload"])
    key.public_key().verify(base64.b64decode(signature["sig"]), pre_authentication(PAYLOAD_TYPE, payload))
    assert opened(json.dumps(made).encode()) == json.loads(payload)


def test_pre_authentication_as_the_protocol_gives_it() -> None:
    assert pre_authentication("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@pytest.mark.parametrize("kind", ["absent", "text", "other"])
def test_a_key_that_cannot_sign_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key.pem"
    if kind == "text":
        path.write_text("no key")
    if kind == "other":
        pem(path, ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(InputError):
        envelope(said(), Signer(path))


@pytest.mark.parametrize("body", [b"", b"{}", b'{"payload": 1}', b'{"payload": "e30=", "payloadType": "x"}'])
def test_what_is_no_certificate_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        opened(body)


def test_what_cannot_be_read_is_not_clean() -> None:
    assert SearchResult().clean
    assert not SearchResult(unreadable=["x"]).clean
    left = SearchResult()
    left.add("somewhere", "why")
    assert not left.clean


def test_the_root_is_that_of_a_plain_construction() -> None:
    def plain(leaves: list[bytes]) -> bytes:
        """Level by level: the last node of an odd level moves up as it is."""
        level = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
        while len(level) > 1:
            pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
            level = [hashlib.sha256(b"\1" + pair[0] + pair[1]).digest() if len(pair) == 2 else pair[0] for pair in pairs]
        return level[0]

    for count in range(1, 20):
        leaves = [str(number).encode() for number in range(count)]
        assert merkle_root(leaves) == plain(leaves).hex()
    assert merkle_root([]) == hashlib.sha256(b"").hexdigest()
