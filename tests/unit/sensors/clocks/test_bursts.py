"""Rows of one scan are told from frames, and from frames that were dropped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sensors.clocks.bursts import bursts_of

MS = 1_000_000
T0 = 1_700_000_000_123_456_789
Stamps = npt.NDArray[np.int64]


def radar(scans: int = 40, rows: int = 64, row_ns: int = 309_000, period_ns: int = 66 * MS, jitter_ns: int = 0) -> Stamps:
    rng = np.random.default_rng(4)
    starts = T0 + period_ns * np.arange(scans) + rng.integers(-jitter_ns, jitter_ns + 1, scans)
    return np.asarray((starts[:, None] + row_ns * np.arange(rows)).ravel(), dtype=np.int64)


@pytest.mark.parametrize("jitter_ns", [0, 5 * MS])
def test_rows_of_a_radar_are_scans(jitter_ns: int) -> None:
    stamps = radar(jitter_ns=jitter_ns)
    found = bursts_of(stamps)
    assert found is not None
    assert found.starts_ns.tolist() == stamps[::64].tolist()
    assert (found.rows, found.row_period_ns) == (64, 309_000)
    assert abs(found.period_ns - 66 * MS) <= 2 * jitter_ns


def test_a_recording_may_begin_and_end_in_a_scan_and_lose_rows_and_scans() -> None:
    stamps = radar()
    kept = np.delete(stamps, [200, 333, 900, *range(64 * 20, 64 * 22)])[30:-25]
    found = bursts_of(np.random.default_rng(1).permutation(kept))
    assert found is not None
    assert (found.starts_ns.size, found.rows, found.period_ns) == (38, 64, 66 * MS)


def test_scans_may_have_as_many_rows_as_there_are_detections() -> None:
    sizes = np.random.default_rng(5).integers(8, 31, 40)
    stamps = np.concatenate([T0 + 100 * MS * number + MS * np.arange(size) for number, size in enumerate(sizes)])
    found = bursts_of(stamps)
    assert found is not None
    assert (found.starts_ns.size, found.period_ns, found.row_period_ns) == (40, 100 * MS, MS)
    assert bursts_of(stamps[: int(sizes[:5].sum())]) is None, "too few to be told from frames that were dropped"


@pytest.mark.parametrize("rows", [2, 3, 4, 8, 512])
def test_any_number_of_rows(rows: int) -> None:
    found = bursts_of(radar(20, rows, 100_000, 100 * MS))
    if rows < 4:
        assert found is None, "frames that were published twice are no rows"
    else:
        assert found is not None and (found.rows, found.starts_ns.size) == (rows, 20)


@pytest.mark.parametrize(
    "stamps",
    [
        T0 + 100 * MS * np.arange(200),
        np.delete(T0 + 100 * MS * np.arange(200), [n for n in range(200) if n % 20 > 15]),  # four of twenty dropped, evenly
        T0 + 5 * MS * np.arange(2000),
        np.delete(T0 + MS * np.arange(4000), np.flatnonzero(np.random.default_rng(2).random(4000) < 0.3)),
        np.concatenate([radar(1), radar(1) + 900 * MS]),
        T0 + np.cumsum(np.random.default_rng(3).exponential(MS, 3000)).astype(np.int64),
        np.array([T0] * 500),
        np.array([], dtype=np.int64),
        np.array([T0]),
    ],
    ids=["even", "drops", "imu", "imu-drops", "two", "random", "equal", "none", "one"],
)
def test_frames_are_no_rows(stamps: Stamps) -> None:
    assert bursts_of(np.asarray(stamps, dtype=np.int64)) is None
