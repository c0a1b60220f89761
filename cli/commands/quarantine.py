"""`quarantine ls`, `quarantine show`: what was kept out of gold, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from cli import console, deployment
from cli.commands.arguments import DriveFilter, drive_filter
from cli.deployment import DEFAULT_HOME, EndpointOption, HomeOption, JsonOption
from cli.errors import NotFoundError

app = typer.Typer(no_args_is_help=True, help="Look at what was kept out of gold, and why.")
REFUSED = "refused"


@app.command(
    "ls", epilog="Example:  `scenelake quarantine ls --drive veh-1/drive-b`  ·  `scenelake quarantine ls --rule DEC005 --json`"
)
def ls(
    drive: DriveFilter = None,
    rule: Annotated[str | None, typer.Option("--rule", metavar="CODE", help="Only records that name this rule.")] = None,
    level: Annotated[
        str | None, typer.Option("--level", metavar="LEVEL", help="Only `object`, `drive`, `scene` or `refused`.")
    ] = None,
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the quarantine records: what each is about, the rules that it failed, and how many frames it keeps out of gold.

    Objects with a key outside the landing layout were refused before anything of them was read; they are listed with
    the level `refused`.
    """
    rows = [row for row in _records(endpoint, home, drive) if _wanted(row, rule, level)]
    if as_json:
        console.print_json(rows)
        return
    cells = [
        (
            row["record_id"][:12],
            row["level"],
            _subject(row),
            row["sensor"] or "",
            ", ".join(row["rule_ids"]),
            row["frames"],
            row["status"],
            _first(row),
        )
        for row in rows
    ]
    columns = ("record", "level", "what", "sensor", "rules", "frames", "status", "measured")
    console.out().print(console.table(None, columns, cells, ("frames",)))
    console.say(f"{len(rows)} records, {sum(row['frames'] for row in rows)} frames kept out of gold" if rows else "no record")


@app.command("show", epilog="Example:  `scenelake quarantine show 3f9a0c1d22ab`")
def show(
    record_id: Annotated[str, typer.Argument(metavar="RECORD_ID", help="A record's id, or the beginning of it.")],
    endpoint: EndpointOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one quarantine record: every rule that it failed with the measured value and the threshold, where in the raw
    bucket the data lies, and where its copy is kept.
    """
    found = [row for row in _records(endpoint, home, None) if row["record_id"].startswith(record_id)]
    if len(found) != 1:
        cause = f"{len(found)} records begin with {record_id!r}" if found else f"there is no quarantine record {record_id!r}"
        raise NotFoundError(cause, "`scenelake quarantine ls` lists them")
    row = found[0]
    if as_json:
        console.print_json(row)
        return
    out = console.out()
    out.print(console.table(None, ("", ""), _facts(row)))
    out.print()
    findings = [
        (entry["rule_id"], _number(entry["measured"]), _number(entry["threshold"]), entry["message"]) for entry in row["findings"]
    ]
    out.print(console.table("Findings", ("rule", "measured", "threshold", "message"), findings, ("measured", "threshold")))


def _records(endpoint: str | None, home: Any, drive: str | None) -> list[dict[str, Any]]:
    from cli import lake_reader

    chosen = drive_filter(drive)
    settings = deployment.enter(endpoint, home)
    rows = lake_reader.records(deployment.catalog(settings), chosen)
    if chosen is None:
        rows += [refused_row(entry) for entry in deployment.ledger(settings).refused()]
    return rows


def refused_row(entry: Any) -> dict[str, Any]:
    """A refused object of the ledger in the form of a record. Its id is derived from key and version."""
    from lake.documents import content_hash

    finding = {"rule_id": entry.rule_id, "measured": None, "threshold": None, "message": entry.message}
    return {
        "record_id": content_hash({"key": entry.head.key, "version_id": entry.head.version_id}),
        "level": REFUSED,
        "vehicle_id": None,
        "drive_id": None,
        "revision": None,
        "sensor": None,
        "anchor_ns": None,
        "stamp_ns": None,
        "rule_ids": [entry.rule_id],
        "findings": [finding],
        "source": {"key": entry.head.key, "version_id": entry.head.version_id, "offset": None},
        "payload_uri": entry.payload_uri,
        "frames": 0,
        "status": REFUSED,
    }


def _wanted(row: Mapping[str, Any], rule: str | None, level: str | None) -> bool:
    return (rule is None or rule in row["rule_ids"]) and (level is None or row["level"] == level)


def _subject(row: Mapping[str, Any]) -> str:
    if row["level"] == REFUSED:
        return str(row["source"]["key"])
    drive = f"{row['vehicle_id']}/{row['drive_id']}"
    at_ns = row["anchor_ns"] if row["anchor_ns"] is not None else row["stamp_ns"]
    return drive if at_ns is None else f"{drive} {console.utc(at_ns)}"


def _first(row: Mapping[str, Any]) -> str:
    findings: Sequence[Mapping[str, Any]] = row["findings"]
    message = str(findings[0]["message"]) if findings else ""
    return message if len(message) <= 80 else message[:79] + "…"


def _facts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    source = row["source"]
    offset = "" if source["offset"] is None else f", byte {source['offset']}"
    lies = "no raw object of its own" if source["key"] is None else f"{source['key']} (version {source['version_id']}{offset})"
    return [
        ("record", row["record_id"]),
        ("level", row["level"]),
        ("about", _subject(row)),
        ("sensor", row["sensor"] or "–"),
        ("status", row["status"]),
        ("keeps out", f"{row['frames']} frames"),
        ("lies in", lies),
        ("copy", row["payload_uri"] or "none"),
    ]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"
