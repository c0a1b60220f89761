"""Every check of the audit holds on a balanced lake, and each of them can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from ops.audit.accounting import Frames
from ops.audit.identity import (
    AuditInputs,
    BatchRef,
    GoldScene,
    Held,
    LedgerDrive,
    LedgerObject,
    ObjectFrames,
    RawObject,
    Record,
    audit,
)

DRIVE, OTHER = "veh-1/drive-a", "veh-1/drive-b"
NEW, OLD = "b" * 64, "a" * 64
CAMERA = f"{DRIVE}/camera/cam/1780000000000000000.mcap"
MANIFEST = f"{DRIVE}/manifest.json"


def balanced() -> AuditInputs:
    """One published drive: 10 camera frames, of which one was damaged and one had no anchor; and a refused `.pkl`."""
    return AuditInputs(
        raw=(
            RawObject(CAMERA, "v2", DRIVE),
            RawObject(CAMERA, "v1", DRIVE, latest=False),
            RawObject(MANIFEST, "v1", DRIVE),
            RawObject("stray.pkl", "v1", None),
        ),
        ledger_objects=(
            LedgerObject(CAMERA, "v2", "published"),
            LedgerObject(MANIFEST, "v1", "published"),
            LedgerObject("stray.pkl", "v1", "refused"),
        ),
        ledger_drives=(LedgerDrive(DRIVE, "published", NEW),),
        declared=(ObjectFrames(DRIVE, CAMERA, 10),),
        indexed=(ObjectFrames(DRIVE, CAMERA, 10),),
        frames=(
            Frames(DRIVE, NEW, "cam", "camera", "gold", None, 8),
            Frames(DRIVE, NEW, "cam", "camera", "quarantined", "DEC005", 1),
            Frames(DRIVE, NEW, "cam", "camera", "unmatched", "no_anchor", 1),
            Frames(DRIVE, NEW, "pose", "pose", "gold", None, 50),
        ),
        scenes=tuple(GoldScene(f"scene-{number}", DRIVE, NEW) for number in range(8)),
        held=(Held(DRIVE, NEW, "cam", 8),),
        records=(Record("r1", "object", DRIVE, NEW, 1, "s3://quarantine/r1", f"{DRIVE}/other"),),
        payloads=frozenset({"s3://quarantine/r1"}),
        batches=(BatchRef(DRIVE, OLD, 1, 11), BatchRef(DRIVE, NEW, 2, 12)),
    )


def failing(inputs: AuditInputs) -> set[str]:
    return {check.name for check in audit(inputs).failures}


def test_an_empty_lake_balances() -> None:
    report = audit(AuditInputs())
    assert report.balanced
    assert report.checks


def test_a_published_drive_balances_with_the_numbers_on_both_sides() -> None:
    report = audit(balanced())
    assert report.failures == ()
    sides = {(check.name.split(" = ")[0], check.scope): (check.left, check.right) for check in report.checks}
    assert sides["objects landed", "the lake"] == (4, 4)
    assert sides["objects landed", DRIVE] == (3, 3)
    assert sides["frames read", f"{DRIVE}@{NEW[:12]} cam"] == (10, 10)
    assert sides["frames called gold", f"{DRIVE}@{NEW[:12]} cam"] == (8, 8)
    assert sides["frames quarantined", f"{DRIVE}@{NEW[:12]}"] == (1, 1)
    assert sides["scenes", "the lake"] == (8, 8)


Change = Callable[[AuditInputs], AuditInputs]
FAULTS: list[tuple[str, Change, str]] = [
    ("objects landed", lambda i: replace(i, ledger_objects=i.ledger_objects[1:]), "not in the ledger: veh-1/drive-a/camera"),
    ("objects landed", lambda i: replace(i, raw=(*i.raw, RawObject("odd key", "v1", None))), "odd key"),
    ("objects in the ledger", lambda i: replace(i, raw=i.raw[1:]), "not in S3"),
    ("frames declared", lambda i: replace(i, declared=(ObjectFrames(DRIVE, CAMERA, 11),)), "declares 11, read 10"),
    ("frames declared", lambda i: replace(i, indexed=()), "declares 10, read 0"),
    ("frames read", lambda i: replace(i, frames=(*i.frames, Frames(DRIVE, NEW, "imu", "imu", "unmatched", None, 4))), "4 frames"),
    ("frames read", lambda i: replace(i, frames=(*i.frames, Frames(DRIVE, NEW, "imu", "imu", "gone", "x", 4))), "4 frames"),
    ("frames called gold", lambda i: replace(i, held=()), "hold different frames"),
    ("frames called gold", lambda i: replace(i, held=(*i.held, Held(DRIVE, NEW, "radar", 1))), "hold different frames"),
    ("frames quarantined", lambda i: replace(i, records=()), "do not add up"),
    ("frames quarantined", lambda i: replace(i, records=(*i.records, replace(i.records[0], record_id="r2"))), "do not add up"),
    ("scenes", lambda i: replace(i, scenes=(*i.scenes, i.scenes[0])), "held twice: scene-0"),
    ("publications", lambda i: replace(i, batches=(*i.batches, BatchRef(DRIVE, NEW, 2, 13))), "published twice"),
    ("revisions in gold", lambda i: replace(i, scenes=(*i.scenes, GoldScene("stale", DRIVE, OLD))), f"{DRIVE}@{OLD[:12]}"),
    ("revisions in gold", lambda i: replace(i, batches=i.batches[:1]), "not what the last publication"),
    ("drives published in the ledger", lambda i: replace(i, ledger_drives=(LedgerDrive(OTHER, "published", NEW),)), OTHER),
    ("drives published in the ledger", lambda i: replace(i, batches=(*i.batches, BatchRef(DRIVE, OLD, 3, 13))), DRIVE),
    ("drives in gold", lambda i: replace(i, ledger_drives=()), DRIVE),
    ("drives in gold", lambda i: replace(i, ledger_drives=(LedgerDrive(DRIVE, "quarantined", NEW),)), DRIVE),
    ("records with a payload", lambda i: replace(i, payloads=frozenset()), "r1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "detail"), FAULTS)
def test_each_check_fails_on_what_it_is_for(name: str, change: Change, detail: str) -> None:
    report = audit(change(balanced()))
    assert not report.balanced
    named = [check for check in report.failures if check.name.startswith(name)]
    assert named, f"{name} holds; failing are {[check.name for check in report.failures]}"
    assert any(detail in check.detail for check in named), [check.detail for check in named]


def test_every_check_has_a_failing_case() -> None:
    covered = {name for name, _, _ in FAULTS}
    for check in audit(balanced()).checks:
        assert any(check.name.startswith(name) for name in covered), check.name


@pytest.mark.parametrize("state", ["landing", "queued", "processing"])
def test_the_former_revision_may_be_in_gold_while_the_next_is_in_work(state: str) -> None:
    assert failing(replace(balanced(), ledger_drives=(LedgerDrive(DRIVE, state, "c" * 64),))) == set()


def test_a_pending_object_is_not_lost() -> None:
    waiting = RawObject(f"{OTHER}/lidar/top/1780000000000000000.mcap", "v1", OTHER)
    inputs = balanced()
    inputs = replace(
        inputs,
        raw=(*inputs.raw, waiting),
        ledger_objects=(*inputs.ledger_objects, LedgerObject(waiting.key, "v1", "landed")),
        ledger_drives=(*inputs.ledger_drives, LedgerDrive(OTHER, "landing", "")),
    )
    report = audit(inputs)
    assert report.balanced
    assert "1 pending" in {check.detail for check in report.checks if check.scope == OTHER}


def test_a_damaged_object_may_give_fewer_frames_than_declared() -> None:
    inputs = replace(balanced(), declared=(ObjectFrames(DRIVE, CAMERA, 99),))
    excused = replace(inputs, records=(replace(inputs.records[0], source_key=CAMERA),))
    assert failing(inputs) != set()
    assert failing(excused) == set()
    reported = replace(inputs, ledger_drives=(LedgerDrive(DRIVE, "published", NEW, frozenset({"CMP004"})),))
    assert failing(reported) == set()
