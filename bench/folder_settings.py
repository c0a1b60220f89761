"""Settings for whoever runs steps on folders, in benchmarks and tests: three buckets; no queue, ledger or catalog is reached."""

from __future__ import annotations

from pydantic import SecretStr

from lake.settings import Settings

SETTINGS = Settings(
    raw_bucket="raw",
    lake_bucket="lake",
    quarantine_bucket="quarantine",
    ledger_table="ledger",
    object_events_url="events",
    drive_work_url="work",
    catalog_uri=SecretStr("sqlite://"),
)
