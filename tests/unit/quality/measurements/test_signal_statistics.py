"""A drive's statistics: medians over frames that a minority of bad ones does not move."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from quality.measurements.frame_metrics import FRAME_METRICS
from quality.measurements.signal_statistics import signal_statistics


def table(*rows: dict[str, Any]) -> pa.Table:
    whole = [{"frame_id": number, "stamp_ns": number, "content": number, **row} for number, row in enumerate(rows)]
    return pa.Table.from_pylist(whole, schema=FRAME_METRICS)


def sweep(points: int, no_return: int = 0, not_finite: int = 0, intensity: float | None = 20.0) -> dict[str, Any]:
    counts = {"points": points, "no_return": no_return, "not_finite": not_finite, "intensity": intensity}
    return {"sensor": "top", "modality": "lidar", **counts}


def scan(detections: int | None) -> dict[str, Any]:
    return {"sensor": "rad", "modality": "radar", "detections": detections}


def photo(high: float, sharpness: float, chroma: float = 12.0) -> dict[str, Any]:
    luma = {"mean_luma": high / 2, "low_luma": 0.0, "high_luma": high, "sharpness": sharpness, "chroma_spread": chroma}
    return {"sensor": "cam", "modality": "camera", **luma}


def test_each_kind_of_sensor_has_its_own() -> None:
    found = signal_statistics(table(sweep(100, 10), sweep(200, 20, 20), sweep(100), scan(4), scan(0), scan(8), photo(100, 500)))
    assert found == {
        "top": {"returns": 100.0, "invalid_share": pytest.approx(0.1), "intensity": 20.0, "frames": 3.0},
        "rad": {"detections": 4.0, "empty_share": pytest.approx(1 / 3), "frames": 3.0},
        "cam": {"mean_luma": 50.0, "contrast": 100.0, "relative_edge_energy": 0.05, "relative_chroma": 0.12, "frames": 1.0},
    }


def test_dead_frames_count_and_a_minority_of_them_moves_nothing() -> None:
    blind = [sweep(100, no_return=100, intensity=None)] * 2
    found = signal_statistics(table(*[sweep(100)] * 3, *blind))["top"]
    assert (found["returns"], found["invalid_share"], found["intensity"]) == (100, 0, 20)
    found = signal_statistics(table(*blind, sweep(0, intensity=None)))["top"]
    assert found == {"returns": 0.0, "invalid_share": 1.0, "frames": 3.0}


def test_what_no_frame_has_is_left_out() -> None:
    assert signal_statistics(table(scan(None), scan(None))) == {"rad": {"frames": 0.0}}
    assert not {"relative_edge_energy", "relative_chroma"} & set(signal_statistics(table(photo(0, 0)))["cam"])
    assert signal_statistics(table()) == {}


@pytest.mark.parametrize("light", [1.0, 0.3, 0.1])
def test_edges_and_colour_do_not_fall_with_the_light(light: float) -> None:
    found = signal_statistics(table(photo(200 * light, 800 * light**2, 12 * light)))["cam"]
    assert (found["relative_edge_energy"], found["relative_chroma"]) == (pytest.approx(0.02), pytest.approx(0.06))
