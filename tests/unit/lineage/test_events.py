"""Whole events against golden files; `SCENELAKE_WRITE_GOLDEN=1` rewrites them, for a reviewed change."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from openlineage.client.event_v2 import RunEvent, RunState
from openlineage.client.serde import Serde

from lake.landing import DriveId
from lake.tables.schemas import FRAMES, SCENES
from lineage.code_version import CodeVersion
from lineage.datasets import MAX_ASSERTIONS, Assertion, Statistics, input_dataset, manifest_input, output_dataset
from lineage.events import Engine, Failure, RunContext, SourceLocation, iso_time, run_event
from lineage.facets import REDACTED, redact
from lineage.names import drive_manifest, iceberg_table, job
from lineage.parent import RunRef

GOLDEN = Path(__file__).parent / "golden"
TIME_NS = 1_795_176_000_123_456_789
RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
PARENT = RunRef("airflow", "process_drive.build_scenes", "11111111-1111-7111-8111-111111111111")
ROOT = RunRef("airflow", "process_drive", "22222222-2222-7222-8222-222222222222")
VERSION = CodeVersion("0123456789abcdef0123456789abcdef01234567", True, "https://example.org/o/scenelake.git", "main")
CONTEXT = RunContext(
    job=job("build_scenes"),
    run_id=RUN_ID,
    parent=PARENT,
    root=ROOT,
    source_location=SourceLocation("spark_jobs/build_scenes.py", VERSION),
    engine=Engine("spark", "4.3.0"),
    properties={"spark.master": "local[2]", "spark.app.name": "build_scenes", "spark.hadoop.fs.s3a.secret.key": "hunter2"},
    config_hash="f" * 64,
)
MANIFEST = manifest_input(
    drive_manifest("raw", DriveId("car", "drive")), version_id="v7", revision="r1", objects=12, size_bytes=3_000_000_000
)
SCENES_TABLE = iceberg_table("s3://lake/warehouse", "gold.scenes")


def document(event: RunEvent) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Serde.to_json(event))
    return loaded


def check(event: RunEvent, name: str) -> dict[str, Any]:
    found = document(event)
    path = GOLDEN / f"{name}.json"
    if os.environ.get("SCENELAKE_WRITE_GOLDEN"):
        path.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    assert found == json.loads(path.read_text(encoding="utf-8"))
    return found


def test_start() -> None:
    check(run_event(RunState.START, TIME_NS, CONTEXT, inputs=[MANIFEST]), "start")


def test_complete() -> None:
    records = iceberg_table("s3://lake/warehouse", "quarantine.records")
    outputs = [
        output_dataset(records, version="42", statistics=Statistics(rows=3)),
        output_dataset(SCENES_TABLE, version="42", schema=FRAMES, statistics=Statistics(100, 2_000_000_000, 4)),
    ]
    assertions = [
        Assertion("CLK003", False, "warning", "cam_front", "0.25", "0.4", "cam_front: the measured rate is 40 % off"),
        Assertion("ACC001", True, "error"),
    ]
    metrics = input_dataset(SCENES_TABLE, version="41", assertions=assertions)
    found = check(run_event(RunState.COMPLETE, TIME_NS, CONTEXT, inputs=[metrics, MANIFEST], outputs=outputs), "complete")
    assert [entry["name"] for entry in found["outputs"]] == ["warehouse/gold/scenes", "warehouse/quarantine/records"]
    facet = found["inputs"][0]["inputFacets"]["dataQualityAssertions"]
    assert [entry["severity"] for entry in facet["assertions"]] == ["error", "warn"]


def test_fail() -> None:
    event = run_event(RunState.FAIL, TIME_NS, CONTEXT, inputs=[MANIFEST], failure=Failure("LakeError: no", "Traceback…"))
    check(event, "fail")


def test_the_least_there_can_be() -> None:
    found = check(run_event(RunState.START, TIME_NS, RunContext(job("audit"), RUN_ID)), "bare")
    assert found["run"]["facets"] == {}


def test_no_secret_and_no_raw_object_in_any_golden_event() -> None:
    for path in sorted(GOLDEN.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        assert "hunter2" not in text, path
        assert ".mcap" not in text, path


def test_every_facet_says_who_made_it() -> None:
    text = (GOLDEN / "complete.json").read_text(encoding="utf-8")
    assert "github.com/OpenLineage" not in text
    assert text.count('"_producer": "https://scenelake.example/lineage/1"') == text.count('"_producer"')


def test_parent_without_root_is_its_own_root() -> None:
    found = document(run_event(RunState.START, TIME_NS, RunContext(job("audit"), RUN_ID, parent=PARENT)))
    parent = found["run"]["facets"]["parent"]
    assert parent["root"]["run"] == parent["run"]
    assert parent["root"]["job"] == parent["job"]


def test_an_unknown_code_version_is_reported_and_no_location_is_made_up() -> None:
    context = RunContext(job("audit"), RUN_ID, source_location=SourceLocation("spark_jobs/audit.py", CodeVersion(None)))
    found = document(run_event(RunState.START, TIME_NS, context))
    assert found["run"]["facets"]["scenelake_code"]["codeVersion"] == "unknown"
    assert "sourceCodeLocation" not in found["job"]["facets"]


@pytest.mark.parametrize(
    ("repo_url", "url"),
    [
        ("https://example.org/o/r.git", "https://example.org/o/r/blob/abc/jobs/x.py"),
        ("git@example.org:o/r.git", "https://example.org/o/r/blob/abc/jobs/x.py"),
        ("ssh://example.org/o/r.git", "ssh://example.org/o/r/blob/abc/jobs/x.py"),
        (None, "git:abc:jobs/x.py"),
    ],
)
def test_source_url(repo_url: str | None, url: str) -> None:
    assert SourceLocation("jobs/x.py", CodeVersion("abc", repo_url=repo_url)).url == url


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (999, "1970-01-01T00:00:00.000000Z"),
        (TIME_NS, "2026-11-20T12:00:00.123456Z"),
        (1_795_176_000_999_999_999, "2026-11-20T12:00:00.999999Z"),
    ],
)
def test_time_is_never_a_float(time_ns: int, text: str) -> None:
    assert iso_time(time_ns) == text


def test_run_id_must_be_a_uuid() -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        run_event(RunState.START, TIME_NS, RunContext(job("audit"), "run-1"))


def test_long_messages_are_cut_and_keep_the_end_of_the_trace() -> None:
    failure = Failure("m" * 5000, "s" * 20_000 + "LakeError: no")
    facet = document(run_event(RunState.FAIL, TIME_NS, CONTEXT, failure=failure))["run"]["facets"]["errorMessage"]
    assert len(facet["message"]) == 4096
    assert len(facet["stackTrace"]) == 16384
    assert facet["stackTrace"].endswith("LakeError: no")


@pytest.mark.parametrize(
    "key",
    ["spark.hadoop.fs.s3a.secret.key", "AWS_ACCESS_KEY_ID", "fs.s3a.access.key", "db.PASSWORD", "auth.token", "x.credentials"],
)
def test_secrets_are_redacted(key: str) -> None:
    assert redact({key: "hunter2", "spark.master": "local"}) == {key: REDACTED, "spark.master": "local"}


def test_too_many_assertions_keep_those_that_failed() -> None:
    entries = [Assertion("CLK002", True, "warning", f"s{number:05}") for number in range(MAX_ASSERTIONS)]
    entries += [Assertion("SYN004", False, "error", "cam")]
    dataset = input_dataset(SCENES_TABLE, assertions=reversed(entries))
    event = document(run_event(RunState.START, TIME_NS, CONTEXT, inputs=[dataset]))
    kept = event["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert len(kept) == MAX_ASSERTIONS
    assert kept[-1]["assertion"] == "SYN004"


def test_nested_schema() -> None:
    dataset = output_dataset(SCENES_TABLE, schema=SCENES)
    fields = document(run_event(RunState.START, TIME_NS, CONTEXT, outputs=[dataset]))["outputs"][0]["facets"]["schema"]["fields"]
    by_name = {field["name"]: field for field in fields}
    assert [field["ordinal_position"] for field in fields] == list(range(1, len(SCENES) + 1))
    assert by_name["anchor_ns"]["type"] == "int64"
    assert by_name["quality_flags"]["type"] == "array<string>"
    assert by_name["lidars"]["type"] == "array<struct>"
    assert [field["name"] for field in by_name["lidars"]["fields"]][:4] == ["sensor", "stamp_ns", "offset_ns", "residual_ns"]
    assert by_name["ego_pose"]["type"] == "struct"
    points = next(field for field in by_name["lidars"]["fields"] if field["name"] == "point_fields")
    assert [field["name"] for field in points["fields"]] == ["name", "offset", "datatype", "count"]


def test_equal_runs_have_equal_events_whatever_the_order() -> None:
    one, two = output_dataset(SCENES_TABLE), output_dataset(iceberg_table("s3://lake/warehouse", "gold.frames"))
    left = run_event(RunState.COMPLETE, TIME_NS, CONTEXT, outputs=[one, two])
    right = run_event(RunState.COMPLETE, TIME_NS, CONTEXT, outputs=[two, one])
    assert document(left) == document(right)


def test_empty_schema() -> None:
    event = run_event(RunState.START, TIME_NS, CONTEXT, outputs=[output_dataset(SCENES_TABLE, schema=pa.schema([]))])
    assert document(event)["outputs"][0]["facets"]["schema"]["fields"] == []
