"""The doorbell: it looks at a queue's depth and rings when there is work. It never receives, so it can lose nothing.

It is level-triggered: it rings when the depth becomes positive, when it rises, and again after a while for as long as it
stays positive. A ring that is lost, merged with another or doubled changes nothing but the time until the next look.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from lake.errors import SettingsError
from scenelake_airflow.errors import QueueError
from scenelake_airflow.settings import QueueSettings

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

LONGEST_BACKOFF_S = 30.0


@dataclass(frozen=True, slots=True)
class Bell:
    """What is remembered between two looks: the depth seen, and when it rang last (monotonic seconds)."""

    depth: int = 0
    rung_s: float = -math.inf


def look(bell: Bell, depth: int, now_s: float, again_s: float) -> tuple[Bell, bool]:
    """Decide from one look at the queue whether to ring.

    Args:
        bell: What the look before this one left.
        depth: Visible messages now.
        now_s: Monotonic time of this look.
        again_s: Ring again after this long while messages stay visible.

    Returns:
        What to remember, and whether to ring. A depth that falls but stays positive does not ring before `again_s` is over;
        a depth of zero never rings.
    """
    rings = depth > 0 and (depth > bell.depth or now_s - bell.rung_s >= again_s)
    return Bell(depth, now_s if rings else bell.rung_s), rings


def backoff_s(failures: int, poll_s: float) -> float:
    """Wait after so many failed looks in a row: doubled each time, at most 30 s."""
    return float(min(LONGEST_BACKOFF_S, poll_s * 2 ** min(failures, 16)))


class WorkQueue(Protocol):
    """What the doorbell looks at."""

    def depth(self) -> int:
        """Number of visible messages.

        Raises:
            QueueError: The queue cannot be asked.
        """
        ...


class SqsQueue:
    """An SQS queue."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client, self._url = client, url

    @classmethod
    def connect(cls, settings: QueueSettings) -> SqsQueue:
        """The drive-work queue."""
        # Airflow imports this module for every parse of the DAG file; boto3 is needed only where the doorbell runs.
        from ingest.environment import client

        return cls(client("sqs", settings.aws), settings.drive_work_url)

    def depth(self) -> int:
        """Number of visible messages (`ApproximateNumberOfMessages`).

        Raises:
            QueueError: The endpoint does not answer or refuses.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        from ingest.queues import depth

        try:
            return depth(self._client, self._url).visible
        except (BotoCoreError, ClientError) as error:
            raise QueueError(f"cannot ask {self._url} for its depth: {error}") from error


def queue_from_environment() -> WorkQueue:
    """The queue that the triggerer's environment names.

    Raises:
        QueueError: It names none.
    """
    try:
        return SqsQueue.connect(QueueSettings.from_env())
    except SettingsError as error:
        raise QueueError(str(error)) from error


class DriveWorkDoorbell(BaseEventTrigger):
    """Fires an event with the depth whenever `look` says so; outlives an endpoint that is away.

    Args:
        poll_s: Time between two looks.
        again_s: Ring again after this long while messages stay visible.
    """

    open_queue: Callable[[], WorkQueue] = staticmethod(queue_from_environment)

    def __init__(self, poll_s: float = 1.0, again_s: float = 30.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's is not annotated
        self.poll_s, self.again_s = poll_s, again_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments: the trigger's identity in the metadata database."""
        return "scenelake_airflow.doorbell.DriveWorkDoorbell", {"poll_s": self.poll_s, "again_s": self.again_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, ring, wait; for ever."""
        bell, failures = Bell(), 0
        queue: WorkQueue | None = None
        while True:
            try:
                if queue is None:
                    queue = await asyncio.to_thread(self.open_queue)
                depth = await asyncio.to_thread(queue.depth)
            except QueueError as error:
                failures += 1
                self.log.warning("doorbell: %s; looking again in %.0f s", error, backoff_s(failures, self.poll_s))
                await asyncio.sleep(backoff_s(failures, self.poll_s))
                continue
            failures = 0
            bell, rings = look(bell, depth, time.monotonic(), self.again_s)
            if rings:
                yield TriggerEvent({"depth": depth})  # type: ignore[no-untyped-call]  # as above
            await asyncio.sleep(self.poll_s)
