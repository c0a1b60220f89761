"""The revision as ingest uses it: the identity of everything that processing depends on and that can change."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.drive_input import DriveInput, InputObject, input_key
from lake.errors import LandingError
from lake.landing import DriveId

DOCUMENTS = st.builds(InputObject, st.text(max_size=8), st.text(max_size=4), st.text(max_size=4))
KEYS = st.integers(0, 20).map(lambda start_ns: f"car/drive/lidar/top/{start_ns:019d}.mcap")
OBJECTS = st.builds(InputObject, KEYS, st.text(max_size=4), st.text(max_size=4))
INPUTS = st.builds(
    DriveInput,
    st.just(DriveId("car", "drive")),
    st.lists(OBJECTS, max_size=5, unique_by=lambda entry: entry.key).map(frozenset),
    st.none() | DOCUMENTS,
    st.none() | DOCUMENTS,
    st.frozensets(st.text(max_size=5), max_size=3),
)


@given(INPUTS, st.randoms())
def test_order_does_not_matter(given_input: DriveInput, shuffler: random.Random) -> None:
    objects, overrides = list(given_input.objects), list(given_input.overrides)
    shuffler.shuffle(objects)
    shuffler.shuffle(overrides)
    again = replace(given_input, objects=frozenset(objects), overrides=frozenset(overrides))
    assert again.revision == given_input.revision


@given(INPUTS, INPUTS)
def test_equal_revision_means_equal_input(one: DriveInput, other: DriveInput) -> None:
    assert (one.revision == other.revision) == (one == other)


@given(INPUTS)
def test_document_is_what_the_revision_hashes_and_reads_back(given_input: DriveInput) -> None:
    body = given_input.to_bytes()
    assert hashlib.sha256(body).hexdigest() == given_input.revision
    assert DriveInput.parse(body, given_input.revision) == given_input


BASE = DriveInput(
    DriveId("car", "drive"),
    frozenset({InputObject("k", "v1", "aa")}),
    InputObject("m", "v1", ""),
    InputObject("c", "v1", "bb"),
    frozenset({"SCN003"}),
)


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, drive=DriveId("car", "other")),
        replace(BASE, objects=frozenset({InputObject("k", "v2", "aa")})),
        replace(BASE, objects=frozenset({InputObject("k", "v1", "ab")})),
        replace(BASE, objects=frozenset()),
        replace(BASE, manifest=InputObject("m", "v2", "")),
        replace(BASE, manifest=None),
        replace(BASE, calibration=InputObject("c", "v1", "bc")),
        replace(BASE, calibration=InputObject("c", "v2", "bb")),
        replace(BASE, overrides=frozenset()),
        replace(BASE, objects=frozenset({InputObject("kv1", "", "aa")})),
    ],
)
def test_any_change_makes_another_revision(changed: DriveInput) -> None:
    assert changed.revision != BASE.revision


def test_golden() -> None:
    assert BASE.to_bytes() == (
        b'{"calibration":["c","v1","bb"],"drive_id":"drive","manifest":["m","v1",""],"objects":[["k","v1","aa"]],'
        b'"overrides":["SCN003"],"schema_version":1,"vehicle_id":"car"}'
    )
    assert input_key(BASE.drive, BASE.revision) == f"inputs/car/drive/{BASE.revision}.json"


def test_altered_document_is_refused() -> None:
    with pytest.raises(LandingError, match="altered"):
        DriveInput.parse(BASE.to_bytes() + b" ", BASE.revision)
