"""The arithmetic of the capacity model, against figures worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.capacity.assumptions import Assumptions, Prices, Sensors
from bench.capacity.model import Day, Measured, Requests
from bench.capacity.section import SERVICES, section
from bench.capacity.upkeep import NOT_MEASURED, Upkeep, upkeep
from bench.figures import FiguresError
from scenes.plan.windows import WINDOW_BYTES
from spark_jobs.runtime.tasks import MOST_BYTES

RESULTS = {
    "gold.build_mb_per_s_per_core": 200.0,
    "build_scenes.mb_per_s_per_core": 400.0,
    "match.frames_per_s_per_core": 2e6,
    "storage.read_mb_per_s_per_core": 1000.0,
    "gold.raw_mb_per_s_of_drive": 25.0,
    "gold.bytes_vs_raw": 0.9,
    "gold.bytes_vs_raw_keyframes": 0.1,
    "gold.lidar_encode_ratio": 0.5,
    "gold.lidar_share_of_raw": 0.6,
    "gold.lidar_bytes_vs_raw": 0.5,
    "gold.lidar_bytes_vs_raw_keyframes": 0.05,
}
MEASURED = Measured.of(RESULTS)
BASE = Assumptions()


def day(**changes: float) -> Day:
    return Day(replace(BASE, **changes), MEASURED)  # type: ignore[arg-type]


def test_a_day_of_15_tb_has_the_volumes_of_the_fleet() -> None:
    made = day()
    assert made.bytes_per_s == pytest.approx(173.61e6, rel=1e-4)
    assert made.recorded_s == 600_000
    assert made.drives == pytest.approx(600_000 / 1800)
    assert made.objects == 600_000 / 20 * 13
    assert made.frames == 600_000 * (6 * 12 + 20 + 5 * 13 + 100)  # 154 million
    assert made.plan_s == pytest.approx(made.frames / 2e6)
    assert made.scenes == 12_000_000
    assert made.windows == pytest.approx(12e6 * (6 * 150_000 + 34_688 * 20 + 5 * 93 * 43) / WINDOW_BYTES)


def test_cores_are_the_rate_over_the_measured_rate_of_one() -> None:
    made = day()
    assert made.work_cores == pytest.approx(173.61 / 200, rel=1e-4)
    network = 2 * 15e12 + 0.9 * 15e12
    assert made.network_bytes_per_s == pytest.approx(network / 86_400)
    assert made.storage_cores == pytest.approx(network / 86_400 / 1e6 * (1 / 1000 + 1 / 1000))
    starts = made.drives * 2 * 12 * 16 / 86_400
    assert made.vcpus == pytest.approx(((made.work_cores + made.storage_cores) / 0.6 + starts) / 0.7)


@pytest.mark.parametrize("link", [0.2e9 / 8, 100e9 / 8])
def test_nodes_are_what_the_scarcer_of_cores_and_links_asks_for(link: float) -> None:
    made = day(node_bytes_per_s=link)
    by_cores, by_network = made.vcpus / 16, made.network_bytes_per_s / (0.7 * link)
    assert made.nodes() == math.ceil(max(by_cores, by_network))
    assert made.nodes(3.0) == math.ceil(3 * max(by_cores, by_network))
    assert made.node_hours == pytest.approx(24 * max(by_cores, by_network))


def test_requests_follow_the_sizes_in_the_code() -> None:
    one = (Sensors("lidar", 1, 10.0, 1_000_000.0),)
    made = Day(replace(BASE, vehicle=one, bytes_a_day=25e6 * 3600, drive_s=3600.0, object_s=10.0, scene_hz=10.0), MEASURED)
    stages = made.requests()
    # 360 objects of 100 MB: in parts of 16 MiB with a start and an end; each read in one request.
    assert stages["land"] == Requests(360 * (6 + 2) + 2, 0.0)
    assert stages["register"] == Requests(1, 360 + 2, 0.36)
    parts = 90e9 / MOST_BYTES
    assert stages["inspect"] == Requests(parts, 360 + parts)
    # A window of 64 MiB is four requests of 16 MiB, and now and then the next object.
    window_s = WINDOW_BYTES / 10e6
    assert made.windows == pytest.approx(36e9 / WINDOW_BYTES)
    assert stages["build"].puts == pytest.approx(4 * made.windows)
    assert stages["build"].gets == pytest.approx(made.windows * (2 + (4 + window_s / 10)))
    assert made.epoch.gets == pytest.approx(made.windows * 9)


def test_samples_of_motion_go_out_and_back() -> None:
    with_pose = (Sensors("lidar", 1, 10.0, 1e6), Sensors("pose", 1, 100.0, 1000.0, in_scene=False))
    made = Day(replace(BASE, vehicle=with_pose, bytes_a_day=25e6 * 3600, object_s=10.0), MEASURED)
    left = 360 + 90e9 / MOST_BYTES
    assert made.requests()["inspect"] == Requests(left, 720 + left)


def test_frames_that_lie_far_apart_cost_a_request_each() -> None:
    images = (Sensors("camera", 1, 10.0, 150_000.0),)
    made = Day(replace(BASE, vehicle=images, scene_hz=2.0), MEASURED)
    scenes_a_window = made.scenes / made.windows
    assert made.requests()["build"].gets == pytest.approx(made.windows * (2 + scenes_a_window))


def test_gold_without_compression_has_its_lidar_as_it_was() -> None:
    assert MEASURED.gold(20.0, compress=True) == 0.9
    assert MEASURED.gold(20.0, compress=False) == pytest.approx(0.9 + 0.6 * 0.5)
    assert MEASURED.gold(2.0, compress=False) == pytest.approx(0.1 + 0.6 * 0.05)


def test_dollars_are_volumes_times_prices() -> None:
    made = day()
    prices = Prices()
    cost = made.dollars()
    assert set(cost) == set(SERVICES)
    stages = made.requests().values()
    puts, gets = sum(entry.puts + entry.lists for entry in stages), sum(entry.gets for entry in stages)
    assert cost["s3_requests"] == pytest.approx(puts * 5e-6 + gets * 4e-7)
    assert cost["compute"] == pytest.approx(made.node_hours * 0.68)
    kept = (15_000 * 30 + 13_500 * 365) * 0.021 + 15_000 * 335 * 0.00099
    assert cost["storage"] == pytest.approx(kept / (365 / 12) + made.objects * prices.to_archive)
    volume = made.volumes()
    assert cost["dynamodb"] == pytest.approx(volume["writes"] * 0.625e-6 + volume["reads"] * 0.125e-6)
    assert cost["lambda"] == pytest.approx(made.objects / 10 * (0.2e-6 + 0.5 * 0.0000166667))


def test_twice_the_data_costs_twice_as_much_but_for_what_is_always_on() -> None:
    once, twice = day().dollars(), day(bytes_a_day=30e12).dollars()
    for name in ("compute", "storage", "s3_requests", "dynamodb", "lambda"):
        assert twice[name] == pytest.approx(2 * once[name])
    assert twice["always_on"] == once["always_on"]


def test_missing_figures_are_named_together() -> None:
    found = {name: value for name, value in RESULTS.items() if not name.startswith("gold.lidar")}
    with pytest.raises(FiguresError, match=r"needs gold\.lidar_share_of_raw, gold\.lidar_encode_ratio, .*: measure them first"):
        Measured.of(found)


def test_the_section_states_what_was_measured_and_what_was_assumed() -> None:
    text = section(RESULTS)
    for title in (
        "Measured",
        "Assumed",
        "Volumes and compute",
        "S3 requests a day",
        "Storage",
        "Dollars a day",
        "What changes it",
    ):
        assert f"### {title}\n" in text
    assert "check before use" in text
    assert "| frame records | 154 M | recorded × 257 frames/s |" in text
    assert "| cores, work | 0.87 | mean rate / inspect and build |" in text
    assert "nan" not in text
    assert "<!--" not in text


def test_the_upkeep_of_the_lake_is_that_of_its_drives() -> None:
    soaked = {"commit_metadata_kb": 90.0, "kept_metadata_kb": 1.5, "publish_cpu_ms": 360.0, "maintain_cpu_ms": 36.0}
    found = Upkeep.of({f"soak.{name}": value for name, value in soaked.items()})
    lines = upkeep(day(), found).splitlines()[2:]  # 333 drives a day, 121,667 a year
    assert [line.split("|")[2].strip() for line in lines] == ["30 MB", "0.2 GB", "2.0 min a day", "0.2 min a day"]


def test_a_model_without_a_soak_says_so() -> None:
    assert Upkeep.of({"soak.commit_metadata_kb": 90.0}) is None
    assert NOT_MEASURED in section(RESULTS)
