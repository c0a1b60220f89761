"""Digests of a drive as the jobs make them: the same however the work is cut, and those of what is stored."""

from __future__ import annotations

import hashlib

import pytest

from lake.digests import Intactness, check_scene, content_digest
from lake.drive_input import DriveInput
from scenes.options import BuildOptions, PointLayout
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import MS, T0, Landed, cloud, image, rig_document, sensor


def land(points: int = 4) -> tuple[Landed, DriveInput]:
    landed = Landed()
    stamps = [T0 + number * 100 * MS for number in range(6)]
    landed.land("top", "lidar", [(ns, cloud(ns, points=points)) for ns in stamps])
    landed.land("cam", "camera", [(ns + 50 * MS, image(ns + 50 * MS)) for ns in stamps[::2]])
    rig = rig_document(
        sensor("top", "lidar", required=True), sensor("cam", "camera", rate_hz=5, tolerance_ns=60 * MS), frame_use="shared"
    )
    return landed, landed.finish(rig, T0 + 600 * MS)


def built(landed: Landed, drive_input: DriveInput, window_bytes: int, options: BuildOptions | None = None) -> str:
    chosen = options or BuildOptions()
    serial_jobs.inspect(landed, drive_input, chosen)
    serial_jobs.build(landed, drive_input, window_bytes, chosen)
    return serial_jobs.outcome(landed, drive_input).content_digest


def test_windows_attempts_and_order_of_work_do_not_matter() -> None:
    landed, drive_input = land()
    first = built(landed, drive_input, 1)
    assert len(serial_jobs.window_reports(landed)) > 1
    assert built(landed, drive_input, 10**9) == first
    assert len(serial_jobs.window_reports(landed)) == 1
    again, its_input = land()
    assert built(again, its_input, 10**9) == first


def test_other_content_has_another_digest() -> None:
    first, second = (built(*land(points), 10**9) for points in (4, 5))
    assert first != second


@pytest.mark.parametrize("layout", list(PointLayout))
def test_what_is_stored_is_what_the_digests_say(layout: PointLayout) -> None:
    landed, drive_input = land()
    built(landed, drive_input, 10**9, BuildOptions(point_layout=layout))
    scenes = serial_jobs.scenes(landed)
    assert len(scenes) == 6
    assert {check_scene(scene).verdict for scene in scenes} == {Intactness.VERIFIED}
    assert all(frame["payload_sha256"] for scene in scenes for frame in (*scene["lidars"], *scene["cameras"]))
    stated = content_digest((scene["anchor_ns"], scene["scene_digest"]) for scene in scenes)
    assert stated == serial_jobs.outcome(landed, drive_input).content_digest


def test_the_audit_names_the_digest_of_every_file() -> None:
    landed, drive_input = land()
    built(landed, drive_input, 1)
    document = serial_jobs.audit(landed, drive_input)
    files = [uri for uris in document.files.values() for uri in uris]
    assert set(document.sha256) == set(files)
    assert {uri: hashlib.sha256(landed.s3.body(uri)).hexdigest() for uri in files} == document.sha256
    assert document.content_digest == serial_jobs.outcome(landed, drive_input).content_digest
