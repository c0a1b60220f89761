"""The command line from a user's point of view: help, exit status, and errors without tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from ingest.ledger.records import DecisionRecord, ObjectHead, RefusedRecord
from lake.errors import LakeError, LandingError
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from ops import deployment
from ops.audit import lake_reader
from ops.deployment import Deployment
from ops.errors import OpsError, explain
from ops.review.listing import refused_row
from tests.unit.ops import lake_builders as rows
from tests.unit.ops.fake_deployment import deployment_with
from tests.unit.ops.report.report_builders import BAD, GOOD, SCENES, fill_two_drives

COMMANDS = (
    "up", "down", "status", "demo", "audit", "sync-report", "sync report",
    "drive generate", "drive import", "drive upload", "drive wait", "drive reprocess", "drive requeue", "drive calibrations",
    "dlq ls", "dlq show", "dlq redrive",
    "gold ls", "gold show", "gold tag", "gold untag", "gold tags", "gold diff", "gold compact", "gold expire", "gold sweep",
    "quarantine ls", "quarantine show", "quarantine release", "quarantine reject",
    "recall find", "recall ls", "recall lift", "hold place", "hold ls", "hold release", "forget",
    "metrics serve", "metrics show",
)  # fmt: skip
REFUSED = RefusedRecord(
    ObjectHead("a/model.pkl", "v1", 3, "e", 0), "KEY001", "key 'a/model.pkl' is none of …", "s3://raw/a/model.pkl", 0
)


class FakeLedger:
    def drive(self, drive: DriveId) -> None:
        return None

    def decisions(self, drive: DriveId) -> list[DecisionRecord]:
        return []

    def refused(self, after: str = "") -> Iterator[RefusedRecord]:
        yield from () if after else (REFUSED,)

    def refused_versions(self, key: str) -> list[RefusedRecord]:
        return [REFUSED] if key == REFUSED.head.key else []


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "300", "SCENELAKE_HOME": "/nonexistent/scenelake"})


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> LakeCatalog:
    made = rows.catalog_of(tmp_path_factory.mktemp("lake"))
    fill_two_drives(made)
    return made


@pytest.fixture
def lake(catalog: LakeCatalog, monkeypatch: pytest.MonkeyPatch) -> LakeCatalog:
    made = deployment_with(catalog=catalog, ledger=FakeLedger())
    monkeypatch.setattr(deployment, "enter", lambda endpoint, home: made)
    return catalog


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_and_gives_an_example(command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    usual = command.removesuffix(" find").removesuffix(" place")  # these two may be left out
    assert "Example: scenelake " + usual in text
    assert len(text) > 200


def test_the_list_of_commands_is_complete() -> None:
    found = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found |= {f"{group.name} {command.name}" for command in group.typer_instance.registered_commands}
    assert found == set(COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    heavy = ("pyarrow", "pyiceberg", "boto3", "numpy", "matplotlib", "requests", "airflow", "pyspark")
    code = f"import sys; import cli.main; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "words",
    [
        ("drive", "wait", "veh-1"),
        ("drive", "wait", "Veh 1", "drive-a"),
        ("drive", "import", "kitti", "a", "b"),
        ("drive", "generate", "/tmp/never-made", "--fault", "melted:lidar_top"),
        ("gold", "show"),
        ("gold", "show", "--drive", "no-slash"),
        ("nonsense",),
    ],
)
def test_wrong_usage_ends_with_2(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("audit",),
        ("gold", "ls"),
        ("quarantine", "ls"),
        ("drive", "wait", "veh-1", "drive-a"),
        ("drive", "upload", "/nonexistent"),
    ],
)
def test_without_a_deployment_the_next_step_is_reported(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("SCENELAKE_RAW_BUCKET", raising=False)
    result = run(*words)
    assert result.exit_code == 1
    assert "error: no deployment to use" in result.stderr
    assert "`scenelake up`" in result.stderr
    assert result.stdout == ""


def test_status_of_a_stack_that_is_down_fails() -> None:
    result = run("status")
    assert result.exit_code == 1
    assert "no local stack is running" in result.stderr


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(endpoint: str | None, home: Path) -> Deployment:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(deployment, "enter", broken)
    assert isinstance(run("audit").exception, ZeroDivisionError)


def test_gold_ls_lists_publications(lake: LakeCatalog) -> None:
    text = run("gold", "ls").stdout
    assert str(GOOD) in text
    assert "generation 1" in text
    found = json.loads(run("gold", "ls", "--json").stdout)
    assert [(entry["vehicle_id"], entry["drive_id"], entry["scenes"]) for entry in found["publications"]] == [
        (drive.vehicle_id, drive.drive_id, SCENES) for drive in (BAD, GOOD)
    ]


def test_gold_ls_goes_by_page_and_filter(lake: LakeCatalog) -> None:
    first = run("gold", "ls", "--limit", "1")
    assert str(BAD) in first.stdout
    assert str(GOOD) not in first.stdout
    cursor = json.loads(run("gold", "ls", "--limit", "1", "--json").stdout)["before"]
    assert f"older ones: --before {cursor}" in first.stderr
    second = json.loads(run("gold", "ls", "--limit", "1", "--before", cursor, "--json").stdout)
    assert [entry["drive_id"] for entry in second["publications"]] == [GOOD.drive_id]
    assert second["before"] is None
    newer = json.loads(run("gold", "ls", "--after", second["after"], "--json").stdout)
    assert [entry["drive_id"] for entry in newer["publications"]] == [BAD.drive_id]
    for words in (("--vehicle", "veh-9"), ("--since", "2999-01-01"), ("--day", "1999-01-01")):
        assert json.loads(run("gold", "ls", *words, "--json").stdout)["publications"] == []
    assert len(json.loads(run("gold", "ls", "--vehicle", GOOD.vehicle_id, "--json").stdout)["publications"]) == 2


@pytest.mark.parametrize(
    "words", [("--limit", "0"), ("--day", "May"), ("--since", "2026-13-01"), ("--before", "1.1", "--after", "1.1")]
)
def test_gold_ls_refuses_a_page_that_cannot_be(lake: LakeCatalog, words: tuple[str, ...]) -> None:
    assert run("gold", "ls", *words).exit_code == 2


def test_gold_ls_refuses_what_is_no_cursor(lake: LakeCatalog) -> None:
    result = run("gold", "ls", "--before", "yesterday")
    assert (result.exit_code, "is not a cursor" in result.stderr, "next:" in result.stderr) == (1, True, True)


def test_gold_show_tells_matches_and_what_is_missing(lake: LakeCatalog) -> None:
    scenes = json.loads(run("gold", "show", "--drive", str(BAD), "--json").stdout)["scenes"]
    lost = scenes[-1]["scene_id"]
    assert "radar_front (no frame within tolerance)" in run("gold", "show", lost).stdout
    shown = json.loads(run("gold", "show", lost, "--json").stdout)
    assert shown["cameras"][0]["residual_ns"] == 13_000_000
    assert shown["cameras"][0]["image_bytes"] == len(rows.jpeg(hue=4 * (SCENES - 1)))
    assert "image" not in shown["cameras"][0]


def page_of_scenes(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("gold", "show", "--drive", str(GOOD), "--json", *words).stdout)
    return found


def test_gold_show_lists_the_scenes_of_a_drive_by_page_both_ways(lake: LakeCatalog) -> None:
    everything = [scene.scene_id for scene in lake_reader.scene_facts(lake, GOOD)]
    assert len(everything) == SCENES > 7
    forward, after = list[str](), list[str]()
    while True:
        page = page_of_scenes("--limit", "3", *after)
        assert len(page["scenes"]) <= 3
        assert page["before"] == (page["scenes"][0]["scene_id"] if forward else None)
        forward += [scene["scene_id"] for scene in page["scenes"]]
        if page["after"] is None:
            break
        after = ["--after", page["after"]]
    assert forward == everything
    page = page_of_scenes("--limit", "3", "--before", everything[5])
    assert [scene["scene_id"] for scene in page["scenes"]] == everything[2:5]
    assert (page["before"], page["after"]) == (everything[2], everything[4])
    assert page_of_scenes("--after", everything[-1]) == {"scenes": [], "before": None, "after": None}
    assert f"later ones: --after {everything[1]}" in run("gold", "show", "--drive", str(GOOD), "--limit", "2").stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--drive", str(GOOD), "--after", "nonsense"),
        ("--drive", str(GOOD), "--after", "veh-9.other.1"),
        ("--drive", str(GOOD), "--limit", "0"),
        ("--drive", str(GOOD), "--before", "veh-1.x.1", "--after", "veh-1.x.1"),
        ("veh-1.x.1", "--after", "veh-1.x.1"),
        ("veh-1.x.1", "--before", "veh-1.x.1"),
    ],
)
def test_gold_show_refuses_a_page_that_cannot_be(lake: LakeCatalog, words: tuple[str, ...]) -> None:
    assert run("gold", "show", *words).exit_code == 2


def test_gold_show_draws_a_page(lake: LakeCatalog, tmp_path: Path) -> None:
    scene_id = lake_reader.scene_facts(lake, GOOD)[0].scene_id
    result = run("gold", "show", scene_id, "--html", str(tmp_path / "scene.html"))
    assert result.exit_code == 0
    assert (tmp_path / "scene.html").read_text().count("data:image/") == 3


def test_missing_items_are_reported(lake: LakeCatalog) -> None:
    for words in (("gold", "show", "nothing"), ("quarantine", "show", "nothing"), ("gold", "show", "--drive", "veh-9/none")):
        result = run(*words)
        assert result.exit_code == 1
        assert "next:" in result.stderr


def test_quarantine_ls_holds_records_and_refused_objects(lake: LakeCatalog) -> None:
    found = json.loads(run("quarantine", "ls", "--json").stdout)
    assert [(row["level"], row["rule_ids"]) for row in found] == [("object", ["DEC005"]), ("refused", ["KEY001"])]
    assert [row["level"] for row in json.loads(run("quarantine", "ls", "--rule", "KEY001", "--json").stdout)] == ["refused"]
    assert [row["level"] for row in json.loads(run("quarantine", "ls", "--level", "object", "--json").stdout)] == ["object"]
    assert json.loads(run("quarantine", "ls", "--drive", str(GOOD), "--json").stdout) == []


def test_quarantine_show_takes_the_beginning_of_an_id(lake: LakeCatalog) -> None:
    text = run("quarantine", "show", "cccc", "--no-page").stdout
    assert "image ends after 4000 bytes" in text
    assert "s3://quarantine/c" in text
    refused = refused_row(REFUSED).record_id
    assert "a/model.pkl" in run("quarantine", "show", refused[:10], "--no-page").stdout


def test_sync_report_of_a_csv_as_json(tmp_path: Path) -> None:
    lines = [
        f"{name},{1_780_000_000_000_000_000 + k * 100_000_000 + late}"
        for name, late in (("lidar", 0), ("cam", 7))
        for k in range(5)
    ]
    (tmp_path / "t.csv").write_text("sensor,stamp_ns\n" + "\n".join(lines) + "\n")
    result = run("sync", "report", str(tmp_path / "t.csv"), "--json")
    assert result.exit_code == 0
    camera = next(entry for entry in json.loads(result.stdout)["sensors"] if entry["sensor"] == "cam")
    assert camera["residuals"] == {"matches": 5, "p50_ns": 7, "p95_ns": 7, "max_ns": 7}


def test_explanations() -> None:
    found = explain(OpsError("cause", "step"))
    assert found is not None
    assert (found.cause, found.hint) == ("cause", "step")
    assert explain(LandingError("bad key")) is not None
    assert explain(LakeError("x")) is not None
    assert explain(FileNotFoundError(2, "No such file or directory", "a.csv")) is not None
    assert explain(ValueError("ours")) is None
    assert explain(OSError("no file named")) is None


def test_explanations_of_foreign_errors() -> None:
    from botocore.exceptions import ClientError, EndpointConnectionError

    unreachable = explain(EndpointConnectionError(endpoint_url="http://127.0.0.1:1"))
    assert unreachable is not None
    assert "http://127.0.0.1:1" in unreachable.cause
    refused = explain(ClientError({"Error": {"Code": "NoSuchBucket", "Message": "none"}}, "ListObjectVersions"))
    assert refused is not None
    assert "ListObjectVersions failed with NoSuchBucket" in refused.cause
