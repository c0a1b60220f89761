"""Results that jobs return to their caller: part of the protocol with the DAG, which reads them as JSON.

Their size does not depend on the objects, sensors or frames of a drive: `scenelake_airflow.job_operator` refuses more than 1 MiB.
"""

from __future__ import annotations

import msgspec

from quality.evaluators.drive import GateVerdict
from scenes.documents import AuditVerdict, Part


class InspectionResult(Part, frozen=True, kw_only=True):
    """Result of `inspect`: the gate's verdict, the rules that the drive did not pass, and the frames in its index."""

    verdict: GateVerdict
    rule_ids: tuple[str, ...]
    frames: int


class BuildResult(Part, frozen=True, kw_only=True):
    """Result of `build_scenes`: windows, scenes in gold and in quarantine, and the bytes of the raw objects."""

    windows: int
    gold: int
    quarantined: int
    bytes: int


class AuditResult(Part, frozen=True, kw_only=True):
    """Result of `audit`."""

    verdict: AuditVerdict
    scenes: int


class PublicationResult(Part, frozen=True, kw_only=True):
    """Result of `publish`: the drive's outcome, the snapshot of `gold.scenes` and that of each table, and the rows by table.

    `outcome`: published, quarantined or superseded. `already`: an earlier run committed the same batch, and all else is what it
    committed. `quarantined_objects`: URI of their keys (`lake.quarantined_keys`); `warnings`: rules. `published_generation`: of
    a superseded publication, the generation that the lake holds.
    """

    outcome: str
    already: bool = False
    snapshot_id: int | None = None
    snapshots: dict[str, int] = msgspec.field(default_factory=dict)
    scenes: int
    records: int
    rows: dict[str, int]
    quarantined_objects: str | None = None
    warnings: tuple[str, ...] = ()
    published_generation: int | None = None
