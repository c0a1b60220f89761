"""Quarantine records for the commands that list them, show one, or decide about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from cli import console
from cli.commands.arguments import drive_filter
from ops.errors import NotFoundError

if TYPE_CHECKING:
    from ops.deployment import Deployment
    from ops.review.listing import Row

COLUMNS = ("record", "level", "what", "sensor", "rules", "frames", "status", "measured")


def listed(target: Deployment, drive: str | None) -> list[Row]:
    """The records of a drive (VEHICLE/DRIVE), or of all; of all with the refused objects."""
    from ops.review import listing

    return listing.rows(target.catalog(), target.ledger(), drive_filter(drive))


def one_record(rows: Sequence[Row], record_id: str) -> Row:
    """The record whose id begins so.

    Raises:
        NotFoundError: There is none, or more than one.
    """
    found = [row for row in rows if row["record_id"].startswith(record_id)]
    if len(found) != 1:
        cause = f"{len(found)} records begin with {record_id!r}" if found else f"there is no quarantine record {record_id!r}"
        raise NotFoundError(cause, "`scenelake quarantine ls` lists them")
    return found[0]


def table(rows: Sequence[Mapping[str, Any]], last: Sequence[str] = ()) -> Table:
    """The records, a line each; `last` takes the place of what was measured."""
    from ops.review.page import subject

    words = last or [told(row) for row in rows]
    cells = [
        (
            row["record_id"][:12],
            row["level"],
            subject(row),
            row["sensor"] or "",
            ", ".join(row["rule_ids"]),
            row["frames"],
            row["status"],
            _short(word),
        )
        for row, word in zip(rows, words, strict=True)
    ]
    return console.table(None, COLUMNS, cells, ("frames",))


def told(row: Mapping[str, Any]) -> str:
    """Who decided about a record, and why; else the first thing that was measured."""
    if row["decision"]:
        return f"{row['decision']['reviewer']}: {row['decision']['reason']}"
    return str(row["findings"][0]["message"]) if row["findings"] else ""


def _short(words: str) -> str:
    return words if len(words) <= 80 else words[:79] + "…"
