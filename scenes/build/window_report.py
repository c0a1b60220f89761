"""What the build of a window tells the audit: every scene with its frames and findings, and where bad frames are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lake.storage import ObjectStore, ObjectVersion
from quality.evaluators.scene import SceneVerdict
from scenes.build.frames import Frame, sound
from scenes.build.motion import PosesUsed
from scenes.plan.plan_rows import FrameRef, PlanRow


@dataclass(frozen=True, slots=True)
class MadeScene:
    """A row of `lake.tables.schemas.SCENES`, what the scene rules say of it, and the pose samples that moved its points."""

    row: dict[str, Any]
    verdict: SceneVerdict
    moved_by: frozenset[PosesUsed]


def account(made: MadeScene, rows: Sequence[PlanRow], frames: Mapping[int, Frame]) -> dict[str, Any]:
    """A scene in the report of its window: what it is made of, and what was said of it."""
    scene, verdict, used = made.row, made.verdict, sound(rows, frames)
    return {
        "scene_id": scene["scene_id"],
        "scene": rows[0].scene,
        "anchor_ns": scene["anchor_ns"],
        "quarantined": verdict.quarantined,
        "complete": scene["complete"],
        "missing": [entry["sensor"] for entry in scene["missing"]],
        "has_pose": scene["ego_pose"] is not None,
        "uncompensated": sorted({frame["sensor"] for frame in scene["lidars"] if frame["reference_ns"] is None}),
        "findings": [found.to_dict() for found in verdict.findings],
        "let_in": any(one["level"] in ("scene", "frame") for one in scene["released"]),
        "released": sorted({code for one in scene["released"] if one["level"] == "scene" for code in one["rule_ids"]}),
        "poses_used_ns": sorted((poses.first_ns, poses.last_ns) for poses in made.moved_by),
        "frame_ids": [ref.frame_id for _, ref in used],
        "residuals_ns": {row.sensor: row.residual_ns for row, _ in used if row.sweep == 0},
    }


def keep_bad(
    store: ObjectStore, place: ObjectVersion, wanted: Iterable[FrameRef], frames: Mapping[int, Frame]
) -> list[dict[str, Any]]:
    """Copy what did not decode below `place`, byte for byte, under a name that a repetition writes again."""
    kept = []
    for frame in sorted({frame for frame in wanted if frames[frame.frame_id].bad}):
        found = frames[frame.frame_id]
        assert found.raw is not None
        name = f"{frame.sensor}/{frame.stamp_ns:019d}-{frame.chunk_offset}-{frame.message_offset}.cdr"
        target = ObjectVersion(place.bucket, f"{place.key}/{name}")
        store.put(target, found.raw)
        kept.append(
            {
                "frame_id": frame.frame_id,
                "sensor": frame.sensor,
                "stamp_ns": frame.stamp_ns,
                "key": frame.key,
                "offset": frame.chunk_offset,
                "message_offset": frame.message_offset,
                "payload_uri": target.uri,
                "findings": [problem.to_dict() for problem in found.findings],
            }
        )
    return kept
