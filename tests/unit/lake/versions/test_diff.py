"""The difference of two versions: every scene once, with its cause, against an oracle that reads everything."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyiceberg.table import DataScan
from pyiceberg.types import StringType

from lake.landing import DriveId
from lake.tables.publish import publish
from lake.tables.schemas import SCENES
from lake.versions import diff as module
from lake.versions.diff import Cause, Change, DriveDiff, diff
from lake.versions.moments import load_together, resolve
from lake.versions.tags import create_tag
from tests.unit.lake.tables.fence_lake import scene
from tests.unit.lake.versions.test_publication_pages import merge_files
from tests.unit.lake.versions.version_lake import DRIVE, OTHER, VersionLake

DIGESTED = SCENES if "scene_digest" in SCENES.names else SCENES.append(pa.field("scene_digest", pa.string()))
Facts = Mapping[str, Any]


class DiffLake(VersionLake):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        table = self.catalog().load_table("gold.scenes")
        if "scene_digest" not in table.schema().column_names:
            with table.update_schema() as change:
                change.add_column("scene_digest", StringType())

    def release(
        self, revision: str, generation: int, scenes: Mapping[int, Facts], drive: DriveId = DRIVE, *, files: int = 1, **facts: str
    ) -> None:
        """Publish scenes, each by its anchor with what differs from the usual; spread over several files."""
        batch = self.batch(revision, generation, sorted(scenes) or (1,), drive)
        rows = [
            scene(drive, revision, anchor) | {"scene_digest": f"d{anchor}"} | dict(scenes[anchor]) for anchor in sorted(scenes)
        ]
        parts = [rows[at::files] for at in range(files) if rows[at::files]]
        uris = [self.put(part, DIGESTED) for part in parts]
        publish(
            self.catalog(),
            dataclasses.replace(
                batch,
                files={**batch.files, "gold.scenes": uris},
                facts=__import__("msgspec").structs.replace(batch.facts, scenes=len(rows), frames=max(len(rows), 1), **facts),
            ),
        )

    def compared(self, first: str, second: str) -> list[DriveDiff]:
        tables = load_together(self.catalog())
        return list(diff(tables, resolve(tables, first), resolve(tables, second)))


@pytest.fixture
def lake(tmp_path: Path) -> DiffLake:
    return DiffLake(tmp_path)


def said(one: DriveDiff) -> dict[str, tuple[Change, tuple[Cause, ...]]]:
    return {found.scene_id.rpartition(".")[2]: (found.change, found.causes) for found in one.scenes}


SOURCES = [{"key": "k", "version_id": "w", "sha256": "t"}]
RELEASED = [{"level": "scene", "about": "x", "rule_ids": ["LID001"], "reviewer": "ann", "reason": "fine"}]


@pytest.mark.parametrize(
    ("facts", "causes"),
    [
        ({"sources": SOURCES}, (Cause.OBJECT,)),
        ({"code_version": "c2"}, (Cause.CODE,)),
        ({"config_hash": "h2"}, (Cause.RULE,)),
        ({"released": RELEASED}, (Cause.OVERRIDE,)),
        ({"sources": SOURCES, "code_version": "c2"}, (Cause.OBJECT, Cause.CODE)),
        ({}, (Cause.UNKNOWN,)),
    ],
)
def test_a_scene_whose_digest_changed_names_what_differs_in_its_provenance(
    lake: DiffLake, facts: Facts, causes: tuple[Cause, ...]
) -> None:
    lake.release("r1", 1, {10: {}, 20: {}})
    create_tag(lake.catalog(), "one")
    lake.release("r2", 2, {10: {}, 20: {"scene_digest": "other", **facts}})
    (found,) = lake.compared("one", "main")
    assert said(found) == {"20": (Change.CHANGED, causes)}
    assert found.counts == {Change.LAYOUT: 1, Change.CHANGED: 1}
    assert (found.before.generation, found.after.generation) == (1, 2)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("column", "cause"),
    [("calibration_hash", Cause.OBJECT), ("lock_hash", Cause.CODE), ("baseline", Cause.RULE)],
)
@pytest.mark.parametrize("added", [False, True])
def test_what_only_the_publication_says_is_a_cause_too(lake: DiffLake, column: str, cause: Cause, *, added: bool) -> None:
    """A corrected calibration changes every scene, and none of the raw objects that scenes name."""
    lake.release("r1", 1, {10: {"scene_digest": "one"}}, **{column: "old"})
    create_tag(lake.catalog(), "before")
    lake.release("r2", 2, {10: {"scene_digest": "two"}} | ({11: {}} if added else {}), **{column: "new"})
    (found,) = lake.compared("before", "main")
    causes = {name: causes for name, (_, causes) in said(found).items()}
    assert causes["10"] == (cause,)
    if added:
        assert cause in causes["11"]


def test_what_a_publication_does_not_say_is_no_cause(lake: DiffLake) -> None:
    lake.release("r1", 1, {10: {"scene_digest": "one"}})
    create_tag(lake.catalog(), "before")
    lake.release("r2", 2, {10: {"scene_digest": "two"}}, calibration_hash="new", lock_hash="new")
    (found,) = lake.compared("before", "main")
    assert said(found)["10"] == (Change.CHANGED, (Cause.UNKNOWN,))
    lake.release("r3", 3, {10: {"scene_digest": "three"}}, calibration_hash="new", lock_hash="new", baseline="its first")
    (found,) = lake.compared("before", "main")
    assert said(found)["10"] == (Change.CHANGED, (Cause.RULE,))


def test_equal_digests_in_other_files_are_layout_only_whatever_built_them(lake: DiffLake) -> None:
    lake.release("r1", 1, {10: {}, 20: {}, 30: {}})
    create_tag(lake.catalog(), "one")
    lake.release("r2", 2, {10: {"code_version": "c2"}, 20: {}, 30: {}}, files=3)
    (found,) = lake.compared("one", "main")
    assert (found.counts, found.scenes, found.differs) == ({Change.LAYOUT: 3}, (), False)


def test_a_compaction_is_layout_only_and_reads_no_payload(lake: DiffLake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.release("r1", 1, {10: {}, 20: {}}, files=2)
    lake.release("n1", 1, {10: {}}, OTHER)
    create_tag(lake.catalog(), "one")
    compacted(lake)
    read: list[tuple[str, ...]] = []
    plain = DataScan.to_arrow_batch_reader
    monkeypatch.setattr(DataScan, "to_arrow_batch_reader", lambda self: read.append(self.selected_fields) or plain(self))
    (found,) = lake.compared("one", "main")
    assert ((found.vehicle_id, found.drive_id), found.counts, found.differs) == (
        (DRIVE.vehicle_id, DRIVE.drive_id), {Change.LAYOUT: 2}, False
    )  # fmt: skip
    assert (found.before, found.after) == (None, None), "its publication is the same"
    assert {column for columns in read for column in columns} <= set(module.FACTS)


def compacted(lake: DiffLake) -> None:
    """The files of `DRIVE` become one, in one commit, as a compaction does it."""
    from lake.iceberg.internals import begin

    catalog = lake.catalog()
    table = catalog.load_table("gold.scenes")
    rows = table.scan(row_filter=f"drive_id == '{DRIVE.drive_id}'").to_arrow().to_pylist()
    change = begin(table)
    change.delete(f"drive_id == '{DRIVE.drive_id}'")
    change.add_files([lake.put(rows, DIGESTED)], check_duplicate_files=False)
    catalog.commit_together([change])


@pytest.mark.parametrize("side", [0, 1])
def test_a_missing_digest_is_unknown_and_never_the_same(lake: DiffLake, side: int) -> None:
    old, new = [{"scene_digest": None} if side == which else {} for which in (0, 1)]
    lake.release("r1", 1, {10: old})
    create_tag(lake.catalog(), "one")
    lake.release("r2", 2, {10: new})
    (found,) = lake.compared("one", "main")
    assert (found.counts, found.differs) == ({Change.UNKNOWN: 1}, True)


def test_both_without_a_digest_are_unknown(lake: DiffLake) -> None:
    lake.release("r1", 1, {10: {"scene_digest": None}})
    create_tag(lake.catalog(), "one")
    lake.release("r2", 2, {10: {"scene_digest": None}})
    (found,) = lake.compared("one", "main")
    assert found.counts == {Change.UNKNOWN: 1}


def test_added_and_removed_scenes_have_the_cause_of_their_drive(lake: DiffLake) -> None:
    lake.release("r1", 1, {10: {}, 20: {}}, code_version="c1", config_hash="h")
    create_tag(lake.catalog(), "one")
    lake.release("r2", 2, {20: {}, 30: {"released": RELEASED}}, code_version="c2", config_hash="h")
    (found,) = lake.compared("one", "main")
    assert said(found) == {
        "10": (Change.REMOVED, (Cause.CODE, Cause.OVERRIDE)),
        "30": (Change.ADDED, (Cause.CODE, Cause.OVERRIDE)),
    }
    lake.release("r3", 3, {20: {}, 30: {"released": RELEASED}, 40: {"sources": SOURCES}}, code_version="c2", config_hash="h")
    create_tag(lake.catalog(), "two", f"{DRIVE}@2")
    (found,) = lake.compared("two", "main")
    assert said(found) == {"40": (Change.ADDED, (Cause.OBJECT,))}


def test_a_drive_that_only_one_version_has(lake: DiffLake) -> None:
    lake.release("r1", 1, {10: {}})
    create_tag(lake.catalog(), "one")
    lake.release("n1", 1, {77: {}}, OTHER)
    (found,) = lake.compared("one", "main")
    assert (said(found), found.before, found.after is not None) == ({"77": (Change.ADDED, (Cause.DRIVE,))}, None, True)
    (back,) = lake.compared("main", "one")
    assert said(back) == {"77": (Change.REMOVED, (Cause.DRIVE,))}


def test_a_drive_that_became_empty_and_one_that_always_was(lake: DiffLake) -> None:
    lake.release("r1", 1, {10: {}})
    lake.release("e1", 1, {}, OTHER)
    create_tag(lake.catalog(), "one")
    lake.release("r2", 2, {})
    lake.release("e2", 2, {}, OTHER)
    empty, nothing = lake.compared("one", "main")
    assert said(empty) == {"10": (Change.REMOVED, (Cause.OVERRIDE,))}
    assert (nothing.vehicle_id, nothing.counts, nothing.differs) == (OTHER.vehicle_id, {}, False)
    assert (nothing.before.generation, nothing.after.generation) == (1, 2)  # type: ignore[union-attr]


def test_only_drives_that_differ_are_read(lake: DiffLake, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        lake.release("r1", 1, {10: {}}, DriveId("car-1", f"d{number}"))
    create_tag(lake.catalog(), "one")
    lake.release("r2", 2, {10: {"scene_digest": "x", "code_version": "c2"}}, DriveId("car-1", "d3"))
    names: list[object] = []
    plain = module._side
    monkeypatch.setattr(module, "_side", lambda *given: names.append(given[2]) or plain(*given))
    (found,) = lake.compared("one", "main")
    assert found.drive_id == "d3"
    assert set(names) == {("car-1", "d3")}


def test_rows_of_drives_that_were_only_merged_are_no_difference(lake: DiffLake, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        lake.release("r1", 1, {10: {}}, DriveId("car-1", f"d{number}"))
    create_tag(lake.catalog(), "one")
    lake.release("r2", 2, {10: {"scene_digest": "x"}}, DriveId("car-1", "d1"))
    merge_files(lake)
    asked: list[object] = []
    plain = module._newest
    monkeypatch.setattr(module, "_newest", lambda *given: asked.append(given[2]) or plain(*given))
    assert [one.drive_id for one in lake.compared("one", "main")] == ["d1"]
    assert set(asked) == {("car-1", "d1")}


def test_a_version_does_not_differ_from_itself(lake: DiffLake) -> None:
    lake.release("r1", 1, {10: {}})
    create_tag(lake.catalog(), "one")
    assert lake.compared("one", "main") == []


def test_a_file_that_mixes_drives_is_asked_for_them(lake: DiffLake) -> None:
    lake.release("r1", 1, {10: {}})
    create_tag(lake.catalog(), "one")
    table = lake.catalog().load_table("gold.scenes")
    mixed = [scene(DriveId("car-1", name), "r", 5) | {"scene_digest": "d"} for name in ("x", "y")]
    table.add_files([lake.put(mixed, DIGESTED)], check_duplicate_files=False)
    assert [(one.drive_id, one.counts) for one in lake.compared("one", "main")] == [
        ("x", {Change.ADDED: 1}),
        ("y", {Change.ADDED: 1}),
    ]


STATES = st.dictionaries(
    st.sampled_from(["d0", "d1", "d2"]),
    st.dictionaries(st.integers(1, 4), st.sampled_from(["a", "b", None]), max_size=4),
    min_size=1,
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(states=st.tuples(STATES, STATES))
def test_the_difference_is_that_of_all_rows_of_both_versions(
    states: Sequence[Mapping[str, Mapping[int, str | None]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake, held = DiffLake(tmp_path_factory.mktemp("lake")), []
    current: dict[str, dict[int, tuple[str | None, int]]] = {}
    for generation, state in enumerate(states, 1):
        for name, scenes in state.items():
            drive = DriveId("car-1", name)
            lake.release(f"r{generation}", generation, {k: {"scene_digest": v} for k, v in scenes.items()}, drive)
            current[name] = {anchor: (digest, generation) for anchor, digest in scenes.items()}
        create_tag(lake.catalog(), f"v{generation}")
        held.append({(name, anchor): found for name, scenes in current.items() for anchor, found in scenes.items()})
    expected: dict[tuple[str, int], Change] = {}
    for key in held[0].keys() | held[1].keys():
        old, new = held[0].get(key), held[1].get(key)
        if old == new:
            continue  # the same file
        if old is None or new is None:
            expected[key] = Change.ADDED if old is None else Change.REMOVED
        elif old[0] is None or new[0] is None:
            expected[key] = Change.UNKNOWN
        elif old[0] != new[0]:
            expected[key] = Change.CHANGED
    found = {
        (one.drive_id, int(scene.scene_id.rpartition(".")[2])): scene.change
        for one in lake.compared("v1", "v2")
        for scene in one.scenes
    }
    assert found == expected
