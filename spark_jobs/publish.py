"""Job `publish`: one atomic commit makes a drive's scenes, frames and quarantine records visible."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from lake.drive_documents import read_input
from lake.drive_input import DriveInput
from lake.errors import SupersededError
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.catalog import LakeCatalog, ensure_tables, open_catalog
from lake.tables.publish import VALIDATIONS, Batch, PublishOutcome, publish
from scenes.work_area import AUDIT, WorkArea
from spark_jobs.audit import QUARANTINE
from spark_jobs.runtime.arguments import parse
from spark_jobs.runtime.entry import run_job
from spark_jobs.runtime.provenance import code_version, configuration_hash, traced

SUPERSEDED, QUARANTINED = "superseded", "quarantined"


def main(argv: Sequence[str]) -> int:
    """Run the job; the result says what became of the drive and in which snapshot."""
    arguments = parse(argv, "publish", __doc__ or "")
    settings = Settings.from_env(os.environ)
    area = WorkArea(ObjectStore.connect(), arguments.work)
    drive_input = read_input(area.store, settings, arguments.drive, arguments.revision)
    with traced("publish", settings, drive_input, {}) as run:
        catalog = open_catalog(settings)
        ensure_tables(catalog)
        result = publish_drive(catalog, area, drive_input, arguments.generation)
        run.published(result["snapshot_id"], result["rows"])
    arguments.report(result)
    return 0


def publish_drive(catalog: LakeCatalog, area: WorkArea, drive_input: DriveInput, generation: int) -> dict[str, Any]:
    """Commit what the audit left. A drive that was committed before, or that a later revision overtook, adds nothing.

    Then the files that this run wrote for nothing go: their names are this attempt's own, and no commit can hold them.
    """
    audit = area.read_json(AUDIT)
    batch = Batch(
        drive=drive_input.drive,
        revision=drive_input.revision,
        generation=generation,
        files=audit["files"],
        properties={
            "scenelake.code_version": code_version(),
            "scenelake.config_hash": configuration_hash(),
            "scenelake.verdict": audit["verdict"],
            "scenelake.scenes": str(audit["scenes"]),
            VALIDATIONS: audit["validations"],
        },
    )
    rows = {"gold.scenes": audit["scenes"], "gold.frames": audit["frames"], "quarantine.records": audit["records"]}
    result = {"scenes": audit["scenes"], "records": audit["records"], "rows": rows, "snapshot_id": None}
    try:
        publication = publish(catalog, batch)
    except SupersededError as error:
        print(error, file=sys.stderr)
        _clear(area, audit["unused"])
        return result | {"outcome": SUPERSEDED, "scenes": 0, "records": 0}
    _clear(area, audit["unused"])
    outcome = QUARANTINED if audit["verdict"] == QUARANTINE else "published"
    already = publication.outcome is PublishOutcome.ALREADY
    return result | {
        "outcome": outcome,
        "already": already,
        "snapshot_id": publication.snapshot_id,
        "quarantined_objects": audit["quarantined_objects"],
        "warnings": audit["warnings"],
    }


def _clear(area: WorkArea, unused: Sequence[str]) -> None:
    for uri in unused:
        area.store.delete(ObjectVersion.from_uri(uri))


if __name__ == "__main__":
    sys.exit(run_job(main, sys.argv[1:]))
