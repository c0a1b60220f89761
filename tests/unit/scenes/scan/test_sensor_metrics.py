"""A sensor's frames are in the order of recording: by log time, ties by their place in the objects."""

from __future__ import annotations

import numpy as np
import pytest

from scenes.scan.sensor_metrics import as_recorded, drive_clocks
from tests.unit.scenes.job_builders import MS, T0, F, frame_index, make_rig, sensor

RIG = make_rig(sensor("top", "lidar"), sensor("cam", "camera"))


def frame(n: int, log_ms: int, place: int, key: str = "a") -> F:
    return F("cam", T0 + n * MS, key=key, log_ns=T0 + log_ms * MS, chunk_offset=place)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([frame(n, n * 10 + 5, 9 - n) for n in range(9)], [*range(9)]),  # the file is backwards, the recording is not
        ([frame(n, 500, 9 - n) for n in range(9)], [*range(8, -1, -1)]),  # all logged at once: the file tells
        ([frame(n, 500, n) for n in range(9)], [*range(9)]),
        ([frame(0, 500, 0, "b"), frame(1, 500, 0, "a"), frame(2, 900, 7, "b")], [1, 0, 2]),
        ([frame(0, 900, 0), frame(1, 500, 1), frame(2, 700, 2)], [1, 2, 0]),
    ],
)
def test_the_order_is_by_log_time_and_ties_by_place(frames: list[F], expected: list[int]) -> None:
    rows = frame_index(frames)
    recorded = (rows["stamp_ns"].to_numpy()[as_recorded(rows)] - T0) // MS
    assert recorded.tolist() == expected


def test_frames_that_no_scene_can_hold_are_counted_by_sensor() -> None:
    index = frame_index([F("cam", T0), F("cam", T0 + MS), F("top", T0, "lidar"), F("top", T0 + MS, "lidar")])
    found = drive_clocks(index, RIG, None, np.array([False, True, False, False]))
    assert {entry.sensor: (entry.frames_read, entry.frames_unusable) for entry in found.metrics} == {"cam": (2, 1), "top": (2, 2)}
