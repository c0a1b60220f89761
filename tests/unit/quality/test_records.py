from __future__ import annotations

import dataclasses
import datetime
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lake.landing import DriveId
from lake.tables.rows import RawPosition, RecordFinding, RecordRow, row_of
from lake.tables.schemas import RECORDS
from quality.errors import FindingError
from quality.records import (
    NOWHERE,
    Origin,
    Position,
    record,
    record_id,
    records_table,
)
from quality.rules.catalogue import Level
from quality.rules.findings import finding

DAY = datetime.date(2024, 5, 1)
ORIGIN = Origin(DriveId("car-1", "drive-1"), "r1", "c" * 40, "h" * 64)
POSITION = Position("car-1/drive-1/camera/cam/1700000000000000000.mcap", "v1", 4096, 12)
BROKEN = finding("DEC005", "cut short", sensor="cam", measured=1)
FLAG = finding("CLK002", "twice", sensor="cam", measured=2)

parts = st.none() | st.integers(0, 5)
identities = st.fixed_dictionaries(
    {
        "level": st.sampled_from(Level),
        "revision": st.text(max_size=3),
        "rules": st.frozensets(st.sampled_from(["DEC001", "DEC002", "DEC00", "1DEC002"]), max_size=3),
        "sensor": st.none() | st.text(max_size=3),
        "anchor_ns": parts,
        "stamp_ns": parts,
        "position": st.builds(Position, st.none() | st.text(max_size=4), st.none(), parts, parts),
    }
)


def identify(identity: dict[str, Any]) -> str:
    values = dict(identity)
    origin = dataclasses.replace(ORIGIN, revision=values.pop("revision"))
    return record_id(values.pop("level"), origin, sorted(values.pop("rules")), **values)


@given(identities, identities)
def test_ids_are_equal_exactly_when_what_they_are_about_is(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert (identify(left) == identify(right)) is (left == right)


@given(st.permutations(["DEC001", "DEC002", "DEC003"]))
def test_the_order_and_repetition_of_rules_does_not_matter(rules: list[str]) -> None:
    reference = record_id(Level.OBJECT, ORIGIN, ["DEC001", "DEC002", "DEC003"])
    assert record_id(Level.OBJECT, ORIGIN, [*rules, rules[0]]) == reference


def test_id_is_stable_across_releases() -> None:
    identity = record_id(Level.OBJECT, ORIGIN, ["DEC005"], sensor="cam", stamp_ns=7, position=POSITION)
    assert identity == "80fec512fb28398271df53925dc3d7c3c210d5a35f314aaef3abe5e02b280839"


def test_values_cannot_run_together() -> None:
    joined = record_id(Level.OBJECT, ORIGIN, ["DEC001"], sensor="a", position=Position(key="bc"))
    assert joined != record_id(Level.OBJECT, ORIGIN, ["DEC001"], sensor="ab", position=Position(key="c"))


def test_code_and_configuration_are_not_part_of_the_id() -> None:
    other = dataclasses.replace(ORIGIN, code_version="d" * 40, config_hash="x")
    assert record_id(Level.DRIVE, ORIGIN, ["CMP003"]) == record_id(Level.DRIVE, other, ["CMP003"])


def test_frame_record_holds_all_findings_and_fits_the_table() -> None:
    row = record(
        Level.OBJECT, ORIGIN, [FLAG, BROKEN], frames=1, sensor="cam", stamp_ns=7, position=POSITION, payload_uri="s3://q/x"
    )
    assert re.fullmatch(r"[0-9a-f]{64}", row.record_id)
    assert row.rule_ids == ("CLK002", "DEC005")
    assert row.findings[1] == RecordFinding(
        rule_id="DEC005", measured=1, threshold=0, message="cut short", sensor="cam", severity="error"
    )
    assert row.source == RawPosition(key=POSITION.key, version_id="v1", offset=4096)
    assert (row.level, row.frames, row.status, row.payload_uri) == ("object", 1, "quarantined", "s3://q/x")
    table = records_table([row], DAY)
    assert table.schema == RECORDS
    assert [row_of(RecordRow, columns) for columns in table.to_pylist()] == [replace(row, day=DAY)]
    assert set(table.column_names) == set(row.__struct_fields__)


def test_each_level() -> None:
    whole_object = record(Level.OBJECT, ORIGIN, [BROKEN], sensor="cam", position=POSITION, frames=10)
    drive = record(Level.DRIVE, ORIGIN, [finding("CMP003", "dead", sensor="cam", measured=0)], frames=300)
    scene = record(Level.SCENE, ORIGIN, [finding("SYN001", "gone", measured=1)], sensor="lidar", anchor_ns=5, frames=3)
    assert [row.level for row in (whole_object, drive, scene)] == ["object", "drive", "scene"]
    assert (scene.sensor, scene.anchor_ns, scene.stamp_ns) == ("lidar", 5, None)
    assert drive.source == RawPosition()
    ids = records_table([whole_object, drive, scene], DAY)["record_id"].to_pylist()
    assert ids == sorted(ids)


def test_two_messages_of_one_chunk_with_one_stamp_are_two_records() -> None:
    second = dataclasses.replace(POSITION, message_offset=900)
    rows = [
        record(Level.OBJECT, ORIGIN, [BROKEN], frames=1, sensor="cam", stamp_ns=7, position=position)
        for position in (POSITION, second)
    ]
    assert records_table(rows, DAY).num_rows == 2


def test_records_that_cannot_be_distinguished_are_refused() -> None:
    row = record(Level.OBJECT, ORIGIN, [BROKEN], frames=1, sensor="cam", stamp_ns=7, position=NOWHERE)
    with pytest.raises(FindingError, match=row.record_id):
        records_table([row, row], DAY)


def test_a_record_without_reason_is_refused() -> None:
    with pytest.raises(FindingError, match="without any finding"):
        record(Level.DRIVE, ORIGIN, [], frames=0)


def test_a_negative_number_of_frames_is_refused() -> None:
    with pytest.raises(FindingError, match="-1 frames"):
        record(Level.DRIVE, ORIGIN, [BROKEN], frames=-1)
