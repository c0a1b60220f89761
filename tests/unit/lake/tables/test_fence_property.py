"""Any order of publications, duplicates, stale generations and maintenance leaves the newest generation of each drive, once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.table import Transaction

from lake.errors import SupersededError
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.tables.publish import publish
from tests.unit.lake.tables.fence_lake import FenceLake, held

DRIVES = (DriveId("car-1", "a"), DriveId("car-1", "b"))
EXPIRE, MERGE = "expire", "merge"
Delivery = tuple[DriveId, int]  # a drive, and the generation that is delivered
DELIVERIES = st.tuples(st.sampled_from(DRIVES), st.integers(1, 3))
PLAIN = st.one_of(DELIVERIES, st.sampled_from((EXPIRE, MERGE)))
# A publisher that is paused before its commit while the other steps happen.
PAUSED = st.tuples(DELIVERIES, st.lists(PLAIN, min_size=1, max_size=2)).map(lambda found: (*found[0], found[1]))
STEPS = st.lists(st.one_of(PLAIN, PAUSED), min_size=2, max_size=5)


def anchors(generation: int) -> tuple[int, ...]:
    """Generations share scenes, and have some of their own."""
    return tuple(range(10 * generation, 10 * generation + 30, 10))


class Paused(LakeCatalog):
    meanwhile: Callable[[], object] | None = None

    def commit_together(self, transactions: Sequence[Transaction]) -> None:
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        super().commit_together(transactions)


class Run:
    """Takes steps, and knows what the lake must hold."""

    def __init__(self, folder: Path) -> None:
        self.lake = FenceLake(folder)
        self.published: dict[DriveId, list[int]] = {drive: [] for drive in DRIVES}

    def take(self, steps: Sequence[object]) -> None:
        for step in steps:
            if isinstance(step, str):
                self.lake.expire() if step == EXPIRE else self.lake.merge()
            elif isinstance(step, tuple):
                self.deliver(step[0], step[1], step[2] if len(step) == 3 else ())

    def deliver(self, drive: DriveId, generation: int, meanwhile: Sequence[object]) -> None:
        catalog = Paused("unit", **self.lake.catalog().properties)
        known_before = max(self.published[drive], default=0)
        if known_before < generation:  # otherwise it comes to no commit
            catalog.meanwhile = lambda: self.take(meanwhile)
        outcome = "superseded"
        try:
            outcome = publish(catalog, self.lake.batch(f"r{generation}", generation, anchors(generation), drive)).outcome
        except SupersededError as error:
            assert error.generation == max(self.published[drive])
        latest = max(self.published[drive], default=0)
        assert outcome == ("published" if generation > latest else "already" if generation == latest else "superseded")
        if outcome == "published":
            self.published[drive].append(generation)


@settings(max_examples=8)
@given(STEPS)
def test_each_drive_is_what_its_newest_generation_made_it(steps: list[object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        run.take(steps)
        for drive, generations in run.published.items():
            newest = max(generations, default=0)
            assert run.lake.rows(drive) == (held(f"r{newest}", anchors(newest)) if newest else held("", ()))
            assert [row.generation for row in run.lake.drives(drive)] == generations
