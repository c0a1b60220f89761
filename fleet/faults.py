"""Faults of known kind and size, as values and as short texts.

| text | effect |
| --- | --- |
| `cut_jpeg:SENSOR:FRAMES` | images end in the middle of their entropy-coded data |
| `nan_points:SENSOR:SHARE[:FRAMES]` | that share of the points of each (or of these) clouds has NaN coordinates |
| `dead_sensor:SENSOR:AFTER_S` | nothing is recorded any more from this many seconds on |
| `drop_frames:SENSOR:FRAMES` | frames were measured and not recorded |
| `duplicate_stamps:SENSOR:FRAMES` | frames carry the stamp of the frame before them |
| `clock_offset:SENSOR:NS` | all stamps are off by this many nanoseconds |
| `unknown_message_type:SENSOR` | the recording declares a message type that nobody knows |
| `bad_calibration[:SENSOR]` | the sensor's rotation is no unit quaternion; the manifest's checksum of the file is right |
| `rotate_extrinsic:SENSOR:TURN` | the sensor is declared turned about its own axes, as in `yaw=0.5deg,pitch=-0.2deg` |
| `shift_extrinsic:SENSOR:SHIFT` | the sensor is declared elsewhere on the vehicle, as in `x=5cm,z=-2cm` |
| `wrong_intrinsics:CAMERA:LENS` | the lens is declared wrong by factors, as in `focal=1.05`, `size=0.5`, `centre_x=1.6` |
| `truncate_object:SENSOR:SHARE` | the sensor's first file lost that share of its bytes, at its end |
| `wrong_checksum:SENSOR` | the manifest's checksum of the sensor's first file is wrong |
| `empty_object:SENSOR` | the sensor's first file has no bytes |
| `absent_object:SENSOR` | the sensor's first file is named by the manifest and not there |
| `stray_file` | a `.pkl` lies in the drive |
| `no_manifest` | the manifest was never written |

FRAMES is a share with a decimal point (`0.1`, chosen by the drive's seed) or indices from 0 (`3,7`). The last six are
applied to the files after the manifest was made: the receiving side sees the mismatch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Self

from fleet.amounts import LENS, SHIFT, TURN, Amounts
from fleet.errors import SpecError
from sensors.rig import NS_PER_S

Frames = float | tuple[int, ...]

MAX_AFTER_S = 86_400
MAX_OFFSET_NS = 10**18


class FaultKind(StrEnum):
    """What is wrong; the values are the names in the texts."""

    CUT_JPEG = "cut_jpeg"
    NAN_POINTS = "nan_points"
    DEAD_SENSOR = "dead_sensor"
    DROP_FRAMES = "drop_frames"
    DUPLICATE_STAMPS = "duplicate_stamps"
    CLOCK_OFFSET = "clock_offset"
    UNKNOWN_MESSAGE_TYPE = "unknown_message_type"
    BAD_CALIBRATION = "bad_calibration"
    ROTATE_EXTRINSIC = "rotate_extrinsic"
    SHIFT_EXTRINSIC = "shift_extrinsic"
    WRONG_INTRINSICS = "wrong_intrinsics"
    TRUNCATE_OBJECT = "truncate_object"
    WRONG_CHECKSUM = "wrong_checksum"
    EMPTY_OBJECT = "empty_object"
    ABSENT_OBJECT = "absent_object"
    STRAY_FILE = "stray_file"
    NO_MANIFEST = "no_manifest"

    @property
    def on_files(self) -> bool:
        """Whether it is applied to the finished folder, after the manifest was made."""
        return self in _ON_FILES

    @property
    def on_calibration(self) -> bool:
        """Whether it changes what is declared of a sensor, and no measurement."""
        return self in _ON_CALIBRATION

    @property
    def form(self) -> str:
        """The text form of a fault of this kind."""
        return ":".join((self.value, *(f"[{name}]" if optional else name for name, optional in _PARTS[self])))


_PARTS: dict[FaultKind, tuple[tuple[str, bool], ...]] = {
    FaultKind.CUT_JPEG: (("SENSOR", False), ("FRAMES", False)),
    FaultKind.NAN_POINTS: (("SENSOR", False), ("SHARE", False), ("FRAMES", True)),
    FaultKind.DEAD_SENSOR: (("SENSOR", False), ("AFTER_S", False)),
    FaultKind.DROP_FRAMES: (("SENSOR", False), ("FRAMES", False)),
    FaultKind.DUPLICATE_STAMPS: (("SENSOR", False), ("FRAMES", False)),
    FaultKind.CLOCK_OFFSET: (("SENSOR", False), ("NS", False)),
    FaultKind.UNKNOWN_MESSAGE_TYPE: (("SENSOR", False),),
    FaultKind.BAD_CALIBRATION: (("SENSOR", True),),
    FaultKind.ROTATE_EXTRINSIC: (("SENSOR", False), ("TURN", False)),
    FaultKind.SHIFT_EXTRINSIC: (("SENSOR", False), ("SHIFT", False)),
    FaultKind.WRONG_INTRINSICS: (("SENSOR", False), ("LENS", False)),
    FaultKind.TRUNCATE_OBJECT: (("SENSOR", False), ("SHARE", False)),
    FaultKind.WRONG_CHECKSUM: (("SENSOR", False),),
    FaultKind.EMPTY_OBJECT: (("SENSOR", False),),
    FaultKind.ABSENT_OBJECT: (("SENSOR", False),),
    FaultKind.STRAY_FILE: (),
    FaultKind.NO_MANIFEST: (),
}
_ON_CALIBRATION = frozenset(
    {FaultKind.BAD_CALIBRATION, FaultKind.ROTATE_EXTRINSIC, FaultKind.SHIFT_EXTRINSIC, FaultKind.WRONG_INTRINSICS}
)
_ON_FILES = frozenset(
    {
        FaultKind.TRUNCATE_OBJECT,
        FaultKind.WRONG_CHECKSUM,
        FaultKind.EMPTY_OBJECT,
        FaultKind.ABSENT_OBJECT,
        FaultKind.STRAY_FILE,
        FaultKind.NO_MANIFEST,
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Which of the sizes a kind needs is said by `FaultKind.form`; the others stay None.

    `share`: of points or bytes, above 0 and at most 1. `frames`: a share (float) or indices. `after_ns`: since the
    start of the drive. `turn_deg`, `shift_cm`, `lens`: as `fleet.amounts` names them.

    Raises:
        SpecError: A part that the kind needs is absent, one that it does not know is given, or a value is out of range.

    """

    kind: FaultKind
    sensor: str | None = None
    share: float | None = None
    frames: Frames | None = None
    after_ns: int | None = None
    offset_ns: int | None = None
    turn_deg: Amounts | None = None
    shift_cm: Amounts | None = None
    lens: Amounts | None = None

    def __post_init__(self) -> None:
        given = {
            "SENSOR": self.sensor is not None,
            "SHARE": self.share is not None,
            "FRAMES": self.frames is not None,
            "AFTER_S": self.after_ns is not None,
            "NS": self.offset_ns is not None,
            "TURN": self.turn_deg is not None,
            "SHIFT": self.shift_cm is not None,
            "LENS": self.lens is not None,
        }
        parts = dict(_PARTS[self.kind])
        for name, present in given.items():
            if present and name not in parts:
                raise SpecError(f"fault {self.kind} has no {name}; write {self.kind.form}")
            if not present and not parts.get(name, True):
                raise SpecError(f"fault {self.kind} needs {name}; write {self.kind.form}")
        _check_share(self.kind, self.share)
        if isinstance(self.frames, float):
            _check_share(self.kind, self.frames)
        elif self.frames is not None and (not self.frames or min(self.frames) < 0):
            raise SpecError(f"fault {self.kind}: frames must be indices from 0, got {self.frames}")
        if self.after_ns is not None and not 0 <= self.after_ns <= MAX_AFTER_S * NS_PER_S:
            raise SpecError(f"fault {self.kind}: AFTER_S must be 0 to {MAX_AFTER_S}, got {self.after_ns / NS_PER_S}")
        if self.offset_ns is not None and abs(self.offset_ns) > MAX_OFFSET_NS:
            raise SpecError(f"fault {self.kind}: NS must be at most {MAX_OFFSET_NS} either way, got {self.offset_ns}")
        for form, amounts in ((TURN, self.turn_deg), (SHIFT, self.shift_cm), (LENS, self.lens)):
            if amounts is not None:
                form.check(self.kind, amounts)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a short text such as `cut_jpeg:camera_front:0.1`; `str(fault)` writes it.

        Raises:
            SpecError: Names the fault, the offending part and the expected form.

        """
        name, *values = text.split(":")
        if name not in set(FaultKind):
            raise SpecError(f"fault {text!r}: no fault is called {name!r}; known are {', '.join(FaultKind)}")
        kind = FaultKind(name)
        parts = _PARTS[kind]
        needed = sum(not optional for _, optional in parts)
        if not needed <= len(values) <= len(parts) or "" in values:
            raise SpecError(f"fault {text!r}: write {kind.form}")
        read = {_READERS[part][0]: _READERS[part][1](text, value) for (part, _), value in zip(parts, values, strict=False)}
        return cls(kind, **read)  # type: ignore[arg-type]

    def __str__(self) -> str:
        written = {
            "SENSOR": self.sensor,
            "SHARE": None if self.share is None else _plain(self.share),
            "FRAMES": _plain(self.frames) if isinstance(self.frames, float) else ",".join(map(str, self.frames or ())) or None,
            "AFTER_S": None if self.after_ns is None else f"{Decimal(self.after_ns).scaleb(-9):f}",
            "NS": None if self.offset_ns is None else str(self.offset_ns),
            "TURN": None if self.turn_deg is None else TURN.write(self.turn_deg),
            "SHIFT": None if self.shift_cm is None else SHIFT.write(self.shift_cm),
            "LENS": None if self.lens is None else LENS.write(self.lens),
        }
        values = [written[name] for name, _ in _PARTS[self.kind]]
        return ":".join([self.kind.value, *(value for value in values if value is not None)])


def _check_share(kind: FaultKind, share: float | None) -> None:
    if share is not None and not 0.0 < share <= 1.0:
        raise SpecError(f"fault {kind}: a share must be above 0 and at most 1, got {share}")


def _plain(share: float) -> str:
    return f"{Decimal(repr(share)):f}"


def _sensor(_text: str, value: str) -> str:
    return value


def _share(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise SpecError(f"fault {text!r}: {value!r} is no share between 0 and 1") from None


def _frames(text: str, value: str) -> Frames:
    if "." in value:
        return _share(text, value)
    try:
        return tuple(int(index) for index in value.split(","))
    except ValueError:
        raise SpecError(f"fault {text!r}: {value!r} is neither a share such as 0.1 nor indices such as 3,7") from None


def _after_ns(text: str, value: str) -> int:
    try:
        return int(Decimal(value).scaleb(9))
    except (InvalidOperation, ValueError, OverflowError):
        raise SpecError(f"fault {text!r}: {value!r} is no number of seconds") from None


def _offset_ns(text: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise SpecError(f"fault {text!r}: {value!r} is no whole number of nanoseconds") from None


_READERS: dict[str, tuple[str, Callable[[str, str], object]]] = {
    "SENSOR": ("sensor", _sensor),
    "SHARE": ("share", _share),
    "FRAMES": ("frames", _frames),
    "AFTER_S": ("after_ns", _after_ns),
    "NS": ("offset_ns", _offset_ns),
    "TURN": ("turn_deg", TURN.parse),
    "SHIFT": ("shift_cm", SHIFT.parse),
    "LENS": ("lens", LENS.parse),
}
