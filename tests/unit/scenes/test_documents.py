"""A document of another version, or a damaged one, is refused by name; others are read as they were written."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from lake.drive_input import DriveInput
from quality.rules.findings import finding
from scenes.documents import (
    AuditDocument,
    BuiltWindows,
    Document,
    Inspection,
    ValidationResults,
    WindowFindings,
    WindowReport,
    decode,
    encode,
)
from scenes.errors import DocumentError, JobError
from scenes.work_area import AUDIT, BUILT, INSPECTION
from spark_jobs.audit import audit_drive
from spark_jobs.build_scenes import build_drive
from spark_jobs.publish import publish_drive
from tests.unit.scenes import serial_jobs
from tests.unit.scenes.job_builders import MS, T0, Landed, cloud, image, rig_document, sensor

PLACE = "s3://lake/work/x/built.json"
STAMPS = [T0 + n * 100 * MS for n in range(3)]
SMALL = BuiltWindows(windows=("a",), replaced=())


def changed(document: Document, **values: Any) -> bytes:
    return json.dumps({**json.loads(encode(document)), **values}).encode()


def without(document: Document, name: str) -> bytes:
    return json.dumps({key: value for key, value in json.loads(encode(document)).items() if key != name}).encode()


@pytest.mark.parametrize(
    ("body", "stated"),
    [
        (changed(SMALL, version=1), f"{PLACE} is a document of version 1; this code reads BuiltWindows of version 2"),
        (without(SMALL, "version"), f"{PLACE} is a document without a version; this code reads BuiltWindows of version 2"),
        (changed(SMALL, version="1"), f"{PLACE} is damaged: not a document of type BuiltWindows"),
        (b'{"windows": ["a"], "replaced": []}', "without a version"),
        (encode(SMALL)[:-5], f"{PLACE} is damaged"),
        (b"", f"{PLACE} is damaged"),
        (b"[]", f"{PLACE} is damaged"),
        (b"\xff\xfe", f"{PLACE} is damaged"),
        (without(SMALL, "replaced"), "missing required field `replaced`"),
        (changed(SMALL, more=1), "unknown field `more`"),
        (changed(SMALL, windows="a"), r"Expected `array`, got `str` - at `$.windows`"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place_and_both_versions(body: bytes, stated: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decode(body, BuiltWindows, PLACE)
    assert PLACE in str(caught.value)
    assert stated in str(caught.value)
    assert isinstance(caught.value, JobError)
    assert "from inspect" in str(caught.value.hint)


def test_the_version_is_checked_before_anything_else() -> None:
    with pytest.raises(DocumentError, match="of version 9"):
        decode(b'{"version": 9, "windows": 7, "unheard_of": {}}', BuiltWindows, PLACE)


def test_stored_results_outlive_a_new_version_of_the_work_area(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Document, "READS", 3)
    with pytest.raises(DocumentError, match="of version 2; this code reads BuiltWindows of version 3"):
        decode(encode(SMALL), BuiltWindows, PLACE)
    kept = ValidationResults(drive="d", revision="r", success=True, suites={}, validations={}, calibration=())
    assert decode(encode(kept), ValidationResults, PLACE) == kept


def test_the_reports_of_great_expectations_are_stored_as_they_come() -> None:
    report = b'{"success":false,"results":[],"of a later release":{"deep":[1.0,null]}}'
    kept = ValidationResults(
        drive="d", revision="r", success=True, suites={}, validations={"drive": msgspec.Raw(report)}, calibration=()
    )
    assert decode(encode(kept), ValidationResults, PLACE).validations["drive"] == msgspec.Raw(report)
    assert report in encode(kept)


@pytest.mark.parametrize(
    "entry",
    [{"rule_id": "XXX999"}, {"measured": "much"}, {"severity": "error"}],  # no such rule, a wrong value, an unknown field
)
def test_a_finding_that_this_code_does_not_know_is_refused(entry: dict[str, Any]) -> None:
    one = msgspec.to_builtins(finding("DEC005", "cut", measured=1)) | entry
    with pytest.raises(DocumentError, match="does not hold a WindowFindings of version 2"):
        decode(changed(WindowFindings(), frames={"3": [one]}), WindowFindings, PLACE)


def test_findings_keep_their_type_and_integers_stay_integers() -> None:
    left = WindowFindings(frames={T0: (finding("DEC005", "cut", measured=1),)}, scenes={})
    assert decode(encode(left), WindowFindings, PLACE) == left
    (found,) = decode(encode(left), WindowFindings, PLACE).frames[T0]
    assert type(found.measured) is int


def test_a_number_of_numpy_is_a_number() -> None:
    left = WindowFindings(frames={0: (finding("CLK004", "late", measured=np.float64(1.5)),)})
    assert decode(encode(left), WindowFindings, PLACE).frames[0][0].measured == 1.5
    with pytest.raises(TypeError, match="a document cannot hold a"):
        encode(BuiltWindows(windows=(object(),), replaced=()))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def built() -> tuple[Landed, DriveInput]:
    landed = Landed()
    landed.land("top", "lidar", [(ns, cloud(ns)) for ns in STAMPS])
    landed.land("cam", "camera", [(ns, image(ns, cut=ns == STAMPS[1])) for ns in STAMPS])
    drive_input = landed.finish(rig_document(sensor("top", "lidar", required=True), sensor("cam", "camera")), STAMPS[-1])
    serial_jobs.inspect(landed, drive_input)
    serial_jobs.build(landed, drive_input)
    serial_jobs.audit(landed, drive_input)
    return landed, drive_input


def test_what_the_steps_leave_is_read_back_as_it_was(built: tuple[Landed, DriveInput]) -> None:
    area = built[0].area
    kinds: list[tuple[str, type[Document]]] = [(INSPECTION, Inspection), (BUILT, BuiltWindows), (AUDIT, AuditDocument)]
    kinds += [(name, WindowReport) for name in area.read_document(BUILT, BuiltWindows).windows]
    for name, kind in kinds:
        assert encode(area.read_document(name, kind)) == area.store.read(area.at(name))


@pytest.mark.parametrize(
    ("name", "reader"), [(INSPECTION, "build_scenes"), (INSPECTION, "audit"), (BUILT, "audit"), (AUDIT, "publish")]
)
@pytest.mark.parametrize("left", ["another version", "no version", "half of it"])
def test_a_step_refuses_what_an_older_one_left(built: tuple[Landed, DriveInput], name: str, reader: str, left: str) -> None:
    landed, drive_input = built
    step, place = serial_jobs.step_of(landed, drive_input), landed.area.at(name)
    kept = landed.store.read(place)
    document = json.loads(kept)
    if left == "no version":
        del document["version"]
    body = json.dumps(document | ({"version": 0} if left == "another version" else {})).encode()
    landed.store.put(place, body[: len(body) // 2] if left == "half of it" else body)
    files = list(landed.store.list("lake", "warehouse/"))
    try:
        with pytest.raises(DocumentError, match=place.uri):
            if reader == "build_scenes":
                build_drive(None, step)  # type: ignore[arg-type]
            elif reader == "publish":
                publish_drive(None, step, 1)  # type: ignore[arg-type]
            else:
                audit_drive(step)
        assert list(landed.store.list("lake", "warehouse/")) == files, "nothing was written on the strength of half a document"
    finally:
        landed.store.put(place, kept)
