"""Deletes candidates in batches, each after another look at the tables and the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lake.maintenance.candidates import Candidate
from lake.maintenance.judgement import Judge, KeptObject
from lake.maintenance.reference_file import plain
from lake.maintenance.references import TableReferences
from lake.maintenance.sweep_report import LakeSweepReport
from lake.maintenance.swept_buckets import MOST_VERSIONS, Bucket
from lake.versions.moments import load_tables

if TYPE_CHECKING:
    from lake.iceberg.publisher import Publisher


class Deletion:
    """A sweep's deletions. `walked` has walked the tables that `judge` judges by.

    Memory: the names that commits have added since the sweep began.
    """

    def __init__(
        self, catalog: Publisher, walked: TableReferences, judge: Judge, buckets: Sequence[Bucket], report: LakeSweepReport
    ) -> None:
        self._catalog, self._walked, self._judge, self._report = catalog, walked, judge, report
        self._buckets = {bucket.name: bucket for bucket in buckets}
        self._locations = {name: state.location for name, state in judge.tables.items()}
        self._needed_since: set[str] = set()
        self._batch: list[Candidate] = []
        self._versions = 0

    def add(self, candidate: Candidate) -> None:
        """Delete a candidate with the next batch.

        Raises:
            LakeError: The bucket did not delete all of a batch.
        """
        if self._versions + len(candidate.versions) > MOST_VERSIONS or (
            self._batch and self._batch[0].bucket != candidate.bucket
        ):
            self.finish()
        self._batch.append(candidate)
        self._versions += len(candidate.versions)

    def finish(self) -> None:
        """Delete what is waiting.

        Raises:
            LakeError: The bucket did not delete all of it.
        """
        batch, self._batch, self._versions = self._batch, [], 0
        if not batch:
            return
        self._look_again()
        self._judge.ask_anew()
        agreed = [candidate for candidate in batch if self._agreed(candidate)]
        if agreed:
            self._buckets[batch[0].bucket].delete([(one.key, version) for one in agreed for version in one.versions])
        for candidate in agreed:
            self._report.was_deleted(candidate)

    def _agreed(self, candidate: Candidate) -> bool:
        key = self._judge.swept_key(candidate.bucket, candidate.key)
        reason = self._judge.progress_reason(key)
        if f"{candidate.bucket}/{candidate.key}" in self._needed_since:
            reason = "a commit has referenced it since the sweep began"
        if reason is not None:
            self._report.kept(KeptObject(candidate.bucket, candidate.key, candidate.bytes, key.area, reason))
        return reason is None

    def _look_again(self) -> None:
        """Learn what commits have referenced since; only what they added is read."""
        for name, table in load_tables(self._catalog).items():
            if self._locations.get(name) != table.metadata_location:
                for uris in self._walked.of_table(name, table):
                    self._needed_since.update(map(plain, uris))
                self._locations[name] = table.metadata_location
