"""Job `publish`: one atomic commit makes a drive's scenes, frames and quarantine records visible."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from lake.errors import SupersededError
from lake.storage import ObjectVersion
from lake.tables.catalog import LakeCatalog, ensure_tables, open_catalog
from lake.tables.publish import VALIDATIONS, Batch, PublishOutcome, publish
from scenes.documents import AuditDocument, AuditVerdict, DriveStatistics, encode
from scenes.work_area import AUDIT, STATISTICS, WorkArea
from spark_jobs.runtime.entry import Job, run_job
from spark_jobs.runtime.results import PublicationResult
from spark_jobs.runtime.step import Step

PUBLISHED, QUARANTINED, SUPERSEDED = "published", "quarantined", "superseded"
VERDICT, WARNINGS, QUARANTINED_OBJECTS = "scenelake.verdict", "scenelake.warnings", "scenelake.quarantined_objects"
BASELINE = "scenelake.baseline"  # SHA-256 of the baseline that the drive was compared with, or NO_BASELINE
NO_BASELINE = "none"
SCENES, FRAMES, RECORDS = "scenelake.scenes", "scenelake.frames", "scenelake.records"
PROPERTIES = frozenset({VERDICT, WARNINGS, QUARANTINED_OBJECTS, SCENES, FRAMES, RECORDS})


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

    Two attempts of one generation may come to different verdicts (other code, other settings): the result of the second is
    what the first one committed.

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
            **_committed(audit),
            VALIDATIONS: audit.validations,
            BASELINE: step.drive_input.baseline.sha256 if step.drive_input.baseline else NO_BASELINE,
        },
    )
    try:
        publication = publish(catalog, batch)
    except SupersededError as error:
        print(error, file=sys.stderr)
        _delete(step.area, audit.unused)
        return PublicationResult(
            outcome=SUPERSEDED, scenes=0, records=0, rows=_rows(_committed(audit)), published_generation=error.generation
        )
    _delete(step.area, audit.unused)
    # A snapshot of an earlier version of this code lacks some of the properties.
    committed = _committed(audit) | {name: value for name, value in publication.properties.items() if name in PROPERTIES}
    rows = _rows(committed)
    if audit.verdict is AuditVerdict.PUBLISH and committed[VERDICT] == AuditVerdict.PUBLISH.value:
        _keep_statistics(step)
    return PublicationResult(
        outcome=PUBLISHED if committed[VERDICT] == AuditVerdict.PUBLISH.value else QUARANTINED,
        already=publication.outcome is PublishOutcome.ALREADY,
        snapshot_id=publication.snapshot_id,
        scenes=rows["gold.scenes"],
        records=rows["quarantine.records"],
        rows=rows,
        quarantined_objects=committed[QUARANTINED_OBJECTS] or None,
        warnings=tuple(committed[WARNINGS].split()),
    )


def _keep_statistics(step: Step) -> None:
    """Keep what a baseline may be learned from. After the commit, so that nothing is learned from a drive that was never
    published; a process that is killed in between runs again, and finds the batch committed."""
    statistics = step.area.read_document(STATISTICS, DriveStatistics)
    step.area.store.put(step.targets.statistics(statistics.first_ns), encode(statistics))


def _committed(audit: AuditDocument) -> dict[str, str]:
    """What `acknowledge` and lineage need to know of a commit, as properties of its snapshot."""
    counts = {SCENES: audit.scenes, FRAMES: audit.frames, RECORDS: audit.records}
    return {
        VERDICT: audit.verdict.value,
        **{name: str(count) for name, count in counts.items()},
        QUARANTINED_OBJECTS: audit.quarantined_objects or "",
        WARNINGS: " ".join(audit.warnings),
    }


def _rows(committed: Mapping[str, str]) -> dict[str, int]:
    tables = {"gold.scenes": SCENES, "gold.frames": FRAMES, "quarantine.records": RECORDS}
    return {table: int(committed[name]) for table, name in tables.items()}


def _delete(area: WorkArea, uris: Sequence[str]) -> None:
    for uri in uris:
        area.store.delete(ObjectVersion.from_uri(uri))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
