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
MARKS = (OUTLIERS, 0.2, 0.4, 0.6, 0.8, 1.0 - OUTLIERS)  # quantiles; whatever more than `MOST_ALIKE` share is among them
STAMP_SLACK = 0.25  # of a period, that points may be on the other side of the stamp
STEP_BACK = 0.05  # of the span: a packet's lasers fire in an order of their own, within far less
MOST_ALIKE = 0.25  # of the points may share one time; a column of a sweep has far fewer
MOST_FORWARD = 0.1  # of the steps in a cloud whose times descend as it is stored
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
            the sensor's period, they are on the wrong side of the stamp, many points share one, or they are out of order.
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
        marks_ns = np.quantile(times_ns, MARKS, method="nearest").astype(np.int64)
        _check_span(times_ns, int(marks_ns[0]), int(marks_ns[-1]), sensor)
        if not sensor.sync.flash:
            _check_alike(times_ns, marks_ns)
            _check_order(times_ns, int(marks_ns[-1] - marks_ns[0]), xyz_m[placed], sensor)
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


def descends(times_ns: Nanoseconds) -> bool:
    """Whether the times of points (N,) go steadily back as the points are stored.

    In most clouds the order of storage is that of measurement, and times whose sign is wrong go back. Those of a cloud that was
    sorted by azimuth, against the lidar's turn, go back legitimately.
    """
    if times_ns.size < LEAST_POINTS:
        return False
    steps, few = np.sign(np.diff(times_ns)), LEAST_POINTS // 4
    forward, back = int(np.count_nonzero(steps > 0)), int(np.count_nonzero(steps < 0))
    first_ns, last_ns = float(np.median(times_ns[:few])), float(np.median(times_ns[-few:]))
    return last_ns < first_ns and forward <= MOST_FORWARD * (forward + back)


def _check_span(times_ns: Nanoseconds, first_ns: int, last_ns: int, sensor: Sensor) -> None:
    """`first_ns`, `last_ns`: first and last time, less the outliers, which may be no farther from the stamp than the others."""
    period_ns, most = sensor.period_ns, SPAN_PERIODS[1]
    problem = span_problem(last_ns - first_ns, period_ns)
    if problem and not (sensor.sync.flash and last_ns - first_ns < period_ns):
        raise DecodeError(problem)
    slack_ns = STAMP_SLACK * period_ns
    earliest_ns, latest_ns = {
        Stamp.START: (-slack_ns, most * period_ns),
        Stamp.END: (-most * period_ns, slack_ns),
        Stamp.MIDDLE: (-most / 2 * period_ns - slack_ns, most / 2 * period_ns + slack_ns),
    }[sensor.sync.stamp]
    middle = sensor.sync.stamp is Stamp.MIDDLE
    if first_ns < earliest_ns or last_ns > latest_ns or (middle and abs(first_ns + last_ns) / 2 > slack_ns):
        raise DecodeError(
            f"the points were measured {first_ns / NS_PER_MS:+.6g} to {last_ns / NS_PER_MS:+.6g} ms from the stamp, which the "
            f"rig declares as the {sensor.sync.stamp} of the sweep"
        )
    lowest_ns, highest_ns = int(times_ns.min()), int(times_ns.max())
    if lowest_ns < earliest_ns or highest_ns > latest_ns:
        off = int(np.count_nonzero((times_ns < earliest_ns) | (times_ns > latest_ns)))
        raise DecodeError(
            f"{off} of {times_ns.size} points have times that cannot be those of the sweep: all points were measured "
            f"{lowest_ns / NS_PER_MS:+.6g} to {highest_ns / NS_PER_MS:+.6g} ms from the stamp, most of them "
            f"{first_ns / NS_PER_MS:+.6g} to {last_ns / NS_PER_MS:+.6g} ms"
        )


def _check_alike(times_ns: Nanoseconds, marks_ns: Nanoseconds) -> None:
    """A value that many points share was never set for them."""
    counts = [int(np.count_nonzero(times_ns == mark_ns)) for mark_ns in marks_ns]
    share = max(counts) / times_ns.size
    if share > MOST_ALIKE:
        raise DecodeError(
            f"{share:.0%} of the points have the same time, {marks_ns[counts.index(max(counts))] / NS_PER_MS:+.6g} ms from the "
            f"stamp, as where a driver does not set all times; at most {MOST_ALIKE:.0%} are expected"
        )


def _likely_unit(span: float) -> str:
    if span == 0:
        return ": all are equal, as where a driver never sets them"
    for name, ns in UNITS.items():
        if SPAN_PERIODS[0] <= span * ns <= SPAN_PERIODS[1]:
            return f", which they would span in units of {name}"
    return ""


def _check_order(times_ns: Nanoseconds, span_ns: int, xyz_m: npt.NDArray[np.float32], sensor: Sensor) -> None:
    """Times are in order if they go on as the points are stored, whatever wraps; or if azimuth turns evenly with them.

    Times before the stamp that go steadily back are taken for times after it with the wrong sign: few lidars are stamped at the
    end of a sweep, and few clouds are stored against its turn.
    """
    if sensor.sync.stamp is Stamp.END and descends(times_ns):
        raise DecodeError(
            "the point times go back as the points are stored, from the stamp to the time before it: their sign may be wrong"
        )
    back = float(np.mean(np.diff(times_ns) < -STEP_BACK * span_ns))
    if back < LEAST_DISORDER:
        return
    azimuth = np.arctan2(xyz_m[:, 1], xyz_m[:, 0]).astype(np.float64)
    turned = 2.0 * np.pi * times_ns / sensor.period_ns
    if max(_resultant(azimuth - turned), _resultant(azimuth + turned)) < LEAST_TURN:
        raise DecodeError(
            f"the point times are out of order: {back:.0%} of the steps from point to point go back, and azimuth does not turn "
            f"with them"
        )


def _resultant(angles_rad: Floats) -> float:
    """Mean resultant length: K. V. Mardia and P. E. Jupp, "Directional Statistics", 2000, section 2.3."""
    return float(np.hypot(np.cos(angles_rad).mean(), np.sin(angles_rad).mean()))
