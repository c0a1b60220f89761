"""What the snapshots of a publication say of it, for people and other tools: properties of their summaries.

They name the publication; `gold.drives` holds what it was, for good. Every metadata file repeats the summaries of all snapshots,
so there are few. Snapshots of earlier versions of this code say more (`lake.tables.backfill`).
"""

from __future__ import annotations

from lake.landing import DriveId

DRIVE, REVISION, GENERATION = "scenelake.drive", "scenelake.revision", "scenelake.generation"

# Of earlier versions.
CODE_VERSION, CONFIG_HASH = "scenelake.code_version", "scenelake.config_hash"
VERDICT, WARNINGS, QUARANTINED_OBJECTS = "scenelake.verdict", "scenelake.warnings", "scenelake.quarantined_objects"
VALIDATIONS = "scenelake.validations"  # URI of the audit's results
BASELINE = "scenelake.baseline"  # SHA-256 of the baseline that the drive was compared with, or NO_BASELINE
NO_BASELINE = "none"


def summary_of(drive: DriveId, revision: str, generation: int) -> dict[str, str]:
    """The properties of a publication."""
    return {DRIVE: str(drive), REVISION: revision, GENERATION: str(generation)}
