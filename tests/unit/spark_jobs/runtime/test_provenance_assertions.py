"""The assertions of a run's event: one for each rule and sensor, with its severity; unknown is not a success."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bench.folder_settings import SETTINGS
from lake.drive_input import DriveInput
from lineage.events import RunContext
from lineage.names import job
from lineage.run import JobRun
from quality.tables.results import RuleResult
from spark_jobs.runtime.provenance import TracedRun
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import MS, T0, Landed, cloud, image, rig_document, sensor

STAMPS = [T0 + n * 100 * MS for n in range(4)]
RIG = rig_document(sensor("top", "lidar", required=True), sensor("cam", "camera"))


@pytest.fixture
def landed() -> Landed:
    landed = Landed()
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in STAMPS])
    landed.land("cam", "camera", [(ns, image(ns, cut=ns == STAMPS[2])) for ns in STAMPS])
    return landed


def assertions(drive_input: DriveInput, results: Sequence[RuleResult]) -> dict[tuple[str, str | None], Any]:
    run = JobRun(RunContext(job=job("audit"), run_id="00000000-0000-0000-0000-000000000000"))
    TracedRun(run, SETTINGS, drive_input).reads_raw(1, results)
    facets = run.inputs[0].inputFacets or {}
    return {(entry.assertion, entry.column): entry for entry in facets["dataQualityAssertions"].assertions}  # type: ignore[attr-defined]


def test_inspection_and_audit_tell_every_rule(landed: Landed) -> None:
    drive_input = landed.finish(RIG, STAMPS[-1])
    found = assertions(drive_input, serial_jobs.inspect(landed, drive_input).results)
    assert (found["CLK001", "top"].success, found["CLK001", "top"].severity) == (True, "error")
    assert (found["CLK001", "cam"].success, found["CLK001", "cam"].severity) == (True, "warn")
    assert found["DEC001", "cam"].success is True
    assert found["CAL001", None].success is True
    serial_jobs.build(landed, drive_input)
    found = assertions(drive_input, serial_jobs.audit(landed, drive_input).results)
    cut = found["DEC005", "cam"]
    assert (cut.success, cut.severity, cut.actual, cut.expected) == (False, "error", "1", "0")
    assert cut.description.startswith("1 times, first: cam: the image does not decode")
    assert (found["POS001", None].success, found["POS001", None].severity) == (False, "warn")
    assert (found["SYN001", None].success, found["SYN001", None].severity) == (True, "error")
    assert found["ACC001", None].success is True


def test_a_rule_that_could_not_be_evaluated_is_not_a_success(landed: Landed) -> None:
    drive_input = landed.finish(RIG, STAMPS[-1], with_manifest=False)
    found = assertions(drive_input, serial_jobs.inspect(landed, drive_input).results)
    assert (found["CMP002", None].success, found["CMP002", None].actual) == (False, "0")
    coverage = found["CMP005", "cam"]
    assert (coverage.success, coverage.actual) == (False, None)


def test_each_table_is_told_at_the_snapshot_of_its_own(landed: Landed) -> None:
    run = JobRun(RunContext(job=job("publish"), run_id="00000000-0000-0000-0000-000000000000"))
    traced = TracedRun(run, SETTINGS, landed.finish(RIG, STAMPS[-1]))
    traced.published({"gold.scenes": 11, "gold.frames": 22}, {"gold.scenes": 3, "gold.frames": 9, "quarantine.records": 0})
    versions = {output.name: (output.facets or {})["version"].datasetVersion for output in run.outputs}  # type: ignore[attr-defined]
    assert sorted(versions.values()) == ["11", "22"]
    assert next(version for name, version in versions.items() if "frames" in name) == "22"
