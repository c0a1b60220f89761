"""Timelines with every kind of fault, and their plans by definition, found by trying every pair."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from hypothesis import strategies as st

from scenes.plan.match_plan import ScenePlan, Slot, plan_scenes
from sensors.match.approximate_time import form_sets
from sensors.rig import Rig, Sensor
from tests.unit.scenes.job_builders import MS, T0, F, frame_index, make_rig, pose_table, sensor

SENSORS = ("cam", "odo", "odo2", "radar", "stranger", "top")
KINDS = {"cam": "camera", "odo": "pose", "odo2": "pose", "radar": "radar", "stranger": "camera", "top": "lidar"}
PLANNED = ("cam", "radar", "top")
Row = dict[str, Any]


class Cell(NamedTuple):
    """A sensor in a scene: its frames from the matched one back, or why it has none."""

    frames: tuple[Row, ...]
    missing: str | None


@dataclass(frozen=True)
class Timeline:
    index: pa.Table
    poses: pa.Table
    rig: Rig
    faulty: frozenset[str]

    def plan(self) -> ScenePlan:
        return plan_scenes(self.index, self.poses, self.rig, self.faulty)

    def rows(self) -> list[Row]:
        return list(self.index.to_pylist())

    def usable(self, name: str) -> list[Row]:
        """By definition: of sound objects, one for each stamp, the first by key and position."""
        found: dict[int, Row] = {}
        for row in self.rows():
            if row["sensor"] == name and row["key"] not in self.faulty:
                found.setdefault(row["stamp_ns"], row)
        return list(found.values())

    def scenes(self) -> list[dict[str, Cell]]:
        """Every scene by definition: a cell for each sensor in scenes."""
        streams = {name: self.usable(name) for name in PLANNED}
        if self.rig.policy.matcher == "approximate_time":
            return self._by_sets(streams)
        anchors = self._keyframes(streams[self.rig.reference])
        return [{name: self._cell(self.rig[name], streams[name], anchors, at) for name in PLANNED} for at in range(len(anchors))]

    def in_cells(self, rows: list[Row]) -> list[int]:
        """The cell of each frame on the keyframe grid."""
        assert self.rig.policy.keyframe_hz is not None
        hz = Fraction(repr(self.rig.policy.keyframe_hz))
        return [floor(hz * row["stamp_ns"] / 10**9) for row in rows]

    def _keyframes(self, rows: list[Row]) -> list[Row]:
        if self.rig.policy.keyframe_hz is None:
            return rows
        first: dict[int, Row] = {}
        for cell, row in zip(self.in_cells(rows), rows, strict=True):
            first.setdefault(cell, row)
        return list(first.values())

    def _cell(self, entry: Sensor, frames: list[Row], anchors: list[Row], at: int) -> Cell:
        if entry.name == self.rig.reference:
            return Cell(self._history(entry, frames, anchors[at]), None)
        if not frames:
            return Cell((), "no_frames")
        targets = [anchor["stamp_ns"] + entry.sync.expected_delay_ns for anchor in anchors]
        ranked = sorted((abs(row["stamp_ns"] - targets[at]), row["stamp_ns"], row["frame_id"]) for row in frames)
        own = ranked
        if self.rig.policy.frame_use == "exclusive":
            owner = {
                row["frame_id"]: min(range(len(targets)), key=lambda a, row=row: (abs(row["stamp_ns"] - targets[a]), a))  # type: ignore[misc]
                for row in frames
            }
            own = [entry for entry in ranked if owner[entry[2]] == at]
        if own and own[0][0] <= entry.sync.tolerance_ns:
            return Cell(self._history(entry, frames, self.rows()[own[0][2]]), None)
        return Cell((), "frame_of_nearer_anchor" if ranked[0][0] <= entry.sync.tolerance_ns else "outside_tolerance")

    def _by_sets(self, streams: dict[str, list[Row]]) -> list[dict[str, Cell]]:
        topics = [name for name in PLANNED if streams[name]]
        if self.rig.reference not in topics:
            return []
        sets = form_sets([[row["stamp_ns"] for row in streams[name]] for name in topics]).tolist()
        by_anchor = {}
        for chosen in sets:
            members = {name: streams[name][position] for name, position in zip(topics, chosen, strict=True)}
            by_anchor[members[self.rig.reference]["frame_id"]] = members
        anchors = self._keyframes([members[self.rig.reference] for members in by_anchor.values()])
        scenes = []
        for anchor in anchors:
            cells = {}
            for name in PLANNED:
                member, sync = by_anchor[anchor["frame_id"]].get(name), self.rig[name].sync
                if member is None:
                    cells[name] = Cell((), "no_frames")
                elif (
                    name == self.rig.reference
                    or abs(member["stamp_ns"] - anchor["stamp_ns"] - sync.expected_delay_ns) <= sync.tolerance_ns
                ):
                    cells[name] = Cell(self._history(self.rig[name], streams[name], member), None)
                else:
                    cells[name] = Cell((), "outside_tolerance")
            scenes.append(cells)
        return scenes

    def _history(self, entry: Sensor, frames: list[Row], matched: Row) -> tuple[Row, ...]:
        horizon_ns = (entry.sync.sweeps - 1) * 3 * entry.period_ns // 2
        before = [row for row in frames if matched["stamp_ns"] - horizon_ns <= row["stamp_ns"] <= matched["stamp_ns"]]
        return tuple(before[::-1][: entry.sync.sweeps])


@st.composite
def timelines(draw: st.DrawFn, every_policy: bool = True) -> Timeline:
    # Steps of 1 ms around stamps of epoch size: ties and duplicates are common, and a float would already be wrong.
    frames = []
    for name in SENSORS:
        for number, step in enumerate(draw(st.lists(st.integers(-12, 12), max_size=9))):
            key = f"{name}-{draw(st.integers(0, 2))}"
            frames.append(F(name, T0 + step * MS, KINDS[name], key, chunk_offset=number, message_bytes=1 + number))
    faulty = frozenset(draw(st.sets(st.sampled_from([f"{name}-{part}" for name in SENSORS for part in range(3)]), max_size=4)))
    delays = st.integers(-4, 4).map(lambda step: step * MS)
    tolerances = st.sampled_from((0, MS - 1, MS, 3 * MS, 20 * MS))
    terms = [
        sensor(
            name,
            KINDS[name],
            rate_hz=draw(st.sampled_from((100, 400))),  # 1.5 periods are 15 ms and 3.75 ms
            delay_ns=draw(delays),
            tolerance_ns=draw(tolerances),
            sweeps=draw(st.sampled_from((1, 1, 2, 4))) if every_policy else 1,
        )
        for name in PLANNED
    ]
    policy = (
        {
            "keyframe_hz": draw(st.sampled_from((None, 100, 300, 90.5))),
            "frame_use": draw(st.sampled_from(("shared", "exclusive"))),
            "matcher": draw(st.sampled_from(("nearest", "nearest", "approximate_time"))),
        }
        if every_policy
        else {}
    )
    rig = make_rig(
        sensor("odo", "pose"),
        *terms,
        sensor("odo2", "pose"),
        reference=draw(st.sampled_from(("top", "cam"))),
        pose_bracket_ns=draw(st.sampled_from((1, 5 * MS, 50 * MS))),
        **policy,
    )
    index = frame_index(frames)
    stamps = [row["stamp_ns"] for row in index.to_pylist() if row["sensor"] == "odo" and row["key"] not in faulty]
    return Timeline(index, pose_table(stamps), rig, faulty)


def brackets(timeline: Timeline, at_ns: int) -> tuple[Row, Row] | None:
    """The pose samples around an instant, if a pose may be made of them."""
    samples = timeline.usable("odo")
    before = max((row for row in samples if row["stamp_ns"] <= at_ns), key=lambda row: int(row["stamp_ns"]), default=None)
    after = min((row for row in samples if row["stamp_ns"] >= at_ns), key=lambda row: int(row["stamp_ns"]), default=None)
    if before is None or after is None or after["stamp_ns"] - before["stamp_ns"] > timeline.rig.policy.pose_bracket_ns:
        return None
    return before, after


def slots_of(plan: ScenePlan, scene: int, column: int) -> list[int]:
    """Frame ids of a sensor in a scene, from the matched one back, without the empty slots."""
    ids = [plan.frame_ids[scene, slot] for slot, place in enumerate(plan.slots) if place.column == column]
    return [int(frame_id) for frame_id in np.array(ids, dtype=np.int64) if frame_id >= 0]


def matched_frame_ids(plan: ScenePlan, column: int) -> npt.NDArray[np.int64]:
    """The matched frame of each scene (S,) for one sensor, -1 for none."""
    return np.asarray(plan.frame_ids[:, plan.slots.index(Slot(column, 0))])
