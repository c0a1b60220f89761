"""The accounting: every frame in exactly one column, and the report of those in none."""

from __future__ import annotations

import pytest

from scenes.accounting.account import Frames, account, why

DRIVE = ("veh-1/drive-a", "a" * 64)


def frames(sensor: str, modality: str, fate: str, count: int, reason: str | None = None) -> Frames:
    return Frames(*DRIVE, sensor, modality, fate, reason, count)


def test_a_line_adds_up_fates_and_reasons() -> None:
    lines = account(
        [
            frames("cam", "camera", "gold", 90),
            frames("cam", "camera", "quarantined", 3, "DEC005"),
            frames("cam", "camera", "quarantined", 2, "scene_quarantined"),
            frames("cam", "camera", "unmatched", 5, "outside_tolerance"),
        ],
        {},
    )
    (line,) = lines
    assert (line.read, line.gold, line.quarantined, line.unmatched, line.lost) == (100, 90, 5, 5, 0)
    assert line.balanced
    assert line.reasons == (("outside_tolerance", 5), ("DEC005", 3), ("scene_quarantined", 2))
    assert why(line) == "outside_tolerance ×5, DEC005 ×3, scene_quarantined ×2"


@pytest.mark.parametrize(("fate", "reason"), [("quarantined", None), ("unmatched", ""), ("forgotten", "because")])
def test_a_frame_without_a_fate_or_reason_is_lost(fate: str, reason: str | None) -> None:
    (line,) = account([frames("cam", "camera", "gold", 9), frames("cam", "camera", fate, 1, reason)], {})
    assert line.lost == 1
    assert not line.balanced
    assert "no reason given ×1" in why(line)


def test_lines_come_as_a_rig_is_read() -> None:
    given = [("imu", "imu"), ("radar_b", "radar"), ("cam_a", "camera"), ("top", "lidar"), ("radar_a", "radar")]
    lines = account([frames(sensor, modality, "gold", 1) for sensor, modality in given], {})
    assert [line.sensor for line in lines] == ["top", "cam_a", "radar_a", "radar_b", "imu"]
