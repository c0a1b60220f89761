"""Real stamps of 283 keyframes with 12 sensors each (7 logs of nuScenes mini), matched as a drive's would be."""

from __future__ import annotations

import csv
from collections import defaultdict

import numpy as np
import pytest

from sensors.clocks.clock import clock_report
from sensors.match.nearest import MatchReason, match_nearest
from tests.real_data import DATA

TABLE = DATA / "nuscenes_mini_timing" / "keyframes.csv"
pytestmark = pytest.mark.skipif(
    not TABLE.is_file(), reason="needs real recordings: SCENELAKE_TEST_DATA names their folder; not part of the repository"
)
CAMERA_MS = {
    "CAM_FRONT_LEFT": -43.4,
    "CAM_FRONT": -35.8,
    "CAM_FRONT_RIGHT": -27.8,
    "CAM_BACK_RIGHT": -20.2,
    "CAM_BACK": -10.7,
    "CAM_BACK_LEFT": -0.8,
}
RADARS = {"RADAR_FRONT", "RADAR_FRONT_LEFT", "RADAR_FRONT_RIGHT", "RADAR_BACK_LEFT", "RADAR_BACK_RIGHT"}
NS_PER_US, MS = 1_000, 1_000_000
RADAR_RECORD, RADAR_PADDING = 43, 4096

Logs = dict[str, dict[str, list[int]]]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with TABLE.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def logs(rows: list[dict[str, str]]) -> Logs:
    """Stamps in nanoseconds, ascending, of each channel of each log."""
    found: Logs = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row["log"]][row["channel"]].append(int(row["timestamp_us"]) * NS_PER_US)
    return {log: {channel: sorted(stamps) for channel, stamps in channels.items()} for log, channels in found.items()}


def complete(channels: dict[str, list[int]], tolerance_ns: int, delays_ms: dict[str, float]) -> np.ndarray:  # type: ignore[type-arg]
    """Which sweeps find every other sensor within the tolerance."""
    anchors = channels["LIDAR_TOP"]
    found = np.ones(len(anchors), dtype=np.bool_)
    for channel in set(channels) - {"LIDAR_TOP"}:
        found &= match_nearest(anchors, channels[channel], round(delays_ms.get(channel, 0.0) * MS), tolerance_ns).matched
    return found


def offsets_ms(logs: Logs, channel: str) -> np.ndarray:  # type: ignore[type-arg]
    parts = [match_nearest(log["LIDAR_TOP"], log[channel], 0, 100 * MS) for log in logs.values()]
    assert all((part.reason == MatchReason.MATCHED).all() for part in parts)
    return np.concatenate([part.offset_ns for part in parts]) / MS


def test_every_keyframe_has_all_twelve_sensors(logs: Logs) -> None:
    assert len(logs) == 7
    for channels in logs.values():
        assert set(channels) == {"LIDAR_TOP", *CAMERA_MS, *RADARS}
        assert len({len(stamps) for stamps in channels.values()}) == 1
    assert sum(len(channels["LIDAR_TOP"]) for channels in logs.values()) == 283


def test_283_of_283_samples_are_complete_at_50_ms_and_none_at_37_5_ms(logs: Logs) -> None:
    assert sum(int(complete(channels, 50 * MS, {}).sum()) for channels in logs.values()) == 283
    assert sum(int(complete(channels, 37_500_000, {}).sum()) for channels in logs.values()) == 0


@pytest.mark.parametrize(("channel", "mean_ms"), CAMERA_MS.items())
def test_a_cameras_mean_offset_is_where_the_sweep_passes_it(logs: Logs, channel: str, mean_ms: float) -> None:
    found = offsets_ms(logs, channel)
    assert found.mean() == pytest.approx(mean_ms, abs=0.1)
    assert 1.1 < found.std() < 1.4 and np.abs(found).max() < 48.4


@pytest.mark.parametrize("channel", sorted(RADARS))
def test_a_radar_runs_free_within_half_its_period(logs: Logs, channel: str) -> None:
    found = offsets_ms(logs, channel)
    assert np.abs(found).max() <= 38.5 and 20.0 < found.std() < 23.0 and abs(found.mean()) < 5.0


def test_with_expected_delays_cameras_fit_into_6_ms(logs: Logs) -> None:
    """The residual after the delay is what is left to judge: half a camera's period is more than enough then."""
    for channel, mean_ms in CAMERA_MS.items():
        for channels in logs.values():
            found = match_nearest(channels["LIDAR_TOP"], channels[channel], round(mean_ms * MS), 6 * MS)
            assert found.matched.all() and found.index.tolist() == list(range(len(channels["LIDAR_TOP"])))
    radars_within = sum(int(complete(channels, 38_461_538, CAMERA_MS).sum()) for channels in logs.values())
    assert radars_within == 283


def test_keyframes_come_at_2_hz_with_15_longer_steps(logs: Logs) -> None:
    steps_ms = np.concatenate([np.diff(channels["LIDAR_TOP"]) for channels in logs.values()]) / MS
    assert len(steps_ms) == 276 and np.median(steps_ms) == pytest.approx(499.9, abs=0.1)
    assert (steps_ms.min(), steps_ms.max()) == pytest.approx((399.2, 600.0), abs=0.1)
    assert int((steps_ms >= 549).sum()) == 15
    for channels in logs.values():
        report = clock_report(channels["LIDAR_TOP"], channels["LIDAR_TOP"], 2.0)
        assert (report.duplicates, report.regressions, report.gaps) == (0, 0, 0)


def test_radar_files_are_43_bytes_a_point_behind_a_padded_header(rows: list[dict[str, str]]) -> None:
    radars = [row for row in rows if row["channel"] in RADARS]
    points = [(int(row["size_bytes"]) - RADAR_PADDING) / RADAR_RECORD for row in radars]
    assert len(points) == 1415 and all(count == int(count) and 1 <= count <= 125 for count in points)
    assert points.count(125) == 566
    single = [row for row, count in zip(radars, points, strict=True) if count == 1]
    assert len(single) == 16 and {row["channel"] for row in single} == {"RADAR_FRONT_LEFT"}
    digests = [row["sha256"] for row in single]
    assert max(digests.count(digest) for digest in digests) == 14
