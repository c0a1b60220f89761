"""A short, always equal stretch of fuzzing for each decoder; `make fuzz` runs for longer."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ops.sync.timeline import read_timeline
from sensors.geometry import SE3
from tests.fuzz.session import ROOT, fuzz, run_one
from tests.fuzz.target import MIB, Target
from tests.fuzz.targets import TARGETS

CORPUS = ROOT / "tests" / "fuzz" / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_keeps_its_promises_whatever_the_bytes_are(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    outcome = fuzz(target, 1, tmp_path, lambda inputs: inputs < target.slice_inputs)
    assert [failure.message for failure in outcome.failures] == []
    assert outcome.inputs == target.slice_inputs
    assert outcome.outcomes >= 2, "the inputs reach more than one place"


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_fuzzer_starts_from_is_valid(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    outcome = fuzz(target, 1, tmp_path, lambda _: False)
    assert (outcome.inputs, outcome.failures) == (len(target.seeds()), [])
    assert outcome.refused <= outcome.inputs / 2


@pytest.mark.parametrize("place", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_broke_a_promise_once_does_so_no_more(place: Path, tmp_path: Path) -> None:
    assert run_one(TARGETS[place.parent.name], place.read_bytes(), tmp_path) is None


def test_a_matrix_with_nan_is_refused_without_a_warning() -> None:
    for value in (np.nan, np.inf, 1e308):
        matrix = np.eye(4)
        matrix[1, 1] = value
        with pytest.raises(ValueError, match="no rotation"):
            SE3.from_matrix(matrix)


def test_a_timeline_may_have_its_columns_in_any_order(tmp_path: Path) -> None:
    table = pa.table({"stamp_ns": pa.array([10**18, 10**18 + 5]), "more": [1, 2], "sensor": ["a", "b"]})
    pq.write_table(table, tmp_path / "timeline.parquet")
    streams = read_timeline(tmp_path / "timeline.parquet").streams
    assert [(stream.sensor, stream.stamps_ns.tolist()) for stream in streams] == [("a", [10**18]), ("b", [10**18 + 5])]


def broken(run: object, **more: object) -> Target:
    return Target("broken", lambda: [b"seed"], run, (ValueError,), **more)  # type: ignore[arg-type]


def only_a_seed(data: bytes, _: Path) -> str:
    if data == b"seed":
        return "seed"
    raise ValueError("refused")


@pytest.mark.parametrize(
    ("kind", "misbehave"),
    [
        ("exception", lambda: struct.unpack("<I", b"")),
        ("memory", lambda: bytes(8 * MIB)),
        ("hang", lambda: [None for _ in iter(int, 1)]),
    ],
)
def test_a_broken_promise_is_seen_and_comes_back_with_its_input(kind: str, misbehave: object, tmp_path: Path) -> None:
    def run(data: bytes, folder: Path) -> str:
        if b"!" in data:
            misbehave()  # type: ignore[operator]
        return only_a_seed(data, folder)

    target = broken(run, mutate=lambda rng, data, _: data + b"!", cpu_limit_s=0.05)
    outcome = fuzz(target, 1, tmp_path, lambda inputs: inputs < 3)
    (failure,) = outcome.failures
    assert failure.kind == kind
    assert b"!" in failure.data
    again = run_one(target, failure.data, tmp_path)
    assert again is not None
    assert again.kind == kind
    assert run_one(target, b"seed", tmp_path) is None


def test_inputs_depend_on_the_seed_alone(tmp_path: Path) -> None:
    def inputs(seed: int) -> list[bytes]:
        seen: list[bytes] = []
        fuzz(TARGETS["landing.key"], seed, tmp_path, lambda number: number < 200, seen.append)
        return seen

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)


def test_an_input_that_ends_elsewhere_is_built_upon(tmp_path: Path) -> None:
    def run(data: bytes, _: Path) -> str:
        return f"{min(len(data) - 4, 3)} more"

    def longer(_: object, data: bytes, __: object) -> bytes:
        return data + b"x"

    outcome = fuzz(broken(run, mutate=longer), 1, tmp_path, lambda inputs: inputs < 200)
    assert outcome.outcomes == 4
