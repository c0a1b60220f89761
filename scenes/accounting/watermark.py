"""The signed statement that every drive balanced, up to which commit and time: where the next audit may begin (ADR 0042)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from lake.errors import AbsentError
from lake.storage import ObjectStore, ObjectVersion
from scenes.accounting.tally import AuditResultDocument
from scenes.errors import WatermarkError
from sensors.time_units import NS_PER_DAY

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from lake.tables.pinned import PinnedTables

VERSION = 1
MAX_BYTES = 1024 * 1024
MOST_DAYS = 30  # that a watermark may be from the last audit of everything
FEWEST_KEY_CHARACTERS = 16
KEY = "audit/watermark.json"
_DOMAIN = b"scenelake.audit.watermark\n"
_EVERYTHING = "run `scenelake audit --all`: it looks at everything, and signs a new one"


class TablePosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table after one of its commits: its identity, the sequence number of that commit, which only grows, and its snapshot.

    A table that is put back counts on from an earlier number, and comes by the same number again with another snapshot.
    """

    uuid: str
    sequence: int
    snapshot_id: int | None = None


class Watermark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every drive that any source knew balanced, as of `as_of_ns` and the commits in `tables`.

    `full_ns`: the time of the last audit of everything that it rests on; `drives`: how many drives that one
    looked at. `open_drives` had objects that were just arriving: nothing was said of those, so the next audit looks at them.
    `previous`: SHA-256 of the watermark before. `mac`: HMAC-SHA-256 over all else, hex.
    """

    version: int = VERSION
    as_of_ns: int
    tables: dict[str, TablePosition]
    full_ns: int
    drives: int
    open_drives: tuple[str, ...]
    signed_by: str
    previous: str | None
    mac: str = ""


@dataclass(frozen=True, slots=True)
class WatermarkStore:
    """The watermark in the lake bucket. `secret`: what it is signed with; only auditors have it."""

    store: ObjectStore
    bucket: str
    secret: str

    def __post_init__(self) -> None:
        if len(self.secret) < FEWEST_KEY_CHARACTERS:
            raise WatermarkError(
                f"the audit key has {len(self.secret)} characters; at least {FEWEST_KEY_CHARACTERS} are needed",
                "set SCENELAKE_AUDIT_KEY to a random secret, e.g. from `openssl rand -hex 32`",
            )

    @property
    def target(self) -> ObjectVersion:
        """Where it is."""
        return ObjectVersion(self.bucket, KEY)

    def read(self) -> Watermark | None:
        """The watermark; None if nothing has been signed off yet.

        Raises:
            WatermarkError: It was not signed with this key, is damaged, or of another version.
        """
        body = self._body()
        if body is None:
            return None
        try:
            found = msgspec.json.decode(body, type=Watermark)
        except msgspec.DecodeError as error:
            raise WatermarkError(f"{self.target.uri} is damaged: {error}", _EVERYTHING) from error
        if found.version != VERSION:
            raise WatermarkError(f"{self.target.uri} has the version {found.version}, this code reads {VERSION}", _EVERYTHING)
        if not hmac.compare_digest(found.mac, self._mac(found)):
            raise WatermarkError(
                f"{self.target.uri} was not signed with this deployment's audit key: it is forged, or the key has changed",
                _EVERYTHING,
            )
        return found

    def sign(self, result: AuditResultDocument, tables: PinnedTables, signed_by: str, since: Watermark | None) -> Watermark:
        """Sign and write the statement that everything balances.

        Args:
            result: The audit. It began when `tables` were pinned, or later.
            tables: The tables as they were before the audit looked at anything.
            signed_by: Who ran it.
            since: The watermark that the audit began at; None if it looked at everything.

        Raises:
            WatermarkError: The audit does not balance, or too many objects were arriving to name their drives.
        """
        if not result.can_be_signed:
            raise WatermarkError(
                "only an audit that balances, of a lake in which few objects are just arriving, can be signed off"
            )
        before = self._body()
        unsigned = Watermark(
            as_of_ns=result.as_of_ns,
            tables=positions(tables),
            full_ns=result.as_of_ns if since is None else since.full_ns,
            drives=result.drives if since is None else since.drives,
            open_drives=result.open_drives,
            signed_by=signed_by,
            previous=None if before is None else hashlib.sha256(before).hexdigest(),
        )
        signed = msgspec.structs.replace(unsigned, mac=self._mac(unsigned))
        self.store.put(self.target, msgspec.json.encode(signed, order="sorted"))
        return signed

    def _body(self) -> bytes | None:
        try:
            return self.store.read(self.target, limit=MAX_BYTES)
        except AbsentError:
            return None

    def _mac(self, watermark: Watermark) -> str:
        body = msgspec.json.encode(msgspec.structs.replace(watermark, mac=""), order="sorted")
        return hmac.new(self.secret.encode(), _DOMAIN + body, hashlib.sha256).hexdigest()


def positions(tables: PinnedTables) -> dict[str, TablePosition]:
    """Where the tables stand."""
    found = {name: tables.load_table(name) for name in tables.pointers} if tables else {}
    return {
        name: TablePosition(str(table.metadata.table_uuid), sequence_of(table), table.metadata.current_snapshot_id)
        for name, table in found.items()
    }


def sequence_of(table: Table) -> int:
    """The sequence number of the commit that a table shows; 0 before the first."""
    snapshot = table.current_snapshot()
    return 0 if snapshot is None else snapshot.sequence_number or 0


def check_current(watermark: Watermark, tables: PinnedTables, now_ns: int) -> None:
    """Refuse a watermark from which nothing follows about the lake as it is now.

    Raises:
        WatermarkError: A table is not the one that was audited, or was put back to a commit before that; the watermark is from
            the future; or the last audit of everything is too long ago.
    """
    current = positions(tables)
    for name, was in watermark.tables.items():
        now = current.get(name)
        if now is None or now.uuid != was.uuid:
            raise WatermarkError(f"the watermark is stale: {name} is not the table that was signed off", _EVERYTHING)
        if now.sequence < was.sequence:
            raise WatermarkError(
                f"the watermark is stale: {name} is at commit {now.sequence}, before commit {was.sequence} that was signed off",
                _EVERYTHING,
            )
        snapshots = tables.load_table(name).metadata.snapshots
        same = [one.snapshot_id for one in snapshots if one.sequence_number == was.sequence]  # none, if it has expired
        if was.snapshot_id is not None and same and was.snapshot_id not in same:
            raise WatermarkError(
                f"the watermark is stale: commit {was.sequence} of {name} is another one than was signed off; it was put back",
                _EVERYTHING,
            )
    if watermark.as_of_ns > now_ns:
        raise WatermarkError("the watermark was signed off at a time that has not come yet: check the clock", _EVERYTHING)
    days = (now_ns - watermark.full_ns) // NS_PER_DAY
    if days > MOST_DAYS:
        raise WatermarkError(
            f"the watermark is stale: everything was last looked at {days} days ago, at most {MOST_DAYS} are allowed", _EVERYTHING
        )
