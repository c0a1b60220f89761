"""Build the scenes of one window in a worker: fetch, decode, judge, split, and write both halves as Parquet."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, NamedTuple

from lake.landing import DriveId
from lake.overrides import NONE, Decisions
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.scene_key import SceneKey
from quality.evaluators.scene import evaluate_scene
from quality.rules.catalogue import Severity
from quality.rules.findings import rule_ids
from quality.rules.rulebook import RuleBook
from scenes.build.frames import Frame, FrameMemory, look_into, sound
from scenes.build.measure import leave_metrics
from scenes.build.motion import Placed, PosesUsed, Track, place
from scenes.build.payloads import fetch
from scenes.build.scene_file import scene_pieces
from scenes.build.signals import not_evaluated
from scenes.build.window_findings import WindowFindings
from scenes.build.window_report import MadeScene, account, keep_bad
from scenes.build.window_review import WindowReview
from scenes.options import BuildOptions, PayloadChecks, PointLayout
from scenes.plan.plan_rows import FrameRef, PlanRow, plan_rows
from scenes.work_area import WorkArea
from sensors.decode.planes import to_planes
from sensors.decode.points import PointCloud
from sensors.rig import Modality, Rig

DAY_ZERO = datetime.date(1970, 1, 1)
_COLUMN = {Modality.LIDAR: "lidars", Modality.CAMERA: "cameras", Modality.RADAR: "radars"}


@dataclass(frozen=True, slots=True)
class DriveContext:
    """What all scenes of a drive share. `sources` maps a raw key to its (version id, SHA-256); `rules` are the rig's."""

    drive: DriveId
    revision: str
    rig: Rig
    calibration: str
    sources: Mapping[str, tuple[str, str]]
    raw_bucket: str
    lake_bucket: str
    quarantine_bucket: str
    code_version: str
    config_hash: str
    options: BuildOptions
    decisions: Decisions = NONE
    rules: RuleBook = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", RuleBook.of(self.rig.policy))

    @property
    def bad_frames(self) -> ObjectVersion:
        """Below what messages that do not decode are kept."""
        return ObjectVersion(self.quarantine_bucket, f"frames/{self.drive}/{self.revision}")

    @property
    def versions(self) -> dict[str, str]:
        """Version id of each raw key."""
        return {key: version for key, (version, _) in self.sources.items()}


class BuiltWindow(NamedTuple):
    """Name of a window's report in the work area, its scenes (rows of the plan), and how many of them are quarantined."""

    name: str
    scenes: tuple[int, ...]
    quarantined: int


def build_window(
    store: ObjectStore, area: WorkArea, context: DriveContext, number: int, day: int, *, with_findings: bool = False
) -> BuiltWindow:
    """Build one window and leave `built/NNNNN-….json` in the work area.

    `with_findings`: whether something was left for it that was found beyond it (`scenes.build.window_findings`).

    Files get names of their own for each attempt, so a task that Spark runs twice overwrites nothing; only the names
    that the driver reads back are ever published.
    """
    rows = plan_rows(area.read_table(f"plan/{number:05d}.arrow"))
    wanted = [row.frame for row in rows if row.frame is not None]
    checks = context.options.payload_checks
    known = WindowFindings.read(area, number) if with_findings else WindowFindings()
    review = WindowReview(context.decisions, context.versions)
    memory = FrameMemory()
    frames = {
        frame.frame_id: review.frame(
            frame, look_into(frame, cdr, checks, context.rules, known.of_frame(frame.frame_id), memory), cdr
        )
        for frame, cdr in fetch(store, context.raw_bucket, context.versions, wanted)
    }
    builder = _SceneBuilder(context, day, frames, _track(area, context, number), known, review)
    gold: list[dict[str, Any]] = []
    quarantined: list[dict[str, Any]] = []
    scenes: list[dict[str, Any]] = []
    for _, of_scene in groupby(rows, key=lambda row: row.scene):
        scene_rows = list(of_scene)
        made = builder.scene(scene_rows)
        (quarantined if made.verdict.quarantined else gold).append(made.row)
        scenes.append(account(made, scene_rows, frames))
    name = f"{context.drive}/{context.revision[:16]}-{number:05d}-{uuid.uuid4().hex}.parquet"
    gold_target = ObjectVersion(context.lake_bucket, f"warehouse/gold/scenes/data/{name}")
    payload_target = ObjectVersion(context.quarantine_bucket, f"scenes/{name}")
    for scene in scenes:
        scene["payload_uri"] = payload_target.uri if scene["quarantined"] else None
    built = f"built/{number:05d}-{uuid.uuid4().hex}.json"
    report = {
        "number": number,
        "scenes": scenes,
        "gold": _write(store, gold_target, gold, context.options),
        "quarantined": _write(store, payload_target, quarantined, context.options),
        "bad_frames": keep_bad(store, context.bad_frames, wanted, frames),
        "released_frames": review.released_frames(wanted, frames),
    }
    if checks is PayloadChecks.FULL:
        leave_metrics(area, built, wanted, frames)
    area.write_json(built, report)
    return BuiltWindow(built, tuple(scene["scene"] for scene in scenes), len(quarantined))


def _track(area: WorkArea, context: DriveContext, number: int) -> Track | None:
    policy = context.rig.policy
    if not policy.motion_compensation:
        return None
    return Track.of(area.read_table(f"plan/{number:05d}-poses.arrow"), policy.pose_bracket_ns)


class _SceneBuilder:
    """Scenes of one window, from the plan's rows and the frames that were fetched for them."""

    def __init__(
        self,
        context: DriveContext,
        day: int,
        frames: Mapping[int, Frame],
        track: Track | None,
        known: WindowFindings,
        review: WindowReview,
    ) -> None:
        self._context, self._frames, self._track = context, frames, track
        self._known, self._review = known, review
        self._untold = not_evaluated(context.rig, context.options)
        self._sensors = {sensor.name: sensor for sensor in context.rig.sensors}
        self._placed: dict[tuple[int, int], Placed] = {}
        self._day = DAY_ZERO + datetime.timedelta(days=day)

    def scene(self, rows: Sequence[PlanRow]) -> MadeScene:
        """The scene of these rows of the plan."""
        context, anchor = self._context, rows[0]
        used = sound(rows, self._frames)
        missing = self._missing(rows)
        lists: dict[str, list[dict[str, Any]]] = {column: [] for column in _COLUMN.values()}
        uncompensated: dict[str, str] = {}
        keys = set(anchor.pose_keys or ())
        moved_by: set[PosesUsed] = set()
        for row, ref in used:
            element, placed = self._element(row, ref)
            lists[_COLUMN[self._sensors[row.sensor].modality]].append(element)
            keys |= {ref.key, *(row.frame_pose_keys or ())}
            if placed is not None:
                if placed.reason is not None:
                    uncompensated[row.sensor] = placed.reason
                if placed.poses is not None:
                    moved_by.add(placed.poses)
                    keys |= placed.poses.keys
        verdict = evaluate_scene(
            context.rig,
            missing=missing,
            residuals={row.sensor: row.residual_ns for row, _ in used if row.sweep == 0},
            has_pose=anchor.pose is not None,
            uncompensated=uncompensated,
            payload_findings=(
                *(found for _, ref in used for found in self._frames[ref.frame_id].findings),
                *self._known.of_scene(anchor.scene),
            ),
            rules=context.rules,
        )
        verdict, released = self._review.scene(verdict, anchor.anchor_ns, context.rig.reference, [ref for _, ref in used], keys)
        scene = {
            "scene_id": str(SceneKey(context.drive, anchor.anchor_ns)),
            "vehicle_id": context.drive.vehicle_id,
            "drive_id": context.drive.drive_id,
            "revision": context.revision,
            "day": self._day,
            "anchor_sensor": context.rig.reference,
            "anchor_ns": anchor.anchor_ns,
            "ego_pose": anchor.pose,
            "complete": not missing,
            "missing": [{"sensor": sensor, "reason": reason} for sensor, reason in sorted(missing.items())],
            "quality_flags": sorted({*verdict.flags, *self._untold}) if self._untold else list(verdict.flags),
            **lists,
            "sources": [self._source(key) for key in sorted(keys)],
            "calibration": context.calibration,
            "code_version": context.code_version,
            "config_hash": context.config_hash,
            "released": released,
        }
        return MadeScene(scene, verdict, frozenset(moved_by))

    def _source(self, key: str) -> dict[str, str]:
        version_id, sha256 = self._context.sources[key]
        return {"key": key, "version_id": version_id, "sha256": sha256}

    def _missing(self, rows: Sequence[PlanRow]) -> dict[str, str]:
        """Sensor to the reason why the frame that was matched, or should have been, is not in the scene."""
        missing = {row.sensor: row.missing for row in rows if row.missing is not None}
        for row in rows:
            if row.sweep == 0 and row.frame is not None and self._frames[row.frame.frame_id].bad:
                missing[row.sensor] = rule_ids(self._frames[row.frame.frame_id].findings, Severity.ERROR)[0]
        return missing

    def _element(self, row: PlanRow, ref: FrameRef) -> tuple[dict[str, Any], Placed | None]:
        """The frame as an element of its list, and, where it is one of points, how they were placed."""
        frame = self._frames[ref.frame_id]
        element = {
            "sensor": row.sensor,
            "stamp_ns": ref.stamp_ns,
            "offset_ns": row.offset_ns,
            "residual_ns": row.residual_ns,
            "sweep": row.sweep,
            "ego_pose": row.frame_pose,
            **frame.columns,
        }
        if frame.cloud is None:
            return element, None
        # An earlier sweep stays a measurement of its own time; `ego_pose` says how to move it as a whole.
        reference_ns = row.anchor_ns if row.sweep == 0 else ref.stamp_ns
        placed = self._place(row.sensor, ref.frame_id, frame.cloud, reference_ns)
        layout = self._context.options.point_layout.value
        return element | {"points": placed.points, "point_layout": layout, "reference_ns": placed.reference_ns}, placed

    def _place(self, name: str, frame_id: int, cloud: PointCloud, reference_ns: int) -> Placed:
        """The frame's points as they are stored; scenes that share a frame at one time share its points."""
        sensor = self._sensors[name]
        moves = sensor.modality is Modality.LIDAR
        asked = (frame_id, reference_ns if moves else 0)
        if asked not in self._placed:
            placed = place(cloud, sensor, reference_ns, self._track) if moves else Placed(cloud.data, None, None)
            if self._context.options.point_layout is PointLayout.PLANES:
                placed = replace(placed, points=to_planes(placed.points, cloud.point_step).data)
            self._placed[asked] = placed
        return self._placed[asked]


def _write(
    store: ObjectStore, target: ObjectVersion, scenes: Sequence[Mapping[str, Any]], options: BuildOptions
) -> dict[str, Any] | None:
    if not scenes:
        return None
    pieces = scene_pieces(scenes, compress_points=options.point_layout is PointLayout.PLANES)
    return {"uri": target.uri, "scenes": len(scenes), "bytes": store.write(target, pieces)}
