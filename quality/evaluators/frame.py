"""The rules on the payload of one frame, evaluated where it is decoded anyway."""

from __future__ import annotations

from quality.rules.catalogue import Outcome
from quality.rules.findings import Finding, finding
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from sensors.rig import Modality

_UNDECODABLE = {"image": "DEC005", "points": "DEC006", "message": "DEC007"}


def undecodable(sensor: str, payload: str, problem: str) -> Finding:
    """A frame whose `payload` (`image`, `points`, or `message` for everything else) does not decode.

    Raises:
        KeyError: `payload` is not one of the three.
    """
    return finding(_UNDECODABLE[payload], f"{sensor}: the {payload} does not decode: {problem}", sensor=sensor, measured=1)


def evaluate_size(
    sensor: str, size_px: tuple[int, int], expected_px: tuple[int, int] | None, rules: RuleBook = DEFAULT_RULES
) -> tuple[Finding, ...]:
    """Judge the width and height of an image by those that its camera's intrinsics are for; None: it has none."""
    if expected_px is None or size_px == expected_px:
        return ()
    (width, height), (declared_width, declared_height) = size_px, expected_px
    message = f"{sensor}: the image is {width} x {height} px, the intrinsics are for {declared_width} x {declared_height}"
    return (rules.finding("CAM012", message, sensor=sensor, measured=1),)


def evaluate_points(
    sensor: str, modality: Modality, num_points: int, not_finite: int | None, rules: RuleBook = DEFAULT_RULES
) -> tuple[Finding, ...]:
    """Judge a point cloud; sorted. A radar may be empty and is not judged by lidar rules.

    Points at the origin are not counted: organised clouds legitimately use them for directions without a return.

    Args:
        sensor: Its name.
        modality: Its kind.
        num_points: Points in the frame.
        not_finite: Points that are NaN or infinite; None if not known.
        rules: The drive's.
    """
    if modality is not Modality.LIDAR:
        return ()
    found = []
    share = not_finite / num_points if num_points and not_finite is not None else None
    outcome = rules.judge("LID001", share)
    if outcome is Outcome.UNKNOWN:
        reason = "the frame has no point" if num_points == 0 else "they were not counted"
        found.append(rules.finding("LID001", f"{sensor}: share of points that are not finite unknown: {reason}", sensor=sensor))
    elif outcome is Outcome.FAILED:
        message = f"{sensor}: {not_finite} of {num_points} points are NaN or infinite ({share:.1%})"
        found.append(rules.finding("LID001", message, sensor=sensor, measured=share))
    outcome = rules.judge("LID002", not_finite)
    if outcome is Outcome.UNKNOWN:
        found.append(rules.finding("LID002", f"{sensor}: points that are not finite were not counted", sensor=sensor))
    elif outcome is Outcome.FAILED:
        message = f"{sensor}: {not_finite} of {num_points} points are NaN or infinite"
        found.append(rules.finding("LID002", message, sensor=sensor, measured=not_finite))
    return tuple(sorted(found))
