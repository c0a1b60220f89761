"""Overrides: bounded, canonical, and equal after a round trip."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import OverrideError
from lake.iceberg.sql_catalog import LakeCatalog
from lake.overrides import MAX_TARGETS, Override, Verdict, frame_target, object_target, scene_target
from lake.tables import creation
from lake.tables import schemas as tables
from lake.tables.creation import ensure_tables

TARGETS = st.one_of(
    st.just("drive"),
    st.integers(-(2**63), 2**63 - 1).map(scene_target),
    st.builds(frame_target, st.sampled_from(["lidar_top", "cam-1"]), st.integers(0, 2**63 - 1)),
    st.builds(object_target, st.just("car/d/lidar/top/1.mcap"), st.none() | st.uuids().map(str)),
)
GOOD = Override(Verdict.RELEASE, "a" * 64, ("drive",), ("CLK003",), "alice", "seen it")


@given(
    st.lists(TARGETS, min_size=1, max_size=20),
    st.lists(st.from_regex(r"[A-Z]{3}[0-9]{3}", fullmatch=True), min_size=1, max_size=5),
    st.sampled_from(Verdict),
)
def test_round_trip_whatever_the_order(targets: list[str], rules: list[str], verdict: Verdict) -> None:
    made = replace(GOOD, verdict=verdict, targets=tuple(targets), rules=tuple(rules))
    again = replace(made, targets=tuple(reversed(targets)), rules=tuple(rules + rules))
    assert again == made
    assert again.to_string() == made.to_string()
    assert Override.parse(made.to_string()) == made


@pytest.mark.parametrize(
    "change",
    [
        {"input": "a" * 63},
        {"input": "A" * 64},
        {"targets": ()},
        {"targets": ("scene:x",)},
        {"targets": ("object:ü",)},
        {"targets": ("drive\n",)},
        {"targets": tuple(scene_target(n) for n in range(MAX_TARGETS + 1))},
        {"rules": ()},
        {"rules": ("lid001",)},
        {"reviewer": "-x"},
        {"reviewer": "a" * 101},
        {"reason": "ab"},
        {"reason": " padded "},
        {"reason": "two\nlines"},
        {"reason": "\u202etxt.exe"},
    ],
)
def test_what_is_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(OverrideError):
        replace(GOOD, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "{}", "SYN001", "[" * 100_000, "x" * 300_000,
        json.dumps(json.loads(GOOD.to_string()) | {"more": 1}),
        json.dumps(json.loads(GOOD.to_string()) | {"verdict": "undo"}),
        json.dumps(json.loads(GOOD.to_string()) | {"targets": "drive"}),
        json.dumps(json.loads(GOOD.to_string()) | {"rules": [1]}),
        json.dumps(json.loads(GOOD.to_string()) | {"reviewer": None}),
    ],
)  # fmt: skip
def test_what_is_not_an_override_is_refused(text: str) -> None:
    with pytest.raises(OverrideError):
        Override.parse(text)


def test_a_decision_that_does_not_fit_the_ledger_is_refused() -> None:
    keys = tuple(object_target(f"car/d/lidar/{'x' * 60}/{n:019d}.mcap", "v" * 40) for n in range(2000))
    with pytest.raises(OverrideError, match="decide about fewer"):
        replace(GOOD, targets=keys).to_string()


def test_tables_of_an_older_lake_get_the_new_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"released", "input", "reviewer", "reason"}

    def older(schema: pa.Schema) -> pa.Schema:
        if schema not in (tables.SCENES, tables.RECORDS):  # where older lakes lack them
            return schema
        fields = [field for field in schema if field.name not in columns]
        return pa.schema([_without(field) if field.name == "findings" else field for field in fields])

    def _without(field: pa.Field) -> pa.Field:
        kept = [entry for entry in field.type.value_type if entry.name not in ("sensor", "severity")]
        return pa.field(field.name, pa.list_(pa.field("element", pa.struct(kept), nullable=False)), nullable=False)

    made = LakeCatalog("unit", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/warehouse")
    with monkeypatch.context() as patch:
        patch.setattr(creation, "PUBLISHED", {name: older(schema) for name, schema in tables.PUBLISHED.items()})
        ensure_tables(made)
    before = made.load_table("quarantine.records").schema().column_names
    assert "input" not in before
    for _ in range(2):
        ensure_tables(made)
        for name, schema in tables.PUBLISHED.items():
            table = made.load_table(name)
            assert set(schema.names) <= set(table.schema().column_names)
            assert table.schema().find_field("vehicle_id").required
    assert {"findings.element.sensor", "findings.element.severity"} <= set(
        made.load_table("quarantine.records").schema().column_names
    )
