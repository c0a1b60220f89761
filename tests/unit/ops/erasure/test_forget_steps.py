"""What an erasure refuses, waits for, and how it goes on after it was killed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ingest.errors import ForgottenWorkError, HeldError
from ingest.ledger.detail import RunFailure
from ingest.ledger.states import DriveState
from lake.erasure.tables import keep_salt
from lake.errors import ForgottenError, VersionError
from lake.tables.publish import publish
from lake.versions.moments import load_together, resolve
from lake.versions.publication_pages import publication_page
from lake.versions.recalls import recall_rows
from lake.versions.tags import tags
from ops.erasure.forget import BusyError, Erasure
from ops.erasure.holding import HoldDesk
from ops.errors import InputError, NotFoundError
from scenes.accounting.drive_sources import late_objects, raw_versions
from tests.unit.ingest.ingest_fakes import drive_files
from tests.unit.ops.erasure.erasure_world import BASIS, DRIVE, LAKE, NEIGHBOUR, RAW, REQUEST, Deployed
from tests.unit.ops.erasure.test_forget import forget, mentions, said

STEPS = ("tombstone", "wait", "inventory", "tables", "bytes", "messages", "ledger")

pytestmark = pytest.mark.timeout(900)  # a thousand calls of services that run in this process


def published(deployed: Deployed) -> None:
    """The drive, published, with traces everywhere; and no other."""
    deployed.land(DRIVE)
    deployed.process(DRIVE, (10, 20))
    deployed.traces(DRIVE)


@pytest.fixture
def desk(deployed: Deployed) -> HoldDesk:
    return HoldDesk(deployed.dynamodb, deployed.settings.ledger_table, deployed.catalog(), deployed.clock)


def run(erasure: Erasure, until: str | None = None, *, run_ended: bool = False) -> None:
    for name, step in erasure.steps(REQUEST, BASIS, run_ended=run_ended):
        step()
        if name == until:
            return


def test_the_steps_are_these(deployed: Deployed) -> None:
    deployed.land(DRIVE)
    assert tuple(name for name, _ in deployed.erasure().steps(REQUEST, BASIS)) == STEPS


def test_a_run_that_was_killed_between_steps_is_finished_by_the_next(deployed: Deployed) -> None:
    """Each run is killed one step later than the one before, so each step is repeated after a kill behind it."""
    published(deployed)
    for killed_after in STEPS:
        run(deployed.erasure(), killed_after)
        with pytest.raises(ForgottenError):
            publish(deployed.catalog(), deployed.batch(DRIVE, "late", 9, (1,)))
    outcome = forget(deployed)
    assert outcome.found.clean, outcome.found
    assert mentions(deployed, DRIVE.drive_id) == []
    before = said(outcome)["predicate"]["before"]
    assert before["rows"]["gold.scenes"] == 2 and before["places"]["raw"]["versions"] > len(drive_files())


class KilledError(Exception):
    """The process ends here."""


def test_a_run_that_was_killed_within_the_deletion_is_finished_by_the_next(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run is killed at its first call that deletes, or its second: the next finds less, and what is left."""
    published(deployed)
    real = deployed.s3.delete_objects
    for calls in (1, 2, 2):
        erasure, made = deployed.erasure(), 0

        def killed(calls: int = calls, **named: object) -> object:
            nonlocal made
            made += 1
            if made == calls:
                raise KilledError
            return real(**named)

        monkeypatch.setattr(erasure.world.s3, "delete_objects", killed)
        with pytest.raises(KilledError):
            run(erasure)
    monkeypatch.setattr(deployed.s3, "delete_objects", real)
    outcome = forget(deployed)
    assert outcome.found.clean, outcome.found
    assert mentions(deployed, DRIVE.drive_id) == []
    before = said(outcome)["predicate"]["before"]
    assert before["rows"]["gold.scenes"] == 2 and before["places"]["raw"]["versions"] > len(drive_files())


def test_a_hold_wins_and_is_named(deployed: Deployed, desk: HoldDesk) -> None:
    published(deployed)
    held = desk.place(DRIVE, "incident 4711", "ada")
    assert held.pinned and [tag.name for tag in tags(deployed.catalog())] == [f"hold-{held.hold.hold_id}"]
    before = deployed.everything()
    with pytest.raises(HeldError, match="incident 4711"):
        run(deployed.erasure())
    assert deployed.everything() == before
    assert [str(one) for one in deployed.erasure().plan().holds] == [f"hold {held.hold.hold_id} by ada (incident 4711)"]
    assert desk.place(DRIVE, "incident 4711", "ada").hold == held.hold, "it is the same hold"
    desk.release(held.hold.hold_id, "case closed", "bob")
    assert tags(deployed.catalog()) == ()
    assert forget(deployed).found.clean
    with pytest.raises(HeldError, match="was forgotten"):
        desk.place(DRIVE, "too late", "ada")
    assert desk.all() == []


def test_two_holds_are_released_one_by_one(deployed: Deployed, desk: HoldDesk) -> None:
    published(deployed)
    first, second = (desk.place(DRIVE, reason, "ada").hold.hold_id for reason in ("incident 1", "incident 2"))
    desk.release(first, "case closed", "bob")
    desk.release(first, "case closed", "bob")
    with pytest.raises(HeldError, match="incident 2"):
        run(deployed.erasure())
    desk.release(second, "case closed", "bob")
    run(deployed.erasure())


def test_a_hold_of_an_unknown_drive_or_id_is_refused(desk: HoldDesk) -> None:
    with pytest.raises(NotFoundError):
        desk.place(DRIVE, "incident 4711", "ada")
    with pytest.raises(NotFoundError):
        desk.release("nonsense", "case closed", "bob")


def test_an_unknown_drive_is_refused_and_nothing_is_kept_of_its_name(deployed: Deployed) -> None:
    with pytest.raises(NotFoundError):
        deployed.erasure().steps(REQUEST, BASIS)
    with pytest.raises(NotFoundError):
        deployed.erasure().plan()
    assert mentions(deployed, DRIVE.drive_id) == []


def test_a_plan_changes_nothing_and_counts_by_place(deployed: Deployed) -> None:
    published(deployed)
    deployed.tag("run-1")
    before, items = deployed.everything(), deployed.items()
    plan = deployed.erasure().plan()
    assert (deployed.everything(), deployed.items()) == (before, items)
    assert {one.what for one in plan.sums} >= {
        "raw",
        "quarantine",
        "data files",
        "inputs",
        "work areas",
        "statistics",
        "baselines",
    }
    assert plan.rows["gold.scenes"] == 2 and plan.uploads == 1
    assert plan.refs["gold.scenes"] == ("main", "run-1") and plan.state == "published"


def test_a_drive_that_was_forgotten_is_forgotten_once(deployed: Deployed) -> None:
    published(deployed)
    forget(deployed)
    with pytest.raises(InputError, match=REQUEST):
        deployed.erasure().steps("F-2026-18", BASIS)
    again = forget(deployed)
    assert again.found.clean and said(again)["predicate"]["before"]["rows"]["gold.scenes"] == 2


def test_what_lands_later_is_refused_without_its_name_and_goes_with_the_next_run(deployed: Deployed) -> None:
    published(deployed)
    forget(deployed)
    registrar = deployed.registrar()
    for key, body in drive_files(DRIVE).items():
        deployed.put(RAW, key, body + b"!")
        assert registrar.register(key) is None and registrar.register(key) is None
    stray = f"{DRIVE}/notes.txt"
    deployed.put(RAW, stray, b"x")
    assert registrar.register(stray) is None
    ledger = deployed.ledger()
    assert DRIVE.drive_id not in str(deployed.items())
    assert ledger.drive(DRIVE) is None and list(ledger.refused()) == []
    late = [item for item in deployed.items() if item["sk"]["S"].startswith("late#")]
    assert len(late) == len(drive_files(DRIVE)) + 1
    version = deployed.s3.head_object(Bucket=RAW, Key=stray)["VersionId"]
    raw = list(raw_versions(deployed.s3, RAW, ""))
    assert {(one.key, one.version_id) for one in raw} == {
        (one.key, one.version_id) for one in late_objects(ledger, DRIVE, raw) if one.state == "refused"
    }, "the audit finds every object that landed in the ledger"
    assert ledger.tombstones.is_late(DRIVE, stray, version) and not ledger.tombstones.is_late(DRIVE, stray, "another")

    checked = deployed.erasure().certify(REQUEST, None, deep=True)
    assert not checked.found.clean and checked.found.count == len(late)
    assert forget(deployed).found.clean
    assert mentions(deployed, DRIVE.drive_id) == []


def test_a_run_that_had_begun_is_waited_for_and_cannot_publish(deployed: Deployed) -> None:
    deployed.land(DRIVE)
    deployed.land(NEIGHBOUR)
    revision, generation = deployed.begin(DRIVE)
    raw = [key for key in deployed.everything() if key[0] == RAW]
    with pytest.raises(BusyError):
        run(deployed.erasure())
    assert [key for key in deployed.everything() if key[0] == RAW] == raw, "nothing is deleted yet"
    with pytest.raises(ForgottenError):
        publish(deployed.catalog(), deployed.batch(DRIVE, revision, generation, (1,)))
    with pytest.raises(BusyError):
        run(deployed.erasure())
    with pytest.raises(ForgottenWorkError):  # the run reports that it has failed, and its message is deleted
        deployed.ledger().fail(DRIVE, revision, RunFailure(error="forgotten"), generation=generation)
    outcome = forget(deployed)
    assert outcome.found.clean, outcome.found
    assert {one["what"] for one in said(outcome)["predicate"]["exceptions"]} >= {"work of runs that had begun"}
    assert deployed.ledger().drive(NEIGHBOUR) is not None


@pytest.mark.parametrize("hours", [0, 13])
def test_a_run_that_never_reports_is_not_waited_for_longer_than_its_lease(deployed: Deployed, hours: int) -> None:
    deployed.land(DRIVE)
    deployed.begin(DRIVE)
    with pytest.raises(BusyError):
        run(deployed.erasure())
    deployed.clock.advance(hours * 3600)
    run(deployed.erasure(), run_ended=hours == 0)
    assert deployed.ledger().drive(DRIVE) is None


def test_a_message_of_a_forgotten_drive_is_taken_without_work(deployed: Deployed) -> None:
    deployed.land(DRIVE)
    record = deployed.ledger().drive(DRIVE)
    assert record is not None and record.revision is not None
    run(deployed.erasure(), "tombstone")
    with pytest.raises(ForgottenWorkError):
        deployed.ledger().begin(DRIVE, record.revision)
    fenced = deployed.ledger().drive(DRIVE)
    assert fenced is not None and fenced.state is DriveState.FORGOTTEN and fenced.generation == record.generation + 1
    deployed.registrar().evaluate(DRIVE, overdue=True, swept=True)
    run(deployed.erasure())
    with pytest.raises(ForgottenWorkError):
        deployed.ledger().begin(DRIVE, record.revision)


def test_versions_and_recalls_are_read_as_before(deployed: Deployed) -> None:
    published(deployed)
    deployed.land(NEIGHBOUR)
    deployed.process(NEIGHBOUR, (10,))
    forget(deployed)
    table = deployed.catalog().load_table("gold.drives")
    assert [str(one.row.drive) for one in publication_page(table, 10).publications] == [str(NEIGHBOUR)]
    assert recall_rows(deployed.catalog()) == ()
    with pytest.raises(VersionError):
        resolve(load_together(deployed.catalog()), str(DRIVE))


@pytest.mark.parametrize(
    ("request_id", "basis"),
    [
        ("", BASIS),
        ("a b", BASIS),
        ("../x", BASIS),
        (f"F-{DRIVE.drive_id}", BASIS),
        (REQUEST, ""),
        (REQUEST, f"of {DRIVE.drive_id}"),
    ],
)
def test_a_request_or_basis_that_cannot_be_kept_is_refused(deployed: Deployed, request_id: str, basis: str) -> None:
    deployed.land(DRIVE)
    with pytest.raises(InputError):
        deployed.erasure().steps(request_id, basis)


def test_different_salts_are_found_before_anything_is_deleted(deployed: Deployed) -> None:
    published(deployed)
    keep_salt(deployed.catalog(), "ab" * 32)
    with pytest.raises(InputError, match="salt"):
        run(deployed.erasure())
    assert deployed.rows(DRIVE)["gold.scenes"]


def test_what_an_object_lock_keeps_is_named_with_its_date(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    published(deployed)
    key = next(iter(drive_files(DRIVE)))
    erasure = deployed.erasure()
    real = erasure.world.s3.delete_objects

    def locked(**named: object) -> object:
        asked = named["Delete"]["Objects"]  # type: ignore[index]
        allowed = [one for one in asked if one["Key"] != key or named["Bucket"] != RAW]
        real(Bucket=named["Bucket"], Delete={"Objects": allowed, "Quiet": True}) if allowed else None  # type: ignore[arg-type]
        refused = [one for one in asked if one not in allowed]
        return {"Errors": [{"Key": one["Key"], "VersionId": one["VersionId"], "Code": "AccessDenied"} for one in refused]}

    until = {"Retention": {"Mode": "COMPLIANCE", "RetainUntilDate": datetime(2030, 1, 2, tzinfo=UTC)}}
    monkeypatch.setattr(erasure.world.s3, "delete_objects", locked)
    monkeypatch.setattr(erasure.world.s3, "get_object_retention", lambda **_: until)
    run(erasure)
    outcome = erasure.certify(REQUEST, None, deep=True)
    kept = [one for one in said(outcome)["predicate"]["exceptions"] if one["what"].startswith("a version in")]
    assert kept and {one["until"] for one in kept} == {"2030-01-02T00:00:00Z"} and "compliance" in kept[0]["why"]
    assert not outcome.found.clean and DRIVE.drive_id not in str(said(outcome))


def test_a_damaged_object_is_no_pass(deployed: Deployed) -> None:
    published(deployed)
    deployed.put(LAKE, "warehouse/gold/frames/data/damaged.parquet", b"PAR1 and nothing else")
    outcome = forget(deployed)
    assert outcome.found.count == 0 and not outcome.found.clean and "damaged.parquet" in outcome.found.unreadable[0]


@pytest.mark.parametrize(("letters", "clean"), [(2, False), (1, True)])
def test_more_dead_letters_than_are_looked_at_are_no_pass(
    deployed: Deployed, letters: int, clean: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.land(DRIVE)
    run(deployed.erasure())
    for _ in range(letters):
        deployed.sqs.send_message(QueueUrl=f"{deployed.queues['drive-work']}-dead", MessageBody="{}")
    monkeypatch.setattr("ops.erasure.forget.MOST_LETTERS", 2)
    found = deployed.erasure().certify(REQUEST, None, deep=True).found
    assert found.clean is clean
    assert [("2 dead letters or more" in text, "drive-work" in text) for text in found.unreadable] == [(True, True)] * (not clean)
