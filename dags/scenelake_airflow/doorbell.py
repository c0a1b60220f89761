"""The doorbell: a trigger that reads a queue's depth and fires when there is work. It never receives, so it loses nothing.

It is level-triggered: it fires when the depth becomes positive, when it rises, and again after a while for as long as it
stays positive. An event that is lost, merged with another or doubled only changes how soon a run starts.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from tenacity import RetryCallState

from ingest.retries import on_outage_async
from lake.errors import SettingsError
from scenelake_airflow.errors import QueueDepthError
from scenelake_airflow.settings import QueueSettings

LONGEST_BACKOFF_S = 30.0

ReadDepth = Callable[[], int]  # number of visible messages; raises QueueDepthError while the queue does not answer


@dataclass(frozen=True, slots=True)
class DepthWatcher:
    """Decides from successive depths of a queue when to fire.

    Attributes:
        depth: The depth at the last reading.
        fired_s: When it fired last, in monotonic seconds.
    """

    depth: int = 0
    fired_s: float = -math.inf

    def observe(self, depth: int, now_s: float, again_s: float) -> tuple[DepthWatcher, bool]:
        """Take a new reading.

        Args:
            depth: Visible messages now.
            now_s: Monotonic time of this reading.
            again_s: Fire again after this long while messages stay visible.

        Returns:
            The watcher for the next reading, and whether to fire. A depth that falls but stays positive does not fire before
            `again_s` is over; a depth of zero never fires.
        """
        fires = depth > 0 and (depth > self.depth or now_s - self.fired_s >= again_s)
        return DepthWatcher(depth, now_s if fires else self.fired_s), fires


def drive_work_depth(settings: QueueSettings) -> ReadDepth:
    """Reader of the drive-work queue's depth."""
    # Airflow imports this module for every parse of the DAG file; boto3 is needed only where the doorbell runs.
    from ingest.environment import client
    from ingest.queues import WorkQueue

    queue = WorkQueue(client("sqs", settings.aws), settings.drive_work_url)

    def read() -> int:
        try:
            return queue.depth().visible
        except Exception as error:  # of an odd answer, botocore's parser makes errors of any kind
            raise QueueDepthError(f"cannot read the depth of {settings.drive_work_url}: {error}") from error

    return read


def depth_from_environment() -> ReadDepth:
    """Reader of the depth of the queue that the triggerer's environment names.

    Raises:
        QueueDepthError: The environment names none.
    """
    try:
        return drive_work_depth(QueueSettings.from_env())
    except SettingsError as error:
        raise QueueDepthError(str(error)) from error


class DriveWorkDoorbell(BaseEventTrigger):
    """Fires an event with the depth whenever a `DepthWatcher` says so; survives an outage of the endpoint.

    Args:
        poll_s: Time between two readings.
        again_s: Fire again after this long while messages stay visible.
        open_queue: Connects to the queue; Airflow, which rebuilds a trigger from `serialize`, always gets the default.
    """

    def __init__(self, poll_s: float = 1.0, again_s: float = 10.0, open_queue: Callable[[], ReadDepth] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is not annotated
        self.poll_s, self.again_s = poll_s, again_s
        self._open_queue = open_queue or depth_from_environment
        self._read_depth: ReadDepth | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments: the trigger's identity in the metadata database."""
        return "scenelake_airflow.doorbell.DriveWorkDoorbell", {"poll_s": self.poll_s, "again_s": self.again_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Read, fire, wait; until it is cancelled."""
        watcher = DepthWatcher()
        retry = on_outage_async(
            QueueDepthError, first_s=self.poll_s, longest_s=LONGEST_BACKOFF_S, before_sleep=self._log_failed_reading
        )
        while True:
            depth: int = await retry(self._read)
            watcher, fires = watcher.observe(depth, time.monotonic(), self.again_s)
            if fires:
                yield TriggerEvent({"depth": depth})  # type: ignore[no-untyped-call]  # as above
            await asyncio.sleep(self.poll_s)

    async def _read(self) -> int:
        if self._read_depth is None:
            self._read_depth = await asyncio.to_thread(self._open_queue)
        return await asyncio.to_thread(self._read_depth)

    def _log_failed_reading(self, state: RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        self.log.warning("doorbell: %s; trying again in %.0f s", error, state.upcoming_sleep)
