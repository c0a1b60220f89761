"""Build the scenes of one window in a worker: fetch, decode, judge, split, and write both halves as Parquet."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

from msgspec import structs
from msgspec.structs import replace as changed

from lake.digests import payload_sha256, scene_digest, sha256_of
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.rows import Release
from lake.tables.scene_key import SceneKey
from quality.evaluators.scene import SceneVerdict, evaluate_scene
from quality.measurements.frame_metrics import metrics_rows
from quality.rules.catalogue import Severity
from quality.rules.findings import rule_ids
from scenes.build.context import DriveContext
from scenes.build.decisions import WindowDecisions
from scenes.build.frames import FrameMemory, JudgedFrame, decode_frame, sound
from scenes.build.motion import Placed, PosesUsed, WindowPoses, place
from scenes.build.payloads import fetch
from scenes.build.scene_file import scene_pieces
from scenes.build.signals import not_evaluated
from scenes.documents import DataFile, FrameReport, SceneReport, WindowFindings, WindowReport
from scenes.options import BuildOptions, PayloadChecks, PointLayout
from scenes.plan.window_table import FrameRef, PlanRow, plan_rows
from scenes.plan.windows import DAY_ZERO
from scenes.targets import DriveTargets
from scenes.work_area import WorkArea
from sensors.decode.planes import to_planes
from sensors.decode.points import PointCloud
from sensors.rig import Modality

_COLUMN = {Modality.LIDAR: "lidars", Modality.CAMERA: "cameras", Modality.RADAR: "radars"}


class BuiltWindow(NamedTuple):
    """Name of a window's report in the work area, its scenes (rows of the plan), and how many of them are quarantined."""

    name: str
    scenes: tuple[int, ...]
    quarantined: int


@dataclass(frozen=True, slots=True)
class MadeScene:
    """A scene: its columns as `scenes.build.scene_table` takes them, the verdict of the scene rules, the releases that admitted
    it or a part of it, and the pose samples that moved its points."""

    row: dict[str, Any]
    verdict: SceneVerdict
    released: tuple[Release, ...]
    moved_by: frozenset[PosesUsed]


def build_window(
    store: ObjectStore, area: WorkArea, context: DriveContext, number: int, day: int, *, with_findings: bool = False
) -> BuiltWindow:
    """Build one window and leave its `WindowReport` and the metrics of its frames in the work area.

    `with_findings`: whether the driver left findings for it from beyond the window (`WindowFindings`).

    Files are named uniquely per attempt, so a task that Spark runs twice overwrites nothing; only the names that the driver
    reads back are ever published.
    """
    rows = plan_rows(area.read_table(f"plan/{number:05d}.arrow"))
    refs = [row.frame for row in rows if row.frame is not None]
    checks = context.options.payload_checks
    known = area.read_document(findings_name(number), WindowFindings) if with_findings else WindowFindings()
    decisions = WindowDecisions(context.decisions, context.versions)
    memory = FrameMemory()

    def decoded(ref: FrameRef, cdr: memoryview) -> JudgedFrame:
        found = known.frames.get(ref.frame_id, ())
        return decode_frame(ref, cdr, checks, context.rules, found, memory, context.sizes_px.get(ref.sensor))

    frames = {
        ref.frame_id: decisions.frame(ref, decoded(ref, cdr), cdr)
        for ref, cdr in fetch(store, context.targets.raw_bucket, context.versions, refs)
    }
    builder = _SceneBuilder(context, day, frames, _track(area, context, number), known, decisions)
    made = [(builder.scene(of_scene), of_scene) for of_scene in _by_scene(rows)]
    gold = [scene.row for scene, _ in made if not scene.verdict.quarantined]
    quarantined = [scene.row for scene, _ in made if scene.verdict.quarantined]
    name = context.targets.unique_name("parquet", f"{number:05d}")
    gold_target, quarantine_target = context.targets.data_file("gold.scenes", name), context.targets.quarantined_scenes(name)
    reports = tuple(_report(scene, of_scene, frames, quarantine_target.uri) for scene, of_scene in made)
    built = f"built/{number:05d}-{uuid.uuid4().hex}.json"
    report = WindowReport(
        number=number,
        scenes=reports,
        gold=_write(store, gold_target, gold, context.options),
        quarantined=_write(store, quarantine_target, quarantined, context.options),
        quarantined_frames=quarantine_frames(store, context.targets, refs, frames),
        released_frames=decisions.released_frames(refs, frames),
    )
    if checks is PayloadChecks.FULL:
        leave_metrics(area, built, refs, frames)
    area.write_document(built, report)
    return BuiltWindow(built, tuple(scene.scene for scene in reports), len(quarantined))


def findings_name(number: int) -> str:
    """Name of the findings for window `number` in the work area."""
    return f"plan/{number:05d}-findings.json"


def metrics_name(built: str) -> str:
    """Name of the metrics of the window whose report is `built`."""
    return f"{built.removesuffix('.json')}.arrow"


def leave_metrics(area: WorkArea, built: str, refs: Iterable[FrameRef], frames: Mapping[int, JudgedFrame]) -> None:
    """Write the metrics of a window's frames beside its report; a frame that does not decode has none."""
    found = ((ref, frames[ref.frame_id].metrics) for ref in sorted(set(refs)))
    rows = [(ref.frame_id, ref.sensor, ref.modality, ref.stamp_ns, metrics) for ref, metrics in found if metrics is not None]
    area.write_table(metrics_name(built), metrics_rows(rows))


def quarantine_frames(
    store: ObjectStore, targets: DriveTargets, refs: Iterable[FrameRef], frames: Mapping[int, JudgedFrame]
) -> tuple[FrameReport, ...]:
    """Copy the messages of bad frames, byte for byte, under names that a retry overwrites; URIs by frame."""
    reports = []
    for ref in sorted({ref for ref in refs if frames[ref.frame_id].bad}):
        frame = frames[ref.frame_id]
        assert frame.raw is not None
        name = f"{ref.sensor}/{ref.stamp_ns:019d}-{ref.chunk_offset}-{ref.message_offset}.cdr"
        target = targets.quarantined_frame(name)
        store.put(target, frame.raw)
        reports.append(changed(frame.report(ref), payload_uri=target.uri))
    return tuple(reports)


def _by_scene(rows: Iterable[PlanRow]) -> list[list[PlanRow]]:
    return [list(of_scene) for _, of_scene in groupby(rows, key=lambda row: row.scene)]


def _report(made: MadeScene, rows: Sequence[PlanRow], frames: Mapping[int, JudgedFrame], payload_uri: str) -> SceneReport:
    """A scene in the report of its window; `payload_uri`: the file that holds it if it is quarantined."""
    scene, verdict, used = made.row, made.verdict, sound(rows, frames)
    return SceneReport(
        scene_id=scene["scene_id"],
        scene=rows[0].scene,
        anchor_ns=scene["anchor_ns"],
        quarantined=verdict.quarantined,
        complete=scene["complete"],
        missing=tuple(entry["sensor"] for entry in scene["missing"]),
        has_pose=scene["ego_pose"] is not None,
        uncompensated=tuple(sorted({frame["sensor"] for frame in scene["lidars"] if frame["reference_ns"] is None})),
        findings=verdict.findings,
        admitted=any(one.level in ("scene", "frame") for one in made.released),
        released=tuple(sorted({code for one in made.released if one.level == "scene" for code in one.rule_ids})),
        poses_used_ns=tuple(sorted((poses.first_ns, poses.last_ns) for poses in made.moved_by)),
        frame_ids=tuple(ref.frame_id for _, ref in used),
        residuals_ns={row.sensor: row.residual_ns for row, _ in used if row.sweep == 0},
        payload_uri=payload_uri if verdict.quarantined else None,
        digest=scene["scene_digest"],
    )


def _track(area: WorkArea, context: DriveContext, number: int) -> WindowPoses | None:
    policy = context.rig.policy
    if not policy.motion_compensation:
        return None
    return WindowPoses.of(area.read_table(f"plan/{number:05d}-poses.arrow"), policy.pose_bracket_ns)


class _SceneBuilder:
    """Builds the scenes of one window from the plan's rows and the frames that were fetched for them."""

    def __init__(
        self,
        context: DriveContext,
        day: int,
        frames: Mapping[int, JudgedFrame],
        track: WindowPoses | None,
        known: WindowFindings,
        decisions: WindowDecisions,
    ) -> None:
        self._context, self._frames, self._track = context, frames, track
        self._known, self._decisions = known, decisions
        self._not_evaluated = not_evaluated(context.rig, context.options)
        self._sensors = {sensor.name: sensor for sensor in context.rig.sensors}
        self._placed: dict[tuple[int, int], tuple[Placed, str]] = {}
        self._images: dict[int, str] = {}
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
                *self._known.scenes.get(anchor.scene, ()),
            ),
            rules=context.rules,
        )
        verdict, released = self._decisions.scene(
            verdict, anchor.anchor_ns, context.rig.reference, [ref for _, ref in used], keys
        )
        scene = {
            **self._facts(anchor, verdict, keys),
            **lists,
            "complete": not missing,
            "missing": [{"sensor": sensor, "reason": reason} for sensor, reason in sorted(missing.items())],
            "sources": [self._source(key) for key in sorted(keys)],
            "released": [structs.asdict(one) for one in released],
        }
        scene["scene_digest"] = scene_digest(scene)
        return MadeScene(scene, verdict, released, frozenset(moved_by))

    def _facts(self, anchor: PlanRow, verdict: SceneVerdict, keys: Collection[str]) -> dict[str, Any]:
        """Columns of a scene that need none of its frames; `keys`: of all objects that it is made of."""
        context, drive = self._context, self._context.targets.drive
        return {
            "scene_id": str(SceneKey(drive, anchor.anchor_ns)),
            "vehicle_id": drive.vehicle_id,
            "drive_id": drive.drive_id,
            "revision": context.targets.revision,
            "day": self._day,
            "anchor_sensor": context.rig.reference,
            "anchor_ns": anchor.anchor_ns,
            "ego_pose": anchor.pose,
            "quality_flags": sorted({*verdict.flags, *self._not_evaluated, *context.flags.of_keys(keys)}),
            "calibration": context.calibration,
            "code_version": context.provenance.code_version,
            "config_hash": context.provenance.config_hash,
        }

    def _source(self, key: str) -> dict[str, str]:
        version_id, sha256 = self._context.sources[key]
        return {"key": key, "version_id": version_id, "sha256": sha256}

    def _missing(self, rows: Sequence[PlanRow]) -> dict[str, str]:
        """Sensor to the reason why its matched or expected frame is not in the scene."""
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
            return element | {"payload_sha256": self._image_sha256(ref.frame_id, element.get("image"))}, None
        # An earlier sweep stays at its own time; `ego_pose` allows moving it as a whole.
        reference_ns = row.anchor_ns if row.sweep == 0 else ref.stamp_ns
        placed, sha256 = self._place(row.sensor, ref.frame_id, frame.cloud, reference_ns)
        points = {
            "points": placed.points,
            "point_layout": self._context.options.point_layout.value,
            "reference_ns": placed.reference_ns,
            "payload_sha256": sha256,
        }
        return element | points, placed

    def _image_sha256(self, frame_id: int, image: memoryview | None) -> str | None:
        """Scenes that share an image share its digest."""
        if image is None:
            return None
        if frame_id not in self._images:
            self._images[frame_id] = payload_sha256(image)
        return self._images[frame_id]

    def _place(self, name: str, frame_id: int, cloud: PointCloud, reference_ns: int) -> tuple[Placed, str]:
        """The frame's points as they are stored, and their digest; scenes that share a frame at one time share both."""
        sensor = self._sensors[name]
        moves = sensor.modality is Modality.LIDAR
        key = (frame_id, reference_ns if moves else 0)
        if key not in self._placed:
            placed = place(cloud, sensor, reference_ns, self._track) if moves else Placed(cloud.data, None, None)
            if self._context.options.point_layout is PointLayout.PLANES:
                placed = replace(placed, points=to_planes(placed.points, cloud.point_step).data)
            self._placed[key] = placed, payload_sha256(placed.points)
        return self._placed[key]


def _write(
    store: ObjectStore, target: ObjectVersion, scenes: Sequence[Mapping[str, Any]], options: BuildOptions
) -> DataFile | None:
    if not scenes:
        return None
    pieces = scene_pieces(scenes, compress_points=options.point_layout is PointLayout.PLANES)
    sha256 = sha256_of(pieces)
    return DataFile(target.uri, len(scenes), store.write(target, pieces, sha256), sha256)
