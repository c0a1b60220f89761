"""What the objects of a drive may make of their bytes: by what is declared, bounded over the drive; small bombs end quickly."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from lake.documents import Manifest, ManifestObject
from lake.landing import DriveId, SensorKey
from scenes.scan.allowances import (
    DRIVE_FRAMES,
    DRIVE_RAW_BYTES,
    FRAME_RAW_BYTES,
    SAMPLE_RAW_BYTES,
    SPARE_FRAMES,
    SPARE_RAW_BYTES,
    UNDECLARED,
    UNDECLARED_RAW_BYTES,
    allowances,
)
from scenes.scan.object_scan import scan_object
from sensors.container.allowance import Allowance
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import DRIVE, MS, T0, Landed, cloud, recording, rig_document, sensor
from tests.unit.sensors.container.bombs import many_messages, zeros

KEY = SensorKey(DriveId("car-1", "d-1"), "camera", "cam", 1_700_000_000_000_000_000)


def manifest(*frames: int, modality: str = "lidar") -> Manifest:
    entries = tuple(
        ManifestObject(str(SensorKey(DRIVE, modality, "s", at)), 1, "0" * 64, modality, "s", at, at, count)
        for at, count in enumerate(frames)
    )
    return Manifest(DRIVE, "rig-1", 0, 1, "r", "1", "0" * 64, entries)


def of(found: Manifest) -> list[Allowance]:
    keys = [entry.key for entry in found.objects]
    allowed = allowances(found, keys)
    return [allowed[key] for key in keys]


def test_an_object_may_hold_what_its_entry_declares_and_some_more() -> None:
    assert of(manifest(100, 0)) == [
        Allowance(200 + SPARE_FRAMES, 100 * FRAME_RAW_BYTES + SPARE_RAW_BYTES),
        Allowance(SPARE_FRAMES, SPARE_RAW_BYTES),
    ]
    assert of(manifest(100, modality="imu")) == [Allowance(200 + SPARE_FRAMES, 100 * SAMPLE_RAW_BYTES + SPARE_RAW_BYTES)]


@pytest.mark.parametrize("count", [1, 3, 1000])
def test_a_manifest_cannot_declare_more_for_a_drive_than_a_drive_may_take(count: int) -> None:
    found = of(manifest(*[100_000_000] * count))
    assert sum(one.messages - SPARE_FRAMES for one in found) <= DRIVE_FRAMES
    assert sum(one.raw_bytes - SPARE_RAW_BYTES for one in found) <= DRIVE_RAW_BYTES
    assert min(one.messages for one in found) > SPARE_FRAMES


def test_a_long_drive_has_room_for_all_that_it_declares() -> None:
    """Four hours of 15 lidars and cameras at 10 Hz, and of an IMU and poses at 625 Hz together."""
    lidars, samples = manifest(*[600] * 3600), manifest(*[37_500] * 240, modality="imu")
    assert all(one.messages >= 600 for one in of(lidars))
    assert all(one.raw_bytes >= 600 * 500_000 for one in of(lidars))
    assert all(one.messages >= 37_500 for one in of(samples))


def test_objects_that_nothing_declares_share_a_smaller_allowance() -> None:
    keys = [str(SensorKey(DRIVE, "lidar", "s", at)) for at in range(4096)]
    assert set(allowances(None, keys[:4]).values()) == {UNDECLARED}
    assert sum(one.raw_bytes for one in allowances(None, keys).values()) <= UNDECLARED_RAW_BYTES
    named = allowances(manifest(1), keys[:2])
    assert [named[key] == UNDECLARED for key in keys[:2]] == [False, True]


BOMBS = {"messages": many_messages, "zeros": zeros, "strange records": lambda: zeros(in_messages=False)}
PROBE = """
import io, re, sys
from scenes.scan.object_scan import scan_object
from tests.unit.scenes.scan.test_allowances import KEY
body = sys.stdin.buffer.read()
def peak_kb():  # not ru_maxrss: across exec it keeps the peak of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak_kb()
found = scan_object(io.BytesIO(body), KEY)
assert found.size_bytes == len(body)
print(len(found.frames), len(found.faults), (peak_kb() - before) // 1024)
"""


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_object_makes_no_scan_large(kind: str) -> None:
    body = BOMBS[kind]()
    assert len(body) < 400 * 1024
    done = subprocess.run([sys.executable, "-c", PROBE], input=body, capture_output=True, check=True)
    frames, faults, more_mb = (int(value) for value in done.stdout.split())
    assert 1 <= faults <= 2
    assert frames <= SPARE_FRAMES + len(body) // 4
    assert more_mb < 600, "one chunk, decompressed"


@pytest.mark.parametrize("zero_points", [0.97, 1.0])
def test_clouds_of_zeros_are_read_whole(zero_points: float) -> None:
    """A lidar that is dead for the whole drive compresses ten thousandfold; its own rules are to say so."""
    dead = cloud(T0, points=60_000)
    payload = bytearray(dead)
    live = round(60_000 * 13 * (1 - zero_points))
    payload[-60_000 * 13 + live :] = bytes(60_000 * 13 - live)
    frames = [(T0 + number * 100 * MS, bytes(payload)) for number in range(100)]
    body = recording("sensor_msgs/msg/PointCloud2", frames, chunk_bytes=4_000_000)
    assert len(body) < 100 * len(dead) / 20
    declared = allowances(manifest(100), [str(SensorKey(DRIVE, "lidar", "s", 0))])
    for allowance in (*declared.values(), UNDECLARED):
        found = scan_object(io.BytesIO(body), KEY.__class__(DRIVE, "lidar", "s", T0), allowance=allowance)
        assert (len(found.frames), found.faults) == (100, ())


@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_bomb_in_a_drive_is_quarantined_and_accounted_for(with_manifest: bool) -> None:
    landed = Landed()
    stamps = [T0 + number * 100 * MS for number in range(20)]
    landed.land("top", "lidar", [(stamp, cloud(stamp)) for stamp in stamps])
    key = str(SensorKey(DRIVE, "camera", "cam", T0))
    landed.land_bytes(key, many_messages(), 20, stamps[-1])
    drive_input = landed.finish(rig_document(sensor("top", "lidar"), sensor("cam", "camera")), stamps[-1], with_manifest)
    inspection = serial_jobs.inspect(landed, drive_input).inspection
    (found,) = inspection.object_findings[key]
    assert (found.rule_id, key in inspection.faulty_keys) == ("DEC002", True)
    assert "messages; those from here on were not read" in found.message
    read = inspection.objects[key].frames
    assert read == 2 * 20 + SPARE_FRAMES if with_manifest else read < 5000
    assert inspection.verdict == ("build" if with_manifest else "quarantine")
    if with_manifest:
        serial_jobs.build(landed, drive_input)
    audit = serial_jobs.audit(landed, drive_input)
    camera = next(entry for entry in audit.accounts if entry.sensor == "cam")
    assert (camera.read, camera.gold, camera.quarantined + camera.unmatched) == (read, 0, read)
    assert not [rule for rule in audit.findings if rule.rule_id == "ACC001"]
