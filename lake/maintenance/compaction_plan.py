"""Which files of the lake are worth merging, and why the others are left.

Files of `gold.scenes` are merged drive by drive: a file never holds two drives, so that a drive is replaced or erased by metadata
alone. Frames and records are merged within their partition.

A drive leaves a few megabytes of frames and records, and gigabytes of scenes, in files of a window of the build each. So frames
and records are merged every day, and scenes only where the files are much smaller than such a window: of short drives, and of
rigs whose scenes are small. One run merges a bounded number of bytes; the next one goes on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import accumulate
from typing import TYPE_CHECKING

from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression
from pyiceberg.utils.datetime import days_to_date

from lake.iceberg.internals import plan_manifests
from lake.maintenance.merge_sizes import RUN_BYTES, Sizes
from lake.tables.drive_rows import equal, on_days
from lake.tables.names import DATA_TABLES, SCENES_TABLE

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

    from lake.iceberg.publisher import Publisher

LARGE, ALONE = "large enough", "nothing to merge it with"
SEVERAL_DRIVES, DELETES, OTHER_PARTITIONS = "holds several drives", "has delete files", "has an older partitioning"


DEFAULT_SIZES = Sizes()


@dataclass(frozen=True, slots=True, order=True)
class SmallFile:
    """A data file that may be merged; `first` and `last` are its lowest and highest drive, `first_ns` its first anchor."""

    first: str
    first_ns: int
    uri: str
    last: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class MergeJob:
    """Files of one partition, and of one drive where `drive` is given, to be merged in this order."""

    table: str
    vehicle_id: str
    day: date | None
    drive: str | None
    files: tuple[SmallFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def __str__(self) -> str:
        place = "/".join(part for part in (self.vehicle_id, self.drive, self.day and self.day.isoformat()) if part)
        return f"{self.table} {place}"


@dataclass(frozen=True, slots=True)
class LeftFiles:
    """Files that are left as they are, for one reason."""

    files: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class CompactionPlan:
    """Jobs in table and partition order, and by table and reason what is left."""

    jobs: tuple[MergeJob, ...] = ()
    left: Mapping[str, Mapping[str, LeftFiles]] = field(default_factory=dict)


@dataclass(slots=True)
class RunBudget:
    """How many bytes of files one run may merge, and what waits for the next one."""

    most: int = RUN_BYTES
    taken: int = 0
    waiting: LeftFiles = LeftFiles()

    def take(self, job: MergeJob) -> MergeJob | None:
        """What of a job belongs to this run: all of it, or nothing once one did not fit, so that jobs keep their order. Of one
        that is larger than a run, the first files."""
        now = _first(job, self.most)
        if self.waiting.files or self.taken + now.size > max(self.most, now.size):
            self._wait(job.files)
            return None
        self.taken += now.size
        self._wait(job.files[len(now.files) :])
        return now

    def _wait(self, files: Sequence[SmallFile]) -> None:
        self.waiting = LeftFiles(self.waiting.files + len(files), self.waiting.size + sum(file.size for file in files))


def _first(job: MergeJob, most: int) -> MergeJob:
    """A job of its first files that are no larger together; at least two."""
    sums = accumulate(file.size for file in job.files)
    return replace(job, files=job.files[: max(2, sum(size <= most for size in sums))])


def plan(
    catalog: Publisher, sizes: Sizes = DEFAULT_SIZES, day: date | None = None, vehicle_id: str | None = None
) -> CompactionPlan:
    """Plan the compaction of all data tables, or of a vehicle. `day`: only its partitions; nothing of a table without days."""
    jobs: list[MergeJob] = []
    left: dict[str, dict[str, LeftFiles]] = {}
    for name in DATA_TABLES:
        table = catalog.load_table(name)
        if day is not None and "day" not in _partition_fields(table):
            continue
        found = _Found(name)
        for task_file, deletes in _files(table, _where(day, vehicle_id)):
            found.add(table, task_file, sizes, deletes=deletes)
        jobs += found.jobs(sizes)
        left[name] = found.left()
    return CompactionPlan(tuple(jobs), left)


def partition_filter(job: MergeJob) -> BooleanExpression:
    """The rows of a job's partition, and drive."""
    if job.drive is None:
        return _where(job.day, job.vehicle_id)
    return And(_where(job.day, job.vehicle_id), equal("drive_id", job.drive))


def _where(day: date | None, vehicle_id: str | None) -> BooleanExpression:
    where: BooleanExpression = AlwaysTrue()
    if vehicle_id is not None:
        where = And(where, equal("vehicle_id", vehicle_id))
    return where if day is None else And(where, on_days([day]))


def _files(table: Table, where: BooleanExpression) -> Iterator[tuple[DataFile, bool]]:
    """The files of the current snapshot, and whether rows of each were deleted without rewriting it; a manifest at a time."""
    snapshot, scan = table.current_snapshot(), table.scan(row_filter=where)
    for manifest in [] if snapshot is None else snapshot.manifests(table.io):
        for task in plan_manifests(scan, [manifest]):
            yield task.file, bool(task.delete_files)


def _partition_fields(table: Table) -> list[str]:
    return [one.name for one in table.spec().fields]


class _Found:
    """The files of one table: small ones by partition, and drive where files must not mix drives; the others counted."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._small: dict[tuple[date, str, str], list[SmallFile]] = defaultdict(list)
        self._left: Counter[str] = Counter()
        self._left_size: Counter[str] = Counter()

    def add(self, table: Table, file: DataFile, sizes: Sizes, *, deletes: bool) -> None:
        small = _small(table, file)
        if deletes:
            self._leave(DELETES, [small])
        elif file.spec_id != table.spec().spec_id:
            self._leave(OTHER_PARTITIONS, [small])
        elif small.size >= sizes.smallest(self._name):
            self._leave(LARGE, [small])
        elif self._name == SCENES_TABLE and not small.first == small.last != "":
            self._leave(SEVERAL_DRIVES, [small])
        else:
            partition = {name: file.partition[position] for position, name in enumerate(_partition_fields(table))}
            days = partition.get("day")
            day = date.min if days is None else days_to_date(days)
            drive = small.first if self._name == SCENES_TABLE else ""
            self._small[day, str(partition["vehicle_id"]), drive].append(small)

    def jobs(self, sizes: Sizes) -> Iterator[MergeJob]:
        for (day, vehicle_id, drive), files in sorted(self._small.items()):
            bins = _bins(sorted(files), sizes) if drive else [sorted(files)]
            for some in bins:
                if len(some) < 2:
                    self._leave(ALONE, some)
                else:
                    yield MergeJob(self._name, vehicle_id, None if day == date.min else day, drive or None, tuple(some))

    def left(self) -> dict[str, LeftFiles]:
        return {why: LeftFiles(count, self._left_size[why]) for why, count in sorted(self._left.items())}

    def _leave(self, why: str, files: Iterable[SmallFile]) -> None:
        for file in files:
            self._left[why] += 1
            self._left_size[why] += file.size


def _bins(files: Sequence[SmallFile], sizes: Sizes) -> list[list[SmallFile]]:
    """The files in their order, cut where a merged file would become too large: all bins but the last are merged for good."""
    bins: list[list[SmallFile]] = []
    held = sizes.largest
    for file in files:
        if held + file.size > sizes.largest:
            bins.append([])
            held = 0
        bins[-1].append(file)
        held += file.size
    return bins


def _small(table: Table, file: DataFile) -> SmallFile:
    fields = {one.name: one.field_id for one in table.schema().fields}
    lower, upper = file.lower_bounds or {}, file.upper_bounds or {}
    anchor = lower.get(fields.get("anchor_ns", -1))
    return SmallFile(
        first=lower.get(fields["drive_id"], b"").decode(),
        first_ns=0 if anchor is None else int.from_bytes(anchor, "little", signed=True),
        uri=file.file_path,
        last=upper.get(fields["drive_id"], b"").decode(),
        size=file.file_size_in_bytes,
        rows=file.record_count,
    )
