"""Matches of a synthetic drive against the ground truth: none is wrong, whatever frames were lost."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleet.drive_layout import GROUND_TRUTH
from fleet.faults import Fault
from fleet.synthetic.generate import generate
from fleet.synthetic.spec import DriveSpec, RigOptions
from fleet.synthetic.vehicle import build_rig
from lake.landing import SensorKey, parse_raw_key
from scenes.plan.match_plan import ScenePlan, Slot, plan_scenes
from scenes.scan.object_scan import scan_object
from sensors.match.nearest import MatchReason
from sensors.policy import FrameUse, Matcher, Policy
from sensors.rig import Rig
from spark_jobs.inspect import _number
from tests.unit.scenes.job_builders import index_of
from tests.unit.scenes.timelines import slots_of

TINY = RigOptions(width_px=16, height_px=16, lidar_rings=2, lidar_columns=8, lidar_rate_hz=20)
FAULTS = {
    "clean": (),
    "lost frames": ("drop_frames:camera_front:0.3", "drop_frames:radar_front:0.2", "drop_frames:lidar_top:0.1"),
    "dead sensor": ("dead_sensor:camera_front_left:1.2",),
}


@dataclass(frozen=True)
class Happened:
    """Frames that were recorded, by sensor: stamp to true time."""

    index: pa.Table
    poses: pa.Table
    true_ns: dict[str, dict[int, int]]

    def plan(self, rig: Rig) -> ScenePlan:
        return plan_scenes(self.index, self.poses, rig, frozenset())


@pytest.fixture(scope="module", params=sorted(FAULTS))
def happened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Happened, Rig]:
    faults = tuple(Fault.parse(text) for text in FAULTS[request.param])
    spec = DriveSpec("car-1", "d-1", seed=5, duration_s=3.0, segment_s=1.3, rig=TINY, faults=faults)
    folder = generate(spec, tmp_path_factory.mktemp("truth") / "drive")
    found = []
    for file in folder.files():
        key = parse_raw_key(file.key)
        if isinstance(key, SensorKey):
            found.append((key, scan_object(io.BytesIO(Path(file.path).read_bytes()), key)))
    assert folder.manifest is not None
    truth = pq.read_table(folder.path / GROUND_TRUTH / "frames.parquet").to_pylist()
    true_ns: dict[str, dict[int, int]] = {}
    for row in truth:
        if row["recorded"]:
            true_ns.setdefault(row["sensor"], {})[row["stamp_ns"]] = row["true_ns"]
    index = _number(pa.concat_tables([index_of(key, one) for key, one in found])).combine_chunks()
    poses = pa.concat_tables([one.samples for key, one in sorted(found, key=lambda pair: str(pair[0])) if "/pose/" in str(key)])
    return Happened(index, poses, true_ns), build_rig(TINY)


def truly_nearest(happened: Happened, rig: Rig, name: str, anchors: list[int], at: int) -> int | None:
    """Stamp of the frame that was really taken nearest to where the rig expects it, None if none was near enough."""
    sync = rig[name].sync
    targets = [happened.true_ns[rig.reference][anchor] + sync.expected_delay_ns for anchor in anchors]
    taken = happened.true_ns.get(name, {})
    if rig.policy.frame_use is FrameUse.EXCLUSIVE:
        taken = {stamp: true for stamp, true in taken.items() if int(np.argmin([abs(true - target) for target in targets])) == at}
    best = min(((abs(true - targets[at]), true, stamp) for stamp, true in taken.items()), default=None)
    return best[2] if best is not None and best[0] <= sync.tolerance_ns else None


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(keyframe_hz=2.0),
        Policy(keyframe_hz=3.0, frame_use=FrameUse.EXCLUSIVE),
        Policy(frame_use=FrameUse.EXCLUSIVE),
    ],
    ids=["every sweep", "2 Hz", "3 Hz exclusive", "exclusive"],
)
def test_no_match_is_wrong(happened: tuple[Happened, Rig], policy: Policy) -> None:
    drive, rig = happened[0], replace(happened[1], policy=policy)
    plan = drive.plan(rig)
    stamps, anchors = drive.index["stamp_ns"].to_pylist(), plan.anchors_ns.tolist()
    assert len(anchors) >= 5
    wrong = [
        (name, scene)
        for column, name in enumerate(plan.sensors)
        if name != rig.reference
        for scene in range(plan.scenes)
        if [truly_nearest(drive, rig, name, anchors, scene)] != ([stamps[i] for i in slots_of(plan, scene, column)] or [None])
    ]
    assert wrong == []
    assert (plan.reasons == MatchReason.MATCHED).mean() > 0.5, "the drive has matches that could be wrong"


def test_earlier_sweeps_are_the_frames_that_were_taken_before(happened: tuple[Happened, Rig]) -> None:
    drive, rig = happened
    held = 5
    rig = replace(rig, sensors=tuple(replace(one, sync=replace(one.sync, sweeps=held)) for one in rig.sensors))
    plan, stamps = drive.plan(rig), drive.index["stamp_ns"].to_pylist()
    complete = 0
    for column, name in enumerate(plan.sensors):
        for scene in range(plan.scenes):
            sweeps = [stamps[i] for i in slots_of(plan, scene, column)]
            if not sweeps:
                continue
            oldest_ns = sweeps[0] - (held - 1) * 3 * rig[name].period_ns // 2
            before = sorted((stamp for stamp in drive.true_ns[name] if oldest_ns <= stamp <= sweeps[0]), reverse=True)
            assert sweeps == before[:held]
            complete += len(sweeps) == held
    assert complete > plan.scenes


def test_ros_sets_use_each_frame_once_in_order_and_within_the_tolerance(happened: tuple[Happened, Rig]) -> None:
    drive, rig = happened[0], replace(happened[1], policy=Policy(matcher=Matcher.APPROXIMATE_TIME))
    plan = drive.plan(rig)
    assert 0 < plan.scenes <= len(drive.true_ns[rig.reference])
    for column, name in enumerate(plan.sensors):
        used = [frame_id for frame_id in plan.frame_ids[:, plan.slots.index(Slot(column, 0))].tolist() if frame_id >= 0]
        assert used == sorted(set(used))
        matched = plan.reasons[:, column] == MatchReason.MATCHED
        assert (np.abs(plan.residuals_ns[matched, column]) <= rig[name].sync.tolerance_ns).all()
