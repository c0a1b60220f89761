"""Cases of every rule that a synthetic drive can break, each at several sizes, and clean drives."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from bench.quality_score.case import Case

CAMERA, LIDAR, RADAR = "camera_front", "lidar_top", "radar_front"
SEGMENTS = (("segment_s", 1.0),)

UNITS = {
    "KEY001": "keys", "CMP001": "objects", "CMP002": "manifests", "CMP003": "sensors", "CMP004": "frames",
    "CMP005": "share of the drive", "CMP006": "share of the scenes", "CMP007": "share of the frames",
    "DEC001": "objects", "DEC002": "share of the bytes", "DEC003": "objects",
    "DEC004": "objects", "DEC005": "share of the image", "DEC006": "frames", "DEC008": "share of the messages",
    "LID001": "share of the points", "LID002": "share of the points",
    "CLK001": "ms", "CLK002": "frames", "CLK003": "share of the frames", "CLK004": "periods", "CLK005": "s",
    "CLK006": "powers of ten", "CLK007": "s", "CLK008": "ms", "CLK009": "ppm", "CLK010": "ms",
    "CLK011": "s", "CLK012": "share of the frames", "CLK013": "times", "CLK014": "ms", "CLK015": "frames",
    "SYN005": "s", "POS008": "s", "CAL001": "sensors", "CAL002": "sensors", "CAL008": "degrees", "CAL009": "deg",
    "POS001": "frames", "SYN001": "frames", "SYN002": "ms", "SYN003": "frames",
    "CAM001": "levels of contrast lost", "CAM002": "frames", "CAM003": "share of the pixels", "CAM004": "share of the pixels",
    "CAM005": "px of 320", "CAM006": "share of the lower third",
    "CAM007": "images", "CAM008": "levels of chroma", "CAM009": "images", "CAM010": "share of the rows",
    "LID003": "share of the points", "LID004": "degrees", "LID005": "share of the points", "LID006": "share over the drive",
    "LID007": "rings", "LID008": "frames", "LID009": "share of the points", "RAD005": "share of the scans",
    "RAD001": "frames", "RAD002": "share of the detections", "RAD003": "detections", "RAD004": "frames",
    "POS002": "m", "POS003": "m/s", "POS004": "m/s²", "POS005": "rad/s", "POS006": "m/s²", "POS007": "share of the distance",
}  # fmt: skip
"""Rule to the unit of its fault's size."""

# Consequences of missing frames, over the drive.
THINNING = frozenset({"SYN001", "CLK003", "CLK004"})
THINNED = ("CMP006", "CMP007")
DARK = ("CAM003", "CAM004", "CAM007", "CAM008", "CAM009", "CAM006")
# JPEG has no checksum: of an image with a dozen blocks, a decoder often ends where it should, whatever it has read.
LARGE = {"width_px": 320, "height_px": 180}
BLANK = ("SYN001", "CAM005", "CAM008", "CAM009", "CAM010")
BLIND = ("LID003", "LID004", "LID005", "LID007", "SYN001", "CMP003", "CLK004")

NOT_INJECTED = {
    "DEC007": "the recorder cannot write such a message; the fuzz targets do",
    "CMP008": "only an importer states what its source has lost",
    **dict.fromkeys(("REV001", "REV002", "REV003"), "a reviewer's decision is no fault of a drive"),
    **dict.fromkeys(("LID010", "RAD006", "CAM011", "CAL011"), "it takes earlier drives; one drive alone has no baseline"),
    "CAM012": "all images of a generated camera have one size",
    "SYN004": "only a matcher that broke its promise could",
    "ACC001": "only a job that lost a frame could",
    "ACC002": "only a job that published what it had refused could",
}
"""Rules that no fault of a drive triggers, and why."""


def cases() -> tuple[Case, ...]:
    """All cases, clean drives last."""
    return (*_of_files(), *_of_rates(), *_of_clocks(), *_of_frames(), *_of_cameras(), *_of_clouds(), *_of_poses(), *_clean())


def make_case(rule: str, fault: str, sensor: str | None, size: float = 1.0, also: Iterable[str] = (), **more: Any) -> Case:
    """A case of one fault; what follows from missing frames is explained by rules that miss them."""
    rig = tuple(sorted(more.pop("rig", {}).items()))
    explained = {*also, *(THINNED if THINNING & {rule, *also} else ())} - {rule}
    return Case(rule, (fault,), sensor, size, also=frozenset(explained), rig=rig, **more)


_case = make_case


def _of_files() -> Iterator[Case]:
    gone = ("CMP003", "CMP005", "CLK003", "CLK004", "SYN001", "POS001", "SYN003", "CMP004")
    yield _case("KEY001", "stray_file", None)
    yield _case("CMP002", "no_manifest", None, also=("CAL001", "CLK005", "CMP005"))
    yield _case("CMP003", f"dead_sensor:{CAMERA}:0", CAMERA, also=gone)
    for sensor in (CAMERA, RADAR, "pose"):
        yield _case("CMP001", f"absent_object:{sensor}", sensor, also=gone)
        yield _case("DEC001", f"wrong_checksum:{sensor}", sensor, also=gone)
        yield _case("DEC003", f"empty_object:{sensor}", sensor, also=gone)
        yield _case("DEC004", f"unknown_message_type:{sensor}", sensor, also=(*gone, "DEC002", "CLK001", "CLK010", "CLK008"))
        for share in (0.01, 0.2):
            yield _case("DEC008", f"second_topic:{sensor}:{share}", sensor, share, also=gone)
        for share in (0.01, 0.2, 0.4):
            yield _case("DEC008", f"wrong_frame:{sensor}:{share}", sensor, share, also=gone)
        for share in (0.001, 0.1, 0.7):
            yield _case("DEC002", f"truncate_object:{sensor}:{share}", sensor, share, also=(*gone, "DEC001"))
        for count in (1, 5):
            yield _case("CMP004", f"wrong_count:{sensor}:{count}", sensor, count)
        yield _case("CAL001", f"bad_calibration:{sensor}", None, also=("CAL002", "CLK003", "CLK004", "CMP005"))
        yield _case("CAL002", f"unlisted_sensor:{sensor}", sensor, also=("POS001", "SYN003", "CLK003", "CLK004"))
    for up in (30, 50, 90):
        also = ("CAL005", "CAL007")
        yield _case("CAL008", f"rotate_extrinsic:{CAMERA}:pitch=-{up}deg", CAMERA, up, also=also, stated=up > 45)
    # In the other order of the quaternion, the front camera's mounting is the same, the left one's looks at the sky, and the
    # right one's at the road, as that of a parking camera may.
    for side, stated in (("left", True), ("right", False)):
        sides = {"cameras": (CAMERA, f"camera_front_{side}")}
        swapped = f"swap_quaternion:camera_front_{side}"
        yield _case("CAL008", swapped, f"camera_front_{side}", 179, also=("CAL005",), rig=sides, stated=stated)
    yield _case("CAL008", f"degrees_extrinsic:{CAMERA}", CAMERA, 116, also=("CAL005",), stated=False)
    for kind, degrees in (("swap_quaternion", 180), ("degrees_extrinsic", 11)):
        yield _case("CAL009", f"{kind}:{LIDAR}", LIDAR, degrees, also=("CAL003", "CAL004", "CAL005"))
    for kind in ("invert_extrinsic", "body_axes"):
        yield _case("CAL008", f"{kind}:{CAMERA}", CAMERA, 180, also=("CAL005",))
    for sensor in (LIDAR, RADAR):
        yield _case("CAL008", f"invert_extrinsic:{sensor}", sensor, 180, also=("CAL003", "CAL004", "CAL005", "CAL006", "CAL009"))
    for after_s in (0.5, 1.5, 2.6):
        lost = round(1 - after_s / 3.0, 2)
        yield _case(
            "CMP005", f"dead_sensor:{CAMERA}:{after_s}", CAMERA, lost, also=("SYN001", "CMP003", "CLK010"), stated=lost > 0.13
        )


def _of_rates() -> Iterator[Case]:
    gaps = ("CLK004", "CLK003", "SYN001", "SYN002", "CMP005")
    for count in (1, 3):
        frames = ",".join(str(9 + 4 * number) for number in range(count))
        yield _case("CLK002", f"duplicate_stamps:{CAMERA}:{frames}", CAMERA, count, also=(*gaps, "CLK001", "CLK010", "CLK008"))
    for every in (2, 3, 4):
        # All but every n-th frame, so that the rate, and not one gap, is what changes.
        frames = ",".join(str(number) for number in range(1, 36) if number % every)
        yield _case("CLK003", f"drop_frames:{CAMERA}:{frames}", CAMERA, round(1 - 1 / every, 2), also=gaps)
    for share in (0.2, 0.3):
        frames = ",".join(str(number) for number in range(1, 36) if int(number * share) > int((number - 1) * share))
        yield _case("CMP007", f"drop_frames:{CAMERA}:{frames}", CAMERA, share, also=gaps)
    for count in (1, 2, 5):
        lost = ",".join(str(10 + number) for number in range(count))
        yield _case("CMP007", f"drop_frames:{CAMERA}:{lost}", CAMERA, round(count / 36, 3), also=gaps, stated=count > 2)
        cut = ",".join(str(10 + number) for number in range(3 * count))
        also = ("DEC005", "SYN001")
        yield _case("CMP006", f"cut_jpeg:{CAMERA}:{cut}", None, round(2.5 * count / 30, 2), also=also, stated=count > 2)
        hole = ",".join(str(3 + number) for number in range(count))
        # In a drive of 12 sweeps: however short a drive is, a hole is a gap and no wrong rate.
        gone = ("CMP007", "SYN003", "CMP005")  # the other sensors run on for a tenth of it
        yield _case("CLK004", f"drop_frames:{LIDAR}:{hole}", LIDAR, count + 1, also=gone, duration_s=1.2, stated=count > 1)
        frames = ",".join(str(12 + number) for number in range(count))
        fault = f"drop_frames:{CAMERA}:{frames}"
        yield _case("CLK004", fault, CAMERA, count + 1, also=("SYN001", "SYN002", "CLK003", "CLK010"), stated=count > 1)


def _of_clocks() -> Iterator[Case]:
    also: tuple[str, ...]
    for seconds in (900_000_000, 1_000_000_000):
        # The manifest covers all stamps that the recorder saw: only an impossible year is outside of it.
        also = ("SYN001", "CLK007", "CMP005", "CLK010", "SYN002", "SYN005")
        yield _case("CLK005", f"clock_offset:{CAMERA}:-{seconds * 10**9}", CAMERA, seconds, also=also)
    apart = ("SYN001", "SYN005", "CMP005", "CLK010", "SYN002", "CLK005")
    for ms in (100, 1000, 2000, 100_000):
        yield _case("CLK007", f"clock_offset:{CAMERA}:{ms * 10**6}", CAMERA, ms / 1000, also=apart)
    yield _case("CLK007", f"clock_offset:{CAMERA}:-1000000000", CAMERA, 1, also=apart)
    yield _case("CLK007", "clock_offset:pose:1000000000", "pose", 1, also=("POS001", "POS008", "SYN003", *apart))
    for ms in (100, 1000):
        also = ("CLK007", "POS001", "POS008", "SYN003", *apart)
        yield _case("CLK014", f"clock_offset:{LIDAR}:{ms * 10**6}", LIDAR, ms, also=also)
    for sensor, ns in ((CAMERA, -(10**9)), (LIDAR, -(10**18)), (LIDAR, 10**13), ("pose", 3 * 10**9)):
        also = ("SYN001", "CLK004", "CMP007", "CMP005", "POS001", "SYN003")
        yield _case("CLK011", f"wild_stamp:{sensor}:{ns}:9,14", sensor, abs(ns) / 1e9, also=also)
    # Among so many, some stand next to each other, and look like a clock that was set or like frames that came late.
    also = ("CLK011", "SYN001", "CLK004", "CMP007", "CMP005", "CLK005", "CLK013", "CLK015")
    yield _case("CLK012", f"wild_stamp:{CAMERA}:-50000000000:0.2", CAMERA, 0.2, also=also)
    for factor in (0.1, 4, 50):
        yield _case("CLK013", f"log_pace:{CAMERA}:{factor}", CAMERA, factor, also=("SYN001", "CLK009"))
    for count in (1, 2):
        frames = ",".join(str(9 + 6 * number) for number in range(count))
        yield _case("CLK015", f"late_frames:{CAMERA}:{frames}", CAMERA, count)
    yield _case("CLK011", f"wild_stamp:{LIDAR}:-7200000000000:9", LIDAR, 7200, also=("SYN001", "CLK004", "CMP007"))
    for power in (3, 6):
        also = ("SYN001", "CLK005", "CLK007", "CMP005", "CLK003", "CLK004", "CLK002", "CLK009", "CLK008", "CLK001")
        yield _case("CLK006", f"clock_unit:{CAMERA}:{power}", CAMERA, power, also=also)
    for ms in (20, 200, 2000):
        also = ("SYN001", "SYN002", "SYN005", "CLK004", "CLK010", "CLK005", "CMP005", "CLK003", "CLK007", "CLK009")
        back = f"clock_step:{CAMERA}:-{ms * 10**6}:1.5"
        yield _case("CLK008", back, CAMERA, ms, also=(*also, "CLK001"), stated=ms >= 200)
        yield _case("CLK001", back, CAMERA, ms, also=(*also, "CLK008"), stated=ms >= 200)
    for sensor in (LIDAR, RADAR, "pose"):
        behind = ("CLK007", "CLK001", "CLK014", "POS001", "POS008", "SYN003", "CMP007", *also)
        yield _case("CLK008", f"clock_step:{sensor}:-2000000000:1.5", sensor, 2000, also=behind)
    for ppm in (150, 500):
        also = ("CLK010", "SYN002")
        yield _case("CLK009", f"clock_drift:{CAMERA}:{ppm}", CAMERA, ppm, also=also, duration_s=15.0, stated=ppm >= 500)
    yield _case("SYN005", f"clock_offset:{RADAR}:1000000000", RADAR, also=(*apart, "CLK007"))
    yield _case("POS008", "clock_offset:pose:1000000000", "pose", also=("POS001", "SYN003", "CLK007", *apart))
    for ms in (7, 15, 30):
        rig = {"camera_rate_hz": 10}
        also = ("SYN002",)
        yield _case("CLK010", f"clock_offset:{CAMERA}:{ms * 10**6}", CAMERA, ms, also=also, rig=rig)
    for ms in (35, 48):
        rig = {"camera_rate_hz": 10}
        fault = f"clock_offset:{CAMERA}:{ms * 10**6}"
        yield _case("SYN002", fault, CAMERA, ms, also=("CLK010", "SYN001"), rig=rig, stated=ms >= 48)


def _of_frames() -> Iterator[Case]:
    for count in (1, 3):
        frames = ",".join(str(10 + number) for number in range(count))
        yield _case("DEC005", f"cut_jpeg:{CAMERA}:{frames}", CAMERA, 0.2, also=("SYN001",))
        lost = ("CLK004", "CLK003", "SYN002")
        yield _case("SYN001", f"cut_jpeg:{CAMERA}:{frames}", CAMERA, count, also=("DEC005", *lost))
    for share in (0.01, 0.05, 0.4, 0.9):
        yield _case("DEC005", f"shorten_jpeg:{CAMERA}:{share}:0.2", CAMERA, share, also=("SYN001",))
    for share in (0.02, 0.1, 0.33):
        zeroed = f"zero_jpeg:{CAMERA}:{share}:0.2"
        yield _case("DEC005", zeroed, CAMERA, share, also=("SYN001", "CAM008", "CAM010"), rig=LARGE, stated=share >= 0.1)
    for share in (0.05, 0.5):
        yield _case("DEC005", f"shorten_png:{CAMERA}:{share}:0.2", CAMERA, share, also=("SYN001",))
    for count in (1, 3):
        frames = ",".join(str(9 + number) for number in range(count))
        yield _case("DEC006", f"rename_x:{LIDAR}:{frames}", LIDAR, count, also=("SYN001", "CLK004"))
    # Times that were never set, in microseconds, and counted backwards.
    for times, frames in itertools.product((0, 0.001, -1), ("9", "0.5")):
        yield _case("SYN003", f"scale_times:{LIDAR}:{times}:{frames}", LIDAR, 1 if frames == "9" else 15)
    for share in (0.45, 0.6, 0.9):
        yield _case(
            "LID001",
            f"nan_points:{LIDAR}:{share}:5,6",
            LIDAR,
            share,
            also=("LID002", "LID003", "SYN001", "LID004", "LID007", "LID009"),
            stated=share > 0.5,
        )
    for share in (0.001, 0.2):
        yield _case("LID002", f"nan_points:{LIDAR}:{share}:5,6", LIDAR, share, also=("LID003",))
    around = ",".join(str(number) for number in range(140, 160))
    gone = ("CLK004", "CLK003", "SYN003", "POS001")
    yield _case("POS001", f"drop_frames:pose:{around}", None, 20, also=gone)
    yield _case("SYN003", f"drop_frames:pose:{around}", LIDAR, 20, also=gone)


def _of_cameras() -> Iterator[Case]:
    for left in (2, 5, 12):
        yield _case("CAM001", f"blank_image:{CAMERA}:{left}:0.2", CAMERA, 255 - left, also=BLANK, stated=left <= 5)
    for count in (1, 4):
        frames = ",".join(str(10 + number) for number in range(count))
        yield _case("CAM002", f"repeat_content:{CAMERA}:{frames}", CAMERA, count, also=("SYN001",), rig={"camera_rate_hz": 10})
    for share in (0.35, 0.45, 0.6):
        yield _case("CAM003", f"overexpose:{CAMERA}:{share}:0.2", CAMERA, share, also=("CAM001", *BLANK), stated=share > 0.4)
    for share in (0.6, 0.75, 0.9):
        also = ("CAM001", *BLANK)
        yield _case("CAM004", f"underexpose:{CAMERA}:{share}:0.2", CAMERA, share, also=also, stated=share > 0.7)
    for px in (1.0, 1.5, 2.5):
        yield _case("CAM005", f"blur:{CAMERA}:{px}:0.2", CAMERA, px, stated=px >= 2.5)
    for share in (0.2, 0.35, 0.5):
        yield _case("CAM006", f"block_image:{CAMERA}:{share}:1.0", CAMERA, share, stated=share >= 0.5)
    yield _case("CAM007", f"lose_chroma:{CAMERA}:0.2", CAMERA, 0.2, also=("CAM008", "CAM004", "CAM006"))
    yield _case("CAM009", f"grey_image:{CAMERA}:0.2", CAMERA, also=("CAM008",))
    for levels in (20, 35, 50):
        yield _case("CAM008", f"tint:{CAMERA}:{levels}:0.2", CAMERA, levels, also=("CAM007",), stated=levels >= 35)
    for share in (0.05, 0.15, 0.5):
        yield _case("CAM010", f"unfill_image:{CAMERA}:{share}:0.2", CAMERA, share, also=DARK, stated=share > 0.1)


def _of_clouds() -> Iterator[Case]:
    for share in (0.15, 0.3, 0.5):
        yield _case("LID003", f"drop_points:{LIDAR}:{share}:0.2", LIDAR, share, also=("LID004", "LID007"), stated=share >= 0.3)
        yield _case(
            "LID005", f"zero_points:{LIDAR}:{share}:0.2", LIDAR, share, also=("LID003", "LID004", "LID007"), stated=share >= 0.3
        )
    for share in (0.85, 0.95, 1.0):
        yield _case("LID009", f"zero_points:{LIDAR}:{share}:8,9", LIDAR, share, also=BLIND, stated=share > 0.9)
    for degrees in (12, 20, 45):
        yield _case("LID004", f"block_sector:{LIDAR}:{degrees}:10,11,12", LIDAR, degrees, also=("LID003",), stated=degrees >= 20)
    for share in (0.2, 0.4, 0.6):
        yield _case("LID006", f"fade_intensity:{LIDAR}:{share}", LIDAR, share, stated=share >= 0.6)
    for count in (1, 3):
        yield _case("LID007", f"drop_rings:{LIDAR}:{count}:8,9", LIDAR, count, also=("LID003",))
        frames = ",".join(str(10 + number) for number in range(count))
        yield _case("LID008", f"repeat_content:{LIDAR}:{frames}", LIDAR, count, also=("SYN001",))
        yield _case("RAD004", f"repeat_content:{RADAR}:{frames}", RADAR, count, rig={"radar_rate_hz": 10})
        yield _case("RAD001", f"empty_scan:{RADAR}:{frames}", RADAR, count, rig={"radar_rate_hz": 10})
    for share in (0.4, 0.6, 0.9):
        yield _case("RAD002", f"ghosts:{RADAR}:{share}:0.2", RADAR, share, stated=share > 0.5)
    for capacity in (64, 125):
        yield _case("RAD003", f"full_list:{RADAR}:{capacity}:0.2", RADAR, capacity)


def _of_poses() -> Iterator[Case]:
    metres: float
    for metres in (0.2, 0.4, 1.0):
        yield _case(
            "POS002", f"pose_jump:pose:{metres}:1.5", "pose", metres, also=("POS004", "POS006", "POS007"), stated=metres >= 0.4
        )
    for speed in (16, 30):
        also = ("POS004", "POS006", "POS007", "POS002")
        yield _case("POS003", f"pose_scale:pose:{speed}", "pose", 6.0 * speed, also=also)
    for metres in (0.5, 1.0):
        yield _case("POS004", f"pose_shake:pose:{metres}", "pose", 16 * metres, also=("POS006", "POS005"), stated=metres >= 1.0)
    for rate in (0.04, 0.06, 0.1):
        yield _case("POS005", f"gyro_bias:imu:{rate}", "pose", rate, stated=rate >= 0.06)
    for bias in (2.0, 3.0, 5.0):
        yield _case("POS006", f"acceleration_bias:imu:{bias}", "pose", bias, stated=bias >= 3.0)
    for factor in (1.05, 1.15, 1.3):
        yield _case(
            "POS007",
            f"pose_scale:pose:{factor}",
            "pose",
            round(factor - 1, 2),
            duration_s=6.0,
            rig={"gnss": True},
            stated=factor >= 1.15,
        )


def _clean() -> Iterator[Case]:
    yield Case("", duration_s=3.0)
    yield Case("", duration_s=8.0, rig=(("gnss", True),))
    yield Case("", duration_s=3.0, rig=(("camera_rate_hz", 10), ("lidar_range_noise_m", 0.03)))
    yield Case("", duration_s=15.0, rig=(("camera_rate_hz", 10), ("width_px", 64), ("height_px", 36)))
