"""Depths of the two queues and their dead-letter queues."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.queues import QueueDepth, depth

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue; `dead` is the number of messages in its dead-letter queue, None if it has no such queue."""

    queue: str
    depth: QueueDepth
    dead: int | None


class QueueWatch:
    """Reads queues by name and URL. The dead-letter queue is the one in a queue's redrive policy."""

    def __init__(self, client: SQSClient, urls: Mapping[str, str]) -> None:
        self._client = client
        self._urls = dict(urls)
        self._dead_urls: dict[str, str | None] = {}

    def read(self) -> tuple[QueueState, ...]:
        """The current state of every queue; read-only."""
        return tuple(self._state(name, url) for name, url in self._urls.items())

    def _state(self, name: str, url: str) -> QueueState:
        if name not in self._dead_urls:
            self._dead_urls[name] = self._dead_url(url)
        dead_url = self._dead_urls[name]
        dead = None if dead_url is None else depth(self._client, dead_url)
        return QueueState(name, depth(self._client, url), None if dead is None else dead.visible + dead.in_flight + dead.delayed)

    def _dead_url(self, url: str) -> str | None:
        answer = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        if not policy:
            return None
        name = str(json.loads(policy)["deadLetterTargetArn"]).rpartition(":")[2]
        return self._client.get_queue_url(QueueName=name)["QueueUrl"]
