"""The lens of a camera from `sensor_msgs/msg/CameraInfo`, as far as a rig can represent it."""

from __future__ import annotations

import math
from typing import NamedTuple

from sensors.decode.cdr import Bytes, CdrReader
from sensors.decode.messages import message_header
from sensors.errors import DecodeError
from sensors.rig import Intrinsics

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
MAX_COEFFICIENTS = 64
PLUMB_BOB, PLUMB_BOB_COEFFICIENTS = "plumb_bob", 5  # k1, k2, p1, p2, k3: sensor_msgs/distortion_models.hpp
# Without coefficients these are a pinhole; `equidistant` is not: it puts a ray at the angle a at f * a, not at f * tan(a).
PINHOLE_AT_ZERO = (PLUMB_BOB, "rational_polynomial", "")
_MATRIX_3X3, _MATRIX_3X4 = 9, 12


class CameraInfo(NamedTuple):
    """The optical frame and the lens; where the lens is None, `reason` says why."""

    frame_id: str
    intrinsics: Intrinsics | None
    reason: str


def decode_camera_info(cdr: Bytes) -> CameraInfo:
    """Decode a `sensor_msgs/msg/CameraInfo`: K and D, in pixels of the full image; R and P are ignored.

    Raises:
        DecodeError: The message is cut short, or has more than 64 coefficients.
    """
    reader = CdrReader(cdr)
    _, frame_id = message_header(reader)
    height_px, width_px = reader.u32("height"), reader.u32("width")
    model = reader.string("distortion_model")
    count = reader.u32("number of distortion coefficients")
    if count > MAX_COEFFICIENTS:
        raise DecodeError(f"the lens has {count} distortion coefficients, the limit is {MAX_COEFFICIENTS}")
    distortion = reader.doubles(count, "D") if count else ()
    fx_px, skew_px, cx_px, _, fy_px, cy_px, *_ = reader.doubles(_MATRIX_3X3, "K")
    reader.skip_doubles(_MATRIX_3X3 + _MATRIX_3X4, "R and P")
    binning = reader.u32("binning_x"), reader.u32("binning_y")
    region = [reader.u32("region of interest") for _ in range(4)]
    reader.boolean("do_rectify")
    reader.finish()
    pinhole = model in PINHOLE_AT_ZERO and not any(distortion)
    found = Intrinsics(width_px, height_px, fx_px, fy_px, cx_px, cy_px, () if pinhole else distortion)
    reason = _why_not(found, skew_px, "" if pinhole else model, max(binning) > 1 or any(region))
    return CameraInfo(frame_id, None if reason else found, reason)


def _why_not(lens: Intrinsics, skew_px: float, model: str, cropped: bool) -> str:
    """The reason why a rig cannot represent it; '' if it can."""
    numbers = (lens.fx_px, lens.fy_px, lens.cx_px, lens.cy_px, skew_px, *lens.distortion)
    if not all(map(math.isfinite, numbers)):
        return "holds a value that is not finite"
    if lens.fx_px <= 0 or lens.fy_px <= 0 or not lens.width_px or not lens.height_px:
        return "is of a camera that was not calibrated"
    if not (0 <= lens.cx_px <= lens.width_px and 0 <= lens.cy_px <= lens.height_px):
        return f"has its principal point ({lens.cx_px:g}, {lens.cy_px:g}) outside of the image"
    if (lens.distortion or model) and (model != PLUMB_BOB or len(lens.distortion) > PLUMB_BOB_COEFFICIENTS):
        return f"has distortion {model!r} of {len(lens.distortion)} coefficients, a rig holds {PLUMB_BOB!r} of 5"
    if skew_px:
        return f"has a skew of {skew_px:g} px"
    return "is of a binned or cropped image" if cropped else ""
