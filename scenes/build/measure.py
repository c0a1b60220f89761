"""Measure a frame's payload while it is in hand, and put the metrics of a window's frames in its table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from quality.measurements.frame_metrics import FrameMetrics, metrics_rows
from scenes.plan.plan_rows import FrameRef
from scenes.work_area import WorkArea
from sensors.decode.images import ImageInfo, decode_luma, inspect_image, read_header, shrink_to
from sensors.decode.points import PointCloud
from sensors.measure.baseline import content_hash
from sensors.measure.cloud import measure_lidar, measure_radar
from sensors.measure.image import SCALE_PX, measure_image
from sensors.rig import Modality

if TYPE_CHECKING:
    from scenes.build.frames import Frame


def image_metrics(modality: Modality, data: memoryview) -> tuple[ImageInfo, FrameMetrics]:
    """Parse an image to its last byte and measure it; of a radar's image only the content.

    Raises:
        DecodeError: It does not decode.
    """
    if modality is not Modality.CAMERA:
        return inspect_image(data), FrameMetrics(content_hash(data), None)
    info = read_header(data)
    return info, FrameMetrics(content_hash(data), measure_image(decode_luma(data, shrink_to(info, SCALE_PX))))


def cloud_metrics(modality: Modality, cloud: PointCloud, xyz_m: npt.NDArray[np.float32]) -> FrameMetrics:
    """Measure a decoded cloud whose positions are `xyz_m` (N, 3)."""
    measured = measure_lidar(cloud, xyz_m) if modality is Modality.LIDAR else measure_radar(cloud)
    return FrameMetrics(content_hash(cloud.data), measured)


def metrics_name(built: str) -> str:
    """Where the metrics of the window lie whose report is `built`."""
    return f"{built.removesuffix('.json')}.arrow"


def leave_metrics(area: WorkArea, built: str, wanted: Iterable[FrameRef], frames: Mapping[int, Frame]) -> None:
    """Write the metrics of a window's frames beside its report; a frame that does not decode has none."""
    found = ((ref, frames[ref.frame_id].metrics) for ref in sorted(set(wanted)))
    rows = [(ref.frame_id, ref.sensor, ref.modality, ref.stamp_ns, metrics) for ref, metrics in found if metrics is not None]
    area.write_table(metrics_name(built), metrics_rows(rows))
