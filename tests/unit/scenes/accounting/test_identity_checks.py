"""Every check of the accounting holds for a balanced drive, and each of them can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from scenes.accounting.account import Frames
from scenes.accounting.identity import check_drive, check_outside, check_refused
from scenes.accounting.inputs import (
    BatchRef,
    DriveInputs,
    GoldScene,
    Held,
    KeptOut,
    LedgerDrive,
    LedgerObject,
    ObjectFrames,
    RawObject,
)

DRIVE = "veh-1/drive-a"
NEW, OLD = "b" * 64, "a" * 64
CAMERA = f"{DRIVE}/camera/cam/1780000000000000000.mcap"
MANIFEST = f"{DRIVE}/manifest.json"
S = 10**9


def scene(number: int, drive: str = DRIVE, revision: str = NEW) -> GoldScene:
    return GoldScene(f"{drive.replace('/', '.')}.{number}", revision)


def balanced() -> DriveInputs:
    """A published drive: 10 camera frames, of which one was damaged and one had no anchor."""
    return DriveInputs(
        drive=DRIVE,
        as_of_ns=100 * S,
        raw=(
            RawObject(CAMERA, "v2", landed_ns=7 * S),
            RawObject(CAMERA, "v1", latest=False, landed_ns=5 * S),
            RawObject(MANIFEST, "v1", landed_ns=8 * S),
        ),
        ledger=LedgerDrive("published", NEW),
        ledger_objects=(LedgerObject(CAMERA, "v2", "published"), LedgerObject(MANIFEST, "v1", "published")),
        declared=(ObjectFrames(CAMERA, 10),),
        indexed=(ObjectFrames(CAMERA, 10),),
        frames=(
            Frames(DRIVE, NEW, "cam", "camera", "gold", None, 8),
            Frames(DRIVE, NEW, "cam", "camera", "quarantined", "DEC005", 1),
            Frames(DRIVE, NEW, "cam", "camera", "unmatched", "no_anchor", 1),
            Frames(DRIVE, NEW, "pose", "pose", "gold", None, 50),
        ),
        scenes=tuple(scene(number) for number in range(8)),
        held=(Held(NEW, "cam", 8),),
        records=(KeptOut("r1", NEW, 1, "s3://quarantine/r1", f"{DRIVE}/other"),),
        payloads=frozenset({"s3://quarantine/r1"}),
        batches=(BatchRef(OLD, 1, 3, 9, 0), BatchRef(NEW, 2, 8, 60, 1)),
    )


def failing(inputs: DriveInputs) -> set[str]:
    return {check.name for check in check_drive(inputs) if not check.ok}


def test_a_drive_of_which_nothing_is_known_balances() -> None:
    assert failing(DriveInputs(DRIVE)) == set()
    assert check_drive(DriveInputs(DRIVE))


def test_a_published_drive_balances_with_the_numbers_on_both_sides() -> None:
    checks = check_drive(balanced())
    assert failing(balanced()) == set()
    sides = {(check.name.split(" = ")[0], check.scope): (check.left, check.right) for check in checks}
    assert sides["objects landed", DRIVE] == (3, 3)
    assert sides["frames read", f"{DRIVE}@{NEW[:12]} cam"] == (10, 10)
    assert sides["frames called gold", f"{DRIVE}@{NEW[:12]} cam"] == (8, 8)
    assert sides["frames quarantined", f"{DRIVE}@{NEW[:12]}"] == (1, 1)
    assert sides["scenes", DRIVE] == (8, 8)
    assert sides["rows of the last publication", DRIVE] == (69, 69)


Change = Callable[[DriveInputs], DriveInputs]
FAULTS: list[tuple[str, Change, str]] = [
    ("objects landed", lambda i: replace(i, ledger_objects=i.ledger_objects[1:]), "not in the ledger: veh-1/drive-a/camera"),
    ("objects landed", lambda i: replace(i, ledger=None, ledger_objects=()), "not in the ledger"),
    ("objects in the ledger", lambda i: replace(i, raw=i.raw[1:]), "not in S3"),
    ("objects in the ledger", lambda i: replace(i, raw=()), "not in S3"),
    ("frames declared", lambda i: replace(i, declared=(ObjectFrames(CAMERA, 11),)), "declares 11, read 10"),
    ("frames declared", lambda i: replace(i, indexed=()), "declares 10, read 0"),
    ("frames read", lambda i: replace(i, frames=(*i.frames, Frames(DRIVE, NEW, "imu", "imu", "unmatched", None, 4))), "4 frames"),
    ("frames read", lambda i: replace(i, frames=(*i.frames, Frames(DRIVE, NEW, "imu", "imu", "gone", "x", 4))), "4 frames"),
    ("frames called gold", lambda i: replace(i, held=()), "hold different frames"),
    ("frames called gold", lambda i: replace(i, held=(*i.held, Held(NEW, "radar", 1))), "hold different frames"),
    ("frames quarantined", lambda i: replace(i, records=()), "do not add up"),
    ("frames quarantined", lambda i: replace(i, records=(*i.records, replace(i.records[0], record_id="r2"))), "do not add up"),
    ("scenes", lambda i: replace(i, scenes=(*i.scenes, i.scenes[0])), "held twice: veh-1.drive-a.0"),
    ("scene ids", lambda i: replace(i, scenes=(*i.scenes, scene(9, "veh-1/drive-b"))), "veh-1.drive-b.9"),
    ("scene ids", lambda i: replace(i, scenes=(*i.scenes, GoldScene("no id", NEW))), "no id"),
    ("publications", lambda i: replace(i, batches=(*i.batches, i.batches[-1])), "published twice"),
    ("revisions in gold", lambda i: replace(i, scenes=(*i.scenes, scene(99, revision=OLD))), f"{DRIVE}@{OLD[:12]}"),
    ("revisions in gold", lambda i: replace(i, batches=i.batches[:1]), "not what the last publication"),
    ("revisions in gold", lambda i: replace(i, batches=()), "not what the last publication"),
    ("rows of the last publication", lambda i: replace(i, scenes=i.scenes[1:]), "8 scenes published, 7 found"),
    ("rows of the last publication", lambda i: replace(i, frames=i.frames[:-1]), "60 frames published, 10 found"),
    ("rows of the last publication", lambda i: replace(i, records=()), "1 records published, 0 found"),
    ("drives published in the ledger", lambda i: replace(i, batches=()), DRIVE),
    ("drives published in the ledger", lambda i: replace(i, batches=(*i.batches, BatchRef(OLD, 3))), DRIVE),
    ("drives in gold", lambda i: replace(i, ledger=None), DRIVE),
    ("drives in gold", lambda i: replace(i, ledger=LedgerDrive("quarantined", NEW)), DRIVE),
    ("records with a payload", lambda i: replace(i, payloads=frozenset()), "r1"),
    ("tables of rows", lambda i: replace(i, unreadable=("gold.frames (gone)",)), "gold.frames (gone)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "detail"), FAULTS)
def test_each_check_fails_on_what_it_is_for(name: str, change: Change, detail: str) -> None:
    failures = [check for check in check_drive(change(balanced())) if not check.ok]
    named = [check for check in failures if check.name.startswith(name)]
    assert named, f"{name} holds; failing are {[check.name for check in failures]}"
    assert any(detail in check.detail for check in named), [check.detail for check in named]
    assert all(check.left != check.right or check.detail for check in named)


def test_every_check_has_a_failing_case() -> None:
    covered = {name for name, _, _ in FAULTS}
    for check in check_drive(balanced()):
        assert any(check.name.startswith(name) for name in covered), check.name


@pytest.mark.parametrize("state", ["landing", "queued", "processing", "failed", "forgotten"])
def test_the_former_revision_may_be_in_gold_while_the_next_is_in_work_or_its_erasure_waits(state: str) -> None:
    assert failing(replace(balanced(), ledger=LedgerDrive(state, "c" * 64))) == set()


def test_a_pending_object_is_not_lost() -> None:
    waiting = RawObject(f"{DRIVE}/lidar/top/1780000000000000000.mcap", "v1")
    inputs = DriveInputs(
        DRIVE, raw=(waiting,), ledger=LedgerDrive("landing", ""), ledger_objects=(LedgerObject(waiting.key, "v1", "landed"),)
    )
    assert failing(inputs) == set()
    assert "1 pending" in {check.detail for check in check_drive(inputs)}


def test_an_object_that_landed_during_the_audit_is_outside_the_statement_and_named() -> None:
    inputs = balanced()
    late = RawObject(f"{DRIVE}/lidar/top/1780000000000000000.mcap", "v1", landed_ns=inputs.as_of_ns)
    during = replace(inputs, raw=(*inputs.raw, late))
    assert failing(during) == set()
    assert during.arriving == (late.key,)
    assert "1 arrived during the audit" in next(check.detail for check in check_drive(during) if "landed" in check.name)
    before = replace(during, raw=(*inputs.raw, replace(late, landed_ns=inputs.as_of_ns - 1)))
    assert before.arriving == ()
    assert any("landed" in name for name in failing(before)), "a second earlier it has to be in the ledger"


def test_a_damaged_object_may_give_fewer_frames_than_declared() -> None:
    inputs = replace(balanced(), declared=(ObjectFrames(CAMERA, 99),))
    excused = replace(inputs, records=(replace(inputs.records[0], source_key=CAMERA),))
    assert failing(inputs) != set()
    assert failing(excused) == set()
    reported = replace(inputs, ledger=LedgerDrive("published", NEW, frozenset({"CMP004"})))
    assert failing(reported) == set()


def test_what_an_older_lake_did_not_count_is_not_compared() -> None:
    inputs = replace(balanced(), batches=(BatchRef(NEW, 2, 8),))
    (check,) = [check for check in check_drive(inputs) if check.name.startswith("rows of the last")]
    assert (check.left, check.right, check.ok) == (8, 8, True)


def test_objects_without_a_drive_are_compared_with_what_was_refused() -> None:
    stray, odd = RawObject("stray.pkl", "v1"), RawObject("odd key", "v1")
    refused = LedgerObject("stray.pkl", "v1", "refused")
    assert check_outside([stray], [refused]).ok
    assert not check_outside([stray, odd], [refused]).ok
    assert "odd key" in check_outside([stray, odd], [refused]).detail
    assert check_outside([replace(odd, landed_ns=5)], [], as_of_ns=5).ok
    assert check_refused(3, []).ok
    assert "stray.pkl" in check_refused(3, ["stray.pkl"]).detail
    assert not check_refused(3, ["stray.pkl"]).ok
