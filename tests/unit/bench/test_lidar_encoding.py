"""Every layout compared is lossless, and the figures match the bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.lidar_encoding import VARIANTS, Sweep, generated, planes_delta, planes_xor, ratio, rows, speed
from sensors.decode.planes import from_planes

STEP = 5
POINTS = st.integers(1, 30).flatmap(lambda count: st.binary(min_size=STEP * count, max_size=STEP * count))


@given(POINTS)
def test_the_variants_can_be_undone(points: bytes) -> None:
    delta = np.frombuffer(planes_delta(points, STEP), np.uint8).reshape(STEP, -1)
    assert from_planes(np.cumsum(delta, axis=1, dtype=np.uint8).ravel(), STEP).tobytes() == points
    changed = np.frombuffer(planes_xor(points, STEP), np.uint8).reshape(STEP, -1)
    assert from_planes(np.bitwise_xor.accumulate(changed, axis=1).ravel(), STEP).tobytes() == points


def test_a_ratio_is_stored_over_raw_bytes() -> None:
    sweeps = [Sweep(bytes(1000), 10), Sweep(np.random.default_rng(1).bytes(1000), 10)]
    stored = sum(len(pa.Codec("zstd", 3).compress(sweep.points)) for sweep in sweeps)
    assert ratio(sweeps, rows, 3) == stored / 2000


def test_planes_are_ahead_of_rows_on_the_benchmarks_lidar() -> None:
    sweeps = list(generated())[:1]
    found = {name: ratio(sweeps, layout, level) for name, layout, level in VARIANTS}
    assert found["planes, 1"] < 0.75 < found["rows, 1"] / found["planes, 1"]
    measured = speed(sweeps)
    assert measured.ratio == pytest.approx(found["planes, 1"])
    assert measured.encode_mb_s > 0
    assert measured.decode_mb_s > 0
