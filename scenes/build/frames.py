"""Decode, measure and judge one frame; its payload is left unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from quality.evaluators.frame import evaluate_points, evaluate_size, undecodable
from quality.evaluators.signal import evaluate_alone
from quality.measurements.frame_metrics import FrameMetrics
from quality.rules.catalogue import Severity
from quality.rules.findings import Finding, finding, has_errors
from quality.rules.rulebook import DEFAULT_RULES, RuleBook
from scenes.documents import FrameReport
from scenes.options import PayloadChecks
from scenes.plan.window_table import FrameRef, PlanRow
from sensors.decode.images import ImageInfo, decode_whole, read_header
from sensors.decode.messages import IMAGE, MessageMemory, decode_image, decode_points
from sensors.decode.points import PointCloud, PointField, without_position
from sensors.errors import DecodeError, SensorDataError
from sensors.measure.baseline import content_hash
from sensors.measure.cloud import LidarMetrics, measure_lidar, measure_radar
from sensors.measure.image import SCALE_PX, measure_image
from sensors.rig import Modality

MAX_POINT_BYTES = 2**31 - 1  # int32 in `lake.tables.schemas`; a cloud without points may claim any size for one


@dataclass(frozen=True, slots=True)
class JudgedFrame:
    """A frame's columns as in `lake.tables.schemas`, and its findings; payload columns are views of the fetched bytes.

    `cloud`: the decoded message of a point frame. `raw`: the unchanged message of a bad frame. `metrics`: of its payload;
    None where it does not decode, or was not requested.
    """

    columns: Mapping[str, Any]
    findings: tuple[Finding, ...]
    cloud: PointCloud | None = None
    raw: memoryview | None = None
    metrics: FrameMetrics | None = None

    @property
    def bad(self) -> bool:
        """Whether the frame is quarantined, and therefore in no scene."""
        return self.raw is not None

    def report(self, ref: FrameRef) -> FrameReport:
        """The frame in the report of its window; `ref` says where it is."""
        return FrameReport(
            frame_id=ref.frame_id,
            sensor=ref.sensor,
            stamp_ns=ref.stamp_ns,
            key=ref.key,
            offset=ref.chunk_offset,
            message_offset=ref.message_offset,
            findings=self.findings,
        )


class FrameMemory:
    """Parts that the frames of one window repeat: parsed parts of messages, and each sensor's point fields as in gold."""

    def __init__(self) -> None:
        self.messages = MessageMemory()
        self._described: dict[str, tuple[tuple[PointField, ...], list[dict[str, Any]]]] = {}

    def described(self, sensor: str, fields: tuple[PointField, ...]) -> list[dict[str, Any]]:
        """The column `point_fields`; the same object while the sensor's clouds have the same `fields`."""
        known = self._described.get(sensor)
        if known is None or known[0] is not fields:
            columns = [
                {"name": one.name, "offset": one.offset, "datatype": int(one.datatype), "count": one.count} for one in fields
            ]
            known = self._described[sensor] = (fields, columns)
        return known[1]


def sound(rows: Iterable[PlanRow], frames: Mapping[int, JudgedFrame]) -> list[tuple[PlanRow, FrameRef]]:
    """The rows of a plan whose frame may be in a scene, each with its frame; `frames` by id."""
    return [(row, row.frame) for row in rows if row.frame is not None and not frames[row.frame.frame_id].bad]


def decode_frame(
    frame: FrameRef,
    cdr: memoryview,
    checks: PayloadChecks,
    rules: RuleBook = DEFAULT_RULES,
    known: tuple[Finding, ...] = (),
    memory: FrameMemory | None = None,
    size_px: tuple[int, int] | None = None,
) -> JudgedFrame:
    """Decode one frame and judge it by the drive's `rules`.

    `known`: its findings from other sources. `memory`: that of the frames decoded before it. `size_px`: width and height that an
    image must have; None: any.
    """
    memory = memory or FrameMemory()
    is_image = frame.message_type == IMAGE
    try:
        found = _image(frame, cdr, checks, rules, memory, size_px) if is_image else _points(frame, cdr, checks, rules, memory)
    except SensorDataError as error:
        problem = undecodable(frame.sensor, "image" if is_image else "points", f"{error} (stamp {frame.stamp_ns} ns)")
        return JudgedFrame({}, (problem,), raw=cdr)
    if known:
        found = replace(found, findings=(*found.findings, *known))
    return replace(found, raw=cdr) if has_errors(found.findings) else found


def _image(
    frame: FrameRef,
    cdr: memoryview,
    checks: PayloadChecks,
    rules: RuleBook,
    memory: FrameMemory,
    size_px: tuple[int, int] | None,
) -> JudgedFrame:
    image = decode_image(cdr, memory.messages)
    metrics = None
    if checks is PayloadChecks.FULL:
        info, metrics = image_metrics(Modality(frame.modality), image.data)
    else:
        info = read_header(image.data)
    if info.encoding != image.encoding:
        raise DecodeError(f"message says {image.encoding}, the bytes are {info.encoding}")
    columns = {"width_px": info.width_px, "height_px": info.height_px, "encoding": info.encoding, "image": image.data}
    found = evaluate_size(frame.sensor, (info.width_px, info.height_px), size_px, rules)
    if metrics is None:
        return JudgedFrame(columns, (*_not_evaluated(frame.sensor, ("DEC005",)), *found))
    return JudgedFrame(columns, (*evaluate_alone(frame.sensor, metrics.measured, rules), *found), metrics=metrics)


def _points(frame: FrameRef, cdr: memoryview, checks: PayloadChecks, rules: RuleBook, memory: FrameMemory) -> JudgedFrame:
    cloud = decode_points(cdr, memory.messages)
    if cloud.point_step > MAX_POINT_BYTES:
        raise DecodeError(f"a point takes {cloud.point_step} bytes, the limit is {MAX_POINT_BYTES}")
    columns = {
        "num_points": cloud.num_points,
        "points": cloud.data,
        "point_layout": "rows",
        "point_step": cloud.point_step,
        "point_fields": memory.described(frame.sensor, cloud.fields),
        "is_bigendian": cloud.is_bigendian,
    }
    if missing := [name for name in ("x", "y", "z") if name not in cloud.names]:
        raise DecodeError(f"the cloud has no {', '.join(missing)}, only {', '.join(cloud.names) or 'no field at all'}")
    modality = Modality(frame.modality)
    if checks is PayloadChecks.STRUCTURE:
        left_out = ("LID001", "LID002", "LID009") if modality is Modality.LIDAR else ()
        return JudgedFrame(columns, _not_evaluated(frame.sensor, left_out), cloud)
    xyz_m = cloud.xyz_m()
    metrics = cloud_metrics(modality, cloud, xyz_m)
    if isinstance(metrics.measured, LidarMetrics):
        not_finite, no_return = metrics.measured.not_finite, metrics.measured.no_return
    else:
        not_finite = int(np.count_nonzero(~np.isfinite(xyz_m).all(axis=1)))
        no_return = int(np.count_nonzero(without_position(xyz_m))) - not_finite
    columns["invalid_points"] = not_finite + no_return
    found = evaluate_points(frame.sensor, modality, cloud.num_points, not_finite, rules)
    return JudgedFrame(columns, (*found, *evaluate_alone(frame.sensor, metrics.measured, rules)), cloud, metrics=metrics)


def image_metrics(modality: Modality, data: memoryview) -> tuple[ImageInfo, FrameMetrics]:
    """Decode an image once and measure it; for a radar's image only the content hash is taken.

    Raises:
        DecodeError: It does not decode.
    """
    decoded = decode_whole(data, SCALE_PX)
    measured = measure_image(decoded.pixels, stretched=decoded.stretched) if modality is Modality.CAMERA else None
    return decoded.info, FrameMetrics(content_hash(decoded.samples), measured)


def cloud_metrics(modality: Modality, cloud: PointCloud, xyz_m: npt.NDArray[np.float32]) -> FrameMetrics:
    """Measure a decoded cloud whose positions are `xyz_m` (N, 3)."""
    measured = measure_lidar(cloud, xyz_m) if modality is Modality.LIDAR else measure_radar(cloud)
    return FrameMetrics(content_hash(cloud.timeless()), measured)


@cache
def _not_evaluated(sensor: str, codes: tuple[str, ...]) -> tuple[Finding, ...]:
    reason = f"{sensor}: not evaluated, the payload checks are {PayloadChecks.STRUCTURE}"
    return tuple(finding(code, reason, sensor=sensor, severity=Severity.WARNING) for code in codes)
