"""The events of one job run: START, then COMPLETE, FAIL or ABORT."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from openlineage.client.event_v2 import InputDataset, OutputDataset, RunState

from lineage.emitter import Emitter
from lineage.events import Failure, RunContext, run_event

log = logging.getLogger(__name__)


@dataclass(slots=True)
class JobRun:
    """A run in progress. The job adds to `inputs` and `outputs` as it learns what they are."""

    context: RunContext
    inputs: list[InputDataset] = field(default_factory=list)
    outputs: list[OutputDataset] = field(default_factory=list)

    @property
    def run_id(self) -> str:
        """The run's UUID."""
        return self.context.run_id


@contextmanager
def job_run(emitter: Emitter, context: RunContext, now: Callable[[], int] = time.time_ns) -> Iterator[JobRun]:
    """Emit START, run the block, emit its end, and pass on whatever it raised.

    COMPLETE follows a block that ends, FAIL an exception (with its message and stack trace), ABORT an interrupt or exit.
    Lineage that cannot be built or delivered is logged and harms nothing.

    Args:
        emitter: Sends the events; the caller closes it.
        context: What all events of the run have in common.
        now: Clock, in ns since the Unix epoch.
    """
    run = JobRun(context)
    _emit(emitter, RunState.START, run, now)
    try:
        yield run
    except Exception as error:
        _emit(emitter, RunState.FAIL, run, now, Failure(_message(error), traceback.format_exc()))
        raise
    except BaseException as error:
        _emit(emitter, RunState.ABORT, run, now, Failure(_message(error)))
        raise
    _emit(emitter, RunState.COMPLETE, run, now)


def _emit(emitter: Emitter, state: RunState, run: JobRun, now: Callable[[], int], failure: Failure | None = None) -> None:
    try:
        event = run_event(state, now(), run.context, inputs=run.inputs, outputs=run.outputs, failure=failure)
        emitter.emit(event)
    except Exception:
        log.exception("the %s event of %s could not be built", state.value, run.context.job)


def _message(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
