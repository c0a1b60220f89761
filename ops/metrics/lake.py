"""The lake's metrics: all drives summed up under a bounded number of labels, never one label per drive.

A drive is read again when its ledger record or its publication changed, or while it does not balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from lake.landing import DriveId
from lake.tables.drives import DRIVES_TABLE
from lake.tables.pinned import PinnedTables, pin
from lake.tables.planned_files import added_publications
from ops.metrics.drive_facts import Amount, DriveFacts, RecentFacts, read_facts, read_recent
from ops.metrics.facts_store import FactsStore
from ops.metrics.ledger import LedgerWatch
from quality.measurements.residuals import in_tolerances
from quality.rules.catalogue import RULES
from quality.rules.rule import Outcome
from scenes.accounting.drive_sources import AuditSources
from scenes.accounting.watermark import TablePosition, sequence_of
from sensors.stamps import Nanoseconds, percentile

MAX_SENSORS = 64  # names come from vehicles: a fleet has tens, a mistake could add arbitrarily many
OTHER = "(other)"
_CODES = frozenset(rule.code for rule in RULES)


@dataclass(frozen=True, slots=True)
class ResidualSizes:
    """Sizes of a sensor's residuals, nearest rank, in ns. `tolerances`: the largest in units of its drive's tolerance, None
    where no rig states one; infinite where one of 0 is exceeded."""

    p50_ns: int
    p95_ns: int
    p99_ns: int
    max_ns: int
    tolerances: float | None


@dataclass(frozen=True, slots=True)
class LakeSummary:
    """The lake as a whole, and the state of its newest `recent_drives` drives; keys as in `DriveFacts`.

    `rules`: drives by (rule, outcome); `checks`: drives by (check, whether it holds). `publications` and
    `published_scenes` count everything that was ever committed.
    """

    publications: int
    published_scenes: int
    objects: Mapping[str, Amount]
    frames: Mapping[tuple[str, str, str], int]
    scenes: int
    records: Mapping[tuple[str, str], int]
    checks: Mapping[tuple[str, bool], int]
    unbalanced_drives: int
    recent_drives: int
    recent_frames: Mapping[tuple[str, str, str], int]
    rules: Mapping[tuple[str, Outcome], int]
    residuals: Mapping[str, ResidualSizes]


class LakeSums:
    """The facts of many drives, added up. A drive that is read again is first taken away as it was."""

    def __init__(self) -> None:
        self.objects: dict[str, Amount] = {}
        self.frames: Counter[tuple[str, str, str]] = Counter()
        self.records: Counter[tuple[str, str]] = Counter()
        self.checks: Counter[tuple[str, bool]] = Counter()
        self.scenes = 0
        self.unbalanced = 0

    def add(self, facts: DriveFacts, sign: int = 1) -> None:
        """Add a drive, or with the sign -1 take it away."""
        for state, amount in facts.objects.items():
            self.objects[state] = self.objects.get(state, Amount()) + Amount(sign * amount.objects, sign * amount.size_bytes)
        for key, count in facts.frames.items():
            self.frames[key] += sign * count
        for (code, level), count in facts.records.items():
            self.records[_known(code), level] += sign * count
        for check, holds in facts.checks.items():
            self.checks[check, holds] += sign
        self.scenes += sign * facts.scenes
        self.unbalanced += sign * (not facts.balanced)


def summarise(
    sums: LakeSums, recent: Sequence[tuple[DriveFacts, RecentFacts]], refused: Amount, publications: int, published_scenes: int
) -> LakeSummary:
    """The summary of all drives.

    Args:
        sums: Every drive.
        recent: The newest ones, read in full; they are in `sums`, too.
        refused: Objects that belong to no drive.
        publications: Commits of drives so far.
        published_scenes: Scenes that they added.
    """
    newest = Counter[tuple[str, str, str]]()
    for facts, _ in recent:
        newest.update(facts.frames)
    details = [details for _, details in recent]
    return LakeSummary(
        publications=publications,
        published_scenes=published_scenes,
        objects={"refused": refused, **{state: amount for state, amount in sums.objects.items() if amount != Amount()}},
        frames=_frames(sums.frames),
        scenes=sums.scenes,
        records={key: count for key, count in sums.records.items() if count},
        checks={key: count for key, count in sums.checks.items() if count},
        unbalanced_drives=sums.unbalanced,
        recent_drives=len(recent),
        recent_frames=_frames(newest),
        rules=dict(Counter((_known(code), outcome) for one in details for code, outcome in one.outcomes.items())),
        residuals=_residuals(details),
    )


def _known(code: str) -> str:
    return code if code in _CODES else OTHER


def _frames(found: Mapping[tuple[str, str, str], int]) -> dict[tuple[str, str, str], int]:
    """Frames of the sensors with the most frames; all others under one name."""
    by_sensor: Counter[str] = Counter()
    for key, count in found.items():
        by_sensor[key[0]] += count
    named = _named(by_sensor)
    bounded: Counter[tuple[str, str, str]] = Counter()
    for (sensor, modality, fate), count in found.items():
        bounded[sensor if sensor in named else OTHER, modality, fate] += count
    return {key: count for key, count in bounded.items() if count}


def _named(by_sensor: Mapping[str, int]) -> frozenset[str]:
    ordered = sorted(by_sensor, key=lambda sensor: (-by_sensor[sensor], sensor))
    return frozenset(ordered[:MAX_SENSORS])


def _residuals(drives: Sequence[RecentFacts]) -> dict[str, ResidualSizes]:
    sizes: dict[str, list[Nanoseconds]] = {}
    excess: dict[str, list[float]] = {}
    matches = Counter({sensor: 0 for drive in drives for sensor in drive.residuals_ns})
    for drive in drives:
        for sensor, values in drive.residuals_ns.items():
            matches[sensor] += len(values)
    named = _named(matches)
    for drive in drives:
        for sensor, values in drive.residuals_ns.items():
            label = sensor if sensor in named else OTHER
            sizes.setdefault(label, []).append(values)
            if sensor in drive.tolerances_ns:
                excess.setdefault(label, []).append(in_tolerances(int(values[-1]), drive.tolerances_ns[sensor]))
    return {sensor: _sizes(np.sort(np.concatenate(many)), excess.get(sensor)) for sensor, many in sorted(sizes.items())}


def _sizes(ascending: Nanoseconds, excess: list[float] | None) -> ResidualSizes:
    p50_ns, p95_ns, p99_ns = (percentile(ascending, percent) for percent in (50, 95, 99))
    return ResidualSizes(p50_ns, p95_ns, p99_ns, int(ascending[-1]), max(excess) if excess else None)


RECENT_DRIVES = 32  # covered by the metrics of residuals, rules and quarantine share; bounds memory
MAX_AGAIN = 16  # drives that do not balance, and drives at rest: this many are looked at again per reading, in turn
MAX_REFUSED = 1000  # the count means "this many or more"


class LakeWatch:
    """The lake's summary. A reading reads the drives that changed since the last one, up to 16 that do not balance, which may be
    temporary, and asks the ledger whether 16 of the others are still there. The first one reads every drive.

    What is known of each drive is on disk; in memory are the sums, and the details of the newest drives. Not thread-safe.
    """

    def __init__(self, open_sources: Callable[[], AuditSources], drives: LedgerWatch) -> None:
        self._open_sources = open_sources
        self._drives = drives
        self._sources: AuditSources | None = None
        self._tables: PinnedTables | None = None
        self._position: TablePosition | None = None
        self._store = FactsStore()
        self._sums = LakeSums()
        self._details: dict[DriveId, RecentFacts] = {}
        self._summary: LakeSummary | None = None

    def read(self) -> LakeSummary:
        """The summary as of now.

        Raises:
            LakeError: A changed drive could not be read; facts of the others are kept for the next reading.
        """
        if self._sources is None:
            self._sources = self._open_sources()
        sources = self._sources
        # The ledger first: a drive is marked published after its commit, so the tables read next hold it.
        self._drives.read(self._store.expect)
        tables = self._pin(sources)
        self._look_again(sources)
        for drive in self._store.expected():
            self._summary = None  # before anything can fail: an old summary must not survive a failed reading
            self._read_drive(sources, tables, drive)
        recent = self._recent(sources, tables)
        refused = self._refused(sources)
        if self._summary is None or self._summary.objects["refused"] != refused:
            counted = self._store.publications, self._store.published_scenes
            self._summary = summarise(self._sums, recent, refused, *counted)
        return self._summary

    def _pin(self, sources: AuditSources) -> PinnedTables:
        pinned = pin(sources.catalog, self._tables)
        if pinned is self._tables:
            return pinned
        self._summary = None
        if pinned:
            table = pinned.load_table(DRIVES_TABLE)
            now, before = TablePosition(str(table.metadata.table_uuid), sequence_of(table)), self._position
            if before is not None and (before.uuid != now.uuid or before.sequence > now.sequence):
                self._store.expect_all()  # the table was put back: what was counted may never have been
                before = None
            for row in added_publications(table, 0 if before is None else before.sequence):
                self._store.add_publication(row)
            self._position = now
        self._tables = pinned
        return pinned

    def _look_again(self, sources: AuditSources) -> None:
        for drive in self._store.unbalanced_longest_ago(MAX_AGAIN):
            self._store.expect(drive)
        for drive in self._store.balanced_longest_ago(MAX_AGAIN):
            if sources.ledger.drive(drive) is None:
                self._store.expect(drive)
            else:
                self._store.looked_at(drive)

    def _read_drive(self, sources: AuditSources, tables: PinnedTables, drive: DriveId) -> None:
        record, before = sources.ledger.drive(drive), self._store.get(drive)
        facts = None if record is None else read_facts(sources, tables, record)
        self._details.pop(drive, None)
        if facts is None:
            self._store.remove(drive)
        else:
            self._store.put(drive, facts)
            self._sums.add(facts)
        if before is not None:
            self._sums.add(before, -1)

    def _recent(self, sources: AuditSources, tables: PinnedTables) -> list[tuple[DriveFacts, RecentFacts]]:
        newest = self._store.published_last(RECENT_DRIVES)
        if newest != list(self._details):
            self._summary = None
        self._details = {drive: self._details.get(drive) or read_recent(sources, tables, drive) for drive in newest}
        facts = {drive: self._store.get(drive) for drive in newest}
        return [(known, self._details[drive]) for drive, known in facts.items() if known is not None]

    def _refused(self, sources: AuditSources) -> Amount:
        first = islice(sources.ledger.refused(), MAX_REFUSED)
        return sum((Amount(1, entry.head.size_bytes) for entry in first), Amount())
