"""Any order of publications, duplicates, stale generations and expiries ends with the newest generation of each drive, once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import SupersededError
from lake.landing import DriveId
from lake.tables.publish import publish
from tests.unit.lake.tables.fence_lake import FenceLake, held

DRIVES = (DriveId("car-1", "a"), DriveId("car-1", "b"))
EXPIRE = "expire"
DELIVERIES = st.tuples(st.sampled_from(DRIVES), st.integers(1, 3))  # a drive, and the generation that is delivered
STEPS = st.lists(st.one_of(DELIVERIES, st.just(EXPIRE)), min_size=2, max_size=7)


def anchors(generation: int) -> tuple[int, ...]:
    """Generations share scenes, and have some of their own."""
    return tuple(range(10 * generation, 10 * generation + 30, 10))


@settings(max_examples=15)
@given(STEPS)
def test_each_drive_is_what_its_newest_generation_made_it(steps: list[tuple[DriveId, int] | str]) -> None:
    newest: dict[DriveId, int] = {}
    published: dict[DriveId, list[int]] = {drive: [] for drive in DRIVES}
    with tempfile.TemporaryDirectory() as folder:
        lake = FenceLake(Path(folder))
        for step in steps:
            if isinstance(step, str):
                lake.expire()
                continue
            drive, generation = step
            outcome = "superseded"
            try:
                outcome = publish(lake.catalog(), lake.batch(f"r{generation}", generation, anchors(generation), drive)).outcome
            except SupersededError as error:
                assert error.generation == newest[drive]
            latest = newest.get(drive, 0)
            assert outcome == ("published" if generation > latest else "already" if generation == latest else "superseded")
            if outcome == "published":
                newest[drive] = generation
                published[drive].append(generation)
        for drive in DRIVES:
            expected = held(f"r{newest[drive]}", anchors(newest[drive])) if drive in newest else held("", ())
            assert lake.rows(drive) == expected
            assert [row.generation for row in lake.drives(drive)] == published[drive]
