"""Scenes as Arrow and as a file: payload becomes ordinary values of any length."""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.parquet.footer import page_header_end
from lake.tables.schemas import SCENES
from scenes.build.scene_file import scene_pieces
from scenes.build.scene_table import scene_table

POSE = (1.0, 2.0, 3.0, 1.0, 0.0, 0.0, 0.0)
MATCH = {"stamp_ns": 7, "offset_ns": -1, "residual_ns": 2, "sweep": 0, "ego_pose": None}


def scene(number: int, **lists: Any) -> dict[str, Any]:
    row = {"scene_id": f"car.d.{number}", "vehicle_id": "car", "drive_id": "d", "revision": "r"}
    row |= {"day": datetime.date(2024, 1, 2), "anchor_sensor": "top", "anchor_ns": number, "ego_pose": POSE, "complete": True}
    row |= {"missing": [{"sensor": "cam", "reason": "no_frames"}], "quality_flags": ["SYN003"], "calibration": "{}"}
    row |= {"lidars": [], "cameras": [], "radars": [], "sources": [], "code_version": "c", "config_hash": "h", "released": []}
    return row | lists


def made(scenes: list[dict[str, Any]], *, compress_points: bool = True) -> bytes:
    return b"".join(scene_pieces(scenes, compress_points=compress_points))


def as_given(_leaf: str, values: Sequence[bytes | None]) -> pa.Array:
    return pa.array(values, pa.binary())


def test_a_table_has_the_columns_of_gold_and_what_an_element_leaves_out_is_null() -> None:
    image = {"sensor": "cam", **MATCH, "width_px": 4, "height_px": 3, "encoding": "jpeg", "image": b"J" * 50}
    field = {"name": "x", "offset": 0, "datatype": 7, "count": 1}
    points = {"num_points": 2, "points": b"12345678", "point_layout": "rows", "point_step": 4, "point_fields": [field]}
    lidar = {"sensor": "top", **MATCH, "ego_pose": POSE, **points, "is_bigendian": False, "reference_ns": 9}
    radars = [{"sensor": "radar", **MATCH, **points}, {"sensor": "imaging", **MATCH, "encoding": "png", "image": b""}]
    table = scene_table([scene(1, cameras=[image, image]), scene(2, lidars=[lidar], radars=radars, ego_pose=None)], as_given)
    assert table.column_names == SCENES.names
    first, second = pq.read_table(
        io.BytesIO(made([scene(1, cameras=[image]), scene(2, lidars=[lidar], radars=radars)]))
    ).to_pylist()
    assert first["cameras"] == [image | {"payload_sha256": None}]
    assert first["ego_pose"] == dict(zip(("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz"), POSE, strict=True))
    (found,) = second["lidars"]
    assert (found["points"], found["reference_ns"], found["invalid_points"]) == (b"12345678", 9, None)
    assert found["ego_pose"]["z_m"] == 3.0
    assert [(radar["points"], radar["image"]) for radar in second["radars"]] == [(b"12345678", None), (None, b"")]
    assert table["ego_pose"].to_pylist()[1] is None


SIZES = st.lists(st.integers(0, 3000), min_size=1, max_size=12)


@given(SIZES, st.booleans())
def test_a_file_reads_back_as_gold_in_small_groups(sizes: list[int], compress: bool) -> None:
    scenes = [
        scene(number, lidars=[{"sensor": "top", **MATCH, "points": bytes([number]) * size, "num_points": size}])
        for number, size in enumerate(sizes)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scenes.build.scene_file.ROW_GROUP_BYTES", 4000)
        body = made(scenes, compress_points=compress)
    file = pq.ParquetFile(io.BytesIO(body))
    assert file.schema_arrow.equals(SCENES)
    rows = file.read().to_pylist()
    assert [row["lidars"][0]["points"] for row in rows] == [bytes([number]) * size for number, size in enumerate(sizes)]
    groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    at = 0
    for rows_in_group in groups:
        assert rows_in_group == 1 or sum(sizes[at : at + rows_in_group]) + 2 * rows_in_group <= 4000
        at += rows_in_group
    assert at == len(scenes)
    assert body == made(scenes, compress_points=compress) or len(groups) > 1, "equal scenes, equal bytes"


def test_a_flipped_bit_of_any_page_is_found() -> None:
    """Dictionary pages of payload are ours, all other pages the library's."""
    lidars = [{"sensor": "top", **MATCH, "points": bytes(range(256)) * 8, "num_points": 1}]
    cameras = [{"sensor": "cam", **MATCH, "encoding": "jpeg", "image": bytes(range(255, -1, -1)) * 8}]
    body = made([scene(number, lidars=lidars, cameras=cameras) for number in range(3)])
    group = pq.read_metadata(io.BytesIO(body)).row_group(0)
    pages = 0
    for position in range(group.num_columns):
        column = group.column(position)
        for start in {column.dictionary_page_offset, column.data_page_offset} - {None}:
            damaged = bytearray(body)
            damaged[page_header_end(memoryview(body), start)] ^= 1  # the page's first byte, or of the next header
            with pytest.raises(OSError, match=r"CRC|page header"):
                pq.read_table(io.BytesIO(damaged), page_checksum_verification=True)
            pages += 1
    assert pages > group.num_columns
    pq.read_table(io.BytesIO(body), page_checksum_verification=True)
