"""Streamed matching equals matching all at once, however the input is cut; and it forgets what it no longer needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.match_stream import MatchStream, StreamedMatches, StreamTerms
from sensors.errors import LimitError
from sensors.match.anchors import keyframes
from sensors.match.exclusive import match_exclusive
from sensors.match.nearest import history_lengths, match_nearest
from sensors.motion.poses import interpolate
from sensors.policy import FrameUse
from sensors.stamps import Nanoseconds

MS = 1_000_000
EPOCH_NS = 1_700_000_000_123_456_789
STAMPS = st.lists(st.integers(0, 120), max_size=25, unique=True).map(
    lambda steps: [EPOCH_NS + step * MS for step in sorted(steps)]
)
TERMS = st.builds(
    StreamTerms,
    expected_delay_ns=st.integers(-15, 15).map(lambda step: step * MS),
    tolerance_ns=st.sampled_from((0, MS - 1, MS, 7 * MS, 40 * MS)),
    sweeps=st.integers(1, 4),
    horizon_ns=st.integers(0, 30).map(lambda step: step * MS),
)
REFERENCE = StreamTerms(0, 0, sweeps=2, horizon_ns=20 * MS)


@dataclass(frozen=True)
class Case:
    streams: dict[str, list[int]]
    terms: dict[str, StreamTerms]
    hz: float | None
    use: FrameUse
    bracket_ns: int

    def stream(self) -> MatchStream:
        return MatchStream(
            "top", self.terms, keyframe_hz=self.hz, frame_use=self.use, pose="odo", pose_bracket_ns=self.bracket_ns
        )

    def at_once(self) -> dict[str, list[object]]:
        top = np.array(self.streams["top"], dtype=np.int64)
        chosen = np.flatnonzero(keyframes(top, self.hz))
        index, residual, history = [], [], []
        for name, terms in self.terms.items():
            stamps = np.array(self.streams[name], dtype=np.int64)
            match = match_exclusive if self.use is FrameUse.EXCLUSIVE and name != "top" else match_nearest
            found = match(top[chosen], stamps, terms.expected_delay_ns, terms.tolerance_ns)
            index.append(found.index)
            residual.append(np.where(found.matched, found.residual_ns, 0))
            history.append(history_lengths(stamps, found.index, terms.sweeps, terms.horizon_ns))
        poses = interpolate(
            top[chosen], self.streams["odo"], np.tile([0.0, 0, 0, 1, 0, 0, 0], (len(self.streams["odo"]), 1)), self.bracket_ns
        )
        return {
            "anchors": chosen.tolist(),
            "anchors_ns": top[chosen].tolist(),
            "index": np.stack(index, axis=1).tolist(),
            "residual_ns": np.stack(residual, axis=1).tolist(),
            "history": np.stack(history, axis=1).tolist(),
            "pose_left": np.where(poses.valid, poses.left, -1).tolist(),
        }


@dataclass
class Collected:
    parts: list[StreamedMatches] = field(default_factory=list)

    def rows(self) -> dict[str, list[object]]:
        names = ("anchors", "anchors_ns", "index", "residual_ns", "history", "pose_left")
        return {name: np.concatenate([getattr(part, name) for part in self.parts]).tolist() for name in names}


CASES = st.builds(
    Case,
    streams=st.fixed_dictionaries({"top": STAMPS, "cam": STAMPS, "radar": STAMPS, "odo": STAMPS}),
    terms=st.fixed_dictionaries({"cam": TERMS, "top": st.just(REFERENCE), "radar": TERMS}),
    hz=st.sampled_from((None, None, 3.0, 20.0, 50.0)),
    use=st.sampled_from(FrameUse),
    bracket_ns=st.sampled_from((MS, 10 * MS, 50 * MS)),
)


@given(CASES, st.data())
def test_any_partition_into_chunks_gives_what_all_at_once_gives(case: Case, data: st.DataObject) -> None:
    """Chunks of any size, of any sensor next, taken at any time; the caller may or may not say how far the streams are."""
    stream, found = case.stream(), Collected()
    left = {name: list(stamps) for name, stamps in case.streams.items()}
    while any(left.values()):
        name = data.draw(st.sampled_from([name for name, stamps in left.items() if stamps]))
        size = data.draw(st.integers(0, len(left[name])))
        stream.push(name, np.array(left[name][:size], dtype=np.int64))
        left[name] = left[name][size:]
        if data.draw(st.booleans()):
            stream.advance(min((stamps[0] for stamps in left.values() if stamps), default=EPOCH_NS))
        if data.draw(st.booleans()):
            found.parts.append(stream.take())
    found.parts.append(stream.finish())
    assert found.rows() == case.at_once()


@given(CASES, st.sampled_from((1, 3, 17)))
def test_slices_of_time_are_decided_as_they_pass(case: Case, step_ms: int) -> None:
    stream, found = case.stream(), Collected()
    for start_ns in range(EPOCH_NS, EPOCH_NS + 121 * MS, step_ms * MS):
        for name, stamps in case.streams.items():
            stream.push(name, [stamp for stamp in stamps if start_ns <= stamp < start_ns + step_ms * MS])
        stream.advance(start_ns + step_ms * MS)
        found.parts.append(stream.take())
    found.parts.append(stream.finish())
    assert found.rows() == case.at_once()


@pytest.mark.parametrize("use", FrameUse)
@pytest.mark.parametrize("seed", range(8))
def test_dense_streams_in_small_slices_keep_every_match(seed: int, use: FrameUse) -> None:
    """Tolerances wider than the slices and the spacing of frames: every decision depends on what has not come yet."""
    rng = np.random.default_rng(seed)
    streams = {
        name: (EPOCH_NS + np.sort(rng.choice(2_000, size=count, replace=False)) * MS).tolist()
        for name, count in (("top", 150), ("cam", 60), ("radar", 300), ("odo", 400))
    }
    terms = {
        "cam": StreamTerms(int(rng.integers(-30, 30)) * MS, 45 * MS, sweeps=3, horizon_ns=90 * MS),
        "top": REFERENCE,
        "radar": StreamTerms(-20 * MS, 8 * MS, sweeps=10, horizon_ns=100 * MS),
    }
    case = Case(streams, terms, None, use, 6 * MS)
    stream, found = case.stream(), Collected()
    for start_ns in range(EPOCH_NS, EPOCH_NS + 2_000 * MS, 5 * MS):
        for name in rng.permutation(list(streams)).tolist():
            stream.push(name, [stamp for stamp in streams[name] if start_ns <= stamp < start_ns + 5 * MS])
        stream.advance(start_ns + 5 * MS)
        found.parts.append(stream.take())
    found.parts.append(stream.finish())
    expected = case.at_once()
    assert found.rows() == expected
    assert (np.array(expected["index"]) >= 0).mean() > 0.3


def drive(seconds: int, start_ns: int = EPOCH_NS) -> dict[str, Nanoseconds]:
    rates = {"top": 20, "cam": 12, "radar": 13, "odo": 100}
    return {name: start_ns + np.arange(seconds * rate, dtype=np.int64) * 10**9 // rate for name, rate in rates.items()}


def test_memory_does_not_grow_with_the_drive() -> None:
    terms = {"cam": StreamTerms(0, 42 * MS), "radar": StreamTerms(0, 39 * MS, sweeps=6, horizon_ns=600 * MS)}
    stream = MatchStream("top", terms, pose="odo", pose_bracket_ns=50 * MS)
    held, decided = [], 0
    for second in range(60):
        for name, stamps in drive(1, EPOCH_NS + second * 10**9).items():
            stream.push(name, stamps)
        decided += len(stream.take().anchors)
        held.append(stream.held)
    assert max(held[1:]) == min(held[1:]), "as much is held after the first second as after the last"
    assert max(held) < 40
    assert decided + len(stream.finish().anchors) == 60 * 20


def test_a_dead_sensor_does_not_block_streams_that_are_advanced() -> None:
    terms = {"cam": StreamTerms(0, 42 * MS)}
    stream = MatchStream("top", terms, most_held=200)
    for second in range(60):
        top = drive(1, EPOCH_NS + second * 10**9)["top"]
        stream.push("top", top)
        stream.advance(EPOCH_NS + (second + 1) * 10**9)
        assert (stream.take().index == -1).all()
    assert stream.held <= 1


def test_without_advance_it_stops_at_its_memory_limit() -> None:
    stream = MatchStream("top", {"cam": StreamTerms(0, 42 * MS)}, most_held=100)
    stream.push("top", drive(5)["top"])
    with pytest.raises(LimitError, match=r"101 frames wait .* limit is 100: cam has only come to"):
        stream.push("top", [EPOCH_NS + 10**10])


@pytest.mark.parametrize(
    ("sensor", "stamps", "message"),
    [
        ("lidar", [1], "'lidar' is not one of the streams"),
        ("cam", [5, 4], "must ascend"),
        ("cam", [5, 5], "a stamp comes twice"),
        ("cam", [2], "comes after the stream had reached"),
        ("cam", [3], "comes after the stream had reached"),
        ("top", [2.5], "float64"),
        ("top", [1], "comes after the stream had reached"),
    ],
)
def test_stamps_that_cannot_follow_are_refused(sensor: str, stamps: list[int], message: str) -> None:
    stream = MatchStream("top", {"cam": StreamTerms(0, 1)}, keyframe_hz=1)
    stream.push("cam", [1, 3])
    stream.push("top", [0, 1])
    with pytest.raises(ValueError, match=message):
        stream.push(sensor, stamps)


def test_terms_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="tolerance_ns is -1"):
        StreamTerms(0, -1)
