"""How a run ended, as the ledger keeps it: items of before details had a version still read, those of a later one do not."""

from __future__ import annotations

import pytest

from ingest.errors import LedgerError
from ingest.ledger.detail import MAX_DETAIL_BYTES, RunDetail, RunFailure, RunResult, decode_detail, encode_detail
from ingest.ledger.items import drive_record
from ingest.ledger.states import DriveState
from tests.unit.ingest.ingest_fakes import DRIVE

FINISHED = RunResult(snapshot_id=7, scenes=5, records=1, warnings=("CMP004",))
FAILED = RunFailure(error="no space left", receive_count=2)


@pytest.mark.parametrize("detail", [FINISHED, FAILED, RunResult(), RunFailure(error="")])
def test_what_is_written_is_what_is_read(detail: RunDetail) -> None:
    assert decode_detail(encode_detail(detail), DRIVE) == detail


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ('{"records":1,"scenes":5,"snapshot_id":7,"warnings":["CMP004"]}', FINISHED),
        ('{"records":null,"scenes":null,"snapshot_id":null}', RunResult()),
        ('{"error":"no space left","receive_count":2}', FAILED),
        ("{}", RunResult()),
    ],
)
def test_items_without_a_version_still_read(text: str, detail: RunDetail) -> None:
    assert decode_detail(text, DRIVE) == detail


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ('{"version":2,"scenes":[],"more":{}}', "of version 2; this code reads version 1"),
        ('{"version":"2"}', "cannot be read"),
        ('{"scenes":5,"rule_ids":[]}', "unknown field `rule_ids`"),
        ('{"error":"no space left","scenes":5}', "unknown field `scenes`"),
        ('{"scenes":"many"}', "Expected `int | null`"),
        ("[]", "cannot be read"),
        ("{", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_drive_and_the_reason(text: str, stated: str) -> None:
    with pytest.raises(LedgerError) as caught:
        decode_detail(text, DRIVE)
    assert str(DRIVE) in str(caught.value)
    assert stated in str(caught.value)
    assert caught.value.hint


def test_a_detail_has_a_size() -> None:
    with pytest.raises(LedgerError, match=f"exceeds {MAX_DETAIL_BYTES}"):
        encode_detail(RunResult(warnings=("x" * 70_000,)))


def test_a_detail_of_a_newer_release_does_not_hide_its_drive() -> None:
    """Registration, the sweep and the metrics read drives without it; whoever asks for it is told."""
    item = {"pk": str(DRIVE), "drive_state": "published", "detail": '{"version": 99}'}
    item |= dict.fromkeys(("generation", "changes", "created_ns", "updated_ns", "changed_ns"), 1)
    record = drive_record(item)
    assert (record.drive, record.state) == (DRIVE, DriveState.PUBLISHED)
    with pytest.raises(LedgerError, match="is of version 99"):
        _ = record.detail
