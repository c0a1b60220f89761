"""Commits that are tried again from a new reading where another commit was faster, or the answer was lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from pyiceberg.exceptions import CommitFailedException

from lake.errors import LakeError, MaintenanceError
from lake.iceberg.internals import table_of, was_made
from lake.iceberg.snapshots import table_name

if TYPE_CHECKING:
    from pyiceberg.table import Transaction

    from lake.iceberg.publisher import Publisher

MAX_ATTEMPTS = 12
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
Result = TypeVar("Result")
Attempt = Callable[[], tuple[Sequence["Transaction"], Result]]


def commit(catalog: Publisher, attempt: Attempt[Result]) -> Result:
    """Commit what `attempt` stages, together, and return its result; nothing is written where it stages nothing.

    `attempt` reads the tables anew each time it is called. A commit that failed may have been made all the same, its answer lost,
    and a catalog may make it as late as during the next attempt. So what an attempt finds counts only if no earlier one was made,
    and an earlier one that was made is the result. Once the tables have changed, none that was staged before can be made.

    Raises:
        CommitFailedException: Other commits won every attempt, or the catalog never answered.
    """
    tried: list[tuple[Transaction, Result]] = []
    pause_s = FIRST_PAUSE_S
    for _ in range(MAX_ATTEMPTS):
        if made := _made(catalog, tried):
            return made[0]
        try:
            changes, result = attempt()
        except CommitFailedException:
            changes = ()  # what it read is of two moments
        except LakeError:
            if made := _made(catalog, tried):
                return made[0]
            raise
        else:
            if made := _made(catalog, tried):
                return made[0]
            if not changes:
                return result
            try:
                catalog.commit_together(list(changes))
            except CommitFailedException:
                tried.append((changes[0], result))
            else:
                return result
        # Jitter keeps writers that collided once from colliding again in lockstep.
        time.sleep(pause_s * random.uniform(0.5, 1.5))
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    if made := _made(catalog, tried):
        return made[0]
    raise CommitFailedException(f"{MAX_ATTEMPTS} commits lost the race against other commits")


def committed(catalog: Publisher, attempt: Attempt[Result], what: str) -> Result:
    """`commit`, for maintenance. `what` names the change in the error.

    Raises:
        MaintenanceError: Other commits won every attempt, or storage or catalog failed; try again.
    """
    try:
        return commit(catalog, attempt)
    except CommitFailedException as error:
        raise MaintenanceError(f"{what}: {error}", "run it again") from error
    except OSError as error:
        raise MaintenanceError(f"{what}: storage or catalog failed: {error}", "run it again") from error


def _made(catalog: Publisher, tried: Sequence[tuple[Transaction, Result]]) -> list[Result]:
    """The result of the attempt that was made, if one was. All of its tables changed together, so that one of them tells."""
    now = {name: catalog.load_table(name) for name in {table_name(table_of(change)) for change, _ in tried}}
    return [result for change, result in tried if was_made(change, now[table_name(table_of(change))])]
