"""Job `publish`: one atomic commit makes a drive's scenes, frames and quarantine records visible."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lake.errors import SupersededError
from lake.storage import ObjectVersion
from lake.tables.catalog import LakeCatalog, ensure_tables, open_catalog
from lake.tables.publish import VALIDATIONS, Batch, PublishOutcome, publish
from scenes.documents import AuditDocument, AuditVerdict
from scenes.work_area import AUDIT, WorkArea
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
    job.run.published(result.snapshot_id, result.rows)
    return result


def publish_drive(catalog: LakeCatalog, step: Step, generation: int) -> PublicationResult:
    """Commit the audit's output. A drive that was committed before, or superseded by a later revision, adds nothing.

    Then the files of this attempt that were not used are deleted: their names are unique to it, so no commit can reference them.

    Raises:
        DocumentError: The audit's document has another version, or is damaged.
        ProvenanceError: The drive was inspected by other code, or under another configuration.
    """
    audit = step.area.read_document(AUDIT, AuditDocument)
    step.check(audit.provenance)
    batch = Batch(
        drive=step.drive_input.drive,
        revision=step.drive_input.revision,
        generation=generation,
        files={table: list(files) for table, files in audit.files.items()},
        properties={
            "scenelake.code_version": audit.provenance.code_version,
            "scenelake.config_hash": audit.provenance.config_hash,
            "scenelake.verdict": audit.verdict.value,
            "scenelake.scenes": str(audit.scenes),
            VALIDATIONS: audit.validations,
        },
    )
    rows = {"gold.scenes": audit.scenes, "gold.frames": audit.frames, "quarantine.records": audit.records}
    try:
        publication = publish(catalog, batch)
    except SupersededError as error:
        print(error, file=sys.stderr)
        _delete(step.area, audit.unused)
        return PublicationResult(outcome=SUPERSEDED, scenes=0, records=0, rows=rows)
    _delete(step.area, audit.unused)
    return PublicationResult(
        outcome=PUBLISHED if audit.verdict is AuditVerdict.PUBLISH else QUARANTINED,
        already=publication.outcome is PublishOutcome.ALREADY,
        snapshot_id=publication.snapshot_id,
        scenes=audit.scenes,
        records=audit.records,
        rows=rows,
        quarantined_objects=audit.quarantined_objects,
        warnings=audit.warnings,
    )


def _delete(area: WorkArea, uris: Sequence[str]) -> None:
    for uri in uris:
        area.store.delete(ObjectVersion.from_uri(uri))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
