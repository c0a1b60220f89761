"""Errors of access to the lake.

LakeError
├── SettingsError     variables of a process that are missing or cannot be used
├── AbsentError       an object or version that is not there
├── OversizeError     an object larger than its reader's limit
├── LandingError      a key, manifest or calibration that breaks the landing contract
├── OverrideError     a reviewer's decision outside its bounds
├── PublishError      a batch that may not be committed
│   ├── SupersededError   a newer revision of the drive has been published already
│   └── ForgottenError    the drive was forgotten: nothing of it may be published any more
├── TableError        rows that do not have their table's schema
├── VersionError      a tag or snapshot that does not exist or has expired, or a name that a tag cannot have
└── MaintenanceError  maintenance that stopped: nothing of it is half-done, and the next run goes on
"""

from __future__ import annotations

from sensors.errors import ScenelakeError


class LakeError(ScenelakeError):
    """Base of every error of this package."""


class SettingsError(LakeError):
    """Variables of a process that are missing, or whose values cannot be used."""


class AbsentError(LakeError):
    """An object or version that is not there."""


class OversizeError(LakeError):
    """An object larger than its reader's limit."""


class LandingError(LakeError):
    """A key, manifest or calibration that breaks the landing contract."""


class OverrideError(LakeError):
    """A reviewer's decision outside its bounds."""


class PublishError(LakeError):
    """A batch that may not be committed."""


class SupersededError(PublishError):
    """A newer revision of the drive has been published already, as this `generation`."""

    def __init__(self, message: str, generation: int) -> None:
        super().__init__(message)
        self.generation = generation


class ForgottenError(PublishError):
    """The drive was forgotten: nothing of it may be published any more."""


class TableError(LakeError):
    """Rows that do not have their table's schema; names every difference."""


class VersionError(LakeError):
    """A tag or snapshot that does not exist or has expired, or a name that a tag cannot have."""


class MaintenanceError(LakeError):
    """Maintenance that stopped: nothing of it is half-done, and the next run goes on."""
