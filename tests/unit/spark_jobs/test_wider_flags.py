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


def test_of_a_critical_sensor_unknown_is_no_pass() -> None:
    unknown = [finding("CAL005", "not observable", sensor=name, severity=Severity.WARNING) for name in ("cam", "cam2")]
    keys = [CAMERA, CAMERA.replace("/cam/", "/cam2/")]
    assert WiderFlags.of(unknown, {}, {"cam"}).of_keys(keys[:1]) == {"CAL005"}
    assert WiderFlags.of(unknown, {}, {"cam"}).of_keys(keys[1:]) == set()
    objects = {CAMERA: [finding("DEC001", "not declared", sensor="cam", severity=Severity.WARNING)]}
    assert WiderFlags.of([], objects, {"cam"}).of_keys(keys) == {"DEC001"}
    assert WiderFlags.of([], objects, {"cam2"}).of_keys(keys) == set()
    more = WiderFlags.of(unknown[:1], {}, {"cam"}).plus([finding("CAM011", "dull", sensor="cam", measured=0.05)], {"cam"})
    assert more.of_keys(keys) == {"CAL005", "CAM011"}


def short_drive(frames: int, required: bool) -> tuple[Landed, list[dict[str, object]]]:
    landed, stamps = Landed(), STAMPS[:frames]
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in stamps])
    landed.land("cam", "camera", [(ns, image(ns)) for ns in stamps])
    landed.land("rad", "radar", [(ns, cloud(ns)) for ns in stamps])
    sensors = (
        sensor("top", "lidar", required=True),
        *(sensor(n, m, required=required) for n, m in (("cam", "camera"), ("rad", "radar"))),
    )
    drive_input = landed.finish(rig_document(*sensors), stamps[-1])
    assert serial_jobs.inspect(landed, drive_input).inspection.verdict == "build"
    serial_jobs.build(landed, drive_input)
    return landed, serial_jobs.scenes(landed)


UNKNOWN_IN_SHORT_DRIVES = {
    "CAM006", "CAM008", "CAM009", "LID003", "LID004", "LID005", "LID006", "LID007", "RAD001", "RAD003", "RAD005",
}  # fmt: skip
UNOBSERVABLE = {"CAL003", "CAL004", "CAL009"}  # of the lidar


def test_what_a_short_drive_cannot_show_stands_in_its_scenes() -> None:
    _, scenes = short_drive(7, required=True)
    assert len(scenes) == 7
    for scene in scenes:
        assert set(scene["quality_flags"]) >= UNKNOWN_IN_SHORT_DRIVES | UNOBSERVABLE | {"CAL005", "CAL006"}  # type: ignore[call-overload]
    _, scenes = short_drive(7, required=False)
    for scene in scenes:
        flags = set(scene["quality_flags"])  # type: ignore[call-overload]
        assert flags >= UNKNOWN_IN_SHORT_DRIVES | UNOBSERVABLE, "the reference is critical, whatever it is declared"
        assert not flags & {"CAL005", "CAL006"}


def test_a_rule_that_the_rig_makes_an_error_keeps_out_what_it_cannot_judge() -> None:
    landed = Landed()
    stamps = STAMPS[:7]
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in stamps])
    landed.land("cam", "camera", [(ns, image(ns)) for ns in stamps])
    sensors = (sensor("top", "lidar", required=True), sensor("cam", "camera", required=True))
    drive_input = landed.finish(rig_document(*sensors, rules={"CAM009": {"severity": "error"}}), stamps[-1])
    serial_jobs.inspect(landed, drive_input)
    assert serial_jobs.build(landed, drive_input).gold == 0
    assert all(not scene["complete"] for scene in serial_jobs.scenes(landed, "quarantined"))
    for rules in ({"CAL005": {"severity": "error"}}, {"CAL009": {"severity": "error"}}):
        drive_input = landed.finish(rig_document(*sensors, rules=rules), stamps[-1])
        assert serial_jobs.inspect(landed, drive_input).inspection.verdict == "quarantine"


def test_no_scene_of_dead_required_sensors_is_complete() -> None:
    landed = Landed()
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in STAMPS])
    landed.land("blind", "lidar", [(ns, cloud(ns, points=40, not_finite=40)) for ns in STAMPS])
    landed.land("cut", "camera", [(ns, image(ns, cut=True)) for ns in STAMPS])
    landed.land("empty", "lidar", [(ns, cloud(ns, points=0)) for ns in STAMPS])
    names = (("top", "lidar"), ("blind", "lidar"), ("cut", "camera"), ("empty", "lidar"))
    drive_input = landed.finish(rig_document(*(sensor(*one, required=True) for one in names)), STAMPS[-1])
    serial_jobs.inspect(landed, drive_input)
    assert serial_jobs.build(landed, drive_input).gold == 0
    for scene in serial_jobs.scenes(landed, "quarantined"):
        assert not scene["complete"]
        assert {one["sensor"]: one["reason"] for one in scene["missing"]} == {
            "blind": "LID001",
            "cut": "DEC005",
            "empty": "LID001",
        }
