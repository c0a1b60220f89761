"""One soak: drives one after the other, and what a day costs."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from bench.soak_lake import counted_io
from bench.soak_lake.batches import write_batch
from bench.soak_lake.commands import Finished, run_command
from bench.soak_lake.curves import Sample
from bench.soak_lake.endpoint import SoakError, settings_of
from bench.soak_lake.fleet import DRIVES_PER_DAY, FleetDrive, drives
from bench.soak_lake.landing import FRAMES, Landed, Landing
from bench.soak_lake.maintenance import maintain
from ingest.ledger.repository import Ledger
from lake.clients import client
from lake.iceberg.catalog import AnyCatalog, open_catalog
from lake.iceberg.file_io import is_metadata
from lake.storage import ObjectStore
from lake.tables.creation import ensure_tables
from lake.tables.publish import Batch, publish
from lake.tables.scene_reader import SceneReader

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

REVISED_AFTER, RELEASED_AFTER = 100, 200  # drives that land in between
PLANNED = 5  # drives whose plan is measured
WEEK = 7 * DRIVES_PER_DAY


@dataclass(frozen=True, slots=True)
class Prepared:
    """A drive that has landed, and whose files are written."""

    landed: Landed
    batch: Batch
    quarantined: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Commit:
    """What one publication cost the thread that made it, and the files of metadata that it read and wrote."""

    cpu_s: float
    opened: int
    written: tuple[str, ...]


Item = TypeVar("Item")
Made = TypeVar("Made")


def one_ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What `make` makes of each item, in order, with the next one in the making."""
    begun = deque[Future[Made]]()
    with ThreadPoolExecutor(1) as pool:
        for item in items:
            begun.append(pool.submit(make, item))
            if len(begun) > 1:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


class Soak:
    """A lake that drives are sent to. `samples`: one for each day that has ended."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._settings = settings_of(environment)
        self._s3: S3Client = client("s3", self._settings.aws)
        ledger = Ledger(client("dynamodb", self._settings.aws), self._settings.ledger_table)
        self._landing = Landing(self._s3, ledger, self._settings.raw_bucket)
        self._reviewed: dict[int, Landed] = {}
        self._commits: list[_Commit] = []
        self.samples: list[Sample] = []
        ensure_tables(self._catalog())

    def prepare(self, drive: FleetDrive, content: str = "first upload") -> Prepared:
        """Let a drive land and write its files; in any thread."""
        quarantined = (FRAMES - 1,) if drive.reviewed and content == "first upload" else ()
        return self._written(self._landing.land(drive, content), quarantined)

    def process(self, prepared: Prepared) -> None:
        """Publish a drive; then what is due of earlier ones: a second upload, a release."""
        drive, published = prepared.landed.drive, self._publish(prepared)
        if drive.reviewed:
            self._reviewed[drive.number] = published
        earlier = FleetDrive(max(drive.number - REVISED_AFTER, 0))
        if earlier.revised and drive.number >= REVISED_AFTER:
            self._publish(self.prepare(earlier, "second upload"))
        released = self._reviewed.pop(drive.number - RELEASED_AFTER, None)
        if released is not None:
            self._publish(self._written(self._landing.release(released)))

    def process_day(self, numbers: range) -> Iterator[None]:
        """Process these drives, the next one landing while one is published; yields after each."""
        for prepared in one_ahead(self.prepare, drives(numbers)):
            self.process(prepared)
            yield

    def publish_cpu_s(self, drive: FleetDrive) -> float:
        """Publish a drive; what that cost."""
        self._publish(self.prepare(drive))
        return self._commits[-1].cpu_s

    def end_day(self) -> Sample:
        """Maintain the lake, and measure."""
        last = FleetDrive(DRIVES_PER_DAY * (len(self.samples) + 1) - 1)
        commits, self._commits = self._commits, []
        sizes = self._metadata_sizes()
        written = sum(sizes.values())
        began_s = time.process_time()
        maintain(self._environment, last.day_number)
        maintained_s = time.process_time() - began_s
        audit = run_command(self._environment, "audit", "--day", last.day.isoformat(), "--json")
        sample = Sample(
            drives=last.number + 1,
            publish_cpu_ms=1e3 * statistics.median(commit.cpu_s for commit in commits),
            opened=statistics.median(commit.opened for commit in commits),
            commit_bytes=statistics.fmean(sum(sizes.get(uri, 0) for uri in commit.written) for commit in commits),
            written_bytes=written,
            kept_bytes=sum(self._metadata_sizes().values()),
            plan_cpu_ms=1e3 * statistics.median(self._plan_s(last.number * part // PLANNED) for part in range(PLANNED)),
            maintenance_cpu_s=maintained_s,
            audit_s=audit.wall_s,
            audit_mb=audit.peak_bytes / 1e6,
            recall_s=self._recall(last).wall_s,
        )
        self.samples.append(sample)
        return sample

    def check_whole_lake(self) -> None:
        """Audit everything.

        Raises:
            SoakError: It does not balance.
        """
        run_command(self._environment, "audit", "--all", "--json")

    def _catalog(self) -> AnyCatalog:
        """Opened anew, as each step of a drive does."""
        catalog = open_catalog(self._settings)
        catalog.properties["py-io-impl"] = counted_io.NAME
        return catalog

    def _written(self, landed: Landed, quarantined: tuple[int, ...] = ()) -> Prepared:
        return Prepared(landed, write_batch(ObjectStore(self._s3), self._settings, landed, quarantined), quarantined)

    def _publish(self, prepared: Prepared) -> Landed:
        counted_io.COUNTS.clear()
        began_s = time.thread_time()
        row = publish(self._catalog(), prepared.batch).row
        cpu_s = time.thread_time() - began_s
        self._commits.append(_Commit(cpu_s, len(counted_io.COUNTS.read), tuple(counted_io.COUNTS.written)))
        records = len(prepared.quarantined)
        return self._landing.finish(prepared.landed, row.scenes_snapshot_id, scenes=row.scenes, records=records)

    def _plan_s(self, number: int) -> float:
        drive = FleetDrive(number)
        began_s = time.process_time()
        files = SceneReader(self._catalog().load_table("gold.scenes")).files(drive.id, drive.day)
        if not files:
            raise SoakError(f"gold has no file of {drive.id}, which was published")
        return time.process_time() - began_s

    def _recall(self, last: FleetDrive) -> Finished:
        first = FleetDrive(max(last.number - WEEK, 0))
        interval = ("--from", first.day.isoformat(), "--to", last.day.isoformat())
        return run_command(self._environment, "recall", "--vehicle", last.id.vehicle_id, *interval, "--json")

    def _metadata_sizes(self) -> dict[str, int]:
        """The size of every version of metadata in the lake bucket, by URI."""
        found: dict[str, int] = {}
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._settings.lake_bucket, Prefix="warehouse/")
        for page in pages:
            for entry in page.get("Versions", ()):
                if is_metadata(entry["Key"]):
                    uri = f"s3://{self._settings.lake_bucket}/{entry['Key']}"
                    found[uri] = found.get(uri, 0) + entry["Size"]
        return found
