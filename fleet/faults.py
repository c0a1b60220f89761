"""Faults of known kind and size, as values and as short texts; `fleet.fault_kinds` lists all kinds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Self, TypeVar

import msgspec

from fleet.errors import SpecError
from fleet.fault_kinds import SIZES, WHOLE_SIZES, FaultKind
from sensors.time_units import NS_PER_S

Amounts = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class AmountForm:
    """The unit of each allowed name, the largest amount in either direction, and the amount that changes nothing."""

    units: dict[str, str]
    most: float
    neutral: float = 0.0

    def parse(self, text: str, value: str) -> Amounts:
        """Read the amounts `value` of the fault `text`.

        Raises:
            SpecError: A name is unknown or given twice, or what follows it is not a number with its unit.

        """
        found: dict[str, float] = {}
        for part in value.split(","):
            name, _, written = part.partition("=")
            unit = self.units.get(name)
            if unit is None or name in found or not written.endswith(unit):
                raise SpecError(f"fault {text!r}: {part!r} is not one of {self.example()}, each at most once")
            try:
                found[name] = float(written.removesuffix(unit))
            except ValueError:
                raise SpecError(f"fault {text!r}: {written!r} is not a number of {unit or 'times'}") from None
        return tuple(found.items())

    def write(self, amounts: Amounts) -> str:
        """The text that `parse` reads."""
        return ",".join(f"{name}={Decimal(repr(value)):f}{self.units[name]}" for name, value in amounts)

    def check(self, kind: str, amounts: Amounts) -> None:
        """Make sure that the amounts can be applied.

        Raises:
            SpecError: One has no such name, is not finite, out of range, or changes nothing.

        """
        names = [name for name, _ in amounts]
        if not names or len(set(names)) < len(names) or not set(names) <= self.units.keys():
            raise SpecError(f"fault {kind} needs some of {self.example()}, each at most once; got {names}")
        for name, value in amounts:
            if not math.isfinite(value) or abs(value) > self.most or value == self.neutral:
                raise SpecError(
                    f"fault {kind}: {name} must be at most {self.most:g} either way and not {self.neutral:g}, got {value}"
                )

    def example(self) -> str:
        """The names with their units."""
        return ", ".join(f"{name}=N{unit}" for name, unit in self.units.items())


TURN = AmountForm({"roll": "deg", "pitch": "deg", "yaw": "deg"}, 180.0)
SHIFT = AmountForm({"x": "cm", "y": "cm", "z": "cm"}, 1000.0)
LENS = AmountForm({"focal": "", "size": "", "centre_x": "", "centre_y": ""}, 10.0, neutral=1.0)


Frames = float | tuple[int, ...]
Read = TypeVar("Read")

MAX_AFTER_S = 86_400
MAX_OFFSET_NS = 10**18


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `FaultKind.form` names the sizes that a kind needs; the others stay None.

    `share`: of points or bytes, above 0 and at most 1. `frames`: a share (float) or indices. `after_ns`: since the
    start of the drive. `size`: in the unit of the kind's own part, see `FaultKind.size`. `turn_deg`, `shift_cm`, `lens`: as
    `fleet.faults` names them.

    Raises:
        SpecError: A part that the kind needs is missing, an unknown part is given, or a value is out of range.

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
    size: float | None = None

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
            self.kind.size or "SIZE": self.size is not None,
        }
        parts = dict(self.kind.parts)
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
        if self.size is not None:
            _check_size(self.kind, self.size)

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
        parts = kind.parts
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
            self.kind.size or "SIZE": None if self.size is None else _sized(self.kind, self.size),
        }
        values = [written[name] for name, _ in self.kind.parts]
        return ":".join([self.kind.value, *(value for value in values if value is not None)])


def _check_share(kind: FaultKind, share: float | None) -> None:
    if share is not None and not 0.0 < share <= 1.0:
        raise SpecError(f"fault {kind}: a share must be above 0 and at most 1, got {share}")


def _check_size(kind: FaultKind, size: float) -> None:
    name = kind.size or ""
    low, high = SIZES[name]
    if not low <= size <= high or (name in WHOLE_SIZES and size != int(size)):
        whole = "a whole number from " if name in WHOLE_SIZES else ""
        raise SpecError(f"fault {kind}: {name} must be {whole}{low:g} to {high:g}, got {size:g}")


def _plain(share: float) -> str:
    return f"{Decimal(repr(share)):f}"


def _sized(kind: FaultKind, size: float) -> str:
    return str(int(size)) if kind.size in WHOLE_SIZES else _plain(size)


def _reader(read: Callable[[str], Read], what: str) -> Callable[[str, str], Read]:
    """Reads a part of a fault as a number, or raises an error that says what was expected."""

    def reader(text: str, value: str) -> Read:
        try:
            return read(value)
        except (ValueError, ArithmeticError):  # Decimal raises an ArithmeticError
            raise SpecError(f"fault {text!r}: {value!r} is {what}") from None

    return reader


_share = _reader(float, "not a share between 0 and 1")
_indices = _reader(
    lambda value: tuple(int(index) for index in value.split(",")), "neither a share such as 0.1 nor indices such as 3,7"
)


def _frames(text: str, value: str) -> Frames:
    return _share(text, value) if "." in value else _indices(text, value)


_READERS: dict[str, tuple[str, Callable[[str, str], object]]] = {
    "SENSOR": ("sensor", lambda _, value: value),
    "SHARE": ("share", _share),
    "FRAMES": ("frames", _frames),
    "AFTER_S": ("after_ns", _reader(lambda value: int(Decimal(value).scaleb(9)), "not a number of seconds")),
    "NS": ("offset_ns", _reader(int, "not a whole number of nanoseconds")),
    "TURN": ("turn_deg", TURN.parse),
    "SHIFT": ("shift_cm", SHIFT.parse),
    "LENS": ("lens", LENS.parse),
    **dict.fromkeys(SIZES, ("size", _reader(float, "not a number"))),
}


class FaultEffect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a fault did to a synthetic drive; a fault has the fields of its kind, the others are None.

    Of files: `key` and what changed there. Of the calibration: whose it is, and the sizes of the error. Of frames: their
    numbers and their stamps.
    """

    key: str | None = None
    bytes_before: int | None = None
    bytes_after: int | None = None
    sha256: str | None = None
    manifest_sha256: str | None = None
    manifest_frame_count: int | None = None
    calibrated_sensor: str | None = None
    turn_deg: dict[str, float] | None = None
    shift_cm: dict[str, float] | None = None
    lens_factors: dict[str, float] | None = None
    frames: tuple[int, ...] | None = None
    stamps_ns: tuple[int, ...] | None = None
