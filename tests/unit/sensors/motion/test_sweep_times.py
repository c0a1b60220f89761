"""Times of points are believed only where they can be those of a sweep."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.encode import encode_points
from sensors.decode.messages import decode_points
from sensors.decode.points import PointCloud, point_fields
from sensors.errors import DecodeError
from sensors.motion.sweep_times import LEAST_POINTS, span_problem, sweep_times_ns
from sensors.rig import Modality, Sensor, Stamp, Sync

STAMP_NS = 1_700_000_000_000_000_000
PERIOD_MS, COLUMNS, RINGS = 100, 180, 8
TURN_NS = np.repeat(np.linspace(0, 99_000_000, COLUMNS), RINGS).astype(np.int64)


def lidar(stamp: Stamp = Stamp.START, *, compensated: bool = False, flash: bool = False) -> Sensor:
    sync = Sync(stamp, 0, 50_000_000, 1_000_000, required=True, compensated=compensated, flash=flash)
    return Sensor("top", Modality.LIDAR, 1000 / PERIOD_MS, sync)


def sweep(
    times: npt.ArrayLike, dtype: str = "<i4", order: npt.NDArray[np.intp] | None = None, keep: int | None = None
) -> PointCloud:
    """A full turn, stored column by column, with these times; stored in another `order`, and only the first `keep` of it."""
    azimuth = np.repeat(np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False), RINGS)
    kinds = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("t", dtype)]
    points = np.zeros(azimuth.size, dtype=kinds)
    points["x"], points["y"], points["z"], points["t"] = 9 * np.cos(azimuth), 9 * np.sin(azimuth), 1.0, times
    points = points[slice(None) if order is None else order][:keep]
    return decode_points(encode_points(STAMP_NS, "top", point_fields(points.dtype), points))


SHUFFLED = np.random.default_rng(3).permutation(COLUMNS * RINGS)
BY_RING = np.arange(COLUMNS * RINGS).reshape(COLUMNS, RINGS).T.ravel()
BACKWARD_COLUMNS = TURN_NS + np.tile(np.arange(RINGS)[::-1] * 50_000, COLUMNS)
LOWER = np.tile(np.arange(RINGS) < RINGS // 2, COLUMNS)
FEW = np.arange(COLUMNS * RINGS) < 5


@pytest.mark.parametrize(
    ("cloud", "sensor"),
    [
        pytest.param(sweep(TURN_NS), lidar(), id="from-the-start"),
        pytest.param(sweep(TURN_NS - 99_000_000), lidar(Stamp.END), id="to-the-end"),
        pytest.param(sweep(TURN_NS - 50_000_000), lidar(Stamp.MIDDLE), id="around-the-middle"),
        pytest.param(sweep(TURN_NS / 1e9, "<f4"), lidar(), id="seconds"),
        pytest.param(sweep(TURN_NS, order=BY_RING), lidar(), id="stored-by-ring"),
        pytest.param(sweep(TURN_NS, order=SHUFFLED), lidar(), id="shuffled-with-its-points"),
        pytest.param(sweep(TURN_NS[::-1] * 0 + TURN_NS, keep=COLUMNS * RINGS // 3), lidar(), id="a-third-of-a-turn"),
        pytest.param(sweep((TURN_NS + 37_000_000) % 99_000_000), lidar(), id="a-turn-that-wraps"),
        pytest.param(sweep(TURN_NS // 1_300_000 * 1_300_000), lidar(), id="times-of-packets"),
        pytest.param(sweep(TURN_NS[::-1]), lidar(), id="stored-against-the-turn"),
        pytest.param(sweep(TURN_NS[::-1] - 99_000_000, order=SHUFFLED), lidar(Stamp.END), id="shuffled-to-the-end"),
        pytest.param(sweep(TURN_NS - 99_000_000, order=BY_RING), lidar(Stamp.END), id="to-the-end-by-ring"),
        pytest.param(sweep(BACKWARD_COLUMNS - 99_000_000), lidar(Stamp.END), id="lasers-stored-against-their-order"),
        pytest.param(sweep(TURN_NS // 20_000_000 * 20_000_000), lidar(), id="five-times-in-all"),
        pytest.param(sweep(0), lidar(flash=True), id="flash"),
        pytest.param(sweep(0, keep=LEAST_POINTS - 1), lidar(), id="too-few-points"),
    ],
)
def test_times_of_a_sweep_are_taken_as_they_are(cloud: PointCloud, sensor: Sensor) -> None:
    found = sweep_times_ns(cloud, sensor)
    assert found is not None
    expected = cloud.column("t")
    np.testing.assert_allclose(found, expected if expected.dtype.kind == "i" else expected * 1e9, atol=10)


@pytest.mark.parametrize(
    ("cloud", "sensor", "says"),
    [
        pytest.param(sweep(0), lidar(), "span 0 ms, 0 of the sensor's period of 100 ms.*never sets them", id="never-set"),
        pytest.param(sweep(7_000_000), lidar(), "never sets them", id="constant"),
        pytest.param(sweep(TURN_NS // 1000), lidar(), "in units of us", id="microseconds"),
        pytest.param(sweep(TURN_NS // 100), lidar(), "in units of 100 ns", id="ticks"),
        pytest.param(sweep(TURN_NS // 1_000_000), lidar(), "in units of ms", id="milliseconds"),
        pytest.param(sweep(TURN_NS * 3), lidar(), "span 29[0-9.]+ ms, 2.9", id="several-periods"),
        pytest.param(sweep(TURN_NS - 99_000_000), lidar(), "declares as the start", id="before-a-stamp-of-the-start"),
        pytest.param(sweep(TURN_NS), lidar(Stamp.END), "declares as the end", id="after-a-stamp-of-the-end"),
        pytest.param(sweep(TURN_NS), lidar(Stamp.MIDDLE), "declares as the middle", id="after-a-stamp-of-the-middle"),
        pytest.param(sweep(TURN_NS + 200_000_000), lidar(), "declares as the start", id="of-another-sweep"),
        pytest.param(sweep(TURN_NS[SHUFFLED]), lidar(), "out of order", id="by-chance"),
        pytest.param(sweep(TURN_NS + 99_000_000, "<u4"), lidar(), "declares as the start", id="unsigned-and-late"),
        pytest.param(
            sweep(np.where(FEW, 2**32 - 2001, TURN_NS), "<u4"), lidar(), r"5 of 1440 points .*\+4294.97 ms", id="few-wrapped"
        ),
        pytest.param(
            sweep(np.where(FEW, -2_000_000_000, TURN_NS - 50_000_000)), lidar(Stamp.MIDDLE), "5 of 1440 points", id="few-early"
        ),
        pytest.param(
            sweep(np.where(FEW, 2**31 - 1, TURN_NS[SHUFFLED])), lidar(), "5 of 1440 points", id="one-wild-and-out-of-order"
        ),
        pytest.param(sweep(np.where(LOWER, TURN_NS, 0)), lidar(), "50% of the points have the same time", id="rings-unset"),
        pytest.param(sweep(np.where(LOWER, TURN_NS, 0)[BY_RING]), lidar(), "have the same time", id="rings-unset-by-ring"),
        pytest.param(sweep(np.where(TURN_NS < 47_000_000, 0, 95_000_000)), lidar(), "have the same time", id="two-values"),
        pytest.param(sweep(-TURN_NS), lidar(Stamp.END), "their sign may be wrong", id="negated"),
        pytest.param(sweep(-TURN_NS, order=BY_RING), lidar(Stamp.END), "their sign may be wrong", id="negated-by-ring"),
    ],
)
def test_times_that_cannot_be_those_of_a_sweep_are_refused(cloud: PointCloud, sensor: Sensor, says: str) -> None:
    with pytest.raises(DecodeError, match=says):
        sweep_times_ns(cloud, sensor)


def test_points_that_were_moved_already_have_no_times_of_their_own() -> None:
    assert sweep_times_ns(sweep(TURN_NS * 3), lidar(compensated=True)).tolist() == [0] * COLUMNS * RINGS  # type: ignore[union-attr]


@given(st.integers(0, 10**12), st.integers(10**6, 10**9))
def test_a_span_is_judged_by_its_share_of_the_period_alone(span_ns: int, period_ns: int) -> None:
    assert (span_problem(span_ns, period_ns) is None) == (0.25 * period_ns <= span_ns <= 1.6 * period_ns)
