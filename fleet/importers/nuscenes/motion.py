"""The ego poses of a nuScenes scene: one row for each measurement, at that measurement's time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fleet.errors import SourceError
from fleet.importers.import_findings import ImportFindings
from fleet.importers.nuscenes.shots import Channel
from fleet.importers.nuscenes.tables import DatasetLayout, Row, keyed_rows
from fleet.importers.source import MICROSECONDS, RowFaults, finite, rigid
from sensors.geometry import SE3

SAME_M, SAME_RAD = 1e-6, 1e-6


@dataclass(frozen=True, slots=True)
class EgoPose:
    """The vehicle's pose in the map's frame."""

    stamp_ns: int
    map_SE3_ego: SE3


def read_poses(layout: DatasetLayout, channels: Sequence[Channel], faults: RowFaults, findings: ImportFindings) -> list[EgoPose]:
    """The poses of all shots, by stamp, one for each stamp. Of several with one stamp that of the first channel counts.

    Rows that a shot needs and that are not a pose are noted in `faults`.
    """
    tokens = {shot.pose for channel in channels for shot in channel.rows}
    table = layout.table("ego_pose")
    rows: dict[str, EgoPose] = {}
    for token, row in keyed_rows(table, "token", faults):
        if token in tokens:
            place = f"{table}: row {token[:64]}"
            stamp_ns = faults.time_ns(row.get("timestamp"), f"{place}: timestamp", MICROSECONDS)
            pose = faults.attempt(_pose, row, place)
            if stamp_ns is not None and pose is not None:
                rows[token] = EgoPose(stamp_ns, pose)
    if absent := len(tokens - set(rows)):
        words = f"ego_pose: {absent} of {len(tokens)} poses that shots name are not in the table"
        findings.lose("pose" if rows else None, absent, words)
    findings += _other_times(rows, channels)
    in_order = dict.fromkeys(shot.pose for channel in channels for shot in channel.rows if shot.pose in rows)
    return one_for_each_stamp([rows[token] for token in in_order], findings)


def one_for_each_stamp(poses: Iterable[EgoPose], findings: list[str]) -> list[EgoPose]:
    """Drop poses that repeat a stamp; different poses with one stamp are a finding."""
    kept: dict[int, EgoPose] = {}
    apart_m: list[float] = []
    for pose in poses:
        first = kept.setdefault(pose.stamp_ns, pose)
        turned = 2 * math.acos(min(1.0, abs(float(first.map_SE3_ego.wxyz @ pose.map_SE3_ego.wxyz))))
        distance_m = float(np.linalg.norm(first.map_SE3_ego.translation_m - pose.map_SE3_ego.translation_m))
        if distance_m > SAME_M or turned > SAME_RAD:
            apart_m.append(distance_m)
    if apart_m:
        findings.append(
            f"ego_pose: {len(apart_m)} poses differ from another with the same stamp, by up to {max(apart_m):.2f} m; "
            "the reference sensor's is kept"
        )
    return [kept[stamp_ns] for stamp_ns in sorted(kept)]


def describe(poses: Sequence[EgoPose]) -> list[str]:
    """A finding that describes the poses."""
    if not poses:
        return ["pose: the source has none"]
    up_m = [abs(float(pose.map_SE3_ego.translation_m[2])) for pose in poses]
    tilt_deg = max(math.degrees(math.acos(min(1.0, float(pose.map_SE3_ego.rotation[2, 2])))) for pose in poses)
    height = "z is 0 in all of them: the map is flat" if max(up_m) == 0 else f"z reaches {max(up_m):.2f} m"
    return [
        f"pose: {len(poses)} ego poses in the map's frame, one for each stamp; {height}; the z axis tilts {tilt_deg:.2f}° at most"
    ]


def _pose(row: Row, where: str) -> SE3:
    try:
        return transform(row)
    except ValueError as error:
        raise SourceError(f"{where} is not a pose: {error}") from error


def transform(row: Row) -> SE3:
    """The transform of a row's `translation` (metres) and `rotation` (w x y z).

    Raises:
        ValueError: They are not a transform; names the member.

    """
    return rigid(_numbers(row, "translation", 3), _numbers(row, "rotation", 4))


def _numbers(row: Row, key: str, count: int) -> list[float]:
    values = row.get(key)
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"{key} is {str(values)[:80]!r} instead of {count} numbers")
    try:
        return [finite(value) for value in values]
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _other_times(rows: Mapping[str, EgoPose], channels: Sequence[Channel]) -> list[str]:
    pairs = [(shot.stamp_ns, rows[shot.pose].stamp_ns) for channel in channels for shot in channel.rows if shot.pose in rows]
    apart_ns = [abs(shot_ns - pose_ns) for shot_ns, pose_ns in pairs if shot_ns != pose_ns]
    if not apart_ns:
        return []
    return [
        f"ego_pose: {len(apart_ns)} of {len(pairs)} shots have a pose with another stamp than theirs, up to "
        f"{max(apart_ns) / 1e6:.1f} ms away; poses are imported at their own stamps"
    ]
