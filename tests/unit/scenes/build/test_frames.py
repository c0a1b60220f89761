"""Decoding frames: payload unchanged, and damage as a finding."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.encode import encode_image
from quality.rules.catalogue import Severity
from scenes.build.frames import FrameMemory, JudgedFrame, decode_frame
from scenes.options import PayloadChecks
from scenes.plan.window_table import FrameRef
from sensors.decode.messages import IMAGE, POINT_CLOUD
from tests.unit.scenes.job_builders import T0, cloud, image, jpeg


def ref(modality: str, message_type: str = POINT_CLOUD) -> FrameRef:
    return FrameRef(0, "s", modality, T0, message_type, "key", 0, 0, "", 0, 0, 0)


def decode(frame: FrameRef, cdr: bytes, checks: PayloadChecks = PayloadChecks.FULL) -> JudgedFrame:
    return decode_frame(frame, memoryview(cdr), checks)


def test_points_keep_their_bytes_and_are_counted() -> None:
    cdr = cloud(T0, points=4, not_finite=1)
    frame = decode(ref("lidar"), cdr)
    assert not frame.bad
    assert [found.rule_id for found in frame.findings] == ["LID002"]
    columns = dict(frame.columns)
    points = columns.pop("points")
    assert bytes(points) in cdr
    assert points.obj is cdr, "a view, no copy"
    names = [entry["name"] for entry in columns.pop("point_fields")]
    assert names == ["x", "y", "z", "intensity"]
    layout = {"point_layout": "rows"}
    assert columns == {"num_points": 4, "point_step": 13, "is_bigendian": False, "invalid_points": 1} | layout


def test_an_image_keeps_its_bytes() -> None:
    frame = decode(ref("camera", IMAGE), image(T0))
    assert (frame.bad, frame.findings) == (False, ())
    assert frame.columns == {"width_px": 24, "height_px": 16, "encoding": "jpeg", "image": jpeg(T0 // 1_000_000)}


@pytest.mark.parametrize("checks", PayloadChecks)
def test_an_image_of_another_size_than_the_intrinsics_are_for_is_bad(checks: PayloadChecks) -> None:
    cdr = memoryview(image(T0))
    frame = decode_frame(ref("camera", IMAGE), cdr, checks, size_px=(48, 32))
    assert frame.bad
    (found,) = [one for one in frame.findings if one.rule_id == "CAM012"]
    assert (found.measured, found.message) == (1, "s: the image is 24 x 16 px, the intrinsics are for 48 x 32")
    assert not decode_frame(ref("camera", IMAGE), cdr, checks, size_px=(24, 16)).bad


def test_a_radar_frame_may_be_points_or_an_image() -> None:
    assert decode(ref("radar"), cloud(T0)).columns["num_points"] == 12
    assert decode(ref("radar", IMAGE), image(T0)).columns["encoding"] == "jpeg"


def test_structure_checks_say_what_they_leave_out_and_still_find_what_a_header_shows() -> None:
    structure = PayloadChecks.STRUCTURE
    good = decode(ref("lidar"), cloud(T0, points=4, not_finite=4), structure)
    assert not good.bad
    assert "invalid_points" not in good.columns
    assert [(found.rule_id, found.measured, found.severity) for found in good.findings] == [
        ("LID001", None, Severity.WARNING),
        ("LID002", None, Severity.WARNING),
        ("LID009", None, Severity.WARNING),
    ]
    cut = decode(ref("camera", IMAGE), image(T0, cut=True), structure)
    assert not cut.bad
    assert [found.rule_id for found in cut.findings] == ["DEC005"]
    assert decode(ref("lidar"), cloud(T0)[:-20], structure).bad
    assert decode(ref("camera", IMAGE), encode_image(T0, "cam", "png", jpeg()), structure).bad
    assert decode(ref("radar"), cloud(T0, points=0), structure).findings == ()


@pytest.mark.parametrize(
    ("modality", "message_type", "cdr", "rule_id"),
    [
        ("camera", IMAGE, image(T0, cut=True), "DEC005"),
        ("camera", IMAGE, image(T0)[:-200], "DEC005"),
        ("camera", IMAGE, encode_image(T0, "cam", "png", jpeg()), "DEC005"),
        ("camera", IMAGE, b"", "DEC005"),
        ("lidar", POINT_CLOUD, cloud(T0)[:-20], "DEC006"),
        ("lidar", POINT_CLOUD, b"\x00\x01\x00\x00", "DEC006"),
        ("lidar", POINT_CLOUD, cloud(T0, points=0), "LID001"),
        ("lidar", POINT_CLOUD, cloud(T0, points=4, not_finite=3), "LID001"),
    ],
)
def test_a_damaged_frame_is_bad_by_name_and_keeps_its_bytes(modality: str, message_type: str, cdr: bytes, rule_id: str) -> None:
    frame = decode(ref(modality, message_type), cdr)
    assert frame.bad
    assert frame.findings[0].rule_id == rule_id
    assert frame.raw == cdr


def test_an_empty_cloud_with_an_absurd_point_size_does_not_end_the_job() -> None:
    cdr = bytearray(cloud(T0, points=0))
    at = cdr.index(struct.pack("<II", 13, 0))  # point_step, row_step
    cdr[at : at + 4] = struct.pack("<I", 2**32 - 1)
    frame = decode(ref("radar"), bytes(cdr))
    assert [found.rule_id for found in frame.findings] == ["DEC006"]
    assert "a point takes 4294967295 bytes" in frame.findings[0].message


@given(st.binary(max_size=300), st.sampled_from(("lidar", "radar", "camera")))
def test_no_bytes_whatever_end_the_job(cdr: bytes, modality: str) -> None:
    for message_type in (POINT_CLOUD, IMAGE):
        decode(ref(modality, message_type), cdr)


def test_frames_of_a_window_share_how_their_points_are_described() -> None:
    memory, structure = FrameMemory(), PayloadChecks.STRUCTURE
    first, second = (decode_frame(ref("lidar"), memoryview(cloud(T0 + n)), structure, memory=memory) for n in (0, 1))
    assert second.columns["point_fields"] is first.columns["point_fields"]
    alone = decode_frame(ref("lidar"), memoryview(cloud(T0)), structure)
    assert alone.columns["point_fields"] == first.columns["point_fields"]
    assert alone.columns["point_fields"] is not first.columns["point_fields"], "no window knows of another"
