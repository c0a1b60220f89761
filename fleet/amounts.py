"""Sizes of a fault that have names and units, as in `yaw=0.5deg,pitch=-0.2deg`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from fleet.errors import SpecError

Amounts = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class AmountForm:
    """The unit of each name that may be given, how large its amount may be either way, and what amount changes nothing."""

    units: dict[str, str]
    most: float
    neutral: float = 0.0

    def parse(self, text: str, value: str) -> Amounts:
        """Read the amounts `value` of the fault `text`.

        Raises:
            SpecError: A name is unknown or given twice, or what follows it is no number with its unit.

        """
        found: dict[str, float] = {}
        for part in value.split(","):
            name, _, written = part.partition("=")
            unit = self.units.get(name)
            if unit is None or name in found or not written.endswith(unit):
                raise SpecError(f"fault {text!r}: {part!r} is none of {self.example()}, each at most once")
            try:
                found[name] = float(written.removesuffix(unit))
            except ValueError:
                raise SpecError(f"fault {text!r}: {written!r} is no number of {unit or 'times'}") from None
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
