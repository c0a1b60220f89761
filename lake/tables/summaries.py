"""What the snapshots of a publication say of it, for people and other tools: properties of their summaries.

`gold.drives` holds the same for good; summaries last until their snapshots expire, and nothing is decided by them.
"""

from __future__ import annotations

from lake.landing import DriveId
from lake.tables.rows import PublicationFacts

DRIVE, REVISION, GENERATION = "scenelake.drive", "scenelake.revision", "scenelake.generation"
CODE_VERSION, CONFIG_HASH = "scenelake.code_version", "scenelake.config_hash"
VERDICT, WARNINGS, QUARANTINED_OBJECTS = "scenelake.verdict", "scenelake.warnings", "scenelake.quarantined_objects"
SCENES, FRAMES, RECORDS = "scenelake.scenes", "scenelake.frames", "scenelake.records"  # rows
VALIDATIONS = "scenelake.validations"  # URI of the audit's results
BASELINE = "scenelake.baseline"  # SHA-256 of the baseline that the drive was compared with, or NO_BASELINE
NO_BASELINE = "none"


def summary_of(drive: DriveId, revision: str, generation: int, facts: PublicationFacts) -> dict[str, str]:
    """The properties of a publication; what is unknown has none."""
    found = {
        DRIVE: str(drive),
        REVISION: revision,
        GENERATION: generation,
        CODE_VERSION: facts.code_version,
        CONFIG_HASH: facts.config_hash,
        VERDICT: facts.verdict,
        SCENES: facts.scenes,
        FRAMES: facts.frames,
        RECORDS: facts.records,
        QUARANTINED_OBJECTS: facts.quarantined_objects or "",
        WARNINGS: " ".join(facts.warnings or ()),
        VALIDATIONS: facts.validations,
        BASELINE: facts.baseline or NO_BASELINE,
    }
    return {name: str(value) for name, value in found.items() if value is not None}
