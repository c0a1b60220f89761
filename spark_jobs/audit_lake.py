"""Job `audit_lake`: audit every drive that any source knows, spread over the executors in groups.

The same checks as `scenelake audit --all`, with the same result. The driver finds the drives and adds up what the tasks report;
each task reads a group of drives from S3, the ledger and the tables itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
from pyspark.sql import SparkSession

from ingest.ledger.repository import Ledger
from lake.clients import client
from lake.iceberg.catalog import open_catalog
from lake.settings import AwsSettings, Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.pinned import pin
from scenes.accounting.drive_audit import GROUP, Target, audit_group, begin_ns
from scenes.accounting.drive_sources import AuditSources
from scenes.accounting.settings import AuditSettings
from scenes.accounting.tally import AuditResultDocument, AuditTally, read_result
from scenes.accounting.watermark import WatermarkStore
from scenes.accounting.whole_lake import AuditAll, Progress, audit_lake, no_progress
from spark_jobs.runtime.entry import exit_status
from spark_jobs.runtime.session import spark_properties
from spark_jobs.runtime.settings import SparkSettings
from spark_jobs.runtime.spark import spark_session
from spark_jobs.runtime.tasks import run_tasks

WAVE = 16  # groups a slot at a time: the driver holds no more results than these
NAME = "audit_lake"
Connect = Callable[[Settings], AuditSources]


class AuditLakeSettings(SparkSettings, Settings, AuditSettings):
    """The deployment, its Spark, and what an audit is signed off with."""


class _Group(NamedTuple):
    targets: tuple[Target, ...]

    def __str__(self) -> str:
        return f"{self.targets[0].drive} and the {len(self.targets) - 1} drives after it"


def main(argv: Sequence[str]) -> int:
    """Run the job. Exit status 1 where the accounting does not balance."""
    parser = argparse.ArgumentParser(prog=f"python -m spark_jobs.{NAME}", description=__doc__)
    parser.add_argument("--result", type=Path, help="file for the JSON result (it is printed, too)")
    parser.add_argument("--signed-by", default=NAME, help="name in the watermark, where SCENELAKE_AUDIT_KEY is set")
    known = parser.parse_args(argv)
    found: list[AuditResultDocument] = []
    status = exit_status(lambda: found.append(_run(known.result, known.signed_by)))
    return status or int(not found[0].balanced)


def _run(result: Path | None, signed_by: str) -> AuditResultDocument:
    settings = AuditLakeSettings.from_env()
    with spark_session(spark_properties(NAME, settings)) as spark:
        tables = pin(connect(settings).catalog)
        found = audit_on(spark, settings)
    store = ObjectStore.connect(settings.aws)
    body = msgspec.json.encode(found)
    store.put(ObjectVersion(settings.lake_bucket, f"audit/results/{found.as_of_ns}.json"), body)
    if settings.audit_key is not None and found.can_be_signed:
        watermarks = WatermarkStore(store, settings.lake_bucket, settings.audit_key.get_secret_value())
        watermarks.sign(found, tables, signed_by, None)
    print(body.decode())
    if result is not None:
        result.write_bytes(body)
    return found


def connect(settings: Settings) -> AuditSources:
    """The sources of an audit, with this machine's own credentials."""
    aws = AwsSettings.from_env()
    own = settings.model_copy(update={"aws": aws})
    ledger = Ledger(client("dynamodb", aws), settings.ledger_table)
    return AuditSources(own, client("s3", aws), ledger, open_catalog(own))


def audit_on(spark: SparkSession, settings: Settings, sources_of: Connect = connect) -> AuditResultDocument:
    """Audit the lake on Spark; `sources_of` is called in the driver and in each task."""
    names = Settings(**{name: getattr(settings, name) for name in Settings.model_fields if name != "aws"})
    tally = AuditTally(begin_ns())
    audit_lake(sources_of(names), tally, on_executors(spark, names, sources_of), no_progress)
    return tally.result()


def on_executors(spark: SparkSession, settings: Settings, sources_of: Connect) -> AuditAll:
    """Audits drives in Spark tasks: groups of neighbours in a wave, whose results are added in their order."""

    def audit_all(targets: Iterable[Target], tally: AuditTally, progress: Progress, total: int) -> None:
        as_of_ns = tally.as_of_ns

        def audit(share: Sequence[_Group]) -> list[bytes]:
            sources = sources_of(settings)
            return [msgspec.json.encode(_audited(sources, group, as_of_ns)) for group in share]

        remaining = iter(targets)
        most = WAVE * spark.sparkContext.defaultParallelism
        while wave := list(islice(_groups(remaining), most)):
            for body in run_tasks(spark, audit, wave, [len(group.targets) for group in wave]):
                tally.add_result(read_result(body))
            progress(tally.drives, total)

    return audit_all


def _groups(targets: Iterable[Target]) -> Iterable[_Group]:
    remaining = iter(targets)
    while group := tuple(islice(remaining, GROUP)):
        yield _Group(group)


def _audited(sources: AuditSources, group: _Group, as_of_ns: int) -> AuditResultDocument:
    tally = AuditTally(as_of_ns)
    for found in audit_group(sources, group.targets, as_of_ns):
        tally.add(found)
    return tally.result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
