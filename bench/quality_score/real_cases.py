"""Real recordings, what is true of them as they are, and the faults that are put into them, each at several sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.quality_score.case import Case

LONG = 8  # frames of a sensor from which on its frames are compared with each other

Ladder = tuple[str, str, tuple[float, ...], float]
"""Rule, kind of fault, the sizes tried, and the smallest of them that must be found."""

IMAGES: tuple[Ladder, ...] = (
    ("DEC005", "shorten_jpeg", (0.01, 0.05, 0.4, 0.9), 0.01),
    ("DEC005", "zero_jpeg", (0.02, 0.1, 0.33), 0.1),
    ("DEC005", "shorten_png", (0.01, 0.05, 0.5), 0.01),
    ("CAM001", "blank_image", (12, 5, 2), 5),
    ("CAM003", "overexpose", (0.35, 0.45, 0.6), 0.45),
    ("CAM004", "underexpose", (0.6, 0.75, 0.9), 0.75),
    ("CAM005", "blur", (1.0, 1.5, 2.5), 2.5),
    ("CAM010", "unfill_image", (0.05, 0.15, 0.5), 0.15),
)
IMAGES_COMPARED: tuple[Ladder, ...] = (("CAM008", "tint", (20, 35, 50), 35),)
CLOUDS: tuple[Ladder, ...] = (
    ("LID001", "nan_points", (0.45, 0.6, 0.9), 0.6),
    ("LID002", "nan_points", (0.001, 0.2), 0.001),
    ("LID009", "zero_points", (0.85, 0.95, 1.0), 0.95),
)
CLOUDS_COMPARED: tuple[Ladder, ...] = (
    ("LID003", "drop_points", (0.15, 0.3, 0.5), 0.3),
    ("LID004", "block_sector", (12, 20, 45), 20),
    ("LID005", "zero_points", (0.15, 0.3, 0.5), 0.3),
)
FILES: tuple[Ladder, ...] = (
    ("CMP001", "absent_object", (), 1),
    ("CMP004", "wrong_count", (1,), 1),
    ("DEC001", "wrong_checksum", (), 1),
    ("DEC002", "truncate_object", (0.001, 0.1, 0.7), 0.001),
    ("DEC003", "empty_object", (), 1),
    ("DEC004", "unknown_message_type", (), 1),
)
SMALLER_IS_WORSE = frozenset({"blank_image"})


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording of `SCENELAKE_TEST_DATA`: its folder there, its importer, and the sensors that get faults.

    `camera_frames`, `lidar_frames`: how many they have. `png`: its images are PNG. `ringed`: its points have rings.
    `standing`: the vehicle stands, so that nothing tells a blocked lens from a wall.
    `middle_s`: of the camera's frames, from the start of the drive.
    `skipped`: some images are in no scene, because its camera is faster than its lidar.
    `explained`: rules that it fails as it is, with reason (see `docs/quality.md`).
    """

    name: str
    folder: str
    importer: str
    lidar: str
    lidar_frames: int
    camera: str | None = None
    camera_frames: int = 0
    side_camera: str | None = None
    png: bool = False
    standing: bool = False
    middle_s: float = 0.35
    ringed: bool = False
    skipped: bool = False
    explained: frozenset[str] = field(default_factory=frozenset)


RECORDINGS = (
    Recording("PandaSet", "pandaset_002", "pandaset", "lidar", 10, "camera_front", 10, "camera_front_left", standing=True),
    Recording(
        "nuScenes", "nuscenes_keyframe", "nuscenes", "lidar_top", 1, "cam_front", 1, "cam_front_left",
        explained=frozenset({"CMP005"}),
    ),
    Recording(
        "Argoverse 2", "argoverse2/7fab2350-7eaf-3b7e-a39d-6937a4c1bede", "argoverse2", "lidar", 2,
        explained=frozenset({"CMP005"}),
    ),
    Recording(
        "DGP", "dgp_test_scene/scene_01", "dgp", "lidar", 3, "camera_01", 3, "camera_05", explained=frozenset({"SYN003"})
    ),
    Recording(
        "RADIATE", "radiate_tiny_foggy", "radiate", "lidar", 23, "camera_left", 23, png=True, ringed=True, middle_s=1.4,
        skipped=True,
        explained=frozenset({
            "CLK001", "CLK002", "CLK004", "CLK008", "CMP005", "CMP006", "CMP007", "CMP008", "POS001", "POS008", "SYN001",
            "SYN002", "SYN003",
        }),
    ),
)  # fmt: skip


def real_cases(recording: Recording) -> tuple[Case, ...]:
    """The faults that can be put into a recording; the recording as it is comes first."""
    as_it_is = Case("", source=recording.name, also=recording.explained)
    return (as_it_is, *_of_lidar(recording), *_of_camera(recording), *_of_drive(recording))


def _of_lidar(recording: Recording) -> Iterator[Case]:
    lidar, frames = recording.lidar, recording.lidar_frames
    some = _some(frames)
    yield from _ladders(recording, lidar, CLOUDS, some)
    yield from _ladders(recording, lidar, FILES, None)
    yield _case(recording, "DEC006", f"rename_x:{lidar}:{some}", lidar)
    if recording.camera is not None:
        for ms in (100, 1000):
            yield _case(recording, "CLK014", f"clock_offset:{lidar}:{ms * 10**6}", lidar, ms)
    if frames > 1:
        yield _case(recording, "LID008", f"repeat_content:{lidar}:1", lidar)
        yield _case(recording, "DEC008", f"second_topic:{lidar}:1", lidar)
    if frames >= LONG:
        yield from _ladders(recording, lidar, CLOUDS_COMPARED, some)
        for share in (0.2, 0.4, 0.6):
            yield _case(recording, "LID006", f"fade_intensity:{lidar}:{share}", lidar, share, share >= 0.6)
        yield _case(recording, "CLK011", f"wild_stamp:{lidar}:-7200000000000:4", lidar, 7200)
        yield _case(recording, "CLK004", f"drop_frames:{lidar}:4,5,6", lidar, 4)
        yield _case(recording, "CLK002", f"duplicate_stamps:{lidar}:4", lidar)
        yield _case(recording, "CLK006", f"clock_unit:{lidar}:3", lidar, 3)
    if recording.ringed:
        for count in (1, 3):
            yield _case(recording, "LID007", f"drop_rings:{lidar}:{count}:{some}", lidar, count)


def _of_camera(recording: Recording) -> Iterator[Case]:
    camera, frames = recording.camera, recording.camera_frames
    if camera is None:
        return
    some = _some(frames)
    images = [one for one in IMAGES if not (recording.png and one[1].endswith("_jpeg"))]
    yield from _ladders(recording, camera, images, some)
    yield _case(recording, "CAM007", f"lose_chroma:{camera}:{some}", camera)
    yield _case(recording, "CLK007", f"clock_offset:{camera}:1000000000", camera)
    if frames > 1:
        yield _case(recording, "CAM002", f"repeat_content:{camera}:1", camera, 1, not recording.skipped)
        yield _case(recording, "DEC008", f"wrong_frame:{camera}:1", camera)
    if frames >= LONG:
        yield from _ladders(recording, camera, IMAGES_COMPARED, some)
        yield _case(recording, "CAM009", f"grey_image:{camera}:{some}", camera)
        for share in (0.2, 0.35, 0.5):
            yield _case(
                recording, "CAM006", f"block_image:{camera}:{share}:0", camera, share, share >= 0.5 and not recording.standing
            )
        yield _case(recording, "CAM002", f"repeat_content:{camera}:4,5,6", camera, 3)
        for ms in (200, 2000):
            yield _case(recording, "CLK008", f"clock_step:{camera}:-{ms * 10**6}:{recording.middle_s}", camera, ms)
    for factor in (1.52, 1.8):
        due = factor > 1.6
        yield _case(recording, "CAL007", f"wrong_intrinsics:{camera}:centre_x={factor}", camera, 50 * (factor - 1), due)
    yield _case(recording, "CAL008", f"invert_extrinsic:{camera}", camera)
    yield _case(recording, "CAL008", f"body_axes:{camera}", camera)
    if frames >= LONG and not recording.png:
        for side in (camera, recording.side_camera or camera):
            for degrees in (0.4, 0.5, 1.0, 2.0):
                yield _case(recording, "CAL005", f"rotate_extrinsic:{side}:yaw={degrees}deg", side, degrees, degrees >= 0.5)
    if recording.side_camera is not None:
        yield _case(recording, "CAL008", f"swap_quaternion:{recording.side_camera}", recording.side_camera)


def _of_drive(recording: Recording) -> Iterator[Case]:
    yield _case(recording, "KEY001", "stray_file", None)
    yield _case(recording, "CMP002", "no_manifest", None)
    yield _case(recording, "CMP003", f"dead_sensor:{recording.lidar}:0", recording.lidar)
    yield _case(recording, "CAL002", f"unlisted_sensor:{recording.camera or 'pose'}", recording.camera or "pose")


def _ladders(recording: Recording, sensor: str, ladders: Sequence[Ladder], frames: str | None) -> Iterator[Case]:
    for rule, kind, sizes, stated in ladders:
        for size in sizes or (1,):
            text = ":".join([kind, sensor, *([f"{size:g}"] if sizes else []), *([frames] if frames else [])])
            due = size <= stated if kind in SMALLER_IS_WORSE else size >= stated
            yield _case(recording, rule, text, sensor, size, due)


def _case(recording: Recording, rule: str, fault: str, sensor: str | None, size: float = 1.0, stated: bool = True) -> Case:
    return Case(rule, (fault,), sensor, size, stated=stated, source=recording.name)


def _some(frames: int) -> str:
    """Two frames in the middle of a sensor's, or the last of a few."""
    return f"{frames // 2 - 1},{frames // 2}" if frames >= LONG else str(frames - 1)
