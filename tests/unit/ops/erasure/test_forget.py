"""Forgetting a drive, from its tombstone to its certificate, in a deployment where it left traces everywhere."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.landing import DriveId
from ops.erasure.forget import ErasureOutcome
from tests.unit.ingest.ingest_fakes import drive_files
from tests.unit.ops.erasure.erasure_world import BASIS, DRIVE, NEIGHBOUR, REQUEST, TWIN, Deployed, payload

pytestmark = pytest.mark.timeout(900)  # a thousand calls of services that run in this process


def populate(deployed: Deployed, *others: DriveId) -> None:
    for number, drive in enumerate((*others, DRIVE)):
        deployed.land(drive, times=2)
        deployed.process(drive, (10, 20, 30))
        deployed.tag(f"run-{number}")
    deployed.again(DRIVE)
    deployed.process(DRIVE, (10, 20))
    for drive in others:
        deployed.again(drive)
        deployed.process(drive, (40,))
    deployed.traces(DRIVE)


def forget(deployed: Deployed, drive: DriveId = DRIVE, request: str = REQUEST) -> ErasureOutcome:
    erasure = deployed.erasure(drive)
    for _, step in erasure.steps(request, BASIS):
        step()
    return erasure.certify(request, None, deep=True)


def said(outcome: ErasureOutcome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(outcome.certificate["payload"]))
    return found


def decoded(body: bytes) -> Iterator[bytes]:
    """Bytes, and all that they hold when they are unpacked; nothing of the project's own decoders."""
    yield body
    if body.startswith(b"\x1f\x8b"):
        yield gzip.decompress(body)
    if body.startswith(b"Obj\x01"):
        for block in body.split(body[-16:]):
            for start in range(min(12, len(block))):
                try:
                    yield zlib.decompressobj(-15).decompress(block[start:])
                except zlib.error:
                    continue
    if body.startswith(b"PAR1"):
        file = pq.ParquetFile(pa.BufferReader(body))
        yield repr(file.metadata.metadata).encode()
        yield repr(file.read().to_pylist()).encode()


def mentions(deployed: Deployed, name: str, but: str = "") -> list[str]:
    """Everything in buckets, ledger and queues that holds the name; `but`: a longer name that holds it, too, and may be there."""

    def holds(text: str | bytes) -> bool:
        body = text.encode() if isinstance(text, str) else text
        return name.encode() in (body.replace(but.encode(), b"") if but else body)

    found = []
    for (bucket, key, _), body in deployed.everything().items():
        if holds(key) or any(map(holds, decoded(body))):
            found.append(f"{bucket}/{key}")
    found += [f"upload {key}" for key in deployed.uploads() if holds(key)]
    found += [f"item {item}" for item in deployed.items() if holds(json.dumps(item))]
    for url in deployed.queues.values():
        for queue in (url, f"{url}-dead"):
            answer = deployed.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
            found += [f"message {one['Body']}" for one in answer.get("Messages", ()) if holds(one["Body"])]
    return found


def test_nothing_of_the_drive_is_left_and_its_neighbour_is_untouched(deployed: Deployed) -> None:
    populate(deployed, NEIGHBOUR)
    found = mentions(deployed, DRIVE.drive_id)
    places = {one.split("/")[0] + "/" + one.split("/")[1] for one in found if not one.startswith(("upload", "item", "message"))}
    assert len(places) > 8 and any(one.startswith("item") for one in found) and any(one.startswith("message") for one in found)
    neighbours = {key: body for key, body in deployed.everything().items() if f"{NEIGHBOUR}/" in key[1]}
    rows = {ref: deployed.rows(NEIGHBOUR, ref) for ref in ("main", "run-0", "run-1")}
    items = [item for item in deployed.items() if item["pk"]["S"] == str(NEIGHBOUR)]

    outcome = forget(deployed)

    assert outcome.found.clean, outcome.found
    assert mentions(deployed, DRIVE.drive_id, but=NEIGHBOUR.drive_id) == []
    assert {key: body for key, body in deployed.everything().items() if f"{NEIGHBOUR}/" in key[1]} == neighbours
    assert {ref: deployed.rows(NEIGHBOUR, ref) for ref in rows} == rows
    assert [item for item in deployed.items() if item["pk"]["S"] == str(NEIGHBOUR)] == items


def test_no_bytes_of_it_are_left(deployed: Deployed) -> None:
    populate(deployed)
    forget(deployed)
    raw = {hashlib.sha256(body).digest() for body in drive_files(DRIVE).values()}
    for key, body in deployed.everything().items():
        assert hashlib.sha256(body).digest() not in raw, key
        assert all(payload(DRIVE, anchor) not in one for anchor in (5, 6, 10, 20, 30) for one in decoded(body)), key
    assert mentions(deployed, DRIVE.drive_id) == []


def test_another_vehicles_drive_of_the_same_name_stays(deployed: Deployed) -> None:
    populate(deployed, TWIN)
    twins = {key: body for key, body in deployed.everything().items() if f"{TWIN}/" in key[1]}
    rows = deployed.rows(TWIN)
    outcome = forget(deployed)
    assert outcome.found.clean, outcome.found
    assert {key: body for key, body in deployed.everything().items() if f"{TWIN}/" in key[1]} == twins
    assert deployed.rows(TWIN) == rows
    assert deployed.ledger().drive(TWIN) is not None


def test_the_certificate_says_what_there_was_and_does_not_name_the_drive(deployed: Deployed) -> None:
    populate(deployed, NEIGHBOUR)
    outcome = forget(deployed)
    text = json.dumps(said(outcome))
    assert DRIVE.drive_id not in text and DRIVE.vehicle_id not in text
    predicate = said(outcome)["predicate"]
    assert (predicate["request"], predicate["basis"]) == (REQUEST, BASIS)
    assert predicate["before"]["rows"] == {
        "gold.scenes": 2,
        "gold.frames": 2,
        "quarantine.records": 1,
        "gold.drives": 2,
        "gold.recalls": 0,
        "gold.compactions": 0,
    }
    assert predicate["before"]["places"]["raw"]["versions"] == 2 * len(drive_files()) + 2
    assert predicate["before"]["uploads"] == 1 and predicate["before"]["dead_letters"] == 2
    assert {(one["table"], one["ref"]) for one in predicate["successors"]} >= {
        ("gold.scenes", "run-1"),
        ("gold.scenes", "main"),
    }
    assert predicate["after"]["clean"] and predicate["after"]["left"] == 0
    begun = "publications and maintenance that had begun"
    assert {one["what"] for one in predicate["exceptions"]} >= {"models", begun}
    deployed.clock.advance(13 * 3600)
    later = said(deployed.erasure().certify(REQUEST, None, deep=False))["predicate"]
    assert begun not in {one["what"] for one in later["exceptions"]}
    assert outcome.certificate["signatures"] == []
