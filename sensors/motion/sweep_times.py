"""Whether the times of a sweep's points can be those of a sweep; a time that is there may be in another unit, or never set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sensors.decode.points import PointCloud, without_position
from sensors.errors import DecodeError
from sensors.rig import Sensor, Stamp
from sensors.stamps import Nanoseconds
from sensors.time_units import NS_PER_MS

LEAST_POINTS = 64  # with a position: fewer do not show how long a sweep takes
SPAN_PERIODS = (0.25, 1.6)  # a sweep that is cut to a sector, and one that overlaps the next
OUTLIERS = 0.01  # of the points at each end do not count for the span
STAMP_SLACK = 0.25  # of a period, that points may be on the other side of the stamp
STEP_BACK = 0.05  # of the span: a packet's lasers fire in an order of their own, within far less
LEAST_DISORDER = 0.25  # of the steps in storage order go back: half of them do if times are by chance
LEAST_TURN = 0.8  # mean resultant length of azimuth less time, 1 for a mirror that turns evenly
UNITS = {"s": 1e9, "ms": 1e6, "us": 1e3, "100 ns": 1e2, "10 ns": 1e1}  # that a field may count in instead of nanoseconds

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def sweep_times_ns(cloud: PointCloud, sensor: Sensor) -> Nanoseconds | None:
    """When each point of a lidar's sweep was measured (N,), relative to its stamp; None if the cloud does not say.

    Zeros for a sensor whose source has moved the points to the stamp already.

    Raises:
        DecodeError: Times cannot be read (`PointCloud.time_offset_ns`), or cannot be those of a sweep: their span does not fit
            the sensor's period, they are on the wrong side of the stamp, or out of order.
    """
    if sensor.sync.compensated:
        return np.zeros(cloud.num_points, dtype=np.int64)
    offsets_ns = cloud.time_offset_ns()
    if offsets_ns is None:
        return None
    xyz_m = cloud.xyz_m()
    placed = ~without_position(xyz_m)
    if int(np.count_nonzero(placed)) >= LEAST_POINTS:
        times_ns = offsets_ns[placed]
        _check_span(times_ns, sensor)
        if not sensor.sync.flash:
            _check_order(times_ns, xyz_m[placed], sensor.period_ns)
    return offsets_ns


def span_problem(span_ns: int, period_ns: int) -> str | None:
    """Why a scanning lidar's point times cannot span so much of its period; None if they can."""
    span, (least, most) = span_ns / period_ns, SPAN_PERIODS
    if least <= span <= most:
        return None
    return (
        f"the point times span {span_ns / NS_PER_MS:.6g} ms, {span:.3g} of the sensor's period of "
        f"{period_ns / NS_PER_MS:.6g} ms; {least:g} to {most:g} are expected{_likely_unit(span)}"
    )


def _check_span(times_ns: Nanoseconds, sensor: Sensor) -> None:
    first_ns, last_ns = (int(value) for value in np.quantile(times_ns, (OUTLIERS, 1.0 - OUTLIERS), method="nearest"))
    period_ns, most = sensor.period_ns, SPAN_PERIODS[1]
    problem = span_problem(last_ns - first_ns, period_ns)
    if problem and not (sensor.sync.flash and last_ns - first_ns < period_ns):
        raise DecodeError(problem)
    slack_ns = STAMP_SLACK * period_ns
    sides = {
        Stamp.START: first_ns >= -slack_ns and last_ns <= most * period_ns,
        Stamp.END: last_ns <= slack_ns and first_ns >= -most * period_ns,
        Stamp.MIDDLE: abs(first_ns + last_ns) / 2 <= slack_ns,
    }
    if not sides[sensor.sync.stamp]:
        raise DecodeError(
            f"the points were measured {first_ns / NS_PER_MS:+.6g} to {last_ns / NS_PER_MS:+.6g} ms from the stamp, which the "
            f"rig declares as the {sensor.sync.stamp} of the sweep"
        )


def _likely_unit(span: float) -> str:
    if span == 0:
        return ": all are equal, as where a driver never sets them"
    for name, ns in UNITS.items():
        if SPAN_PERIODS[0] <= span * ns <= SPAN_PERIODS[1]:
            return f", which they would span in units of {name}"
    return ""


def _check_order(times_ns: Nanoseconds, xyz_m: npt.NDArray[np.float32], period_ns: int) -> None:
    """Times are in order if they go on as the points are stored, whatever wraps; or if azimuth turns evenly with them."""
    span_ns = int(times_ns.max() - times_ns.min())
    back = float(np.mean(np.diff(times_ns) < -STEP_BACK * span_ns))
    if back < LEAST_DISORDER:
        return
    azimuth = np.arctan2(xyz_m[:, 1], xyz_m[:, 0]).astype(np.float64)
    turned = 2.0 * np.pi * times_ns / period_ns
    if max(_resultant(azimuth - turned), _resultant(azimuth + turned)) < LEAST_TURN:
        raise DecodeError(
            f"the point times are out of order: {back:.0%} of the steps from point to point go back, and azimuth does not turn "
            f"with them"
        )


def _resultant(angles_rad: Floats) -> float:
    """Mean resultant length: K. V. Mardia and P. E. Jupp, "Directional Statistics", 2000, section 2.3."""
    return float(np.hypot(np.cos(angles_rad).mean(), np.sin(angles_rad).mean()))
