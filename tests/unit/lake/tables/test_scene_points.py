"""A cloud is restored from a row of gold in either layout of its bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lake.tables.rows import CloudFrame, row_of
from lake.tables.scene_reader import scene_cloud
from sensors.decode.planes import to_planes
from sensors.errors import DecodeError

POINTS = np.array([(1.5, -2.0, 3.25, 7), (4.0, 5.5, -6.0, 9)], dtype=[("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("ring", "<u2")])


def columns(layout: str | None = "rows", **more: Any) -> dict[str, Any]:
    data = POINTS.tobytes()
    fields = [{"name": name, "offset": 4 * at, "datatype": 7, "count": 1} for at, name in enumerate("xyz")]
    return {
        "sensor": "lidar_top",
        "stamp_ns": 17,
        "offset_ns": 0,
        "residual_ns": 0,
        "sweep": 0,
        "num_points": 2,
        "points": to_planes(data, 14).tobytes() if layout == "planes" else data,
        "point_layout": layout,
        "point_step": 14,
        "point_fields": [*fields, {"name": "ring", "offset": 12, "datatype": 4, "count": 1}],
        "is_bigendian": False,
        **more,
    }


def entry(layout: str | None = "rows", **more: Any) -> CloudFrame:
    return row_of(CloudFrame, columns(layout, **more))


@pytest.mark.parametrize("layout", ["rows", "planes", None])
def test_both_layouts_give_the_same_cloud(layout: str | None) -> None:
    cloud = scene_cloud(entry(layout))
    assert cloud is not None
    assert (cloud.stamp_ns, cloud.frame_id, cloud.num_points, cloud.names) == (17, "lidar_top", 2, ("x", "y", "z", "ring"))
    assert cloud.xyz_m().tolist() == [[1.5, -2.0, 3.25], [4.0, 5.5, -6.0]]
    assert cloud.column("ring").tolist() == [7, 9]
    assert bytes(cloud.data) == POINTS.tobytes()
    assert cloud.data.readonly


def test_a_row_without_the_layout_column_is_rows() -> None:
    old = columns()
    del old["point_layout"]
    cloud = scene_cloud(row_of(CloudFrame, old))
    assert cloud is not None
    assert cloud.column("ring").tolist() == [7, 9]


@pytest.mark.parametrize("layout", ["rows", "planes"])
def test_an_empty_cloud_is_a_cloud(layout: str) -> None:
    cloud = scene_cloud(entry(layout, num_points=0, points=b""))
    assert cloud is not None
    assert cloud.xyz_m().shape == (0, 3)


@pytest.mark.parametrize("without", [{"points": None}, {"num_points": None}])
def test_a_radar_image_is_not_a_cloud(without: dict[str, None]) -> None:
    assert scene_cloud(entry(**without)) is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layout": "columns"}, "point layout 'columns' is unknown, only rows and planes are read"),
        ({"num_points": 3}, "declares 3 points of 14 bytes, holds 28 bytes"),
        ({"point_fields": [{"name": "x", "offset": 0, "datatype": 9, "count": 1}]}, "field 'x': 9 is not a valid Datatype"),
        ({"point_fields": [{"name": "x", "offset": 11, "datatype": 7, "count": 1}]}, "'x' extends beyond a point of 14 bytes"),
        ({"point_fields": [{"name": "x", "offset": -1, "datatype": 7, "count": 1}]}, "'x' extends beyond a point of 14 bytes"),
        ({"point_fields": [{"name": "x", "offset": 0, "datatype": 7, "count": 2**31 - 1}]}, "'x' extends beyond a point"),
    ],
)
def test_a_row_that_contradicts_itself_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError, match=f"lidar_top: .*{message}"):
        scene_cloud(entry(**wrong))
