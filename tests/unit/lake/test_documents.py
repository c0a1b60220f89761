"""Manifest and calibration: read back as written; every way to break them raises a LandingError that names the problem."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lake.documents
from lake.documents import MAX_CALIBRATION_BYTES, Manifest, ManifestObject, canonical_json, content_hash, parse_document
from lake.errors import LandingError
from lake.landing import DriveId, SensorKey
from sensors.rig import Rig

DRIVE = DriveId("car-1", "d-1")
START_NS = 1_700_000_000_000_000_000
KEY = f"car-1/d-1/lidar/top/{START_NS}.mcap"


def manifest_document() -> dict[str, Any]:
    return {
        "schema_version": 1,
        "vehicle_id": "car-1",
        "drive_id": "d-1",
        "rig_id": "rig-1",
        "start_ns": START_NS,
        "end_ns": START_NS + 10**9,
        "recorder": "Rekorder \N{SNOWMAN}",
        "recorder_version": "1.0",
        "calibration_sha256": "c" * 64,
        "objects": [
            {
                "key": KEY,
                "size_bytes": 10,
                "sha256": "a" * 64,
                "modality": "lidar",
                "sensor": "top",
                "start_ns": START_NS,
                "end_ns": START_NS + 5,
                "frame_count": 2,
            }
        ],
    }


def calibration_document() -> dict[str, Any]:
    return {
        "schema_version": 1,
        "rig_id": "rig-1",
        "reference": "top",
        "sensors": [
            {
                "name": "top",
                "modality": "lidar",
                "rate_hz": 10,
                "ego_SE3_sensor": {"translation_m": [0, 0, 1.5], "rotation_wxyz": [1, 0, 0, 0]},
                "sync": {"stamp": "end", "expected_delay_ns": 0, "required": True},
            }
        ],
    }


def as_bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


DRIVES = st.builds(DriveId, st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True), st.just("d-1"))
NS = st.integers(0, 2**63 - 1)
WORDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
HASHES = st.binary(max_size=4).map(lambda data: hashlib.sha256(data).hexdigest())


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    drive = draw(DRIVES)
    objects = []
    for start_ns in draw(st.lists(NS, min_size=1, max_size=4, unique=True)):
        sensor, modality = draw(st.sampled_from((("top", "lidar"), ("front", "camera"), ("imu", "imu"))))
        end_ns = draw(st.integers(start_ns, 2**63 - 1))
        key = str(SensorKey(drive, modality, sensor, start_ns))
        objects.append(ManifestObject(key, draw(st.integers(0, 2**40)), draw(HASHES), modality, sensor, start_ns, end_ns, 3))
    start_ns, end_ns = sorted((draw(NS), draw(NS)))
    return Manifest(drive, "rig-1", start_ns, end_ns, draw(WORDS), draw(WORDS), draw(HASHES), tuple(objects))


@given(manifests())
def test_a_manifest_that_was_written_is_read_back_equal(manifest: Manifest) -> None:
    assert Manifest.parse(manifest.to_bytes(), manifest.drive) == manifest


@given(st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=5), st.integers() | st.booleans() | WORDS))
def test_equal_documents_have_equal_bytes_and_hashes(document: dict[str, Any]) -> None:
    reversed_order = dict(reversed(document.items()))
    assert canonical_json(document) == canonical_json(reversed_order)
    assert content_hash(document) == content_hash(reversed_order) == hashlib.sha256(canonical_json(document)).hexdigest()
    assert json.loads(canonical_json(document)) == document


def test_canonical_json_is_the_form_that_hashes_were_made_of() -> None:
    document = {"b": [1, "ü"], "a": {"y": None, "x": 1.5}}
    assert canonical_json(document) == '{"a":{"x":1.5,"y":null},"b":[1,"ü"]}'.encode()
    assert content_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("rig_id"), "'rig_id' is a required property"),
        (lambda d: d.update(color="red"), "'color' was unexpected"),
        (lambda d: d.update(schema_version=2), r"\$.schema_version: 1 was expected"),
        (lambda d: d.update(start_ns=float(START_NS)), r"\$.start_ns: .* is not of type 'integer'"),
        (lambda d: d.update(start_ns=True), r"\$.start_ns: True is not of type 'integer'"),
        (lambda d: d.update(start_ns=-1), "less than the minimum"),
        (lambda d: d.update(end_ns=2**63), "greater than the maximum"),
        (lambda d: d.update(end_ns=10**40), "an integer of 41 digits"),
        (lambda d: d.update(end_ns=START_NS - 1), "before it starts"),
        (lambda d: d.update(recorder=""), "recorder"),
        (lambda d: d.update(recorder="\ud800"), "surrogates not allowed"),
        (lambda d: d.update(rig_id="rig-1\n"), r"\$.rig_id: .* does not match"),
        (lambda d: d.update(calibration_sha256="C" * 64), "calibration_sha256"),
        (lambda d: d.update(calibration_sha256="c" * 64 + "\n"), "calibration_sha256"),
        (lambda d: d.update(vehicle_id="car-2"), "names the drive car-2/d-1"),
        (lambda d: d.update(objects=[]), r"\$.objects"),
        (lambda d: d["objects"].append(d["objects"][0]), "twice"),
        (lambda d: d["objects"][0].update(key="car-1/d-2" + KEY[9:]), "no sensor object of that drive"),
        (lambda d: d["objects"][0].update(key="car-1/d-1/manifest.json"), "no sensor object of that drive"),
        (lambda d: d["objects"][0].update(key="../../etc/passwd"), "is none of VEHICLE"),
        (lambda d: d["objects"][0].update(modality="radar"), "contradicts its own key"),
        (lambda d: d["objects"][0].update(sensor="bottom"), "contradicts its own key"),
        (lambda d: d["objects"][0].update(start_ns=START_NS + 1), "contradicts its own key"),
        (lambda d: d["objects"][0].update(end_ns=START_NS - 1), "before it starts"),
        (lambda d: d["objects"][0].update(frame_count=-1), r"\$.objects\[0\].frame_count"),
    ],
)
def test_a_broken_manifest_is_refused_by_name(change: Change, message: str) -> None:
    document = manifest_document()
    assert Manifest.parse(as_bytes(document), DRIVE).objects[0].key == KEY
    change(document)
    with pytest.raises(LandingError, match=message):
        Manifest.parse(as_bytes(document), DRIVE)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_is_not_finite_is_refused(number: str) -> None:
    body = as_bytes(calibration_document()).replace(b"1.5", number.encode())
    with pytest.raises(LandingError, match="is not finite"):
        parse_document(body, "calibration")


@pytest.mark.parametrize("rate_hz", [0, 1e-320, 0.0009, 100_001, "10"])
def test_a_rate_that_no_sensor_has_is_refused(rate_hz: Any) -> None:
    document = calibration_document()
    document["sensors"][0]["rate_hz"] = rate_hz
    with pytest.raises(LandingError, match="rate_hz"):
        parse_document(as_bytes(document), "calibration")


@pytest.mark.parametrize("rate_hz", [0.001, 10, 100_000])
def test_every_rate_that_the_schema_allows_makes_a_rig(rate_hz: float) -> None:
    document = calibration_document()
    document["sensors"][0]["rate_hz"] = rate_hz
    rig = Rig.from_dict(parse_document(as_bytes(document), "calibration"))
    assert rig["top"].period_ns == round(1e9 / rate_hz)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"[]", r"\$: \[\] is not of type 'object'"),
        (b"null", "is not of type 'object'"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        ("{}".encode("utf-16"), "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        (b'{"x":' * 900 + b"1" + b"}" * 900, "does not follow its schema"),
        (b"[" * 100_000, "nested too deep|not JSON"),
        (b"9" * 5000, "an integer of 5000 digits"),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else "",
)
def test_bytes_that_are_not_a_document_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(LandingError, match=message):
        parse_document(body, "manifest")


@given(st.binary(max_size=200) | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(as_bytes))
def test_nothing_but_a_landing_error_comes_of_arbitrary_bytes(body: bytes) -> None:
    with pytest.raises(LandingError):
        parse_document(body, "calibration")


def test_at_most_five_problems_are_named() -> None:
    document = manifest_document()
    document["objects"] = [{} for _ in range(10)]
    with pytest.raises(LandingError) as caught:
        parse_document(as_bytes(document), "manifest")
    assert str(caught.value).count("$.objects") == 5


def test_size_is_bounded_before_anything_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(lake.documents.json, "loads", never)
    with pytest.raises(LandingError, match=f"exceeds {MAX_CALIBRATION_BYTES}"):
        parse_document(b" " * (MAX_CALIBRATION_BYTES + 1), "calibration")
    monkeypatch.setattr(lake.documents, "MAX_DOCUMENT_BYTES", 100)
    with pytest.raises(LandingError, match="manifest of 101 bytes exceeds 100"):
        parse_document(b" " * 101, "manifest")
