"""Settings of the functions and of the event-source mapping, and the clients built from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from botocore.config import Config
from pydantic import Field

from ingest.sweep import SweepLimits
from lake import clients
from lake.settings import AwsSettings, DeploymentNames

MAX_SECONDS = 30 * 86400.0
_LIMITS = SweepLimits()
_CALLS = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=60)


def _duration(default_s: float, description: str) -> Any:
    return Field(default=default_s, ge=0, le=MAX_SECONDS, description=description)


class IngestSettings(DeploymentNames):
    """Settings of a function of ingest, which does not access the catalog."""

    overdue_after_s: float = _duration(
        _LIMITS.overdue_after_s, "Seconds after its last new object at which an incomplete drive is queued as it is."
    )
    resend_after_s: float = _duration(_LIMITS.resend_after_s, "Seconds after which unsent work is sent again.")
    reconcile_after_s: float = _duration(
        _LIMITS.reconcile_after_s, "Seconds after which the sweep looks at objects and drives that no event brought forward."
    )

    @property
    def limits(self) -> SweepLimits:
        """The limits of the sweep."""
        return SweepLimits(self.overdue_after_s, self.resend_after_s, self.reconcile_after_s)


class MappingSettings(IngestSettings):
    """Settings of the event-source mapping: those of its function, and its own."""

    object_events_url: str = Field(description="URL of the SQS queue of events about new objects in the raw bucket.")
    sweep_every_s: float = _duration(15.0, "Seconds between two sweeps.")
    event_visibility_s: float = _duration(30.0, "Seconds after which a message that failed comes back; rounded to whole ones.")
    alive_file: Path | None = Field(
        default=None, description="File that is touched after every poll that the queue answered, for a health check."
    )


def client(service: Any, aws: AwsSettings) -> Any:
    """A client with the timeouts and retries of ingest."""
    return clients.client(service, aws, _CALLS)
