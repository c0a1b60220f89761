"""Holds a drive's message while a job works on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scenelake_airflow.errors import LeaseLostError
from scenelake_airflow.lease import Lease
from scenelake_airflow.settings import QueueSettings

if TYPE_CHECKING:
    from ingest.lease import LeaseHeartbeat

# XCom key: a step found that another run now has the message and the drive; read by `abandon`.
LEASE_LOST = "lease_lost"


class HeldLease:
    """A lease that a thread keeps extending (`ingest.lease.keep_alive`)."""

    def __init__(self, lease: Lease, heartbeat: LeaseHeartbeat) -> None:
        self._lease, self._heartbeat = lease, heartbeat

    def check(self) -> None:
        """Raises:
        LeaseLostError: The message is no longer in flight, or its visibility ran out before it could be extended.
        """
        if self._heartbeat.lost.is_set():
            reason = "; ".join(self._heartbeat.failures[-1:]) or "its visibility ran out"
            raise LeaseLostError(f"the lease of {self._lease.drive} is lost ({reason}); its next delivery has the drive")


@contextmanager
def hold(lease: Lease, lease_s: int) -> Iterator[HeldLease]:
    """Keep a message invisible until the block ends.

    Raises:
        LeaseLostError: The lease was lost before the block began.
    """
    # Imported where it is used: a DAG file is parsed often, and boto3 alone takes a third of a second.
    from ingest.environment import client
    from ingest.lease import keep_alive
    from ingest.queues import WorkQueue

    settings = QueueSettings.from_env()
    queue = WorkQueue(client("sqs", settings.aws), settings.drive_work_url)
    with keep_alive(queue, lease.receipt_handle, lease_s) as heartbeat:
        held = HeldLease(lease, heartbeat)
        held.check()
        yield held
