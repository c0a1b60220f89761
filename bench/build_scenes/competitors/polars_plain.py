"""Polars as in `polars_job`, but with payload through its API alone: each value is a slice of a mapped file for `pl.Series`.

This copies payload twice more (into `bytes`, into the column) than views that are assembled by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from bench.build_scenes.competitors.polars_job import Maps, build, map_files, write_window
from bench.build_scenes.contest import Task, Work, run
from bench.build_scenes.raw import Ints
from bench.build_scenes.workers import started


@contextmanager
def polars_plain(task: Task) -> Iterator[Work]:
    """Two started processes."""
    with started(task.processes) as pool:
        yield lambda request: build(request, pool, write_plain_window)


def write_plain_window(plan: pl.DataFrame, paths: list[str], sensors: tuple[str, ...], target: Path) -> None:
    """One Parquet file of the rows of `plan`, payload included."""
    write_window(plan, paths, sensors, target, bytes_column)


def bytes_column(name: str, paths: list[str], maps: Maps, numbers: Ints, places: Ints, lengths: Ints) -> pl.Series:
    """Payloads (-1 in `numbers`: null) as `bytes`."""
    map_files(paths, maps, numbers[numbers >= 0])
    rows = zip(numbers.tolist(), places.tolist(), lengths.tolist(), strict=True)
    values = [None if number < 0 else maps[number][place : place + length] for number, place, length in rows]
    return pl.Series(name, values, dtype=pl.Binary)


if __name__ == "__main__":
    run(polars_plain)
