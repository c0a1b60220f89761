"""All steps of an attempt run with the same code and configuration, or the attempt stops."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from lake.drive_input import DriveInput
from lake.errors import SettingsError
from scenes.documents import Provenance
from scenes.errors import ProvenanceError
from scenes.options import BuildOptions, PayloadChecks, PointLayout
from scenes.work_area import INSPECTION
from spark_jobs.audit import audit_drive
from spark_jobs.build_scenes import build_drive
from spark_jobs.publish import publish_drive
from spark_jobs.runtime.provenance import configuration_hash, lock_hash
from spark_jobs.runtime.settings import JobSettings
from spark_jobs.runtime.step import Step
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import MS, PROVENANCE, T0, Landed, cloud, rig_document, sensor

STAMPS = [T0 + n * 100 * MS for n in range(3)]


@pytest.fixture(scope="module")
def audited() -> tuple[Landed, DriveInput]:
    landed = Landed()
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in STAMPS])
    drive_input = landed.finish(rig_document(sensor("top", "lidar", required=True)), STAMPS[-1])
    serial_jobs.inspect(landed, drive_input)
    serial_jobs.build(landed, drive_input)
    serial_jobs.audit(landed, drive_input)
    return landed, drive_input


def run(job: str, step: Step) -> None:
    if job == "build_scenes":
        build_drive(None, step)  # type: ignore[arg-type]
    elif job == "audit":
        audit_drive(step)
    else:
        publish_drive(None, step, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("job", ["build_scenes", "audit", "publish"])
@pytest.mark.parametrize("field", Provenance.__struct_fields__)
def test_a_step_refuses_a_drive_that_something_else_inspected(audited: tuple[Landed, DriveInput], job: str, field: str) -> None:
    own = changed(PROVENANCE, **{field: "another"})
    step = replace(serial_jobs.step_of(*audited), provenance=own)
    with pytest.raises(ProvenanceError) as caught:
        run(job, step)
    inspected = getattr(PROVENANCE, field)
    assert f"{field}: inspected by {inspected}, this process has another" in str(caught.value)
    assert step.area.root.uri in str(caught.value)
    assert "from inspect" in str(caught.value.hint)


def test_rows_name_the_code_that_inspected_the_drive(audited: tuple[Landed, DriveInput]) -> None:
    (scene, *_) = serial_jobs.scenes(audited[0])
    assert (scene["code_version"], scene["config_hash"]) == (PROVENANCE.code_version, PROVENANCE.config_hash)
    assert serial_jobs.step_of(*audited).inspection().provenance == PROVENANCE
    assert audited[0].area.at(INSPECTION).uri.startswith("s3://lake/work/")


def test_the_configuration_hash_follows_the_options_and_nothing_else() -> None:
    default = configuration_hash(BuildOptions())
    assert default == configuration_hash(BuildOptions(PayloadChecks.FULL, PointLayout.PLANES))
    assert (
        len(
            {
                default,
                configuration_hash(BuildOptions(PayloadChecks.STRUCTURE)),
                configuration_hash(BuildOptions(PayloadChecks.FULL, PointLayout.ROWS)),
            }
        )
        == 3
    )


def test_the_lock_hash_is_that_of_what_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = lock_hash()
    assert own == lock_hash()
    folder = tmp_path_factory.mktemp("site")
    (folder / "another-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(folder))
    assert lock_hash() != own


DEPLOYMENT = {
    f"SCENELAKE_{name}": "x"
    for name in (
        "RAW_BUCKET",
        "LAKE_BUCKET",
        "QUARANTINE_BUCKET",
        "LEDGER_TABLE",
        "OBJECT_EVENTS_URL",
        "DRIVE_WORK_URL",
        "CATALOG_URI",
    )
}


def test_a_jobs_settings_hold_the_options_of_the_build() -> None:
    chosen = {"SCENELAKE_PAYLOAD_CHECKS": "structure", "SCENELAKE_POINT_LAYOUT": "rows"}
    assert JobSettings.from_env(DEPLOYMENT).options == BuildOptions()
    assert JobSettings.from_env(DEPLOYMENT | chosen).options == BuildOptions(PayloadChecks.STRUCTURE, PointLayout.ROWS)
    with pytest.raises(SettingsError, match="SCENELAKE_POINT_LAYOUT"):
        JobSettings.from_env(DEPLOYMENT | {"SCENELAKE_POINT_LAYOUT": "diagonal"})
