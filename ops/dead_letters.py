"""The dead letters of a deployment, of both queues, and what each of them is about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.dead_letters import DeadLetter, DeadLetterQueue, about_work
from ingest.events import parse_notification
from ops.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.deployment import Deployment

WORK, EVENTS = "drive-work", "object-events"
QUEUES = (WORK, EVENTS)
MOST = 1000
LOOK_S = 120  # for the prompt, too
MAX_KEYS_NAMED = 3


@dataclass(frozen=True, slots=True)
class FoundLetter:
    """A dead letter, and the queue that it came from."""

    queue: str
    letter: DeadLetter


class DeadLetters:
    """The dead letters of the queues named: seen once, and put back at the end unless they were sent back to work.

    `more`: whether a queue had as many as are looked at, and so may hold others.
    """

    def __init__(self, queues: dict[str, DeadLetterQueue]) -> None:
        self._queues = queues
        self._held: dict[str, FoundLetter] = {}
        self.more = False

    @classmethod
    def of(cls, target: Deployment, queue: str | None) -> DeadLetters:
        """Those of a deployment; `queue`: of one queue only.

        Raises:
            QueueError: A queue has no dead letters.
        """
        sqs, settings = target.client("sqs"), target.settings
        urls = {WORK: (settings.drive_work_url, about_work), EVENTS: (settings.object_events_url, about_event)}
        return cls({name: DeadLetterQueue(sqs, url, about) for name, (url, about) in urls.items() if queue in (None, name)})

    def __enter__(self) -> DeadLetters:
        return self

    def __exit__(self, *_: object) -> None:
        for found in self._held.values():
            self._queues[found.queue].put_back(found.letter)

    def all(self) -> list[FoundLetter]:
        """Up to 1,000 of each queue, oldest first."""
        for name, queue in self._queues.items():
            letters = list(queue.letters(MOST, invisible_s=LOOK_S))
            self.more |= len(letters) >= MOST
            self._held |= {letter.message_id: FoundLetter(name, letter) for letter in letters}
        return sorted(self._held.values(), key=lambda found: (found.letter.sent_ms, found.letter.message_id))

    def named(self, names: Sequence[str]) -> list[FoundLetter]:
        """Those whose ids begin with `names`.

        Raises:
            NotFoundError: No id begins so.
            InputError: Several do.
        """
        known = self.all()
        found = {one.letter.message_id: one for one in (_one(known, name) for name in names)}
        return list(found.values())

    def redrive(self, found: FoundLetter, *, force: bool = False) -> None:
        """Send one back to its queue.

        Raises:
            WorkError: It cannot be read, and would only come back; `force` sends it all the same.
            QueueError: The queue did not confirm that it has the message, which stays where it is.
        """
        self._queues[found.queue].redrive(found.letter, force=force)
        del self._held[found.letter.message_id]


def about_event(body: str) -> tuple[str, str]:
    """What the message about new objects is about: their keys."""
    try:
        delivery = parse_notification(json.loads(body))
    except (ValueError, RecursionError) as error:
        return "", f"body is not JSON: {error}"
    keys = [notice.key for notice in delivery.notices]
    more = f" and {len(keys) - MAX_KEYS_NAMED} more" if len(keys) > MAX_KEYS_NAMED else ""
    return ", ".join(keys[:MAX_KEYS_NAMED]) + more, "; ".join(delivery.faults[:1])


def _one(known: Sequence[FoundLetter], name: str) -> FoundLetter:
    matching: Iterator[FoundLetter] = (found for found in known if found.letter.message_id.startswith(name))
    first = next(matching, None)
    hint = "`scenelake dlq ls` lists the messages"
    if first is None:
        raise NotFoundError(f"no dead letter has an id that begins with {name!r}", hint)
    if next(matching, None) is not None:
        raise InputError(f"several dead letters have ids that begin with {name!r}", hint)
    return first
