"""Promises P1 and P7 over random mixes of faults: every frame has one fate and one record, whatever the windows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lake.drive_input import DriveInput
from lake.tables.rows import RecordRow
from scenes.outcome.account import AuditOutcome
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import MS, T0, Landed, cloud, image, pose, rig_document, sensor

FRAMES = 6
PERIOD_NS = 100 * MS


@dataclass(frozen=True)
class Mix:
    """The faults of a drive of six sweeps. Camera frames come at half the rate, so that two scenes share one."""

    sweeps: tuple[str, ...]
    images: tuple[str, ...]
    radars: tuple[bool, ...]
    poses: bool
    faulty: frozenset[str]
    twice: bool
    policy: dict[str, Any]
    sweeps_held: int = 1

    def land(self) -> tuple[Landed, DriveInput]:
        landed = Landed()
        half = FRAMES // 2
        for part in (slice(0, half), slice(half, FRAMES)):
            self._land(landed, "top", "lidar", [(stamp(n), self._sweep(n)) for n in range(FRAMES)[part]])
        cam = [(stamp(2 * n) + 50 * MS, state) for n, state in enumerate(self.images) if state != "absent"]
        self._land(landed, "cam", "camera", [(ns, image(ns, cut=state == "cut")) for ns, state in cam])
        radar = [stamp(n) for n, there in enumerate(self.radars) if there]
        self._land(landed, "radar", "radar", [(ns, cloud(ns, points=0)) for ns in radar])
        if self.twice:
            self._land(landed, "radar", "radar", [(stamp(n) + 20 * MS, cloud(stamp(n))) for n in range(3)])
        if self.poses:
            samples = [stamp(n) - 10 * MS for n in range(1, FRAMES)] + [stamp(FRAMES - 1)]
            self._land(landed, "odo", "pose", [(ns, pose(ns)) for ns in sorted(samples)])
        self._land(landed, "stranger", "camera", [(stamp(0), image(stamp(0)))])
        rig = rig_document(
            sensor("top", "lidar", required=True, sweeps=self.sweeps_held),
            sensor("cam", "camera", rate_hz=5, tolerance_ns=60 * MS),
            sensor("radar", "radar", required=True, tolerance_ns=30 * MS, sweeps=self.sweeps_held),
            sensor("odo", "pose", rate_hz=20, tolerance_ns=0),
            **self.policy,
            pose_bracket_ns=150 * MS,
        )
        return landed, landed.finish(rig, stamp(FRAMES))

    def _sweep(self, number: int) -> bytes:
        state = self.sweeps[number]
        return cloud(stamp(number), points=4, not_finite={"good": 0, "warned": 1, "bad": 3}[state])

    def _land(self, landed: Landed, name: str, modality: str, frames: list[tuple[int, bytes]]) -> None:
        if not frames:
            return
        key = landed.land(name, modality, frames)
        if name in self.faulty:
            landed.declare_other_checksum(key)


def stamp(number: int) -> int:
    return T0 + number * PERIOD_NS


MIXES = st.builds(
    Mix,
    sweeps=st.tuples(*[st.sampled_from(("good", "good", "warned", "bad"))] * FRAMES),
    images=st.tuples(*[st.sampled_from(("good", "cut", "absent"))] * (FRAMES // 2)),
    radars=st.tuples(*[st.booleans()] * FRAMES),
    poses=st.booleans(),
    faulty=st.frozensets(st.sampled_from(("cam", "radar", "odo", "stranger", "stranger")), max_size=2),
    twice=st.booleans(),
    policy=st.fixed_dictionaries(
        {
            "publish_incomplete": st.booleans(),
            "pose_required": st.booleans(),
            "keyframe_hz": st.sampled_from((None, None, 5, 3.3)),
            "frame_use": st.sampled_from(("shared", "exclusive")),
            "matcher": st.sampled_from(("nearest", "nearest", "approximate_time")),
        }
    ),
    sweeps_held=st.sampled_from((1, 1, 3)),
)
REASONS = {
    "nearest": {"not_nearest", "no_anchor", "not_keyframe", "kept_by_nearer_anchor"},
    "approximate_time": {"not_in_set", "no_anchor", "not_keyframe"},
}
FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def without_attempt(found: AuditOutcome) -> list[RecordRow]:
    """The records without the file names of the attempt."""
    return [replace(record, payload_uri=None) for record in found.records]


@FEW
@given(MIXES)
def test_every_frame_is_accounted_for_and_windows_change_nothing(mix: Mix) -> None:
    landed, drive_input = mix.land()
    if serial_jobs.inspect(landed, drive_input).inspection.verdict != "build":
        found = serial_jobs.outcome(landed, drive_input)
        serial_jobs.check_identity(landed, drive_input, found)
        assert set(found.frames["fate"].to_pylist()) <= {"quarantined"}
        return
    serial_jobs.build(landed, drive_input, window_bytes=1)
    narrow = serial_jobs.outcome(landed, drive_input)
    narrow_scenes = serial_jobs.scenes(landed), serial_jobs.scenes(landed, "quarantined")
    serial_jobs.build(landed, drive_input)
    wide = serial_jobs.outcome(landed, drive_input)
    wide_scenes = serial_jobs.scenes(landed), serial_jobs.scenes(landed, "quarantined")
    for found in (narrow, wide):
        serial_jobs.check_identity(landed, drive_input, found)
    assert narrow.frames.equals(wide.frames)
    assert without_attempt(narrow) == without_attempt(wide)
    assert narrow_scenes == wide_scenes
    check_fates(mix, wide.frames.to_pylist(), planned(landed), *wide_scenes)


def planned(landed: Landed) -> set[tuple[str, int]]:
    """Sensor and stamp of every frame in a window's plan."""
    windows = range(len(serial_jobs.window_reports(landed)))
    tables = [landed.area.read_table(f"plan/{number:05d}.arrow") for number in windows]
    return {(row["sensor"], row["stamp_ns"]) for table in tables for row in table.to_pylist() if row["frame_id"] is not None}


def check_fates(
    mix: Mix,
    rows: list[dict[str, Any]],
    wanted: set[tuple[str, int]],
    gold: list[dict[str, Any]],
    quarantined: list[dict[str, Any]],
) -> None:
    """Each row against the scenes as they were written and the faults as they were made."""
    in_gold, in_quarantine = held(gold), held(quarantined)
    if mix.policy["matcher"] == "nearest":
        hz = Fraction(repr(float(mix.policy["keyframe_hz"] or 1000)))
        assert len(gold) + len(quarantined) == len({hz * stamp(number) // 10**9 for number in range(FRAMES)})
    cut = {(stamp(2 * n) + 50 * MS) for n, state in enumerate(mix.images) if state == "cut"}
    bad_sweeps = {stamp(n) for n, state in enumerate(mix.sweeps) if state == "bad"}
    samples = bracketing([row["stamp_ns"] for row in rows if row["sensor"] == "odo"], gold)
    seen: set[tuple[str, int]] = set()
    for row in rows:
        frame = (row["sensor"], row["stamp_ns"])
        again = frame in seen
        seen.add(frame)
        if row["sensor"] in mix.faulty:
            assert (row["fate"], row["reason"]) == ("quarantined", "object_quarantined")
        elif again:
            assert (row["fate"], row["reason"]) == ("unmatched", "duplicate_stamp")
        elif frame in in_gold:
            assert (row["fate"], row["scenes"]) == ("gold", in_gold.count(frame))
        elif row["sensor"] == "top" and row["stamp_ns"] in bad_sweeps and frame in wanted:
            assert (row["fate"], row["reason"]) == ("quarantined", "LID001")
        elif row["sensor"] == "cam" and row["stamp_ns"] in cut and frame in wanted:
            assert (row["fate"], row["reason"]) == ("quarantined", "DEC005")
        elif frame in in_quarantine:
            assert (row["fate"], row["reason"]) == ("quarantined", "scene_quarantined")
        elif row["sensor"] == "odo":
            assert (row["fate"], row["scenes"]) == ("gold" if row["stamp_ns"] in samples else "unmatched", 0)
        else:
            assert row["fate"] == "unmatched"
            assert frame not in wanted
            assert row["reason"] in ({"not_in_rig"} if row["sensor"] == "stranger" else REASONS[mix.policy["matcher"]])
    check_sources(mix, gold)


def held(scenes: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(entry["sensor"], entry["stamp_ns"]) for scene in scenes for entry in entries(scene)]


def entries(scene: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for column in ("lidars", "cameras", "radars") for entry in scene[column]]


def bracketing(samples: list[int], gold: list[dict[str, Any]]) -> set[int]:
    """The samples right around every instant that a gold scene has a pose for."""
    posed = {scene["anchor_ns"] for scene in gold if scene["ego_pose"]}
    posed |= {entry["stamp_ns"] for scene in gold for entry in entries(scene) if entry["ego_pose"]}
    return {
        edge for at_ns in posed for edge in (max(ns for ns in samples if ns <= at_ns), min(ns for ns in samples if ns >= at_ns))
    }


def check_sources(mix: Mix, gold: list[dict[str, Any]]) -> None:
    for scene in gold:
        keys = {source["key"].split("/")[3] for source in scene["sources"]}
        posed = [scene["ego_pose"], *(entry["ego_pose"] for entry in entries(scene))]
        assert ("odo" in keys) == any(posed), "a pose names the objects that it was made of"
        assert keys - {"odo"} == {sensor for sensor, _ in held([scene])}
        assert not keys & mix.faulty
