"""Names that stand in for a forgotten drive: HMAC-SHA-256 under a salt of the deployment.

Whoever knows the drive's name and the salt can tell that it was forgotten; the name cannot be read from the pseudonym. It can be
guessed by whoever reads the salt, so this is no anonymity: the salt is kept where the tombstones are.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from lake.landing import DriveId


def new_salt() -> str:
    """256 random bits, hex."""
    return secrets.token_hex(32)


def of_drive(salt: str, drive: DriveId) -> str:
    """The pseudonym of a drive, hex."""
    return _of(salt, str(drive))


def of_object(salt: str, key: str, version_id: str) -> str:
    """The pseudonym of one version of an object, hex. No version id holds a line feed, so no two versions share a message."""
    return _of(salt, f"{version_id}\n{key}")


def _of(salt: str, name: str) -> str:
    return hmac.new(bytes.fromhex(salt), name.encode(), hashlib.sha256).hexdigest()
