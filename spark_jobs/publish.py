"""Job `publish`: one atomic commit makes a drive's scenes, frames and quarantine records visible."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lake.drive_input import DriveInput
from lake.errors import SupersededError
from lake.iceberg.catalog import open_catalog
from lake.iceberg.publisher import Publisher
from lake.storage import ObjectVersion
from lake.tables.creation import ensure_tables
from lake.tables.publish import Batch, PublishOutcome, publish
from lake.tables.rows import PublicationFacts
from scenes.documents import AuditDocument, AuditVerdict, DriveStatistics, encode
from scenes.work_area import AUDIT, STATISTICS, WorkArea
from spark_jobs.runtime.entry import Job, run_job
from spark_jobs.runtime.results import PublicationResult
from spark_jobs.runtime.step import Step

PUBLISHED, QUARANTINED, SUPERSEDED = "published", "quarantined", "superseded"


def main(argv: Sequence[str]) -> int:
    """Run the job; the result holds the drive's outcome and the snapshot."""
    return run_job("publish", __doc__ or "", argv, _run)


def _run(job: Job) -> PublicationResult:
    catalog = open_catalog(job.step.settings)
    ensure_tables(catalog)
    result = publish_drive(catalog, job.step, job.generation)
    job.run.published(result.snapshots, result.rows)
    return result


def publish_drive(catalog: Publisher, step: Step, generation: int) -> PublicationResult:
    """Commit the audit's output. A drive that was committed before, or superseded by a later revision, adds nothing.

    Two attempts of one generation may come to different verdicts (other code, other settings): the result of the second is
    what the first one committed.

    Then the files of this attempt that were not used are deleted: their names are unique to it, so no commit can reference them.

    Raises:
        DocumentError: The audit's document has another version, or is damaged.
        ProvenanceError: The drive was inspected by other code, or under another configuration.
    """
    audit = step.area.read_document(AUDIT, AuditDocument)
    step.check(audit.provenance)
    facts = _facts(audit, step.drive_input)
    files = {table: list(files) for table, files in audit.files.items()}
    batch = Batch(step.drive_input.drive, step.drive_input.revision, generation, files, facts, audit.sha256)
    try:
        publication = publish(catalog, batch)
    except SupersededError as error:
        print(error, file=sys.stderr)
        _delete(step.area, audit.unused)
        return PublicationResult(
            outcome=SUPERSEDED, scenes=0, records=0, rows=_rows(facts, facts), published_generation=error.generation
        )
    _delete(step.area, audit.unused)
    committed = publication.row
    # A publication of an earlier version of this code may have no verdict.
    published = (committed.verdict or facts.verdict) == AuditVerdict.PUBLISH.value
    if audit.verdict is AuditVerdict.PUBLISH and published:
        _keep_statistics(step)
    rows = _rows(committed, facts)
    return PublicationResult(
        outcome=PUBLISHED if published else QUARANTINED,
        already=publication.outcome is PublishOutcome.ALREADY,
        snapshot_id=committed.scenes_snapshot_id,
        snapshots=committed.snapshots,
        scenes=rows["gold.scenes"],
        records=rows["quarantine.records"],
        rows=rows,
        quarantined_objects=committed.quarantined_objects,
        warnings=committed.warnings or (),
    )


def _keep_statistics(step: Step) -> None:
    """Keep what a baseline may be learned from. After the commit, so that nothing is learned from a drive that was never
    published; a process that is killed in between runs again, and finds the batch committed."""
    statistics = step.area.read_document(STATISTICS, DriveStatistics)
    step.area.store.put(step.targets.statistics(statistics.first_ns), encode(statistics))


def _facts(audit: AuditDocument, drive_input: DriveInput) -> PublicationFacts:
    """What `acknowledge`, lineage and the lake's readers need to know of a publication."""
    calibration, baseline = drive_input.calibration, drive_input.baseline
    return PublicationFacts(
        verdict=audit.verdict.value,
        scenes=audit.scenes,
        frames=audit.frames,
        records=audit.records,
        sensors=tuple(sorted(account.sensor for account in audit.accounts)),
        calibration_hash=(calibration.sha256 or None) if calibration else None,
        code_version=audit.provenance.code_version,
        config_hash=audit.provenance.config_hash,
        lock_hash=audit.provenance.lock_hash,
        baseline=baseline.sha256 if baseline else None,
        validations=audit.validations,
        quarantined_objects=audit.quarantined_objects,
        warnings=audit.warnings,
        content_digest=audit.content_digest,
    )


def _rows(committed: PublicationFacts, audited: PublicationFacts) -> dict[str, int]:
    """Rows by table; counts that a publication of an earlier version of this code lacks are those of this audit."""
    frames = audited.frames if committed.frames is None else committed.frames
    records = audited.records if committed.records is None else committed.records
    return {"gold.scenes": committed.scenes, "gold.frames": frames or 0, "quarantine.records": records or 0}


def _delete(area: WorkArea, uris: Sequence[str]) -> None:
    for uri in uris:
        area.store.delete(ObjectVersion.from_uri(uri))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
