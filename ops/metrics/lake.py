"""The lake's metrics: all drives summed up under a bounded number of labels, never one label per drive.

A drive is read again when its ledger record or its publication changed, or while it does not balance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from lake.landing import DriveId
from lake.tables.rows import DriveRow
from ops.audit import lake_reader
from ops.metrics.drive_facts import Amount, DriveFacts, Sources, read_drive
from ops.metrics.ledger import DriveMark, LedgerWatch
from ops.metrics.pinned_tables import PinnedTables, pin
from quality.measurements.residuals import in_tolerances
from quality.rules.catalogue import RULES
from quality.rules.rule import Outcome
from sensors.stamps import Nanoseconds, percentile

if TYPE_CHECKING:
    from lake.tables.catalog import AnyCatalog


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


def summarise(
    drives: Collection[DriveFacts],
    recent: Sequence[DriveFacts],
    refused: Amount,
    publications: int,
    published_scenes: int,
) -> LakeSummary:
    """Sum up all drives.

    Args:
        drives: Facts of every drive.
        recent: Facts of the newest ones, read in full; they are among `drives`.
        refused: Objects that belong to no drive.
        publications: Commits of drives so far.
        published_scenes: Scenes that they added.
    """
    objects = {"refused": refused}
    records: Counter[tuple[str, str]] = Counter()
    checks: Counter[tuple[str, bool]] = Counter()
    for drive in drives:
        for state, amount in drive.objects.items():
            objects[state] = objects.get(state, Amount()) + amount
        for (code, level), count in drive.records.items():
            records[_known(code), level] += count
        checks.update(drive.checks.items())
    return LakeSummary(
        publications=publications,
        published_scenes=published_scenes,
        objects=objects,
        frames=_frames(drives),
        scenes=sum(drive.scenes for drive in drives),
        records=dict(records),
        checks=dict(checks),
        unbalanced_drives=sum(not drive.balanced for drive in drives),
        recent_drives=len(recent),
        recent_frames=_frames(recent),
        rules=dict(Counter((_known(code), outcome) for drive in recent for code, outcome in drive.outcomes.items())),
        residuals=_residuals(recent),
    )


def _known(code: str) -> str:
    return code if code in _CODES else OTHER


def _frames(drives: Collection[DriveFacts]) -> dict[tuple[str, str, str], int]:
    """Frames of the sensors with the most frames; all others under one name."""
    found: Counter[tuple[str, str, str]] = Counter()
    by_sensor: Counter[str] = Counter()
    for drive in drives:
        for key, count in drive.frames.items():
            found[key] += count
            by_sensor[key[0]] += count
    named = _named(by_sensor)
    bounded: Counter[tuple[str, str, str]] = Counter()
    for (sensor, modality, fate), count in found.items():
        bounded[sensor if sensor in named else OTHER, modality, fate] += count
    return dict(bounded)


def _named(by_sensor: Mapping[str, int]) -> frozenset[str]:
    ordered = sorted(by_sensor, key=lambda sensor: (-by_sensor[sensor], sensor))
    return frozenset(ordered[:MAX_SENSORS])


def _residuals(drives: Sequence[DriveFacts]) -> dict[str, ResidualSizes]:
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
MAX_AGAIN = 16  # unchanged drives that do not balance: this many are read again per reading, in turn
MAX_REFUSED = 1000  # the count means "this many or more"


@dataclass(frozen=True, slots=True)
class _Read:
    mark: DriveMark
    snapshot_id: int | None
    whole: bool
    facts: DriveFacts
    reading: int


class LakeWatch:
    """The lake's summary. A reading reads the drives that changed since the last one, and up to 16 that do not balance,
    which may be temporary; the first one reads every drive.

    Not thread-safe.
    """

    def __init__(self, sources: Sources, drives: LedgerWatch, open_catalog: Callable[[], AnyCatalog]) -> None:
        self._sources = sources
        self._drives = drives
        self._open_catalog = open_catalog
        self._catalog: AnyCatalog | None = None
        self._tables: PinnedTables | None = None
        self._publications: tuple[DriveRow, ...] = ()
        self._batches: dict[DriveId, list[DriveRow]] = {}
        self._read: dict[DriveId, _Read] = {}
        self._summary: LakeSummary | None = None
        self._readings = 0

    def read(self) -> LakeSummary:
        """The summary as of now.

        Raises:
            LakeError: A changed drive could not be read; facts of the others are kept for the next reading.
        """
        # The ledger first: a drive is marked published after its commit, so the tables read next hold it.
        marks = self._drives.read()
        self._pin()
        recent = _newest(self._batches, marks)
        self._readings += 1
        again = self._unbalanced_longest_ago()
        for drive, mark in marks.items():
            self._read_drive(mark, whole=drive in recent, again=drive in again)
        refused = self._refused()
        if self._summary is None or self._summary.objects["refused"] != refused:
            self._summary = summarise(
                drives=[read.facts for read in self._read.values()],
                recent=[self._read[drive].facts for drive in recent],
                refused=refused,
                publications=len(self._publications),
                published_scenes=sum(row.scenes for row in self._publications),
            )
        return self._summary

    def _pin(self) -> None:
        if self._catalog is None:
            self._catalog = self._open_catalog()
        pinned = pin(self._catalog, self._tables)
        if pinned is self._tables:
            return
        self._summary = None
        self._tables = pinned
        self._publications = lake_reader.publications(pinned) if pinned else ()
        self._batches = {}
        for row in self._publications:
            # Removed and inserted again, so that drives are ordered by their last publication.
            self._batches[row.drive] = [*self._batches.pop(row.drive, []), row]

    def _unbalanced_longest_ago(self) -> frozenset[DriveId]:
        unbalanced = [(read.reading, drive) for drive, read in self._read.items() if not read.facts.balanced]
        return frozenset(drive for _, drive in sorted(unbalanced)[:MAX_AGAIN])

    def _read_drive(self, mark: DriveMark, *, whole: bool, again: bool) -> None:
        drive, batches = mark.drive, self._batches.get(mark.drive, [])
        known = self._read.get(drive)
        newest = batches[-1].scenes_snapshot_id if batches else None
        unchanged = known is not None and (known.mark, known.snapshot_id) == (mark, newest)
        if known is not None and unchanged and not again and (known.whole or not whole):
            if known.whole and not whole:
                self._read[drive] = replace(known, whole=False, facts=_light(known.facts))
            return
        self._summary = None  # before anything can fail: an old summary must not survive a failed reading
        record = self._sources.ledger.drive(drive)
        assert record is not None and self._tables is not None
        facts = read_drive(self._sources, self._tables.of_drive(drive), record, batches, whole=whole)
        self._read[drive] = _Read(mark, newest, whole, facts, self._readings)

    def _refused(self) -> Amount:
        first = islice(self._sources.ledger.refused(), MAX_REFUSED)
        return sum((Amount(1, entry.head.size_bytes) for entry in first), Amount())


def _newest(published: dict[DriveId, list[DriveRow]], marks: dict[DriveId, DriveMark]) -> tuple[DriveId, ...]:
    """The drives published last, newest first."""
    return tuple(islice((drive for drive in reversed(published) if drive in marks), RECENT_DRIVES))


def _light(facts: DriveFacts) -> DriveFacts:
    """The facts without those that only the newest drives need."""
    return replace(facts, outcomes={}, residuals_ns={}, tolerances_ns={})
