from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.parent import PARENT_VARIABLE, ROOT_VARIABLE, RunRef, parent_run, parse_run, root_run

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
words = st.text(alphabet="abcXYZ019._-", min_size=1).filter(str.strip)


@given(st.lists(words, min_size=1, max_size=3).map("/".join), words, st.uuids().map(str))
def test_round_trip(namespace: str, job_name: str, run_id: str) -> None:
    reference = RunRef(namespace, job_name, run_id)
    assert parse_run(str(reference)) == reference


def test_parent_and_root_come_from_their_own_variables() -> None:
    env = {PARENT_VARIABLE: f"airflow/process_drive.inspect/{RUN_ID}", ROOT_VARIABLE: f"airflow/process_drive/{RUN_ID.upper()}"}
    assert parent_run(env) == RunRef("airflow", "process_drive.inspect", RUN_ID)
    assert root_run(env) == RunRef("airflow", "process_drive", RUN_ID)


@pytest.mark.parametrize("env", [{}, {PARENT_VARIABLE: ""}])
def test_absent(env: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    assert parent_run(env) is None
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
    assert parent_run({PARENT_VARIABLE: text}) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert PARENT_VARIABLE in record.getMessage()
