from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import WorkError
from ingest.ledger.work_message import DriveWork, WorkReason
from lake.landing import DriveId

WORK = DriveWork(DriveId("car", "drive"), "0f" * 32, WorkReason.COMPLETE)
IDS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)


REVISIONS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)


@given(st.builds(DriveWork, st.builds(DriveId, IDS, IDS), REVISIONS, st.sampled_from(WorkReason)))
def test_reads_back_what_it_writes(work: DriveWork) -> None:
    assert DriveWork.parse(work.to_message()) == work


def test_golden_message() -> None:
    assert json.loads(WORK.to_message()) == {
        "schema_version": 1,
        "vehicle_id": "car",
        "drive_id": "drive",
        "revision": "0f" * 32,
        "reason": "complete",
    }


def altered(**changes: object) -> str:
    return json.dumps(json.loads(WORK.to_message()) | changes)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("", "not JSON"),
        ("[" * 2000, "not JSON"),
        ("x" * 5000, "exceeds 4096"),
        ("[]", "exactly the fields"),
        ("{}", "exactly the fields"),
        (altered(more=1), "exactly the fields"),
        (altered(schema_version=2), "schema version 2"),
        (altered(schema_version=True), "schema version True"),
        (altered(vehicle_id="../x"), "vehicle id"),
        (altered(drive_id=3), "must be strings"),
        (altered(revision="abc"), "64 hexadecimal"),
        (altered(reason="whim"), "whim"),
    ],
)
def test_anything_else_is_refused(body: str, cause: str) -> None:
    with pytest.raises(WorkError, match=cause):
        DriveWork.parse(body)
