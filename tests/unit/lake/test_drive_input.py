"""The identity of the input: the same for the same input in any order, different after any change."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.drive_input import DriveInput, InputObject, baseline_key, input_key
from lake.errors import LandingError
from lake.landing import DriveId

DRIVE = DriveId("car-1", "d-1")


def entry(number: int, version_id: str = "v1", sha256: str = "a") -> InputObject:
    return InputObject(f"car-1/d-1/lidar/top/{number:019d}.mcap", version_id, sha256)


WHOLE = DriveInput(
    drive=DRIVE,
    objects=frozenset({entry(1), entry(2)}),
    manifest=InputObject("car-1/d-1/manifest.json", "m1", ""),
    calibration=InputObject("car-1/d-1/calibration.json", "c1", "cc"),
    overrides=frozenset({"SYN001"}),
)

WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
OBJECTS = st.lists(st.builds(entry, st.integers(0, 9), WORDS, WORDS), max_size=6, unique_by=lambda found: found.key)
INPUTS = st.builds(
    DriveInput,
    st.just(DRIVE),
    OBJECTS.map(frozenset),
    st.none() | st.just(WHOLE.manifest),
    st.none() | st.just(WHOLE.calibration),
    st.frozensets(WORDS, max_size=3),
    st.none() | st.builds(InputObject, st.just(baseline_key("car-1")), WORDS, WORDS),
)


@given(OBJECTS, st.lists(WORDS, max_size=4), st.randoms())
def test_order_means_nothing(objects: list[InputObject], overrides: list[str], random: object) -> None:
    one = DriveInput(DRIVE, frozenset(objects), None, None, frozenset(overrides))
    shuffled, again = list(objects), list(overrides)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    random.shuffle(again)  # type: ignore[attr-defined]
    other = DriveInput(DRIVE, frozenset(shuffled), None, None, frozenset(again))
    assert other.to_bytes() == one.to_bytes()
    assert other.revision == one.revision


@given(INPUTS, INPUTS)
def test_two_inputs_have_one_revision_only_if_they_are_equal(one: DriveInput, other: DriveInput) -> None:
    assert (one.revision == other.revision) == (one == other)


@pytest.mark.parametrize(
    "changed",
    [
        replace(WHOLE, drive=DriveId("car-1", "d-2")),
        replace(WHOLE, objects=frozenset({entry(1)})),
        replace(WHOLE, objects=frozenset({entry(1), entry(3)})),
        replace(WHOLE, objects=frozenset({entry(1), entry(2, version_id="v2")})),
        replace(WHOLE, objects=frozenset({entry(1), entry(2, sha256="b")})),
        replace(WHOLE, manifest=None),
        replace(WHOLE, manifest=InputObject("car-1/d-1/manifest.json", "m2", "")),
        replace(WHOLE, calibration=None),
        replace(WHOLE, calibration=InputObject("car-1/d-1/calibration.json", "c1", "cd")),
        replace(WHOLE, overrides=frozenset()),
        replace(WHOLE, overrides=frozenset({"SYN001", "LID001"})),
    ],
)
def test_any_change_is_a_new_revision(changed: DriveInput) -> None:
    assert changed.revision != WHOLE.revision


@given(INPUTS)
def test_a_document_is_read_back_under_its_revision(drive_input: DriveInput) -> None:
    assert DriveInput.parse(drive_input.to_bytes(), drive_input.revision) == drive_input


@given(st.integers(0, len(WHOLE.to_bytes()) - 1), st.integers(1, 255))
def test_a_document_with_one_other_byte_is_refused(at: int, flip: int) -> None:
    body = bytearray(WHOLE.to_bytes())
    body[at] ^= flip
    with pytest.raises(LandingError, match="altered or is another one"):
        DriveInput.parse(bytes(body), WHOLE.revision)


def test_a_revision_of_other_code_is_refused_and_not_guessed_at() -> None:
    document = json.loads(WHOLE.to_bytes()) | {"schema_version": 2}
    body = json.dumps(document).encode()
    with pytest.raises(LandingError, match="schema version 2"):
        DriveInput.parse(body, hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("key", ["car-2/d-1/lidar/top/0000000000000000001.mcap", "car-1/d-1/manifest.json", "../secret"])
def test_an_object_outside_the_drive_is_refused(key: str) -> None:
    foreign = replace(WHOLE, objects=frozenset({InputObject(key, "v1", "")}))
    with pytest.raises(LandingError, match=r"key|no sensor object of that drive"):
        DriveInput.parse(foreign.to_bytes(), foreign.revision)


def test_two_versions_of_one_object_are_refused() -> None:
    with pytest.raises(LandingError, match="two versions"):
        replace(WHOLE, objects=frozenset({entry(1), entry(1, version_id="v2")}))


PUT = replace(
    WHOLE,
    objects=frozenset({replace(entry(1), etag="e1"), replace(entry(2), etag="e2")}),
    manifest=InputObject("car-1/d-1/manifest.json", "m1", "", "em"),
    calibration=InputObject("car-1/d-1/calibration.json", "c1", "cc", "ec"),
)


def put_again(one: InputObject | None, etag: str | None = None) -> InputObject | None:
    return None if one is None else replace(one, version_id=one.version_id + "-again", etag=one.etag if etag is None else etag)


def test_the_same_bytes_put_again_are_another_revision_of_the_same_content() -> None:
    again = replace(
        PUT,
        objects=frozenset(found for one in PUT.objects if (found := put_again(one))),
        manifest=put_again(PUT.manifest),
        calibration=put_again(PUT.calibration),
    )
    assert again.revision != PUT.revision
    assert again.base == PUT.base
    assert replace(again, overrides=frozenset()).base == PUT.base


@pytest.mark.parametrize(
    "changed",
    [
        replace(PUT, drive=DriveId("car-1", "d-2")),
        replace(PUT, objects=frozenset({replace(entry(1), etag="e1")})),
        replace(PUT, objects=frozenset({replace(entry(1), etag="e1"), replace(entry(2, "v2"), etag="other bytes")})),
        replace(PUT, objects=frozenset({replace(entry(1), etag="e1"), replace(entry(2, sha256="b"), etag="e2")})),
        replace(PUT, objects=frozenset({replace(entry(1), etag="e2"), replace(entry(2), etag="e1")})),
        replace(PUT, manifest=None),
        replace(PUT, manifest=put_again(PUT.manifest, "other")),
        replace(PUT, calibration=put_again(PUT.calibration, "other")),
    ],
)
def test_other_bytes_are_another_content(changed: DriveInput) -> None:
    assert not changed.bases & {PUT.base}


def test_an_input_without_etags_has_the_base_that_it_always_had() -> None:
    bare = replace(WHOLE, overrides=frozenset())
    assert WHOLE.base == bare.revision
    assert bare.revision in PUT.bases, "decisions that were taken before ETags were kept hold for the same versions"
    assert len(WHOLE.bases) == 1
    assert DriveInput.parse(PUT.to_bytes(), PUT.revision) == PUT


def test_the_document_lies_under_its_drive_and_revision() -> None:
    assert input_key(DRIVE, "ab") == "inputs/car-1/d-1/ab.json"


def test_a_baseline_counts_in_the_revision_and_not_in_the_base() -> None:
    first, second = (replace(WHOLE, baseline=InputObject(baseline_key("car-1"), f"v{n}", "b" * 64)) for n in (1, 2))
    assert len({WHOLE.revision, first.revision, second.revision}) == 3
    assert WHOLE.bases == first.bases == second.bases
    tagged = [replace(one, objects=frozenset({replace(entry(1), etag="e")})) for one in (WHOLE, first)]
    assert tagged[0].bases == tagged[1].bases
    assert json.loads(WHOLE.to_bytes())["schema_version"] == 1, "what was queued without one keeps its revision"
    assert json.loads(first.to_bytes())["schema_version"] == 2, "code that knows no baseline refuses it"
    assert DriveInput.parse(first.to_bytes(), first.revision) == first


@pytest.mark.parametrize(
    "change", [{"schema_version": 1}, {"baseline": ["baselines/car-2.json", "v", "b"]}, {"schema_version": 3}]
)
def test_a_baseline_that_does_not_fit_the_document_is_refused(change: dict[str, object]) -> None:
    pinned = replace(WHOLE, baseline=InputObject(baseline_key("car-1"), "v1", "b" * 64))
    body = json.dumps(json.loads(pinned.to_bytes()) | change).encode()
    with pytest.raises(LandingError):
        DriveInput.parse(body, hashlib.sha256(body).hexdigest())
