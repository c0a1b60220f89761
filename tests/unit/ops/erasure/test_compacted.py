"""Forgetting a drive whose rows maintenance has merged with those of others, in versions from before and after."""

from __future__ import annotations

import pytest

from lake.maintenance.compact import MergeOutcome, compact
from lake.maintenance.compaction_plan import plan
from lake.maintenance.manifests import merge_row_files
from lake.maintenance.merge_sizes import Sizes
from lake.maintenance.metadata import merge_metadata
from lake.tables.compactions import COMPACTIONS_TABLE
from lake.tables.drives import DRIVES_TABLE
from lake.tables.schemas import PUBLISHED
from lake.versions.recalls import EXCLUDE, RecallRow, exclude, recall_rows
from tests.unit.ops.erasure.erasure_world import DRIVE, NEIGHBOUR, Deployed
from tests.unit.ops.erasure.test_forget import forget, mentions, said

pytestmark = pytest.mark.timeout(900)  # a thousand calls of services that run in this process
SIZES = Sizes(10**6, 4 * 10**6, 10**6)
REFS = ("main", "run-before", "run-after")


def merge(deployed: Deployed) -> None:
    catalog = deployed.catalog()
    done = [compact(catalog, job, SIZES) for job in plan(catalog, SIZES).jobs]
    assert {one.outcome for one in done} == {MergeOutcome.COMPACTED}, [one.reason for one in done]
    assert {(one.job.table, one.job.drive) for one in done} == {
        ("gold.scenes", DRIVE.drive_id),
        ("gold.scenes", NEIGHBOUR.drive_id),
        ("gold.frames", None),
        ("quarantine.records", None),
    }
    for name in (DRIVES_TABLE, COMPACTIONS_TABLE):  # a row that names a drive in a URI lies beside others then
        assert merge_row_files(catalog, name, 2).after == 1
    merge_metadata(catalog, apply=True)


def recalled(deployed: Deployed) -> None:
    rows = [
        RecallRow(
            recall_id="r-1",
            kind=EXCLUDE,
            vehicle_id=drive.vehicle_id,
            drive_id=drive.drive_id,
            criteria="vehicle veh-1",
            reason="a lens was dirty",
            person="ada",
            recorded_ns=1,
        )
        for drive in (DRIVE, NEIGHBOUR)
    ]
    exclude(deployed.catalog(), rows)


def names(deployed: Deployed, table: str) -> set[str]:
    return {task.file.file_path for task in deployed.catalog().load_table(table).scan().plan_files()}


def test_nothing_is_left_of_a_drive_that_was_merged_with_others(deployed: Deployed) -> None:
    deployed.scenes_in_file = 1
    for drive in (NEIGHBOUR, DRIVE):
        deployed.land(drive)
        deployed.process(drive, (10, 20))
    recalled(deployed)
    deployed.tag("run-before")
    merge(deployed)
    deployed.tag("run-after")
    deployed.again(NEIGHBOUR)
    deployed.process(NEIGHBOUR, (10, 20, 30))
    assert any(f"/data/{DRIVE}/compacted-" in uri for uri in names(deployed, "gold.scenes")), "its name is in URIs"
    assert str(DRIVE) in str(deployed.catalog().load_table("gold.compactions").scan().to_arrow().to_pylist())
    before = {ref: deployed.rows(NEIGHBOUR, ref) for ref in REFS}
    assert [len(rows["gold.scenes"]) for rows in before.values()] == [3, 2, 2]

    outcome = forget(deployed)

    assert outcome.found.clean, outcome.found
    assert mentions(deployed, DRIVE.drive_id, but=NEIGHBOUR.drive_id) == []
    assert {ref: deployed.rows(NEIGHBOUR, ref) for ref in REFS} == before
    assert [row.drive for row in recall_rows(deployed.catalog())] == [NEIGHBOUR]
    compactions = deployed.catalog().load_table("gold.compactions").scan().to_arrow().to_pylist()
    assert sorted(row["table"] for row in compactions) == ["gold.frames", "gold.scenes", "quarantine.records"]
    counted = said(outcome)["predicate"]["before"]["rows"]
    assert counted == {
        "gold.scenes": 2,
        "gold.frames": 2,
        "quarantine.records": 1,
        "gold.drives": 1,
        "gold.recalls": 1,
        "gold.compactions": 1,
    }
    assert counted.keys() == PUBLISHED.keys()
