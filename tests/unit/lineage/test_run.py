from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from openlineage.client.event_v2 import RunEvent, RunState
from openlineage.client.serde import Serde

from lake.errors import LakeError
from lineage.datasets import Statistics, output_dataset
from lineage.emitter import Emitter
from lineage.events import RunContext
from lineage.names import iceberg_table, job, s3_object
from lineage.parent import RunRef
from lineage.run import job_run

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
PARENT = RunRef("airflow", "process_drive.audit", "11111111-1111-7111-8111-111111111111")


class Keeping:
    def __init__(self) -> None:
        self.events: list[RunEvent] = []

    def emit(self, event: RunEvent) -> None:
        self.events.append(event)

    def close(self, timeout: float) -> bool:
        return True

    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(Serde.to_json(event)) for event in self.events]


@pytest.fixture
def kept() -> Keeping:
    return Keeping()


def test_start_and_complete(kept: Keeping, ticking: Callable[[], int]) -> None:
    with job_run(Emitter(kept), RunContext(job("audit"), RUN_ID, PARENT), now=ticking) as run:
        assert [event.eventType for event in kept.events] == [RunState.START]
        run.outputs.append(output_dataset(s3_object("lake", "work/x"), statistics=Statistics(3)))
    start, complete = kept.documents()
    assert (start["eventTime"], complete["eventTime"]) == ("2026-11-20T12:00:00.000000Z", "2026-11-20T12:00:01.000000Z")
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"] == RUN_ID
    assert start["run"]["facets"]["parent"]["run"]["runId"] == PARENT.run_id
    assert start["outputs"] == []
    assert complete["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert "errorMessage" not in complete["run"]["facets"]


def test_fail_tells_why_and_passes_the_error_on(kept: Keeping, ticking: Callable[[], int]) -> None:
    with (
        pytest.raises(LakeError, match="no bucket"),
        job_run(Emitter(kept), RunContext(job("audit"), RUN_ID), now=ticking),
    ):
        raise LakeError("no bucket")
    start, fail = kept.documents()
    assert (start["eventType"], fail["eventType"]) == ("START", "FAIL")
    facet = fail["run"]["facets"]["errorMessage"]
    assert (facet["message"], facet["programmingLanguage"]) == ("LakeError: no bucket", "PYTHON")
    assert 'raise LakeError("no bucket")' in facet["stackTrace"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_interrupt_aborts(kept: Keeping, ticking: Callable[[], int], interrupt: type[BaseException]) -> None:
    with pytest.raises(interrupt), job_run(Emitter(kept), RunContext(job("audit"), RUN_ID), now=ticking):
        raise interrupt
    assert [event.eventType for event in kept.events] == [RunState.START, RunState.ABORT]


def test_each_run_gets_an_id_of_its_own(kept: Keeping) -> None:
    ids = []
    for _ in range(2):
        with job_run(Emitter(kept), RunContext(job("audit"))) as run:
            ids.append(run.run_id)
    assert len({UUID(identity) for identity in ids}) == 2
    assert [document["run"]["runId"] for document in kept.documents()] == [ids[0], ids[0], ids[1], ids[1]]


def test_lineage_that_cannot_be_built_harms_nothing(kept: Keeping, caplog: pytest.LogCaptureFixture) -> None:
    done = []
    with job_run(Emitter(kept), RunContext(job("audit"), "no uuid")) as run:
        run.outputs.append(output_dataset(iceberg_table("s3://lake/warehouse", "gold.scenes")))
        done.append(run.run_id)
    assert done == ["no uuid"]
    assert kept.events == []
    assert [record.getMessage() for record in caplog.records] == [
        "the START event of scenelake/audit could not be built",
        "the COMPLETE event of scenelake/audit could not be built",
    ]
