"""How the last run of a drive ended: the attribute `detail` of the drive's ledger item, as JSON.

Raise `VERSION` when a field changes its meaning or a new one must not be ignored. It is decoded only where it is needed, so a
release that cannot read it still registers, queues and sweeps the drive. An item without a version was written before details
had one, and is of version 1.
"""

from __future__ import annotations

import msgspec

from ingest.errors import LedgerError
from lake.landing import DriveId

VERSION = 1
MAX_DETAIL_BYTES = 64 * 1024  # an item holds 400 KB
_HINT = "an older release cannot read what a newer one wrote: deploy the newer one here, too"


class RunResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that finished: the snapshot that it committed, its rows, and the rules that flagged the drive (`warnings`)."""

    version: int = VERSION
    snapshot_id: int | None = None
    scenes: int | None = None
    records: int | None = None
    warnings: tuple[str, ...] = ()


class RunFailure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that failed: why, and how often its message had been delivered."""

    version: int = VERSION
    error: str
    receive_count: int | None = None


RunDetail = RunResult | RunFailure


class _Head(msgspec.Struct):
    version: int = VERSION
    error: str | None = None


def encode_detail(detail: RunDetail) -> str:
    """A detail as JSON.

    Raises:
        LedgerError: It exceeds 64 KiB.
    """
    body = msgspec.json.encode(detail)
    if len(body) > MAX_DETAIL_BYTES:
        raise LedgerError(f"detail of {len(body)} bytes exceeds {MAX_DETAIL_BYTES}; store long lists in the tables")
    return body.decode()


def decode_detail(text: str, drive: DriveId) -> RunDetail:
    """Read what `encode_detail` wrote of `drive`.

    Raises:
        LedgerError: Another version, no JSON, or a missing, unknown or wrong field.
    """
    try:
        head = msgspec.json.decode(text, type=_Head)
        if head.version != VERSION:
            stated = f"the detail of {drive} in the ledger is of version {head.version}; this code reads version {VERSION}"
            raise LedgerError(stated, hint=_HINT)
        if head.error is None:
            return msgspec.json.decode(text, type=RunResult)
        return msgspec.json.decode(text, type=RunFailure)
    except msgspec.MsgspecError as error:
        raise LedgerError(f"the detail of {drive} in the ledger cannot be read: {error}", hint=_HINT) from error
