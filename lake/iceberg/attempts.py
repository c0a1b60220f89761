"""Commits that are tried again from a new reading where another commit was faster."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from pyiceberg.exceptions import CommitFailedException

from lake.errors import MaintenanceError

if TYPE_CHECKING:
    from pyiceberg.table import Transaction

    from lake.iceberg.publisher import Publisher

MAX_ATTEMPTS = 12
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
Result = TypeVar("Result")


def committed(catalog: Publisher, attempt: Callable[[], tuple[Sequence[Transaction], Result]], what: str) -> Result:
    """Commit what `attempt` stages, together; nothing is written where it stages nothing. Returns the result of the attempt.

    `attempt` reads the tables anew each time it is called. `what` names the change in the error.

    Raises:
        MaintenanceError: Other commits won every attempt, or storage or catalog failed. Nothing was changed; try again.
    """
    pause_s = FIRST_PAUSE_S
    for _ in range(MAX_ATTEMPTS):
        try:
            changes, result = attempt()
            if changes:
                catalog.commit_together(list(changes))
        except CommitFailedException:
            # Jitter keeps writers that collided once from colliding again in lockstep.
            time.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            continue
        except OSError as error:
            raise MaintenanceError(f"{what}: storage or catalog failed: {error}", "run it again") from error
        return result
    raise MaintenanceError(f"{what}: {MAX_ATTEMPTS} commits lost the race against other commits", "run it again")
