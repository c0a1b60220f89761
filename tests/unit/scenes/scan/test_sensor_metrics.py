"""A sensor's frames are in the order of recording: by log time, ties by their place in the objects."""

from __future__ import annotations

import pytest

from scenes.scan.sensor_metrics import sensor_metrics
from tests.unit.scenes.job_builders import MS, T0, F, frame_index, make_rig, sensor

RIG = make_rig(sensor("top", "lidar"), sensor("cam", "camera"))


def regressions(frames: list[F]) -> int:
    (found,) = (metrics for metrics in sensor_metrics(frame_index(frames), RIG, None) if metrics.sensor == "cam")
    return found.regressions


def frame(n: int, log_ms: int, place: int, key: str = "a") -> F:
    return F("cam", T0 + n * MS, key=key, log_ns=T0 + log_ms * MS, chunk_offset=place)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([frame(n, n * 10 + 5, 9 - n) for n in range(9)], 0),  # the file is backwards, the recording is not
        ([frame(n, 500, 9 - n) for n in range(9)], 8),  # all logged at once: the file tells
        ([frame(n, 500, n) for n in range(9)], 0),
        ([frame(0, 500, 0, "b"), frame(1, 500, 0, "a"), frame(2, 900, 7, "b")], 1),
        ([frame(0, 900, 0), frame(1, 500, 1), frame(2, 700, 2)], 2 - 1),
    ],
)
def test_the_order_is_by_log_time_and_ties_by_place(frames: list[F], expected: int) -> None:
    assert regressions(frames) == expected
