"""Facts of objects come from what their scan reported, and from the manifest."""

from __future__ import annotations

import dataclasses

from lake.documents import Manifest, ManifestObject
from lake.landing import SensorKey
from quality.tables.object import OBJECTS, object_table
from scenes.documents import ObjectReport
from scenes.scan.judge import judge_objects, object_facts
from tests.unit.scenes.job_builders import DRIVE, T0

HERE, GONE = (str(SensorKey(DRIVE, "lidar", "top", T0 + n)) for n in range(2))
REPORT = ObjectReport(
    number=0,
    key=HERE,
    sensor="top",
    version_id="v1",
    sha256="d" * 64,
    size_bytes=3,
    frames=7,
    samples=0,
    faults=("byte 1: cut",),
    unknown_types={},
    origins=(),
    index="index/00000.arrow",
)
MANIFEST = Manifest(
    DRIVE, "rig-1", T0, T0 + 10, "test", "1", "0" * 64, (ManifestObject(GONE, 9, "e" * 64, "lidar", "top", T0 + 1, T0 + 1, 5),)
)


def test_facts_of_objects_come_from_reports_and_manifest() -> None:
    found = object_facts([REPORT], MANIFEST)
    assert [(entry.key, entry.sensor, entry.size_bytes, entry.expected is not None, entry.frames_read) for entry in found] == [
        (HERE, "top", 3, False, 7),
        (GONE, "top", None, True, 0),
    ]
    assert object_table(found, ()).schema == OBJECTS


def test_an_object_is_absent_only_if_it_was_not_read() -> None:
    both = dataclasses.replace(MANIFEST, objects=())
    assert [entry.key for entry in object_facts([REPORT], both, None, [HERE, GONE])] == [HERE, GONE]
    assert object_facts([REPORT], both, None, [HERE, GONE])[0].size_bytes == 3


def test_without_a_manifest_nothing_is_held_against_it() -> None:
    assert [found.rule_id for found in judge_objects([REPORT], None)[HERE]] == ["DEC002"]
    assert "DEC001" in [found.rule_id for found in judge_objects([REPORT], MANIFEST)[HERE]]
