"""The run that started this one, as the scheduler passes it through the environment."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import UUID

PARENT_VARIABLE = "SCENELAKE_OPENLINEAGE_PARENT"
ROOT_VARIABLE = "SCENELAKE_OPENLINEAGE_ROOT"
MAX_LENGTH = 2048

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunRef:
    """One run of one job. `run_id` is a UUID in its canonical form."""

    namespace: str
    job_name: str
    run_id: str

    def __str__(self) -> str:
        """As in the environment: `namespace/job_name/run_id`."""
        return f"{self.namespace}/{self.job_name}/{self.run_id}"


def stated_run(text: str | None, variable: str) -> RunRef | None:
    """The run that `variable` states as `text`; None if absent or malformed (then with a warning in the log)."""
    try:
        return parse_run(text) if text else None
    except ValueError as error:
        log.warning("%s is ignored, the run is recorded without it: %s", variable, error)
        return None


def parse_run(text: str) -> RunRef:
    """Read `namespace/job_name/run_id`; the namespace may hold slashes, the job name dots.

    Raises:
        ValueError: Too long, fewer than three parts, an empty part, or a run id that is not a UUID.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"{len(text)} characters, more than {MAX_LENGTH}")
    parts = text.rsplit("/", 2)
    if len(parts) < 3 or not all(part.strip() for part in parts):
        raise ValueError(f"{text!r} is not namespace/job_name/run_id")
    return RunRef(parts[0], parts[1], str(UUID(parts[2])))
