"""The exporter's metrics of a deployment against its actual content; and that it does not read unchanged data twice."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError
from pyspark.sql import SparkSession

import ops.metrics.lake
from lake.iceberg.catalog import open_catalog
from ops.audit import lake_reader
from ops.metrics.exporter import Exporter, keep_reading, open_exporter, registry_of
from ops.metrics.queues import QueueWatch
from ops.metrics.server import metrics_server
from spark_jobs.runtime.session import spark_properties, start_spark
from spark_jobs.runtime.settings import SparkSettings
from tests.integration.drives import small_drive
from tests.integration.monitoring.metrics_station import CLEAN, FAULTY, LANDING, WAITING, fill, new_station
from tests.integration.monitoring.platform_texts import platform_text
from tests.integration.monitoring.prometheus_server import program, prometheus_server, text_server
from tests.integration.station import Station
from tests.unit.deploy.monitoring import panels

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")  # moto, of types that its CloudFormation lacks

Samples = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture(scope="module")
def spark(endpoint: str) -> Iterator[SparkSession]:
    session = start_spark(spark_properties("tests", SparkSettings.from_env()))
    yield session
    session.stop()


@pytest.fixture(scope="module")
def station(endpoint: str, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Station:
    folder = tmp_path_factory.mktemp("station")
    made = new_station(endpoint, folder)
    fill(made, spark, folder)
    return made


def exporter_of(station: Station, **more: Any) -> Exporter:
    return open_exporter(station.settings, lambda: open_catalog(station.settings), **more)


def read(exporter: Exporter) -> Samples:
    for part in exporter.parts:
        assert part.refresh() is None
    return samples(exporter)


def samples(exporter: Exporter) -> Samples:
    """Every sample by its name and the values of its labels."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value for family in exporter.collect() for sample in family.samples
    }


@pytest.fixture(scope="module")
def found(station: Station) -> Samples:
    return read(exporter_of(station))


def of(found: Samples, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for (sample, labels), value in found.items() if sample == name}


def test_drives_and_queues(found: Samples) -> None:
    counts = {"landing": 1, "queued": 1, "processing": 0, "published": 2, "quarantined": 1, "failed": 0, "forgotten": 0}
    assert of(found, "scenelake_drives") == {(state,): count for state, count in counts.items()}
    assert 0 < found["scenelake_oldest_unprocessed_drive_age_seconds", ()] < 600
    ages = of(found, "scenelake_drive_state_age_seconds")
    assert ages["landing",] > 0
    assert ages["queued",] > ages["processing",] == ages["failed",] == 0
    lags = of(found, "scenelake_landing_to_gold_seconds")
    assert 0 < lags["p50",] <= lags["p95",] <= lags["max",] < 600
    messages = of(found, "scenelake_queue_messages")
    assert messages["drive-work", "visible"] == 1
    assert messages["drive-work", "in_flight"] == 0
    assert messages["object-events", "visible"] > 0, "nothing takes events here: objects were registered by hand"
    assert of(found, "scenelake_dead_letter_messages") == {("object-events",): 0, ("drive-work",): 0}


def test_objects_are_those_of_the_raw_bucket(station: Station, found: Samples) -> None:
    pages = station.s3.get_paginator("list_objects_v2").paginate(Bucket=station.settings.raw_bucket)
    sizes = {entry["Key"]: entry["Size"] for page in pages for entry in page["Contents"]}
    objects, size_bytes = of(found, "scenelake_objects"), of(found, "scenelake_object_bytes")
    assert sum(objects.values()) == len(sizes)
    assert sum(size_bytes.values()) == sum(sizes.values())
    pending = [key for key in sizes if key.startswith((str(WAITING), str(LANDING)))]
    assert (objects["landed",], size_bytes["landed",]) == (len(pending), sum(sizes[key] for key in pending))
    assert (objects["refused",], size_bytes["refused",]) == (1, len(b"nobody's"))
    assert {state for (state,), count in objects.items() if count} == {"landed", "published", "quarantined", "refused"}


def test_frames_scenes_and_records_are_those_of_the_tables(station: Station, found: Samples) -> None:
    tables = {name: station.catalog.load_table(name).scan().to_arrow() for name in ("gold.frames", "quarantine.records")}
    rows = tables["gold.frames"].select(["sensor", "modality", "fate"]).to_pylist()
    counted = Counter((row["sensor"], row["modality"], row["fate"]) for row in rows)
    for name in ("scenelake_frames", "scenelake_recent_frames"):
        assert {labels: value for labels, value in of(found, name).items() if value} == counted
    scenes = station.scenes()
    assert found["scenelake_gold_scenes", ()] == found["scenelake_published_scenes_total", ()] == len(scenes) > 0
    assert found["scenelake_publications_total", ()] == found["scenelake_recent_drives", ()] == 3
    by_rule = Counter((code, row["level"]) for row in tables["quarantine.records"].to_pylist() for code in row["rule_ids"])
    assert of(found, "scenelake_quarantine_records") == by_rule
    assert {"DEC001", "DEC005", "LID001", "CLK003"} <= {code for code, _ in by_rule}


def test_residuals_are_those_of_the_scenes(station: Station, found: Samples) -> None:
    sizes: dict[str, list[int]] = {}
    for scene in station.scenes():
        for entry in (*scene["lidars"], *scene["cameras"], *scene["radars"]):
            sizes.setdefault(entry["sensor"], []).append(abs(entry["residual_ns"]))
    residuals = of(found, "scenelake_recent_residual_seconds")
    assert {sensor for sensor, _ in residuals} == sizes.keys()
    for sensor, values in sizes.items():
        ordered = sorted(values)
        for name, percent in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)):
            rank = -(-percent * len(ordered) // 100)  # nearest rank, written down again
            assert residuals[sensor, name] == pytest.approx(ordered[rank - 1] / 1e9)
    ratios = of(found, "scenelake_recent_residual_tolerance_ratio")
    assert ratios.keys() == {(sensor,) for sensor in sizes}
    assert ratios["lidar_top",] == 0
    assert 0 < ratios["camera_front",] <= 1


def test_rules_are_judged_by_the_worst_of_each_drive(found: Samples) -> None:
    rules = of(found, "scenelake_recent_rule_drives")
    assert (rules["CLK003", "failed"], rules["CLK003", "passed"]) == (1, 2)
    assert (rules["DEC005", "failed"], rules["LID001", "failed"], rules["DEC001", "failed"]) == (1, 1, 1)
    assert rules["SYN004", "failed"] == rules["SYN004", "unknown"] == 0
    assert all(rules[code, "passed"] + rules[code, "failed"] + rules[code, "unknown"] <= 3 for code, _ in rules)


def test_the_balance_is_that_of_the_audit(station: Station, found: Samples) -> None:
    assert station.audit().balanced
    assert found["scenelake_unbalanced_drives", ()] == 0
    checks = of(found, "scenelake_audit_checks")
    assert {check for check, _ in checks} == {total.name for total in station.audit().totals}
    assert sum(value for (_, result), value in checks.items() if result == "broken") == 0
    assert checks["frames read = gold + quarantined + unmatched", "holds"] == 3


def test_the_readings_tell_of_themselves(found: Samples) -> None:
    parts = ("drives", "queues", "lake")
    assert of(found, "scenelake_reading_current") == {(part,): 1 for part in parts}
    assert of(found, "scenelake_reading_errors_total") == {(part,): 0 for part in parts}
    ended = of(found, "scenelake_reading_last_success_timestamp_seconds")
    assert all(time.time() - 600 < ended[part,] <= time.time() for part in parts)
    assert all(value > 0 for value in of(found, "scenelake_reading_duration_seconds").values())


def test_what_has_not_changed_is_not_read_again(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    for name, of_what in (("read_facts", lambda record: record.drive), ("read_recent", lambda drive: drive)):
        real = getattr(ops.metrics.lake, name)

        def counted(sources: Any, tables: Any, one: Any, real: Any = real, of_what: Any = of_what) -> Any:
            looked_at.append(str(of_what(one)))
            return real(sources, tables, one)

        monkeypatch.setattr(ops.metrics.lake, name, counted)
    exporter = exporter_of(station)
    first = read(exporter)
    assert len(looked_at) == 5 + 3, "the facts of five drives, and the details of the three with a publication"
    scans: list[str] = []
    scan = lake_reader._scan
    monkeypatch.setattr(lake_reader, "_scan", lambda *given: (scans.append(given[1]), scan(*given))[1])
    looked_at.clear()
    second = read(exporter)
    assert (looked_at, scans) == ([], [])
    moving = ("scenelake_reading", "scenelake_oldest", "scenelake_drive_state_age")
    assert {key: value for key, value in first.items() if not key[0].startswith(moving)} == {
        key: value for key, value in second.items() if not key[0].startswith(moving)
    }


def test_an_object_without_an_event_breaks_the_balance_until_it_is_registered(station: Station) -> None:
    exporter = exporter_of(station)
    read(exporter)
    name = "objects landed = published + quarantined + refused + pending + replaced by a newer version"
    late = f"{CLEAN}/camera/camera_front/1999999999999999999.mcap"
    station.s3.put_object(Bucket=station.settings.raw_bucket, Key=late, Body=b"late")
    assert read(exporter)["scenelake_audit_checks", (name, "broken")] == 0, "a drive at rest is not looked at again"
    again = read(exporter_of(station))
    assert (again["scenelake_audit_checks", (name, "broken")], again["scenelake_unbalanced_drives", ()]) == (1, 1)
    station.s3.delete_object(Bucket=station.settings.raw_bucket, Key=late)
    (version,) = station.s3.list_object_versions(Bucket=station.settings.raw_bucket, Prefix=late)["Versions"]
    station.s3.delete_object(Bucket=station.settings.raw_bucket, Key=late, VersionId=version["VersionId"])
    assert read(exporter)["scenelake_unbalanced_drives", ()] == 0


def test_a_part_that_fails_is_left_out_and_counted(station: Station) -> None:
    exporter = exporter_of(station)
    whole = read(exporter)
    urls = {"object-events": station.settings.object_events_url, "drive-work": station.settings.drive_work_url + "-gone"}
    broken = QueueWatch(boto3.client("sqs"), urls)
    exporter.queues._read = broken.read
    error = exporter.queues.refresh()
    assert isinstance(error, ClientError)
    left = samples(exporter)
    gone = {"scenelake_queue_messages", "scenelake_dead_letter_messages"}
    assert {name for name, _ in whole} - {name for name, _ in left} == gone
    assert left["scenelake_reading_current", ("queues",)] == 0
    assert left["scenelake_reading_errors_total", ("queues",)] == 1
    assert left["scenelake_reading_current", ("lake",)] == 1


def test_a_lake_without_tables_is_empty_and_no_error(endpoint: str, tmp_path: Path) -> None:
    station = new_station(endpoint, tmp_path)
    for name in ("gold.scenes", "gold.frames", "quarantine.records"):
        station.catalog.drop_table(name)
    found = read(exporter_of(station))
    assert found["scenelake_gold_scenes", ()] == found["scenelake_publications_total", ()] == 0
    assert of(found, "scenelake_objects") == {("refused",): 0}
    station.land(small_drive(tmp_path / "drive"), CLEAN)
    assert read(exporter_of(station))["scenelake_drives", ("queued",)] == 1


def test_a_drive_that_is_processed_again_counts_once(spark: SparkSession, endpoint: str, tmp_path: Path) -> None:
    station = new_station(endpoint, tmp_path)
    station.land(small_drive(tmp_path / "drive", drive_id=FAULTY.drive_id), FAULTY)
    assert station.run(spark) == ["published"]
    exporter = exporter_of(station)
    first = read(exporter)
    station.desk.reprocess(FAULTY)
    assert read(exporter)["scenelake_drives", ("queued",)] == 1
    assert station.run(spark) == ["published"]
    second = read(exporter)
    assert second["scenelake_publications_total", ()] == 2
    assert second["scenelake_published_scenes_total", ()] == 2 * first["scenelake_published_scenes_total", ()]
    for name in ("scenelake_frames", "scenelake_objects", "scenelake_gold_scenes", "scenelake_audit_checks", "scenelake_drives"):
        assert of(second, name) == of(first, name)


@pytest.mark.timeout(900)
def test_every_panel_of_every_dashboard_shows_something(station: Station, tmp_path: Path) -> None:
    program("prometheus")
    exporter = exporter_of(station)
    stop = threading.Event()
    server = metrics_server(registry_of(exporter), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    readers = keep_reading(exporter.parts, 1.0, stop, lambda part, error: pytest.fail(f"{part.health.part}: {error}"))
    own = f"127.0.0.1:{server.server_port}"
    try:
        with text_server(platform_text) as others:
            targets = dict.fromkeys(("airflow", "spark_master", "spark_workers", "spark_applications"), others)
            with prometheus_server(tmp_path, {"scenelake": own, **targets}) as prometheus:
                shown = {
                    (panel.dashboard, panel.title, expression): prometheus.until(expression)
                    for panel in panels()
                    for expression in panel.expressions
                }
                gold = prometheus.query("scenelake_gold_scenes")
                cores = prometheus.query("spark_application_cores")
                codegen = prometheus.query('{__name__=~"metrics_CodeGenerator.*"}')
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        thread.join()
        for reader in readers:
            reader.join()
    assert len(shown) > 60
    assert [float(entry["value"][1]) for entry in gold] == [len(station.scenes())]
    assert [entry["metric"]["application"] for entry in cores] == ["scenelake_build_scenes"]
    assert codegen == []
    by_sensor = shown["quality", "Residual p95", 'scenelake_recent_residual_seconds{percentile="p95"}']
    assert {entry["metric"]["sensor"] for entry in by_sensor} > {"lidar_top", "camera_front", "radar_front"}
    assert all(entry["value"][1] != "NaN" for found in shown.values() for entry in found)


@pytest.mark.timeout(900)
def test_the_command_serves_until_a_signal_and_shows_the_same(station: Station, found: Samples, tmp_path: Path) -> None:
    env = {**os.environ, **station.variables, "SCENELAKE_HOME": str(tmp_path / "none")}
    command = [sys.executable, "-m", "cli.main", "metrics"]
    shown = subprocess.run([*command, "show", "--json"], env=env, capture_output=True, text=True, timeout=600, check=True)
    shown_values = {(one["name"], tuple(one["labels"].values())): one["value"] for one in json.loads(shown.stdout)}
    assert shown_values["scenelake_gold_scenes", ()] == found["scenelake_gold_scenes", ()]
    assert {name for name, _ in shown_values} == {name for name, _ in found}
    serve = subprocess.Popen([*command, "serve", "--port", "0"], env=env, stderr=subprocess.PIPE, text=True)
    assert serve.stderr is not None
    try:
        line = serve.stderr.readline()
        address = re.fullmatch(r"metrics: (http://127\.0\.0\.1:\d+/metrics), read every 15 s\n", line)
        assert address, line
        deadline_s = time.monotonic() + 600
        while "scenelake_gold_scenes" not in (text := requests.get(address[1], timeout=60).text):
            assert time.monotonic() < deadline_s
            time.sleep(0.5)
        assert f"scenelake_gold_scenes {found['scenelake_gold_scenes', ()]}" in text
        serve.terminate()
        assert serve.wait(120) == 0
        assert serve.stderr.read() == ""
    finally:
        serve.kill()
        serve.wait(60)
        serve.stderr.close()
