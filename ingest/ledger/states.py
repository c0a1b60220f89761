"""States of drives and objects, and the steps between them.

(first object)                newer revision
      │                  ┌──────────────────────┐
      ▼      complete,   ▼       begin          │
   landing ──────────▶ queued ──────────▶ processing ⟲ (taken again after a lost lease)
             overdue    ▲ ▲ │                │ │ │
                        │ │ └──▶ failed ◀────┘ │ │     failed ──▶ processing (redelivered),
                        │ │        │ newer     │ │                published, quarantined (a second run of the
                        │ └────────┘ revision  │ │                same revision came through)
                        │                      ▼ ▼
                        └──────── published · quarantined
                          newer revision

forgotten: entered from every state when the drive is to be forgotten, and never left; the item is deleted soon after
(`ingest.ledger.tombstones`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class DriveState(StrEnum):
    """The state of a drive's current revision."""

    LANDING = "landing"
    QUEUED = "queued"
    PROCESSING = "processing"
    PUBLISHED = "published"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    FORGOTTEN = "forgotten"


class ObjectState(StrEnum):
    """The state of the newest version of an object; `landed` means pending."""

    LANDED = "landed"
    PUBLISHED = "published"
    QUARANTINED = "quarantined"
    REFUSED = "refused"


FINAL = frozenset({DriveState.PUBLISHED, DriveState.QUARANTINED})
WAITING = (DriveState.QUEUED, DriveState.PROCESSING, DriveState.FAILED)  # a work message exists, or must be sent

TRANSITIONS: Mapping[DriveState, frozenset[DriveState]] = {
    DriveState.LANDING: frozenset({DriveState.QUEUED}),
    DriveState.QUEUED: frozenset({DriveState.QUEUED, DriveState.PROCESSING, DriveState.FAILED}),
    DriveState.PROCESSING: frozenset({DriveState.QUEUED, DriveState.PROCESSING, DriveState.FAILED, *FINAL}),
    DriveState.FAILED: frozenset({DriveState.QUEUED, DriveState.PROCESSING, DriveState.FAILED, *FINAL}),
    DriveState.PUBLISHED: frozenset({DriveState.QUEUED}),
    DriveState.QUARANTINED: frozenset({DriveState.QUEUED}),
    DriveState.FORGOTTEN: frozenset(),  # and no transition leads to it: `Tombstones.fence` enters it from anywhere
}


def sources_of(target: DriveState) -> tuple[DriveState, ...]:
    """States from which `target` may be reached, in declaration order."""
    return tuple(state for state in DriveState if target in TRANSITIONS[state])
