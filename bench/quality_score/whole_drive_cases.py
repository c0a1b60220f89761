"""Cases of faults that last all drive long: what a rule compares with the rest of the drive cannot show them.

A case that is not `stated` is one that a single drive does not show: there is no sound frame of the sensor in it, and the
data could be those of a sound sensor in another place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from bench.quality_score.case import Case
from bench.quality_score.drive_cases import BLANK, BLIND, CAMERA, DARK, LARGE, LIDAR, RADAR, make_case

ALWAYS = "1.0"
# What follows if a sensor, or all of its frames, are lost.
LOST = (
    "CMP003", "CMP004", "CMP005", "CMP006", "CMP007", "SYN001", "SYN002", "SYN003", "SYN005", "POS001", "POS008", "CLK003",
    "CLK004", "CLK010",
)  # fmt: skip
OFF = (*LOST, "CLK005", "CLK007", "CLK014")

_case = partial(make_case, whole=True)


def whole_drive_cases() -> tuple[Case, ...]:
    """All of them."""
    return (*_of_recordings(), *_of_clocks(), *_of_cameras(), *_of_lidars(), *_of_radars())


def _of_recordings() -> Iterator[Case]:
    for sensor, rule in ((CAMERA, "CMP003"), (LIDAR, "CMP003"), ("pose", "POS001")):
        named = None if rule == "POS001" else sensor
        yield _case(rule, f"dead_sensor:{sensor}:0", named, 300 if rule == "POS001" else 1, also=("CAL001", "CLK005", *LOST))
    for sensor in (CAMERA, LIDAR, RADAR):
        # The generator's rig names no topic, and one of another name contradicts nothing; that of another sensor would.
        yield _case("DEC008", f"second_topic:{sensor}:{ALWAYS}", sensor, 1.0, also=LOST, stated=False)
    yield _case("DEC008", f"wrong_frame:{CAMERA}:{ALWAYS}", CAMERA, 1.0, also=LOST, stated=False)
    yield _case("DEC006", f"rename_x:{LIDAR}:{ALWAYS}", LIDAR, 30, also=LOST)


def _of_clocks() -> Iterator[Case]:
    # A whole second and whole periods of the camera (12 Hz) and of the lidar (10 Hz), ahead and behind.
    for ns in (10**9, -(10**9)):
        yield _case("CLK007", f"clock_offset:{CAMERA}:{ns}", CAMERA, 1, also=OFF)
        yield _case("CLK007", f"clock_offset:{RADAR}:{ns}", RADAR, 1, also=OFF)
    yield _case("CLK007", f"clock_offset:{CAMERA}:83333333", CAMERA, 0.083, also=OFF)
    yield _case("CLK014", f"clock_offset:{LIDAR}:100000000", LIDAR, 100, also=OFF)
    yield _case("CLK007", f"clock_offset:{CAMERA}:-83333333", CAMERA, 0.0833, also=OFF, stated=False)
    yield _case("CLK014", f"clock_offset:{LIDAR}:-100000000", LIDAR, 100.1, also=OFF, stated=False)
    for times in (0, 0.001, -1):
        yield _case("SYN003", f"scale_times:{LIDAR}:{times}:{ALWAYS}", LIDAR, 30, also=("CAL003", "CAL005"))


def _of_cameras() -> Iterator[Case]:
    for fault, size in (("cut_jpeg", ""), ("shorten_jpeg", "0.05:"), ("zero_jpeg", "0.33:"), ("shorten_png", "0.05:")):
        yield _case("DEC005", f"{fault}:{CAMERA}:{size}{ALWAYS}", CAMERA, float(size.strip(":") or 0.2), also=LOST, rig=LARGE)
    lost: Iterable[str] = (*LOST, *BLANK)
    yield _case("CAM001", f"blank_image:{CAMERA}:5:{ALWAYS}", CAMERA, 250, also=lost)
    yield _case("CAM002", f"repeat_content:{CAMERA}:{ALWAYS}", CAMERA, 35, also=LOST)
    yield _case("CAM003", f"overexpose:{CAMERA}:0.6:{ALWAYS}", CAMERA, 0.6, also=("CAM001", *lost))
    # What is left of an image that is nearly black may be what is left of the one before it.
    yield _case("CAM004", f"underexpose:{CAMERA}:0.9:{ALWAYS}", CAMERA, 0.9, also=("CAM001", "CAM002", *lost))
    yield _case("CAM005", f"blur:{CAMERA}:2.5:{ALWAYS}", CAMERA, 2.5)
    yield _case("CAM006", f"block_image:{CAMERA}:0.5:0", CAMERA, 0.5)
    yield _case("CAM007", f"lose_chroma:{CAMERA}:{ALWAYS}", CAMERA, 1.0, also=("CAM008", "CAM004", "CAM006"))
    yield _case("CAM008", f"tint:{CAMERA}:50:{ALWAYS}", CAMERA, 50, also=("CAM007",), stated=False)
    yield _case("CAM009", f"grey_image:{CAMERA}:{ALWAYS}", CAMERA, also=("CAM008",), stated=False)
    for share in (0.15, 0.5):
        yield _case("CAM010", f"unfill_image:{CAMERA}:{share}:{ALWAYS}", CAMERA, share, also=DARK)


def _of_lidars() -> Iterator[Case]:
    bad = ("LID002", "LID003", "LID004", "LID007", "LID009", *LOST)
    yield _case("LID001", f"nan_points:{LIDAR}:0.9:{ALWAYS}", LIDAR, 0.9, also=bad)
    yield _case("LID002", f"nan_points:{LIDAR}:0.2:{ALWAYS}", LIDAR, 0.2)
    for share in (0.95, 1.0):
        yield _case("LID009", f"zero_points:{LIDAR}:{share}:{ALWAYS}", LIDAR, share, also=(*BLIND, *LOST))
    yield _case("LID008", f"repeat_content:{LIDAR}:{ALWAYS}", LIDAR, 29, also=LOST)
    yield _case("LID007", f"drop_rings:{LIDAR}:2:{ALWAYS}", LIDAR, 2)
    yield _case("LID003", f"drop_points:{LIDAR}:0.5:{ALWAYS}", LIDAR, 0.5, stated=False)
    yield _case("LID004", f"block_sector:{LIDAR}:45:{ALWAYS}", LIDAR, 45, stated=False)
    yield _case("LID005", f"zero_points:{LIDAR}:0.5:{ALWAYS}", LIDAR, 0.5, stated=False)


def _of_radars() -> Iterator[Case]:
    yield _case("RAD005", f"empty_scan:{RADAR}:{ALWAYS}", RADAR, also=("RAD001",))
    yield _case("RAD002", f"ghosts:{RADAR}:0.9:{ALWAYS}", RADAR, 0.9)
    yield _case("RAD004", f"repeat_content:{RADAR}:{ALWAYS}", RADAR, 39, also=("RAD003",))
    yield _case("RAD003", f"full_list:{RADAR}:64:{ALWAYS}", RADAR, 64)
