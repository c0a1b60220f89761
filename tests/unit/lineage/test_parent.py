from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.parent import PARENT_VARIABLE, ROOT_VARIABLE, RunRef, parse_run, stated_run

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
words = st.text(alphabet="abcXYZ019._-", min_size=1).filter(str.strip)


@given(st.lists(words, min_size=1, max_size=3).map("/".join), words, st.uuids().map(str))
def test_round_trip(namespace: str, job_name: str, run_id: str) -> None:
    reference = RunRef(namespace, job_name, run_id)
    assert parse_run(str(reference)) == reference


def test_parent_and_root_are_read_as_the_scheduler_writes_them() -> None:
    parent = stated_run(f"airflow/process_drive.inspect/{RUN_ID}", PARENT_VARIABLE)
    assert parent == RunRef("airflow", "process_drive.inspect", RUN_ID)
    assert stated_run(f"airflow/process_drive/{RUN_ID.upper()}", ROOT_VARIABLE) == RunRef("airflow", "process_drive", RUN_ID)


@pytest.mark.parametrize("text", [None, ""])
def test_absent(text: str | None, caplog: pytest.LogCaptureFixture) -> None:
    assert stated_run(text, PARENT_VARIABLE) is None
    assert caplog.records == []


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "a/b",
        f"job/{RUN_ID}",
        f"a//{RUN_ID}",
        f"/b/{RUN_ID}",
        f" /b/{RUN_ID}",
        "a/b/not-a-uuid",
        f"a/b/{RUN_ID}/",
        "a/" * 2000,
    ],
)
def test_malformed_is_ignored_with_a_warning(text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert stated_run(text, PARENT_VARIABLE) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert PARENT_VARIABLE in record.getMessage()
