"""Poses and mountings as a dataset writes them, refused where no vehicle can be."""

from __future__ import annotations

from collections.abc import Sequence

from sensors.geometry import SE3

FARTHEST_M = 1e8  # more than twice around the earth; arithmetic on what is beyond overflows sooner or later


def rigid(translation_m: Sequence[float], wxyz: Sequence[float]) -> SE3:
    """The transform of a translation (3,) in metres and a unit quaternion (4,), scalar first.

    Raises:
        ValueError: A value is not finite, the quaternion's length is not 1, or the translation is beyond `FARTHEST_M`.

    """
    transform = SE3.from_wxyz(translation_m, wxyz)
    farthest_m = float(max(abs(transform.translation_m)))
    if farthest_m > FARTHEST_M:
        raise ValueError(f"a coordinate of {farthest_m:.3g} m is beyond {FARTHEST_M:.3g} m; are its units metres?")
    return transform
