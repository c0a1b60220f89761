"""The memory that a hostile manifest can take: refused by counts before it is parsed, and bounded where it is within them."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest

import lake.documents
from lake.documents import (
    MAX_CALIBRATION_BYTES,
    MAX_COUNTS,
    MAX_DOCUMENT_BYTES,
    Manifest,
    ManifestObject,
    SourceLoss,
    check_bounds,
    parse_document,
)
from lake.errors import LandingError
from lake.landing import DriveId, SensorKey

DRIVE = DriveId("car-1", "d")
START_NS = 1_700_000_000_000_000_000
MAX_RSS_MB = 640  # of the function's 1024; its own code and boto3 take some 130, earlier manifests up to 220
WIDE = "\N{GRINNING FACE}"  # one of them makes each character of a string take four bytes
COMMAS, OBJECTS, LISTS = (MAX_COUNTS[character] - 10 for character in (b",", b"{", b"["))
ROOM = MAX_DOCUMENT_BYTES - 200


def manifest_of(entries: int) -> Manifest:
    starts = range(START_NS, START_NS + entries)
    objects = (
        ManifestObject(str(SensorKey(DRIVE, "lidar", "lidar_top", at)), 1, "0" * 64, "lidar", "lidar_top", at, at + 1, 1)
        for at in starts
    )
    return Manifest(DRIVE, "rig-1", START_NS, START_NS + 10**9, "r", "1", "0" * 64, tuple(objects))


def filled(unit: bytes, count: int | None = None) -> bytes:
    return b'{"objects":[' + unit * (ROOM // len(unit) if count is None else count) + b"0]}"


# A body of the full size, and the largest of its kind that the counts let through.
OUTSIDE: dict[str, Callable[[], bytes]] = {
    "lists": lambda: filled(b"[],"),
    "objects": lambda: filled(b"{},"),
    "nested": lambda: b'{"a":' + b"[" * (ROOM // 2) + b"]" * (ROOM // 2) + b"}",
    "numbers": lambda: filled(b"1.5,"),
    "strings": lambda: filled(b'"",'),
}
INSIDE: dict[str, Callable[[], bytes]] = {
    "values of each kind": lambda: b'{"objects":[' + b"[]," * LISTS + b"{}," * (COMMAS - LISTS - 1) + b"0]}",
    "numbers": lambda: filled(b"1234567890123456789,", COMMAS),
    "strings": lambda: filled(f'"{"x" * 16}{WIDE}",'.encode(), COMMAS),
    "names": lambda: b'{"a":{' + b",".join(b'"%07d%b":%d.5' % (at, WIDE.encode(), at) for at in range(COMMAS)) + b"}}",
    "one string": lambda: b'{"recorder":"' + b"a" * (ROOM - 60) + WIDE.encode() + b'\\ud83d\\ude00"}',
    "one id": lambda: long_id(),
    "one name": lambda: b'{"' + b"a" * (ROOM - 60) + WIDE.encode() + b'\\ud83d\\ude00":1}',
}


def long_id() -> bytes:
    document = json.loads(manifest_of(1).to_bytes())
    document["objects"] = ["@"]
    document["rig_id"] = "#"
    half = (b"a" * (ROOM // 2 - 1000)) + WIDE.encode() + b"\\ud83d\\ude00"
    return json.dumps(document).encode().replace(b"@", half).replace(b"#", half)


@pytest.mark.parametrize("kind", OUTSIDE)
def test_too_many_values_are_refused_before_they_are_parsed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(lake.documents.json, "loads", never)
    with pytest.raises(LandingError, match="more values than 100000 entries need"):
        parse_document(OUTSIDE[kind](), "manifest")


@pytest.mark.parametrize("kind", INSIDE)
def test_what_the_counts_let_through_fits_the_function(kind: str) -> None:
    measured = subprocess.run([sys.executable, "-c", PROBE, __file__, kind], capture_output=True, text=True, check=True)
    problem, peak_mb = measured.stdout.splitlines()
    assert problem.startswith("manifest")
    assert len(problem) < 5000
    assert int(peak_mb) < MAX_RSS_MB


PROBE = """
import importlib.util, re, sys
spec = importlib.util.spec_from_file_location("bodies", sys.argv[1])
bodies = importlib.util.module_from_spec(spec); spec.loader.exec_module(bodies)
body = bodies.INSIDE[sys.argv[2]]()
try:
    bodies.Manifest.parse(body, bodies.DRIVE)
except bodies.LandingError as error:
    print(str(error).encode("ascii", "backslashreplace").decode())
# Not ru_maxrss: across exec it keeps the peak of the process that started this one.
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


def test_the_largest_valid_manifest_is_within_all_bounds() -> None:
    """100,000 entries, and losses whose text is nothing but the characters that are counted."""
    losses = tuple(SourceLoss("lidar_top", 1, ",{["[at % 3] * 500) for at in range(1000))
    check_bounds(replace(manifest_of(100_000), losses=losses).to_bytes(), "manifest")


@pytest.mark.parametrize("character", [b",", b"{", b"["])
def test_each_count_is_a_limit_of_its_own(character: bytes) -> None:
    check_bounds(character * MAX_COUNTS[character], "manifest")
    with pytest.raises(LandingError, match="more than"):
        check_bounds(character * (MAX_COUNTS[character] + 1), "manifest")


@pytest.mark.parametrize("unit", [b"[],", b"{},", b'"",', b"1,"])
def test_a_calibration_is_small_enough_whatever_it_holds(unit: bytes) -> None:
    body = b'{"sensors":[' + unit * ((MAX_CALIBRATION_BYTES - 20) // len(unit)) + b"0]}"
    tracemalloc.start()
    try:
        with pytest.raises(LandingError):
            parse_document(body, "calibration")
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()
