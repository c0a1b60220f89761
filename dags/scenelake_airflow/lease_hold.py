"""Holding a drive's message while a job works on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from scenelake_airflow.errors import LeaseLostError
from scenelake_airflow.lease import Lease
from scenelake_airflow.settings import QueueSettings

if TYPE_CHECKING:
    from ingest.ledger.lease import Heartbeat

# Key of the XCom by which a step tells `give_back` that message and drive belong to another run by now.
LEASE_LOST = "lease_lost"


class Held(Protocol):
    """A lease that is being kept."""

    def check(self) -> None:
        """Raises:
        LeaseLostError: The lease is lost.
        """
        ...


class HeldMessage:
    """A message that a thread keeps invisible (`ingest.ledger.lease.keep_alive`)."""

    def __init__(self, lease: Lease, heartbeat: Heartbeat) -> None:
        self._lease, self._heartbeat = lease, heartbeat

    def check(self) -> None:
        """Raises:
        LeaseLostError: The queue says that the message is no longer ours, or could not be told in time that it is.
        """
        if self._heartbeat.lost.is_set():
            said = "; ".join(self._heartbeat.failures[-1:]) or "its visibility ran out"
            raise LeaseLostError(f"the lease of {self._lease.drive} is lost ({said}); its next delivery has the drive")


@contextmanager
def hold(lease: Lease, lease_s: int) -> Iterator[Held]:
    """Keep a message invisible until the block ends.

    Raises:
        LeaseLostError: The lease was lost before the block began.
    """
    # Imported where it is used: a DAG file is parsed often, and boto3 alone takes a third of a second.
    from ingest.environment import client
    from ingest.ledger.lease import keep_alive

    queue = QueueSettings.from_env()
    with keep_alive(client("sqs", queue.aws), queue.drive_work_url, lease.receipt_handle, lease_s) as heartbeat:
        held = HeldMessage(lease, heartbeat)
        held.check()
        yield held
