"""The output of one step is read back unchanged by the next."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from lake.errors import LakeError
from lake.storage import ObjectStore, ObjectVersion
from scenes.documents import BuiltWindows
from scenes.errors import WorkAreaError
from scenes.work_area import WorkArea, arrow_bytes
from tests.unit.lake.fake_s3 import FakeS3
from tests.unit.scenes.job_builders import T0, F, frame_index


@pytest.fixture
def area() -> WorkArea:
    return WorkArea(ObjectStore(FakeS3()), ObjectVersion("lake", "work/a"))  # type: ignore[arg-type]


def test_documents_and_rows_are_read_back(area: WorkArea) -> None:
    index = frame_index([F("cam", T0 + n) for n in range(3)])
    area.write_table("index.arrow", index)
    area.write_document("built.json", BuiltWindows(windows=("ü",), replaced=()))
    assert area.read_table("index.arrow").equals(index)
    assert area.read_table("index.arrow").schema.equals(index.schema)
    assert area.read_document("built.json", BuiltWindows) == BuiltWindows(windows=("ü",), replaced=())
    assert list(area.store.list("lake", "work/a/")) == ["work/a/built.json", "work/a/index.arrow"]


def test_many_are_read_in_the_order_in_which_they_were_asked_for(area: WorkArea) -> None:
    tables = {f"plan/{number:05d}.arrow": frame_index([F("cam", T0 + number)]) for number in range(40)}
    area.write_tables(tables)
    names = list(reversed(tables))
    assert [table.equals(tables[name]) for table, name in zip(area.read_tables(names), names, strict=True)] == [True] * 40
    for number in range(40):
        area.write_document(f"built/{number}.json", BuiltWindows(windows=(str(number),), replaced=()))
    documents = area.read_documents([f"built/{number}.json" for number in range(39, -1, -1)], BuiltWindows)
    assert [found.windows for found in documents] == [(str(number),) for number in range(39, -1, -1)]
    assert (area.read_tables([]), area.read_documents([], BuiltWindows)) == ([], [])


def test_what_is_written_meanwhile_is_there_when_the_context_ends(area: WorkArea) -> None:
    tables = {f"{number}.arrow": pa.table({"n": [number]}) for number in range(5)}
    with area.writing(tables):
        pass
    assert [table["n"].to_pylist() for table in area.read_tables(list(tables))] == [[number] for number in range(5)]


def test_a_table_that_cannot_be_written_meanwhile_is_an_error() -> None:
    class Full(FakeS3):
        def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> dict[str, Any]:
            raise OSError(f"no room for {Key}")

    area = WorkArea(ObjectStore(Full()), ObjectVersion("lake", "work/a"))  # type: ignore[arg-type]
    with pytest.raises(OSError, match=r"no room for work/a/n.arrow"), area.writing({"n.arrow": pa.table({"n": [1]})}):
        pass


def test_one_of_many_that_is_not_there_is_named(area: WorkArea) -> None:
    area.write_document("built/0.json", BuiltWindows(windows=(), replaced=()))
    with pytest.raises(WorkAreaError, match=r"built/1.json is missing"):
        area.read_documents(["built/0.json", "built/1.json"], BuiltWindows)


def test_a_step_that_did_not_run_is_named_by_what_it_left_out(area: WorkArea) -> None:
    with pytest.raises(WorkAreaError, match=r"s3://lake/work/a/built.json is missing; run the step"):
        area.read_document("built.json", BuiltWindows)
    with pytest.raises(WorkAreaError, match=r"index.arrow is missing"):
        area.read_table("index.arrow")


def test_a_store_that_does_not_answer_is_not_taken_for_a_step_that_did_not_run() -> None:
    area = WorkArea(ObjectStore(FakeS3(denied=True)), ObjectVersion("lake", "work/a"))  # type: ignore[arg-type]
    with pytest.raises(LakeError, match="AccessDenied"):
        area.read_document("built.json", BuiltWindows)


def test_equal_rows_have_equal_bytes() -> None:
    rows = frame_index([F("cam", T0 + n) for n in range(100)])
    pieces = pa.concat_tables([rows.slice(0, 40), rows.slice(40)]).combine_chunks()
    assert arrow_bytes(rows) == arrow_bytes(pieces)
