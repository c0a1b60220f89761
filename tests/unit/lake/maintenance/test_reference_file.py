"""A set of names on disk answers as a set in memory does, within a bound of memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import MaintenanceError
from lake.maintenance import reference_file
from lake.maintenance.reference_file import References, ReferenceWriter, plain

NAMES = st.text(max_size=12)


def written(folder: Path, *pieces: list[str]) -> References:
    writer = ReferenceWriter(folder)
    for piece in pieces:
        writer.add(piece)
    return writer.sorted()


@settings(deadline=None, max_examples=40)
@given(added=st.lists(st.lists(NAMES, max_size=20), max_size=8), asked=st.lists(NAMES, max_size=20), buffered=st.integers(1, 30))
def test_it_holds_what_was_added_and_nothing_else(
    added: list[list[str]], asked: list[str], buffered: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_file, "BUFFERED", buffered)
        found = written(tmp_path_factory.mktemp("names"), *added)
    held = {plain(name) for piece in added for name in piece}
    assert found.holds(asked) == [plain(name) in held for name in asked]
    assert all(found.holds(sorted(held)))
    assert len(found) == len(held)


def test_the_schemes_of_s3_name_one_object(tmp_path: Path) -> None:
    found = written(tmp_path, ["s3://lake/a/b", "s3a://lake/c"])
    assert found.holds(["lake/a/b", "s3a://lake/a/b", "s3://lake/c", "other/a/b", "a/b"]) == [True, True, True, False, False]
    assert "lake/a/b" in found


def test_its_memory_does_not_grow_with_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_file, "BUFFERED", 1_000)
    peaks = []
    for count in (1_000, 10_000, 80_000):  # the first one warms up
        folder = tmp_path / str(count)
        folder.mkdir()
        tracemalloc.start()
        writer = ReferenceWriter(folder)
        for start in range(0, count, 500):
            writer.add([f"lake/warehouse/gold/scenes/data/{number}.parquet" for number in range(start, start + 500)])
        found = writer.sorted()
        assert all(found.holds([f"lake/warehouse/gold/scenes/data/{number}.parquet" for number in range(500)]))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (folder / "sorted").stat().st_size == 8 * count
    assert peaks[2] < 1.3 * peaks[1] < 8_000_000


def test_a_folder_that_cannot_be_written_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    writer = ReferenceWriter(tmp_path / "absent")
    writer.add(["a"])
    with pytest.raises(MaintenanceError, match="nothing was deleted") as caught:
        writer.sorted()
    assert "TMPDIR" in (caught.value.hint or "")
