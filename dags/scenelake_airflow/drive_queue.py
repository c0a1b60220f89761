"""The work queue as the steps of a run use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from ingest.ledger import lease

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

# SQS asks only some of its servers for a receive that does not wait, and may find nothing although there is something.
FIRST_WAIT_S = 1


class DriveQueue(Protocol):
    """Takes messages and ends them."""

    def messages(self, most: int) -> Iterator[lease.Lease]:
        """Up to `most` readable messages, each received only when it is asked for."""
        ...

    def keep(self, receipt_handle: str, visibility_s: int) -> None:
        """Keep a message invisible for `visibility_s` from now."""
        ...

    def delete(self, receipt_handle: str) -> None:
        """The work of a message is done."""
        ...


class SqsDriveQueue:
    """`DriveQueue` on SQS."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client, self._url = client, url

    def messages(self, most: int) -> Iterator[lease.Lease]:
        """Up to `most` readable messages, invisible for as long as the queue itself says; ends when a receive brings none.

        A message that cannot be read ends it too: it comes back and goes to the dead letters in the end, and the doorbell
        rings again for what is behind it.
        """
        for wait_s in (FIRST_WAIT_S, *[0] * (most - 1)):
            received = lease.receive(self._client, self._url, 1, wait_s=wait_s)
            if not received:
                return
            yield received[0]

    def keep(self, receipt_handle: str, visibility_s: int) -> None:
        """Set the time until a message becomes visible; one that is gone already is only noted."""
        lease.release(self._client, self._url, receipt_handle, visibility_s)

    def delete(self, receipt_handle: str) -> None:
        """Delete a message; one that is gone already is only noted."""
        lease.delete(self._client, self._url, receipt_handle)
