"""Reading pinned versions by range: exact bytes, named failures, and few requests."""

from __future__ import annotations

import hashlib
import io
import random

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import AbsentError, LakeError, OversizeError
from lake.object_stream import READ_ATTEMPTS, ObjectStream
from lake.storage import ObjectStore, ObjectVersion
from tests.unit.lake.fake_s3 import FakeS3

BODY = bytes(range(256)) * 4


def stored(body: bytes = BODY) -> tuple[FakeS3, ObjectStore, ObjectVersion]:
    s3 = FakeS3()
    version = s3.put_object(Bucket="raw", Key="a/b", Body=body)["VersionId"]
    return s3, ObjectStore(s3), ObjectVersion("raw", "a/b", version)  # type: ignore[arg-type]


@pytest.mark.parametrize("uri", ["", "a/b", "s3:/b/k", "s3://", "s3://b", "s3://b/", "s3:///k", "http://b/k", "S3://b/k"])
def test_a_uri_needs_bucket_and_key(uri: str) -> None:
    with pytest.raises(LakeError, match="is not s3://BUCKET/KEY"):
        ObjectVersion.from_uri(uri)


def test_a_uri_is_read_back() -> None:
    found = ObjectVersion.from_uri("s3://b/k/with//slashes s3://")
    assert (found.bucket, found.key, found.version_id) == ("b", "k/with//slashes s3://", None)
    assert ObjectVersion.from_uri(found.uri) == found


@given(st.integers(0, len(BODY)), st.integers(0, len(BODY)))
def test_a_range_is_exactly_its_bytes(start: int, length: int) -> None:
    _, store, source = stored()
    if start + length <= len(BODY):
        assert store.read(source, start, length) == BODY[start : start + length]
    else:
        with pytest.raises(LakeError, match=r"are needed|InvalidRange"):
            store.read(source, start, length)


def test_an_old_version_is_read_while_it_is_named() -> None:
    s3, store, source = stored()
    s3.put_object(Bucket="raw", Key="a/b", Body=b"new")
    assert store.read(source) == BODY
    assert store.read(ObjectVersion("raw", "a/b")) == b"new"
    assert (store.size(source), store.size(ObjectVersion("raw", "a/b"))) == (len(BODY), 3)


def test_deleting_a_missing_object_is_not_an_error() -> None:
    _, store, _ = stored()
    for _ in range(2):
        store.delete(ObjectVersion("raw", "a/b"))
        assert store.size(ObjectVersion("raw", "a/b")) is None


def test_nothing_is_asked_for_nothing() -> None:
    s3, store, _ = stored()
    assert store.read(ObjectVersion("raw", "not there"), 5, 0) == b""
    assert s3.gets == []


def test_missing_and_unreadable_are_distinguished() -> None:
    s3, store, source = stored()
    for gone in (ObjectVersion("raw", "other"), ObjectVersion("raw", "a/b", "v9")):
        with pytest.raises(AbsentError, match="cannot read s3://raw"):
            store.read(gone)
        with pytest.raises(AbsentError, match="cannot read s3://raw"):
            store.stream(gone)
        assert store.size(gone) is None
    with pytest.raises(LakeError, match="NoSuchBucket") as caught:
        store.read(ObjectVersion("nowhere", "a/b"))
    assert not isinstance(caught.value, AbsentError), "a bucket that is not there says nothing about an object"
    s3.denied = True
    with pytest.raises(LakeError, match="AccessDenied") as caught:
        store.read(source)
    assert not isinstance(caught.value, AbsentError)
    with pytest.raises(LakeError, match="403"):
        store.size(source)


def test_a_limit_holds_before_the_body_is_read() -> None:
    s3, store, source = stored()
    assert store.read(source, limit=len(BODY)) == BODY
    s3.broken_bodies = 1
    with pytest.raises(OversizeError, match=f"has {len(BODY)} bytes, at most {len(BODY) - 1}"):
        store.read(source, limit=len(BODY) - 1)


def test_a_body_that_breaks_off_is_asked_for_again_and_not_for_ever() -> None:
    s3, store, source = stored()
    s3.broken_bodies = READ_ATTEMPTS - 1
    assert store.read(source, 3, 4) == BODY[3:7]
    assert s3.gets == [("a/b", 3, 4)] * READ_ATTEMPTS
    s3.broken_bodies = READ_ATTEMPTS
    with pytest.raises(LakeError, match=f"in {READ_ATTEMPTS} attempts"):
        store.read(source)


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 200 * 1024])
def test_a_stream_takes_one_request_whatever_is_read(size: int) -> None:
    body = random.Random(size).randbytes(size)
    s3, store, source = stored(body)
    with store.stream(source) as stream:
        assert stream.read(5) + stream.read() == body
        assert stream.read(1) == b""
    assert s3.gets == [("a/b", 0, None)]


def test_a_stream_that_breaks_off_goes_on_where_it_was() -> None:
    s3, store, source = stored()
    s3.broken_bodies = READ_ATTEMPTS + 2  # more than may fail in a row: each of these brings the stream further
    with store.stream(source) as stream:
        assert stream.read() == BODY
    starts = [start for _, start, _ in s3.gets]
    assert starts == [0, 512, 768, 896, 960, 992]
    assert starts == sorted({len(BODY) - (len(BODY) >> halves) for halves in range(READ_ATTEMPTS + 3)})


def test_a_stream_that_brings_nothing_is_given_up() -> None:
    s3, store, source = stored(b"x")  # half of it is nothing
    s3.broken_bodies = READ_ATTEMPTS
    with store.stream(source) as stream, pytest.raises(LakeError, match=f"in {READ_ATTEMPTS} attempts"):
        stream.read()


def test_a_stream_that_ends_too_early_is_not_a_short_object() -> None:
    def open_at(start: int) -> tuple[io.BytesIO, int]:
        return io.BytesIO(BODY[start:-1]), len(BODY) - start

    with pytest.raises(LakeError, match=f"ends at byte {len(BODY) - 1} of {len(BODY)}"):
        io.BufferedReader(ObjectStream("a/b", open_at)).read()


def test_an_object_is_put_whole_and_copied_by_version() -> None:
    s3, store, source = stored()
    s3.put_object(Bucket="raw", Key="a/b", Body=b"new")
    store.put(ObjectVersion("lake", "x"), memoryview(b"abc")[1:])
    assert s3.body("s3://lake/x") == b"bc"
    store.copy(source, ObjectVersion("quarantine", "y"))
    assert s3.body("s3://quarantine/y") == BODY


def test_keys_are_listed_over_all_pages() -> None:
    s3, store, _ = stored()
    for name in ("p/3", "p/1", "p/2", "q/1"):
        s3.put_object(Bucket="lake", Key=name, Body=b"")
    assert list(store.list("lake", "p/")) == ["p/1", "p/2", "p/3"]
    assert list(store.list("lake", "nothing")) == []


def test_pieces_become_one_object() -> None:
    s3, store, _ = stored()
    assert store.write(ObjectVersion("lake", "large"), [b"a" * 200, memoryview(b"b" * 100), b""]) == 300
    assert store.write(ObjectVersion("lake", "small"), [b"c" * 10]) == 10, "the room of the larger one serves the smaller"
    assert store.write(ObjectVersion("lake", "empty"), []) == 0
    assert s3.body("s3://lake/large") == b"a" * 200 + b"b" * 100
    assert (s3.body("s3://lake/small"), s3.body("s3://lake/empty")) == (b"c" * 10, b"")


def test_s3_refuses_an_object_that_is_not_what_was_hashed() -> None:
    s3, store, _ = stored()
    pieces = [b"what ", b"was hashed"]
    store.write(ObjectVersion("lake", "whole"), pieces, hashlib.sha256(b"what was hashed").hexdigest())
    assert s3.body("s3://lake/whole") == b"what was hashed"
    with pytest.raises(ClientError, match="BadDigest"):
        store.write(ObjectVersion("lake", "damaged"), pieces, hashlib.sha256(b"something else").hexdigest())
