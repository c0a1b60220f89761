"""A sweep deletes what nothing needs, after two listings, and never anything else, however it is interrupted."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from lake.errors import LakeError, MaintenanceError
from lake.maintenance import candidates as candidates_module
from lake.maintenance.candidates import ANCHOR
from lake.maintenance.expire import ExpirePolicy, expire
from lake.maintenance.judgement import DriveProgress
from lake.maintenance.sweep import SweepPolicy
from lake.maintenance.swept_buckets import ObjectEntry, ObjectVersions, UnfinishedUpload
from lake.tables.publish import publish
from lake.versions.moments import load_together, resolve
from lake.versions.tags import create_tag
from tests.unit.lake.maintenance.swept_world import DAY, HOUR, FakeBucket, SweptWorld
from tests.unit.lake.versions.version_lake import DRIVE, OTHER

R1, R2, R3 = ("1" * 64, "2" * 64, "3" * 64)
NOW = ExpirePolicy(max_age_s=0, keep_last=1)


@pytest.fixture
def world(tmp_path: Path) -> SweptWorld:
    return SweptWorld(tmp_path)


def revised(world: SweptWorld) -> SweptWorld:
    """A drive that was published twice; its first revision has expired."""
    world.publish(R1, 1, (10, 20))
    world.publish(R2, 2, (30,))
    expire(world.catalog(), NOW, apply=True)
    world.finished(DRIVE, R2)
    return world


def files(world: SweptWorld, part: str = "") -> set[str]:
    found = (str(path.relative_to(world.folder / "lake")) for path in (world.folder / "lake").rglob("*") if path.is_file())
    return {key for key in found if part in key and not key.startswith("maintenance/")}


def reads_as(world: SweptWorld, revision: str, anchors: tuple[int, ...]) -> None:
    rows = world.rows(DRIVE)
    assert rows["gold.scenes"] == rows["gold.frames"] == [(revision, one) for one in anchors]
    assert rows["quarantine.records"] == [(revision, anchors[0])]


def test_what_expired_goes_after_two_listings_and_what_is_current_stays(world: SweptWorld) -> None:
    revised(world)
    assert len(files(world, f"scenes/data/{DRIVE}/{R1[:8]}")) == 1
    report = world.twice()
    for table in ("gold/scenes", "gold/frames", "quarantine/records"):
        assert files(world, f"{table}/data/{DRIVE}/{R1[:8]}") == set()
        assert len(files(world, f"{table}/data/{DRIVE}/{R2[:8]}")) == 1
    assert world.copy_key(R1) not in world.quarantine.objects
    assert world.copy_key(R2) in world.quarantine.objects
    assert report.deleted.objects == report.due.objects > 4
    reads_as(world, R2, (30,))
    world.publish(R3, 3, (50,))
    reads_as(world, R3, (50,))


def test_the_first_listing_deletes_nothing_and_says_what_the_next_may(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    before = files(world)
    report = world.sweep()
    assert files(world) >= before
    assert (report.deleted.objects, report.due.objects) == (0, 0)
    assert report.candidates.objects > 4
    world.now += 19 * HOUR
    early = world.sweep()
    assert early.deleted.objects == 0
    assert files(world) >= before
    world.now += 2 * HOUR
    assert world.sweep().deleted.objects >= report.candidates.objects, "a listing in between does not begin the delay anew"


def test_a_dry_run_writes_nothing_and_promises_what_the_real_one_does(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    world.sweep()
    world.pass_days()
    state, before = world.locations(), {key: list(found) for key, found in world.lake.objects.items()}
    promised = world.sweep(apply=False)
    assert (world.locations(), world.lake.objects) == (state, before)
    assert promised.deleted.objects == 0
    assert world.sweep().deleted.objects == promised.due.objects > 0


def test_what_a_tag_pins_stays_until_the_tag_goes(world: SweptWorld) -> None:
    world.publish(R1, 1, (10, 20))
    create_tag(world.catalog(), "run-1")
    world.publish(R2, 2, (30,))
    expire(world.catalog(), NOW, apply=True)
    world.finished(DRIVE, R2)
    world.twice()
    version = resolve(load_together(world.catalog()), "run-1")
    assert world.anchors_at(version) == [10, 20]
    assert (
        world.catalog().load_table("quarantine.records").scan(snapshot_id=version.of("quarantine.records")).to_arrow().num_rows
        == 1
    )
    assert world.copy_key(R1) in world.quarantine.objects


@pytest.mark.parametrize(
    ("progress", "reason"),
    [(DriveProgress(False, R2), "its drive is not finished"), (None, "the ledger does not know its drive")],
)
def test_files_of_a_drive_that_may_still_be_published_stay(
    world: SweptWorld, progress: DriveProgress | None, reason: str
) -> None:
    revised(world)
    loose = world.loose(f"warehouse/gold/scenes/data/{DRIVE}/attempt.parquet")
    work = world.loose(f"work/{DRIVE}/{R2}/run-0-1/index.arrow")
    world.attempts.clear()
    if progress is not None:
        world.attempts[DRIVE] = progress
    report = world.twice()
    assert {loose, work} <= files(world)
    named = {line.key: line.reason for line in report.lines}
    assert (named[loose], named[work]) == (reason, reason)


def test_work_areas_and_inputs_of_a_finished_drive_go_but_what_its_rows_name(world: SweptWorld) -> None:
    revised(world)
    gone = {world.loose(f"work/{DRIVE}/{R1}/run-0-1/index.arrow"), world.loose(f"inputs/{DRIVE}/{R3}.json")}
    stays = {world.loose(f"inputs/{DRIVE}/{revision}.json") for revision in (R1, R2)}
    world.twice()
    assert files(world) >= stays
    assert files(world) & gone == set()


def test_the_input_that_a_drive_is_to_be_run_with_stays(world: SweptWorld) -> None:
    revised(world)
    current = world.loose(f"inputs/{DRIVE}/{R3}.json")
    world.finished(DRIVE, R3)
    world.twice()
    assert current in files(world)


def test_results_that_a_publication_names_stay_and_those_of_lost_attempts_go(world: SweptWorld) -> None:
    import dataclasses

    from msgspec.structs import replace

    named = world.loose(f"warehouse/quality/validations/{DRIVE}/named.json")
    lost = world.loose(f"warehouse/quality/validations/{DRIVE}/lost.json")
    statistics = world.loose("warehouse/quality/statistics/car-1/1-d.json")
    batch = world.batch(R1, 1, (10,), DRIVE)
    facts = replace(batch.facts, validations=f"s3://{world.lake.name}/{named}")
    publish(world.catalog(), dataclasses.replace(batch, facts=facts))
    world.finished(DRIVE, R1)
    world.twice()
    assert {named, statistics} <= files(world)
    assert lost not in files(world)


def test_what_no_rule_knows_stays_and_is_named(world: SweptWorld) -> None:
    revised(world)
    strange = [
        world.loose("warehouse/other/table/data/1.parquet"),
        world.loose("work/loose.txt"),
        world.loose("inputs/car-1/drive-a/short.json"),
        world.loose("warehouse/gold/scenes/elsewhere.txt"),
    ]
    baseline = world.loose("baselines/car-1.json")
    report = world.twice()
    assert {*strange, baseline} <= files(world)
    named = {line.key: line.reason for line in report.lines}
    assert {named[key] for key in strange} == {"no rule of the sweep knows it"}


def test_young_files_stay(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    world.sweep()
    young = world.loose(f"warehouse/gold/scenes/data/{DRIVE}/young.parquet")
    world.now += 21 * HOUR
    report = world.sweep()
    assert young in files(world)
    assert {line.reason for line in report.lines if line.key == young} == {"younger than 86400 s"}


def test_a_publication_during_a_sweep_keeps_its_files(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    world.sweep()
    world.pass_days()
    world.attempts[OTHER] = DriveProgress(False, R1)

    def other(_: object) -> None:
        world.publish(R1, 1, (77,), OTHER)
        world.lake.observe()

    world.lake.before_delete.append(other)
    assert world.sweep().deleted.objects > 0
    assert world.rows(OTHER)["gold.scenes"] == [(R1, 77)]
    reads_as(world, R2, (30,))
    world.pass_days()
    world.finished(OTHER, R1)
    world.twice()
    assert world.rows(OTHER)["gold.scenes"] == [(R1, 77)]


def test_a_file_that_a_commit_references_after_all_is_not_deleted(world: SweptWorld) -> None:
    """Whatever the ledger says: the tables are asked again before each batch."""
    revised(world)
    late = world.batch(R3, 3, (50,), DRIVE)
    world.lake.observe()
    world.pass_days(2)
    world.sweep()
    world.pass_days()
    world.quarantine.put(world.copy_key(R1, OTHER))  # keeps the order of the buckets
    seen = []

    def commit(key: str) -> None:
        if not seen and key.startswith("warehouse/quarantine"):
            seen.append(key)
            publish(world.catalog(), late)
            world.lake.observe()

    world.lake.before_page = commit
    report = world.sweep()
    reads_as(world, R3, (50,))
    assert report.kept_by["a commit has referenced it since the sweep began"].objects >= 3
    assert world.copy_key(R3) in world.quarantine.objects


def test_a_drive_that_is_queued_again_during_a_sweep_keeps_its_files(world: SweptWorld) -> None:
    revised(world)
    loose = world.loose(f"warehouse/gold/scenes/data/{DRIVE}/attempt.parquet")
    world.pass_days(2)
    world.sweep()
    world.pass_days()

    def reopen(key: str) -> None:
        if key.startswith("work") or "records" in key:
            world.attempts[DRIVE] = DriveProgress(False, R2)

    world.lake.before_page = reopen
    world.sweep()
    assert loose in files(world)


def test_a_staged_commit_of_a_table_that_has_not_changed_since_may_still_come(world: SweptWorld) -> None:
    revised(world)
    world.now = world.changed() + DAY
    staged = world.loose("warehouse/gold/scenes/metadata/99999-staged.metadata.json")
    report = world.twice()
    assert staged in files(world)
    assert {line.reason for line in report.lines if line.key == staged} == {"its table has not changed since it was written"}


def test_what_was_written_shortly_before_the_last_change_may_be_later_by_another_clock(world: SweptWorld) -> None:
    revised(world)
    world.now = world.changed() - 2 * HOUR
    before = world.loose("warehouse/gold/scenes/metadata/99998-before.metadata.json")
    world.now = world.changed() - HOUR // 2
    shortly = world.loose("warehouse/gold/scenes/metadata/99999-shortly.metadata.json")
    world.twice()
    assert {before, shortly} & set(files(world)) == {shortly}


def test_the_newest_metadata_files_stay_and_older_ones_go(world: SweptWorld) -> None:
    for generation in range(1, 16):
        world.publish(R1, generation, (10,))
    expire(world.catalog(), NOW, apply=True)
    world.finished(DRIVE, R1)
    world.twice()
    left = files(world, "gold/scenes/metadata/")
    assert len([name for name in left if name.endswith("metadata.json")]) == 11
    assert len([name for name in left if name.endswith(".avro")]) == len(referenced_avro(world))


def referenced_avro(world: SweptWorld) -> set[str]:
    table = world.catalog().load_table("gold.scenes")
    found = set()
    for snapshot in table.snapshots():
        found |= {snapshot.manifest_list, *(manifest.manifest_path for manifest in snapshot.manifests(table.io))}
    return found


def test_old_versions_and_markers_go_by_version_id_and_the_needed_one_stays(world: SweptWorld) -> None:
    revised(world)
    (scenes,) = files(world, f"scenes/data/{DRIVE}/{R2[:8]}")
    world.lake.observe()
    needed = world.lake.put(scenes, b"rewritten with the same bytes")
    gone = world.loose(f"work/{DRIVE}/{R1}/run-0-1/plan.arrow")
    world.lake.mark_deleted(gone)
    world.lake.mark_deleted(f"work/{DRIVE}/{R1}/run-0-1/marker-alone")
    world.twice()
    assert [version for version, _, _ in world.lake.objects[scenes]] == [needed]
    assert not [key for key in world.lake.objects if key.startswith("work/")]


def test_a_needed_object_under_a_delete_marker_is_named_and_not_touched(world: SweptWorld) -> None:
    revised(world)
    (scenes,) = files(world, f"scenes/data/{DRIVE}/{R2[:8]}")
    world.lake.observe()
    world.lake.mark_deleted(scenes)
    report = world.twice()
    assert len(world.lake.objects[scenes]) == 2
    assert [(line.key, line.hidden) for line in report.hidden] == [(scenes, True)]


class Died(BaseException):
    """The process was killed."""


def die(*_: object) -> None:
    raise Died


def kill_listing(world: SweptWorld) -> None:
    world.lake.before_page = lambda key: die() if "frames/data" in key else None


def kill_first_delete(world: SweptWorld) -> None:
    world.lake.before_delete = [die]


def kill_after_some(world: SweptWorld) -> None:
    fail = world.lake.fail_after(3)

    def some(versions: object) -> None:
        try:
            fail(versions)  # type: ignore[arg-type]
        except LakeError as error:
            raise Died from error

    world.lake.before_delete = [some]


def kill_in_quarantine(world: SweptWorld) -> None:
    world.quarantine.before_delete = [die]


def kill_uploads(world: SweptWorld) -> None:
    world.lake.uploads = die  # type: ignore[assignment,method-assign]


def kill_anchor(world: SweptWorld) -> None:
    world.doomed = world.interrupted(die)  # type: ignore[attr-defined]


KILLS: list[Callable[[SweptWorld], None]] = [
    kill_listing, kill_first_delete, kill_after_some, kill_in_quarantine, kill_anchor, kill_uploads,
]  # fmt: skip


@pytest.mark.parametrize("kill", KILLS)
def test_a_sweep_that_is_killed_leaves_a_lake_that_reads_and_the_next_one_finishes(
    world: SweptWorld, kill: Callable[[SweptWorld], None]
) -> None:
    create = revised(world)
    create.loose(f"work/{DRIVE}/{R1}/run-0-1/index.arrow")
    world.pass_days(2)
    world.sweep()
    world.pass_days()
    healthy = (world.lake.before_page, world.lake.uploads)
    kill(world)
    with pytest.raises(Died):
        world.sweep(catalog=getattr(world, "doomed", None))
    reads_as(world, R2, (30,))
    world.lake.before_page, world.lake.uploads = healthy  # type: ignore[method-assign]
    world.lake.before_delete, world.quarantine.before_delete = [], []
    world.sweep()
    world.pass_days()
    world.sweep()
    reads_as(world, R2, (30,))
    assert files(world, f"/{R1[:8]}-") == set()
    assert files(world, "work/") == set()
    assert world.copy_key(R1) not in world.quarantine.objects


def test_an_error_of_s3_in_the_middle_says_what_was_deleted_and_the_next_run_goes_on(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    listed = world.sweep().candidates.objects
    world.pass_days()
    world.lake.before_delete = [world.lake.fail_after(2)]
    with pytest.raises(MaintenanceError, match=r"SlowDown.*0 objects .0 bytes. were deleted, the rest remains") as caught:
        world.sweep()
    assert caught.value.hint == "run it again: it goes on with what remains"
    assert world.sweep().deleted.objects == listed - 2
    reads_as(world, R2, (30,))


def test_a_full_disk_stops_the_sweep_before_anything_is_deleted(world: SweptWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    revised(world)
    world.pass_days(2)
    world.sweep()
    world.pass_days()
    before = files(world)
    plain_open = Path.open

    def full(self: Path, mode: str = "r", *more: object, **named: object) -> object:
        if "scenelake-sweep-" in str(self) and mode != "rb":
            raise OSError(28, "No space left on device")
        return plain_open(self, mode, *more, **named)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(MaintenanceError, match="No space left on device; nothing was deleted"):
            world.sweep()
    assert files(world) >= before
    assert world.sweep().deleted.objects > 0


def test_two_sweeps_at_once_end_as_one(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    world.sweep()
    world.pass_days()
    inner: list[int] = []

    def another(_: object) -> None:
        world.lake.before_delete.clear()
        inner.append(world.sweep().deleted.objects)

    world.lake.before_delete = [another]
    outer = world.sweep()
    assert inner == [outer.deleted.objects]
    reads_as(world, R2, (30,))
    world.pass_days()
    world.sweep()
    assert files(world, f"/{R1[:8]}-") == set()


def anchored(world: SweptWorld) -> tuple[str, str]:
    listing, digest = world.catalog().load_table("gold.drives").properties[ANCHOR].split(" ")
    return listing, digest


@pytest.mark.parametrize("name", ["listing.json", "00000.json"])
@pytest.mark.parametrize("forgery", [b"{}", b"", b"not json", None])
def test_a_forged_or_missing_listing_is_refused_and_nothing_is_deleted(
    world: SweptWorld, name: str, forgery: bytes | None
) -> None:
    revised(world)
    world.pass_days(2)
    world.sweep()
    key = f"maintenance/sweep/{anchored(world)[0]}/{name}"
    if forgery is None:
        del world.lake.objects[key]
    else:
        world.lake.put(key, forgery)
    world.pass_days()
    before = files(world)
    with pytest.raises(MaintenanceError, match="is refused") as caught:
        world.sweep()
    assert "--relist" in (caught.value.hint or "")
    assert files(world) >= before
    report = world.sweep(relist=True)
    assert report.deleted.objects == 0
    assert files(world) >= before
    world.pass_days()
    assert world.sweep().deleted.objects > 0


def test_a_whole_older_listing_that_is_put_back_is_refused(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    world.sweep()
    old = {key: found[-1][2] for key, found in world.lake.objects.items() if anchored(world)[0] in key}
    world.now += HOUR
    world.sweep()
    newest = anchored(world)[0]
    for key, body in old.items():
        world.lake.put(f"maintenance/sweep/{newest}/{key.rpartition('/')[2]}", body)
    with pytest.raises(MaintenanceError, match="is refused"):
        world.sweep()


def test_a_stale_listing_is_not_used_and_the_sweep_begins_anew(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    world.sweep()
    world.pass_days(31)
    before = files(world)
    report = world.sweep()
    assert report.deleted.objects == 0
    assert files(world) >= before
    assert "31 days old and refused" in report.notes[0]
    world.pass_days()
    assert world.sweep().deleted.objects > 0


def test_a_listing_of_the_future_is_refused(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    world.sweep()
    world.now -= DAY
    with pytest.raises(MaintenanceError, match="of the future"):
        world.sweep()


def test_only_versions_that_both_listings_had_are_deleted(world: SweptWorld) -> None:
    revised(world)
    key = world.loose(f"work/{DRIVE}/{R1}/run-0-1/index.arrow")
    world.pass_days(2)
    world.sweep()
    world.pass_days()
    newer = world.lake.put(key, b"newer", at=world.now - 2 * DAY)
    world.sweep()
    assert [version for version, _, _ in world.lake.objects[key]] == [newer]
    world.pass_days()
    world.sweep()
    assert key not in world.lake.objects


def test_listings_of_earlier_sweeps_go_too(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    for _ in range(6):
        world.sweep()
        world.pass_days()
    kept = {key.split("/")[2] for key in world.lake.objects if key.startswith("maintenance/")}
    assert anchored(world)[0] in kept
    assert len(kept) <= 4


def test_a_listing_of_many_parts_is_compared_part_by_part(world: SweptWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates_module, "PART", 2)
    revised(world)
    report = world.twice()
    assert report.deleted.objects > 6
    assert files(world, f"/{R1[:8]}-") == set()


def test_uploads_that_were_left_are_aborted_and_young_ones_stay(world: SweptWorld) -> None:
    world.publish(R1, 1, (10,))
    old = UnfinishedUpload(world.lake.name, "warehouse/old", "u1", world.now - 2 * DAY)
    young = UnfinishedUpload("quarantine", "objects/young", "u2", world.now - HOUR)
    world.lake.left, world.quarantine.left = [old], [young]
    dry = world.sweep(apply=False)
    assert (dry.aborted, world.lake.left) == (1, [old])
    report = world.sweep()
    assert (report.aborted, report.kept_uploads, world.lake.left, world.quarantine.left) == (1, 1, [], [young])


def test_a_bucket_that_lists_out_of_order_is_not_swept(world: SweptWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    revised(world)
    plain = FakeBucket.keys
    monkeypatch.setattr(FakeBucket, "keys", lambda self, prefix: reversed(list(plain(self, prefix))))
    with pytest.raises(MaintenanceError, match="does not list its keys in order"):
        world.sweep()


@pytest.mark.parametrize("field", ["min_age_s", "delay_s", "upload_age_s"])
def test_no_limit_is_shorter_than_the_longest_lease(field: str) -> None:
    with pytest.raises(MaintenanceError, match="43200 s"):
        SweepPolicy(**{field: 43_199.0})


def test_the_difference_of_clocks_is_not_negative() -> None:
    with pytest.raises(MaintenanceError, match="-1 s apart"):
        SweepPolicy(skew_s=-1)


def test_an_error_of_s3_while_the_listing_is_written_leaves_the_former_one(world: SweptWorld) -> None:
    revised(world)
    world.pass_days(2)
    world.sweep()
    former = anchored(world)
    world.now += HOUR
    plain_put = world.lake.put

    def refuse(key: str, *more: object, **named: object) -> str:
        if key.startswith("maintenance/"):
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "slow down"}}, "PutObject")
        return plain_put(key, *more, **named)  # type: ignore[arg-type]

    world.lake.put = refuse  # type: ignore[method-assign]
    with pytest.raises(MaintenanceError, match="SlowDown") as caught:
        world.sweep()
    assert "goes on with what remains" in (caught.value.hint or "")
    world.lake.put = plain_put  # type: ignore[method-assign]
    assert anchored(world) == former
    world.pass_days()
    assert world.sweep().deleted.objects > 0


class LongBucket(FakeBucket):
    """A bucket of many objects that no one holds in memory."""

    count = 0

    def keys(self, prefix: str) -> Iterator[ObjectVersions]:
        if prefix != "scenes/":
            yield from super().keys(prefix)
            return
        for number in range(self.count):
            entry = ObjectEntry(f"v{number}", self.clock() - 5 * DAY, 10)
            yield ObjectVersions(f"scenes/{DRIVE}/{number:08d}.parquet", (entry,))


def test_its_memory_does_not_grow_with_the_objects(world: SweptWorld) -> None:
    revised(world)
    bucket = world.quarantine = LongBucket("quarantine", lambda: world.now)
    peaks = []
    for bucket.count in (1_500, 3_000, 15_000):  # the first one warms up
        tracemalloc.start()
        assert world.sweep(apply=False).candidates.objects >= bucket.count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1]
    assert world.attempts.asked < 100, "the ledger is asked once for objects of one drive that follow each other"


def test_an_empty_lake_can_be_swept(world: SweptWorld) -> None:
    report = world.twice()
    assert report.deleted.objects == len(report.hidden) == 0
