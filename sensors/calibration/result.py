"""The result of a calibration check: an error with its uncertainty, the evidence, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class CalibrationVerdict(StrEnum):
    """From best to worst; the last is outside that order, for what could not be measured.

    `ok`: no error is proven above the lower limit. `suspect`: one is. `bad`: one is proven above the upper limit.
    """

    OK = "ok"
    SUSPECT = "suspect"
    BAD = "bad"
    NOT_OBSERVABLE = "not observable"


class Quantity(StrEnum):
    """The quantity that is checked for a sensor."""

    GROUND_ROLL = "ground_roll"
    GROUND_PITCH = "ground_pitch"
    GROUND_HEIGHT = "ground_height"
    LIDAR_YAW = "lidar_yaw"
    CAMERA_ROLL = "camera_roll"
    CAMERA_PITCH = "camera_pitch"
    CAMERA_YAW = "camera_yaw"
    CAMERA_TIME = "camera_time"
    RADAR_YAW = "radar_yaw"

    @property
    def unit(self) -> str:
        """The unit of the error."""
        return {Quantity.GROUND_HEIGHT: "m", Quantity.CAMERA_TIME: "ms"}.get(self, "deg")


@dataclass(frozen=True, slots=True)
class ErrorLimits:
    """The errors from which a quantity is suspect or bad, in its unit; both are compared with the proven part of the error.

    `widest`: an uncertainty above it is no measurement.
    """

    suspect: float
    bad: float
    widest: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """An error and its uncertainty (95 %, half width), in the unit of its quantity; `frames` and `items` it rests on.

    `items` are what the method counts: ground cells, edge points, radar detections.
    """

    error: float
    uncertainty: float
    frames: int
    items: int

    @property
    def proven(self) -> float:
        """The smallest magnitude of the error that the measurement proves; 0 if it may be none."""
        return max(abs(self.error) - self.uncertainty, 0.0)


@dataclass(frozen=True, slots=True)
class Unobservable:
    """Why a quantity could not be measured, in words, and the evidence there was."""

    reason: str
    frames: int = 0
    items: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """One quantity of one sensor. `error` and `uncertainty` are None where the verdict is `not observable` for want of any."""

    sensor: str
    quantity: Quantity
    verdict: CalibrationVerdict
    error: float | None
    uncertainty: float | None
    frames: int
    items: int
    reason: str

    @property
    def proven(self) -> float | None:
        """The smallest magnitude of the error that the measurement proves; None if it was not measured."""
        if self.error is None or self.uncertainty is None or self.verdict is CalibrationVerdict.NOT_OBSERVABLE:
            return None
        return max(abs(self.error) - self.uncertainty, 0.0)


def judge(sensor: str, quantity: Quantity, measured: Estimate | Unobservable, limits: ErrorLimits) -> Checked:
    """Judge one measurement. A value that is not finite, or less certain than the limits require, counts as not observable."""
    if isinstance(measured, Estimate) and not (math.isfinite(measured.error) and math.isfinite(measured.uncertainty)):
        measured = Unobservable("the data fit every value alike", measured.frames, measured.items)
    if isinstance(measured, Unobservable):
        return Checked(
            sensor, quantity, CalibrationVerdict.NOT_OBSERVABLE, None, None, measured.frames, measured.items, measured.reason
        )
    verdict, reason = CalibrationVerdict.OK, ""
    if measured.uncertainty > limits.widest:
        verdict = CalibrationVerdict.NOT_OBSERVABLE
        reason = f"uncertain by {measured.uncertainty:.2f} {quantity.unit}, more than {limits.widest:g}"
    elif measured.proven > limits.bad:
        verdict = CalibrationVerdict.BAD
    elif measured.proven > limits.suspect:
        verdict = CalibrationVerdict.SUSPECT
    return Checked(sensor, quantity, verdict, measured.error, measured.uncertainty, measured.frames, measured.items, reason)


def worst(checks: Iterable[Checked]) -> CalibrationVerdict:
    """The verdict on a sensor: the worst that was found, `not observable` if nothing could be measured."""
    found = {entry.verdict for entry in checks}
    return next(
        (verdict for verdict in (CalibrationVerdict.BAD, CalibrationVerdict.SUSPECT, CalibrationVerdict.OK) if verdict in found),
        CalibrationVerdict.NOT_OBSERVABLE,
    )
