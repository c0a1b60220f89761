"""Settings of whoever audits the lake."""

from __future__ import annotations

from pydantic import Field, SecretStr

from lake.settings import SettingsModel


class AuditSettings(SettingsModel):
    """Settings of an audit."""

    audit_key: SecretStr | None = Field(
        default=None,
        description="Secret that audits are signed off with, 16 characters or more; without it each audit looks at everything.",
    )
