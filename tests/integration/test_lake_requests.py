"""What the lake asks of S3: each request takes its time and has its price, and publishing is little else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from emulator import FailureLog

from lake.iceberg.catalog import open_catalog
from lake.iceberg.file_io import LakeFileIO
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.publish import publish
from tests.integration.test_lake_publish import Lake, lake

__all__ = ["lake"]  # the fixture

MOST_REQUESTS = 54  # of a revision that replaces one; PyIceberg left to itself needs 93
PART = 5 << 20  # what S3 takes as a part of an upload, at least


@contextmanager
def requests() -> Iterator[list[str]]:
    """The requests that the endpoint answers: method, path and query, as they arrive."""
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FailureLog, "log_request", lambda self, *_: seen.append(f"{self.command} {self.path}"))
        yield seen


def test_a_publication_asks_for_no_more_than_it_needs(lake: Lake) -> None:
    publish(lake.catalog(), lake.batch("r1", 1, (10,)))
    batch, catalog = lake.batch("r2", 2, (10, 20)), lake.catalog()
    with requests() as seen:
        publish(catalog, batch)
    assert [one for one in seen if "?" in one] == []  # no upload in parts, no listing
    metadata = [one for one in seen if ".metadata.json" in one]
    assert len(metadata) == len(set(metadata)) == 3 * 4  # size, content and successor of each of the four tables
    assert len(seen) <= MOST_REQUESTS, "\n".join(seen)


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 3 * PART + 1])
def test_a_file_of_any_size_holds_what_was_written(settings: Settings, size: int) -> None:
    io, body = open_catalog(settings)._load_file_io(), bytes(range(251)) * (size // 251 + 1)
    assert isinstance(io, LakeFileIO)
    for name in ("data/a.parquet", "metadata/a.avro"):
        target = ObjectVersion(settings.lake_bucket, name)
        with io.new_output(target.uri).create() as stream:
            stream.write(body[:size])
        assert ObjectStore.connect().read(target) == body[:size]
        found = io.new_input(target.uri)
        with found.open() as opened:
            assert opened.read() == body[:size]
        assert len(found) == size


def test_a_file_that_is_absent_is_said_to_be(settings: Settings) -> None:
    io = open_catalog(settings)._load_file_io()
    for name in ("data/a.parquet", "metadata/a.avro"):
        absent = io.new_input(f"s3://{settings.lake_bucket}/{name}")
        with pytest.raises(FileNotFoundError):
            absent.open()
        with pytest.raises(FileNotFoundError):
            len(absent)
        assert not absent.exists()
