"""The fence of a publication holds whatever maintenance has done to the history of the tables (promise P2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.landing import DriveId
from lake.tables.publish import PublishOutcome, publish
from tests.unit.lake.tables.fence_lake import FenceLake, held

NEIGHBOUR = DriveId("car-1", "another-drive-that-is-published-later")
EXPIRES = "the fence is a search of the history that expiry removes"


@pytest.fixture
def lake(tmp_path: Path) -> FenceLake:
    return FenceLake(tmp_path)


@pytest.mark.xfail(reason=EXPIRES, strict=True)
def test_a_late_duplicate_is_not_published_again_after_everything_expired(lake: FenceLake) -> None:
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20, 30)))
    publish(lake.catalog(), lake.batch("n1", 1, (10,), NEIGHBOUR))
    lake.expire()
    assert publish(lake.catalog(), lake.batch("r1", 1, (10, 20, 30))).outcome is PublishOutcome.ALREADY
    assert lake.rows() == held("r1", (10, 20, 30))
    assert lake.rows(NEIGHBOUR) == held("n1", (10,))


@pytest.mark.xfail(reason=EXPIRES, strict=True)
def test_a_new_revision_replaces_the_old_one_after_everything_expired(lake: FenceLake) -> None:
    publish(lake.catalog(), lake.batch("r1", 1, (10, 20, 30)))
    publish(lake.catalog(), lake.batch("n1", 1, (10,), NEIGHBOUR))
    lake.expire()
    assert publish(lake.catalog(), lake.batch("r2", 2, (20, 30, 40, 50))).outcome is PublishOutcome.PUBLISHED
    assert lake.rows() == held("r2", (20, 30, 40, 50))
    assert lake.rows(NEIGHBOUR) == held("n1", (10,))
