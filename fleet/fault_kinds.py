"""Kinds of faults, and the parts of each kind's text form.

| text | effect |
| --- | --- |
| `cut_jpeg:SENSOR:FRAMES` | images end in the middle of their entropy-coded data |
| `shorten_jpeg:SENSOR:SHARE[:FRAMES]` | images lose that share of their entropy-coded data, and keep their end marker |
| `zero_jpeg:SENSOR:SHARE[:FRAMES]` | that share of the entropy-coded data, in the middle, is zeros |
| `shorten_png:SENSOR:SHARE[:FRAMES]` | images are PNG files without that share of their rows, and whole otherwise |
| `blank_image:SENSOR:LEVELS[:FRAMES]` | luma and colours are compressed to this many levels around the middle |
| `overexpose:SENSOR:SHARE[:FRAMES]` | exposure is so long that this share of the pixels is white |
| `underexpose:SENSOR:SHARE[:FRAMES]` | exposure is so short that this share of the pixels is black |
| `blur:SENSOR:PX[:FRAMES]` | Gaussian blur of this standard deviation, in pixels of an image 320 wide |
| `block_image:SENSOR:SHARE:AFTER_S` | something covers this share of the lower third of the image |
| `lose_chroma:SENSOR[:FRAMES]` | both chroma planes are empty: all is green |
| `tint:SENSOR:LEVELS[:FRAMES]` | all colours are off by so many levels of chroma, towards orange |
| `grey_image:SENSOR[:FRAMES]` | all colours are lost |
| `unfill_image:SENSOR:SHARE[:FRAMES]` | that share of the rows, at the bottom, was never filled: all planes are zero |
| `repeat_content:SENSOR:FRAMES` | frames have the payload of the frame before them, under their own stamp |
| `nan_points:SENSOR:SHARE[:FRAMES]` | that share of the points of each (or of these) clouds has NaN coordinates |
| `drop_points:SENSOR:SHARE[:FRAMES]` | that share of the points, by chance, is not in the cloud |
| `zero_points:SENSOR:SHARE[:FRAMES]` | that share of the points, by chance, is (0, 0, 0) |
| `block_sector:SENSOR:DEG[:FRAMES]` | no points in a sector of this width, anywhere in azimuth |
| `drop_rings:SENSOR:COUNT[:FRAMES]` | no points of so many rings, of those that look down |
| `fade_intensity:SENSOR:SHARE` | intensities fade by this share from the first to the last frame |
| `scale_times:SENSOR:TIMES[:FRAMES]` | point times are this many times the true ones: 0 if never set, 0.001 if microseconds |
| `rename_x:SENSOR[:FRAMES]` | clouds call their first coordinate `X` |
| `empty_scan:SENSOR:FRAMES` | radar scans without detections |
| `ghosts:SENSOR:SHARE[:FRAMES]` | that share of the detections is marked as invalid; needs the rig option `radar_states` |
| `full_list:SENSOR:COUNT:FRAMES` | clutter fills the radar's list up to its last place |
| `pose_jump:SENSOR:M:AFTER_S` | from then on the pose is this far to the left |
| `pose_scale:SENSOR:FACTOR` | distances from the start are this many times the true ones |
| `pose_shake:SENSOR:M` | the pose swings this far to the left and right, once per second |
| `gyro_bias:SENSOR:RAD_S` | the yaw rate is off by this |
| `acceleration_bias:SENSOR:M_S2` | the forward acceleration is off by this |
| `dead_sensor:SENSOR:AFTER_S` | nothing is recorded from this many seconds on |
| `drop_frames:SENSOR:FRAMES` | frames are measured but not recorded |
| `duplicate_stamps:SENSOR:FRAMES` | frames carry the stamp of the frame before them |
| `wild_stamp:SENSOR:NS:FRAMES` | stamps of these frames alone are off by this many nanoseconds |
| `late_frames:SENSOR:FRAMES` | frames are recorded two periods late, after those that follow them |
| `log_pace:SENSOR:FACTOR` | log times pass so many times as fast as time does, as those of a converter |
| `clock_offset:SENSOR:NS` | all stamps are off by this many nanoseconds |
| `clock_step:SENSOR:NS:AFTER_S` | stamps are off by this many nanoseconds from then on |
| `clock_drift:SENSOR:PPM` | the clock runs fast by this many millionths |
| `clock_unit:SENSOR:POWER` | stamps count 10**POWER nanoseconds but are declared as nanoseconds |
| `unknown_message_type:SENSOR` | the recording declares an unknown message type |
| `wrong_frame:SENSOR[:FRAMES]` | messages name the frame of another device |
| `second_topic:SENSOR[:FRAMES]` | frames are recorded under the topic of another device |
| `bad_calibration[:SENSOR]` | the sensor's rotation is not a unit quaternion; the manifest's checksum of the file is right |
| `rotate_extrinsic:SENSOR:TURN` | the sensor is declared turned about its own axes, as in `yaw=0.5deg,pitch=-0.2deg` |
| `swap_quaternion:SENSOR` | the rotation is written x y z w where w x y z is read |
| `invert_extrinsic:SENSOR` | the mounting is the inverse of the true one |
| `body_axes:SENSOR` | the mounting has the axes of the camera's body (x forward), not those of its optical frame |
| `degrees_extrinsic:SENSOR` | the angle of the rotation was written in degrees and read as radians |
| `shift_extrinsic:SENSOR:SHIFT` | the sensor is declared elsewhere on the vehicle, as in `x=5cm,z=-2cm` |
| `wrong_intrinsics:CAMERA:LENS` | the lens is declared wrong by factors, as in `focal=1.05`, `size=0.5`, `centre_x=1.6` |
| `unlisted_sensor:SENSOR` | the sensor is not in the calibration |
| `truncate_object:SENSOR:SHARE` | the sensor's first file is truncated by that share of its bytes |
| `wrong_checksum:SENSOR` | the manifest's checksum of the sensor's first file is wrong |
| `wrong_count:SENSOR:COUNT` | the manifest declares this many extra frames in the sensor's first file |
| `empty_object:SENSOR` | the sensor's first file has no bytes |
| `absent_object:SENSOR` | the sensor's first file is named by the manifest but missing |
| `stray_file` | the drive contains a `.pkl` |
| `no_manifest` | the manifest was never written |

FRAMES is a share with a decimal point (`0.1`, chosen by the drive's seed) or indices from 0 (`3,7`). The last seven are
applied to the files after the manifest was made, so that the receiver sees the mismatch.
"""

from __future__ import annotations

from enum import StrEnum


class FaultKind(StrEnum):
    """The kind of a fault; the values are the names in the texts."""

    CUT_JPEG = "cut_jpeg"
    SHORTEN_JPEG = "shorten_jpeg"
    ZERO_JPEG = "zero_jpeg"
    SHORTEN_PNG = "shorten_png"
    BLANK_IMAGE = "blank_image"
    OVEREXPOSE = "overexpose"
    UNDEREXPOSE = "underexpose"
    BLUR = "blur"
    BLOCK_IMAGE = "block_image"
    LOSE_CHROMA = "lose_chroma"
    TINT = "tint"
    GREY_IMAGE = "grey_image"
    UNFILL_IMAGE = "unfill_image"
    REPEAT_CONTENT = "repeat_content"
    NAN_POINTS = "nan_points"
    DROP_POINTS = "drop_points"
    ZERO_POINTS = "zero_points"
    BLOCK_SECTOR = "block_sector"
    DROP_RINGS = "drop_rings"
    FADE_INTENSITY = "fade_intensity"
    SCALE_TIMES = "scale_times"
    RENAME_X = "rename_x"
    EMPTY_SCAN = "empty_scan"
    GHOSTS = "ghosts"
    FULL_LIST = "full_list"
    POSE_JUMP = "pose_jump"
    POSE_SCALE = "pose_scale"
    POSE_SHAKE = "pose_shake"
    GYRO_BIAS = "gyro_bias"
    ACCELERATION_BIAS = "acceleration_bias"
    DEAD_SENSOR = "dead_sensor"
    DROP_FRAMES = "drop_frames"
    DUPLICATE_STAMPS = "duplicate_stamps"
    WILD_STAMP = "wild_stamp"
    LATE_FRAMES = "late_frames"
    LOG_PACE = "log_pace"
    CLOCK_OFFSET = "clock_offset"
    CLOCK_STEP = "clock_step"
    CLOCK_DRIFT = "clock_drift"
    CLOCK_UNIT = "clock_unit"
    UNKNOWN_MESSAGE_TYPE = "unknown_message_type"
    WRONG_FRAME = "wrong_frame"
    SECOND_TOPIC = "second_topic"
    BAD_CALIBRATION = "bad_calibration"
    ROTATE_EXTRINSIC = "rotate_extrinsic"
    SWAP_QUATERNION = "swap_quaternion"
    INVERT_EXTRINSIC = "invert_extrinsic"
    BODY_AXES = "body_axes"
    DEGREES_EXTRINSIC = "degrees_extrinsic"
    SHIFT_EXTRINSIC = "shift_extrinsic"
    WRONG_INTRINSICS = "wrong_intrinsics"
    UNLISTED_SENSOR = "unlisted_sensor"
    TRUNCATE_OBJECT = "truncate_object"
    WRONG_CHECKSUM = "wrong_checksum"
    WRONG_COUNT = "wrong_count"
    EMPTY_OBJECT = "empty_object"
    ABSENT_OBJECT = "absent_object"
    STRAY_FILE = "stray_file"
    NO_MANIFEST = "no_manifest"

    @property
    def on_files(self) -> bool:
        """Whether it is applied to the finished folder, after the manifest is made."""
        return self in _ON_FILES

    @property
    def on_calibration(self) -> bool:
        """Whether it changes only the declaration of a sensor, and no measurement."""
        return self in _ON_CALIBRATION

    @property
    def parts(self) -> tuple[tuple[str, bool], ...]:
        """The names of its parts in their order, and whether each may be left out."""
        return tuple((name.strip("[]"), name.startswith("[")) for name in _PARTS[self].split())

    @property
    def size(self) -> str | None:
        """The part that is its size, of those in `SIZES`; None if it has none of them."""
        return next((name for name, _ in self.parts if name in SIZES), None)

    @property
    def form(self) -> str:
        """The text form of a fault of this kind."""
        return ":".join((self.value, *_PARTS[self].replace("[", "[:").split())).replace(":[:", "[:")


SIZES: dict[str, tuple[float, float]] = {
    "LEVELS": (0.0, 255.0),
    "PX": (0.01, 50.0),
    "DEG": (0.1, 360.0),
    "COUNT": (1, 10_000),
    "M": (0.001, 10_000.0),
    "FACTOR": (0.01, 100.0),
    "TIMES": (-10.0, 10.0),
    "RAD_S": (-10.0, 10.0),
    "M_S2": (-100.0, 100.0),
    "PPM": (-10_000.0, 10_000.0),
    "POWER": (1, 9),
}
"""Parts that give the size of a fault, in the unit that they are named after, and the range of each."""

WHOLE_SIZES = frozenset({"COUNT", "POWER"})

_PARTS: dict[FaultKind, str] = {
    FaultKind.CUT_JPEG: "SENSOR FRAMES",
    FaultKind.SHORTEN_JPEG: "SENSOR SHARE [FRAMES]",
    FaultKind.ZERO_JPEG: "SENSOR SHARE [FRAMES]",
    FaultKind.SHORTEN_PNG: "SENSOR SHARE [FRAMES]",
    FaultKind.BLANK_IMAGE: "SENSOR LEVELS [FRAMES]",
    FaultKind.OVEREXPOSE: "SENSOR SHARE [FRAMES]",
    FaultKind.UNDEREXPOSE: "SENSOR SHARE [FRAMES]",
    FaultKind.BLUR: "SENSOR PX [FRAMES]",
    FaultKind.BLOCK_IMAGE: "SENSOR SHARE AFTER_S",
    FaultKind.LOSE_CHROMA: "SENSOR [FRAMES]",
    FaultKind.TINT: "SENSOR LEVELS [FRAMES]",
    FaultKind.GREY_IMAGE: "SENSOR [FRAMES]",
    FaultKind.UNFILL_IMAGE: "SENSOR SHARE [FRAMES]",
    FaultKind.REPEAT_CONTENT: "SENSOR FRAMES",
    FaultKind.NAN_POINTS: "SENSOR SHARE [FRAMES]",
    FaultKind.DROP_POINTS: "SENSOR SHARE [FRAMES]",
    FaultKind.ZERO_POINTS: "SENSOR SHARE [FRAMES]",
    FaultKind.BLOCK_SECTOR: "SENSOR DEG [FRAMES]",
    FaultKind.DROP_RINGS: "SENSOR COUNT [FRAMES]",
    FaultKind.FADE_INTENSITY: "SENSOR SHARE",
    FaultKind.SCALE_TIMES: "SENSOR TIMES [FRAMES]",
    FaultKind.RENAME_X: "SENSOR [FRAMES]",
    FaultKind.EMPTY_SCAN: "SENSOR FRAMES",
    FaultKind.GHOSTS: "SENSOR SHARE [FRAMES]",
    FaultKind.FULL_LIST: "SENSOR COUNT FRAMES",
    FaultKind.POSE_JUMP: "SENSOR M AFTER_S",
    FaultKind.POSE_SCALE: "SENSOR FACTOR",
    FaultKind.POSE_SHAKE: "SENSOR M",
    FaultKind.GYRO_BIAS: "SENSOR RAD_S",
    FaultKind.ACCELERATION_BIAS: "SENSOR M_S2",
    FaultKind.DEAD_SENSOR: "SENSOR AFTER_S",
    FaultKind.DROP_FRAMES: "SENSOR FRAMES",
    FaultKind.DUPLICATE_STAMPS: "SENSOR FRAMES",
    FaultKind.WILD_STAMP: "SENSOR NS FRAMES",
    FaultKind.LATE_FRAMES: "SENSOR FRAMES",
    FaultKind.LOG_PACE: "SENSOR FACTOR",
    FaultKind.CLOCK_OFFSET: "SENSOR NS",
    FaultKind.CLOCK_STEP: "SENSOR NS AFTER_S",
    FaultKind.CLOCK_DRIFT: "SENSOR PPM",
    FaultKind.CLOCK_UNIT: "SENSOR POWER",
    FaultKind.UNKNOWN_MESSAGE_TYPE: "SENSOR",
    FaultKind.WRONG_FRAME: "SENSOR [FRAMES]",
    FaultKind.SECOND_TOPIC: "SENSOR [FRAMES]",
    FaultKind.BAD_CALIBRATION: "[SENSOR]",
    FaultKind.ROTATE_EXTRINSIC: "SENSOR TURN",
    FaultKind.SWAP_QUATERNION: "SENSOR",
    FaultKind.INVERT_EXTRINSIC: "SENSOR",
    FaultKind.BODY_AXES: "SENSOR",
    FaultKind.DEGREES_EXTRINSIC: "SENSOR",
    FaultKind.SHIFT_EXTRINSIC: "SENSOR SHIFT",
    FaultKind.WRONG_INTRINSICS: "SENSOR LENS",
    FaultKind.UNLISTED_SENSOR: "SENSOR",
    FaultKind.TRUNCATE_OBJECT: "SENSOR SHARE",
    FaultKind.WRONG_CHECKSUM: "SENSOR",
    FaultKind.WRONG_COUNT: "SENSOR COUNT",
    FaultKind.EMPTY_OBJECT: "SENSOR",
    FaultKind.ABSENT_OBJECT: "SENSOR",
    FaultKind.STRAY_FILE: "",
    FaultKind.NO_MANIFEST: "",
}
_ON_CALIBRATION = frozenset(
    {
        FaultKind.BAD_CALIBRATION,
        FaultKind.ROTATE_EXTRINSIC,
        FaultKind.SWAP_QUATERNION,
        FaultKind.INVERT_EXTRINSIC,
        FaultKind.BODY_AXES,
        FaultKind.DEGREES_EXTRINSIC,
        FaultKind.SHIFT_EXTRINSIC,
        FaultKind.WRONG_INTRINSICS,
        FaultKind.UNLISTED_SENSOR,
    }
)
_ON_FILES = frozenset(
    {
        FaultKind.TRUNCATE_OBJECT,
        FaultKind.WRONG_CHECKSUM,
        FaultKind.WRONG_COUNT,
        FaultKind.EMPTY_OBJECT,
        FaultKind.ABSENT_OBJECT,
        FaultKind.STRAY_FILE,
        FaultKind.NO_MANIFEST,
    }
)
