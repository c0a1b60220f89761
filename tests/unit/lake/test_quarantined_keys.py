from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import LakeError
from lake.quarantined_keys import read_keys, write_keys
from lake.storage import ObjectStore, ObjectVersion
from tests.unit.lake.fake_s3 import FakeS3

PLACE = ObjectVersion("lake", "quality/keys.json")


@given(st.frozensets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_keys_come_back_as_they_were(keys: frozenset[str]) -> None:
    store = ObjectStore(FakeS3())  # type: ignore[arg-type]
    assert read_keys(store, write_keys(store, PLACE, keys)) == keys


def test_without_keys_nothing_is_written() -> None:
    s3 = FakeS3()
    store = ObjectStore(s3)  # type: ignore[arg-type]
    assert write_keys(store, PLACE, ()) is None
    assert read_keys(store, None) == frozenset()
    with pytest.raises(LakeError):
        read_keys(store, PLACE.uri)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "schema version None"),
        (b'{"schema_version": 2, "keys": []}', "schema version 2, this code reads 1"),
        (b'{"schema_version": 1}', "no list of keys"),
        (b'{"schema_version": 1, "keys": [3]}', "no list of keys"),
    ],
)
def test_what_is_damaged_is_an_error_and_not_an_empty_list(body: bytes, why: str) -> None:
    store = ObjectStore(FakeS3())  # type: ignore[arg-type]
    store.put(PLACE, body)
    with pytest.raises(LakeError, match=why):
        read_keys(store, PLACE.uri)
