"""Results that jobs return to their caller: small, and part of the protocol with the DAG, which reads them as JSON."""

from __future__ import annotations

from quality.accounting import SensorAccount
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
    accounts: tuple[SensorAccount, ...]
    scenes: int


class PublicationResult(Part, frozen=True, kw_only=True):
    """Result of `publish`: the drive's outcome, the snapshot of `gold.scenes`, and the rows by table.

    `outcome`: published, quarantined or superseded. `already`: an earlier run committed the same batch. `quarantined_objects`:
    keys; `warnings`: rules.
    """

    outcome: str
    already: bool = False
    snapshot_id: int | None = None
    scenes: int
    records: int
    rows: dict[str, int]
    quarantined_objects: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
