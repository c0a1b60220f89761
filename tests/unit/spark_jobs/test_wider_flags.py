"""What was found in a drive, or in an object, flags the scenes that it concerns, and no others."""

from __future__ import annotations

from quality.rules.catalogue import Severity
from quality.rules.findings import finding
from scenes.build.context import WiderFlags
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import DRIVE, MS, T0, Landed, cloud, image, rig_document, sensor

STAMPS = [T0 + n * 100 * MS for n in range(12)]
LIDAR, CAMERA = f"{DRIVE}/lidar/top/1.mcap", f"{DRIVE}/camera/cam/1.mcap"


def test_a_rule_flags_what_it_is_about() -> None:
    drive = [
        finding("CLK007", "late", sensor="cam", measured=2.0),
        finding("CMP005", "short", sensor="top", measured=0.5),
        finding("POS002", "jumps", measured=3.0, severity=Severity.WARNING),
        finding("CLK008", "not evaluated", sensor="cam"),
    ]
    flags = WiderFlags.of(drive, {CAMERA: [finding("CMP004", "one lost", sensor="cam", measured=1)], LIDAR: []})
    assert flags.of_keys([LIDAR]) == {"CMP005", "POS002"}
    assert flags.of_keys([LIDAR, CAMERA]) == {"CLK007", "CMP004", "CMP005", "POS002"}
    assert flags.of_keys([CAMERA.replace("1.mcap", "2.mcap")]) == {"CLK007", "POS002"}
    assert flags.of_keys([]) == {"POS002"}
    assert WiderFlags().of_keys([LIDAR]) == set()


def test_a_gap_of_a_camera_flags_the_scenes_with_that_camera() -> None:
    landed = Landed()
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in STAMPS])
    landed.land("cam", "camera", [(ns, image(ns)) for place, ns in enumerate(STAMPS) if place not in (4, 5, 6, 7)])
    landed.land("cam2", "camera", [(ns, image(ns)) for ns in STAMPS])
    sensors = (sensor("top", "lidar", required=True), sensor("cam", "camera"), sensor("cam2", "camera"))
    drive_input = landed.finish(rig_document(*sensors), STAMPS[-1])
    inspection = serial_jobs.inspect(landed, drive_input).inspection
    assert ("CLK004", "cam") in {(found.rule_id, found.sensor) for found in inspection.findings}
    serial_jobs.build(landed, drive_input)
    scenes = serial_jobs.scenes(landed)
    with_cam = {scene["anchor_ns"] for scene in scenes if "cam" in {one["sensor"] for one in scene["cameras"]}}
    assert len(with_cam) == len(STAMPS) - 4
    assert {scene["anchor_ns"] for scene in scenes if "CLK004" in scene["quality_flags"]} == with_cam
    assert all(scene["quality_flags"] == sorted(set(scene["quality_flags"])) for scene in scenes)
