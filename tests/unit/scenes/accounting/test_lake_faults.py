"""Each fault in a lake is found by the audit of everything, in its own drive and in no other; the audit of what changed finds
those that leave a trace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ops.audit.run
from bench.lake_audit.lake import SmallLake
from lake.landing import DriveId
from lake.storage import ObjectStore
from ops.audit.run import AuditDone, Auditor
from scenes.accounting.watermark import WatermarkStore
from tests.unit.scenes.accounting.conftest import in_process
from tests.unit.scenes.accounting.lake_faults import DAY, FAULTS, STRAY, refuse

LATER_NS = 3600 * 10**9
DRIVES = {name: DriveId("car-1", f"d-{number:02d}") for number, name in enumerate(FAULTS)}
CLEAN = DriveId("car-1", "d-clean")


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AuditDone]]:
    """The audit of everything and of what changed, of a lake that was signed off and then damaged in every way."""
    folder: Path = tmp_path_factory.mktemp("lake")
    with pytest.MonkeyPatch.context() as patch, in_process(patch, folder) as lake:
        for drive in (*DRIVES.values(), CLEAN):
            lake.add(drive, DAY)
        refuse(lake, STRAY)
        patch.setattr(ops.audit.run, "begin_ns", lambda: time.time_ns() + LATER_NS)
        patch.setattr(ops.audit.selection, "OVERLAP_NS", 0)
        auditor = _auditor(lake)
        assert auditor.everything().signed is not None
        for name, fault in FAULTS.items():
            fault.do(lake, DRIVES[name])
        changed = auditor.changed()
        yield {"changed": changed, "everything": auditor.everything()}


def _auditor(lake: SmallLake) -> Auditor:
    return Auditor(lake.sources, lake.ledger, WatermarkStore(ObjectStore(lake.s3), "lake", "a secret of auditors"), "test")


def found(done: AuditDone, name: str) -> bool:
    fault = FAULTS[name]
    scope = fault.scope or str(DRIVES[name])
    return any(
        failure.name.startswith(fault.check) and failure.scope.partition("@")[0] == scope for failure in done.result.failures
    )


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_by_an_audit_of_everything(audits: dict[str, AuditDone], name: str) -> None:
    assert found(audits["everything"], name), [f"{one.name} in {one.scope}" for one in audits["everything"].result.failures]


@pytest.mark.parametrize("name", FAULTS)
def test_an_audit_of_what_changed_finds_what_left_a_trace(audits: dict[str, AuditDone], name: str) -> None:
    assert found(audits["changed"], name) == FAULTS[name].changed


def test_no_other_drive_is_blamed(audits: dict[str, AuditDone]) -> None:
    blamed = {failure.scope.partition("@")[0] for failure in audits["everything"].result.failures}
    assert blamed <= {str(DRIVES[name]) for name in FAULTS} | {fault.scope for fault in FAULTS.values() if fault.scope}
    assert str(CLEAN) not in blamed


def test_a_lake_that_does_not_balance_is_not_signed_off(audits: dict[str, AuditDone]) -> None:
    assert [done.signed for done in audits.values()] == [None, None]
    assert audits["changed"].since is not None
