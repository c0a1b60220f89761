"""The rows of some drives in the tables, without payload: the files are planned once for all, and read drive by drive."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.errors import LakeError
from lake.landing import DriveId
from lake.tables import drives as drive_index
from lake.tables.drives import DRIVES_TABLE
from lake.tables.names import DATA_TABLES
from lake.tables.pinned import PinnedTables
from lake.tables.planned_files import Days, PlannedFiles, days_of
from lake.tables.rows import DriveRow, row_of
from scenes.accounting.account import Frames
from scenes.accounting.inputs import BatchRef, GoldScene, Held, KeptOut, ObjectFrames
from sensors.stamps import Nanoseconds

SCENES_TABLE, FRAMES_TABLE, RECORDS_TABLE = DATA_TABLES
MATCHES = dict.fromkeys(("lidars", "cameras", "radars"), ("sensor", "stamp_ns"))
_UNREADABLE = (OSError, pa.ArrowException, LakeError)
_FRAME_COLUMNS = ("revision", "sensor", "modality", "fate", "reason", "key")
_RECORD_COLUMNS = ("record_id", "revision", "frames", "payload_uri", "source", "level", "rule_ids", "status")


@dataclass(frozen=True, slots=True)
class TableRows:
    """What the tables hold of one drive. `unreadable`: tables of which a file could not be read, and why."""

    batches: tuple[BatchRef, ...] = ()
    indexed: tuple[ObjectFrames, ...] = ()
    frames: tuple[Frames, ...] = ()
    scenes: tuple[GoldScene, ...] = ()
    held: tuple[Held, ...] = ()
    records: tuple[KeptOut, ...] = ()
    unreadable: tuple[str, ...] = ()


class GroupRows:
    """The rows of a group of drives. Tables that do not exist yet hold none.

    `days`: of each drive, days that it may have rows under besides those of its publications.
    """

    def __init__(self, tables: PinnedTables, drives: Collection[DriveId], days: Days = frozenset()) -> None:
        self._drives = frozenset(drives)
        self._publications: dict[DriveId, list[DriveRow]] = {drive: [] for drive in drives}
        self._unreadable: dict[DriveId, str] = {}
        self._files: dict[str, PlannedFiles] = {}
        if not tables or not drives:
            return
        index = PlannedFiles(tables.load_table(DRIVES_TABLE), drives)
        for drive in drives:
            try:
                self._publications[drive] = _publications(index, drive)
            except _UNREADABLE as error:
                self._unreadable[drive] = f"{DRIVES_TABLE} ({error})"
        published = [row for rows in self._publications.values() for row in rows]
        known = days_of(published)
        # A drive without any publication is looked for under every day.
        within = None if known is None or not all(self._publications.values()) else known | days
        for name in DATA_TABLES:
            self._files[name] = PlannedFiles(tables.load_table(name), drives, within)

    def publications(self, drive: DriveId) -> list[DriveRow]:
        """The publications of a drive, in the order of their commits."""
        return self._publications[drive]

    def read(self, drive: DriveId) -> TableRows:
        """The rows of one drive of the group."""
        batches = tuple(batch_ref(row) for row in self._publications[drive])
        if not self._files:
            return TableRows(batches=batches)
        found = {}
        unreadable = [self._unreadable[drive]] if drive in self._unreadable else []
        for table, read in _READERS.items():
            try:
                found[table] = read(self._files[table], drive)
            except _UNREADABLE as error:
                found[table] = TableRows()
                unreadable.append(f"{table} ({error})")
        return TableRows(
            batches=batches,
            indexed=found[FRAMES_TABLE].indexed,
            frames=found[FRAMES_TABLE].frames,
            scenes=found[SCENES_TABLE].scenes,
            held=found[SCENES_TABLE].held,
            records=found[RECORDS_TABLE].records,
            unreadable=tuple(unreadable),
        )


def batch_ref(row: DriveRow) -> BatchRef:
    """A publication as input of the accounting."""
    return BatchRef(row.revision, row.generation, row.scenes, row.frames, row.records)


def _publications(index: PlannedFiles, drive: DriveId) -> list[DriveRow]:
    batches = index.batches(drive, drive_index.WITHOUT_FILES)
    rows = [row_of(DriveRow, row) for batch in batches for row in batch.to_pylist()]
    return sorted(rows, key=lambda row: (row.committed_ns, row.generation))


def _frames(files: PlannedFiles, drive: DriveId) -> TableRows:
    counts: Counter[tuple[str, str, str, str, str | None]] = Counter()
    indexed: Counter[str] = Counter()
    for batch in files.batches(drive, _FRAME_COLUMNS, encoded=_FRAME_COLUMNS):
        counted = pa.Table.from_batches([batch]).group_by(list(_FRAME_COLUMNS)).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            counts[row["revision"], row["sensor"], row["modality"], row["fate"], row["reason"]] += row["count_all"]
            indexed[row["key"]] += row["count_all"]
    # The order is that of the values, not of the files: compaction changes nothing in what is shown.
    ordered = sorted(counts.items(), key=lambda item: tuple("" if part is None else part for part in item[0]))
    frames = tuple(Frames(str(drive), *key, count) for key, count in ordered)
    return TableRows(frames=frames, indexed=tuple(ObjectFrames(key, count) for key, count in sorted(indexed.items())))


def _scenes(files: PlannedFiles, drive: DriveId) -> TableRows:
    scenes: list[GoldScene] = []
    stamps: dict[tuple[str, str], list[Nanoseconds]] = defaultdict(list)
    for batch in files.batches(drive, ("scene_id", "revision"), MATCHES):
        revisions = batch["revision"].to_pylist()
        scenes += [GoldScene(*row) for row in zip(batch["scene_id"].to_pylist(), revisions, strict=True)]
        for revision in sorted(set(revisions)):
            of_revision = batch.filter(pc.equal(batch["revision"], revision)) if len(set(revisions)) > 1 else batch
            for sensor, found_ns in match_stamps(of_revision):
                stamps[revision, sensor].append(found_ns)
    held = (Held(*key, len(np.unique(np.concatenate(parts)))) for key, parts in sorted(stamps.items()))
    return TableRows(scenes=tuple(sorted(scenes, key=lambda scene: (scene.revision, scene.scene_id))), held=tuple(held))


def match_stamps(scenes: pa.RecordBatch) -> Iterator[tuple[str, Nanoseconds]]:
    """The stamps (N,) of the frames that scenes hold, by sensor and list; the same frame as often as scenes hold it."""
    for name in MATCHES:
        elements = pc.list_flatten(scenes[name])
        sensors = pc.dictionary_encode(pc.struct_field(elements, "sensor"))
        stamps = np.asarray(pc.struct_field(elements, "stamp_ns").to_numpy(zero_copy_only=False), dtype=np.int64)
        codes = sensors.indices.to_numpy(zero_copy_only=False)
        for code, sensor in enumerate(sensors.dictionary.to_pylist()):
            yield sensor, stamps[codes == code]


def _records(files: PlannedFiles, drive: DriveId) -> TableRows:
    found = [
        KeptOut(
            record_id=row["record_id"],
            revision=row["revision"],
            frames=row["frames"],
            payload_uri=row["payload_uri"],
            source_key=(row["source"] or {}).get("key"),
            level=row["level"],
            rule_ids=tuple(row["rule_ids"]),
            status=row["status"],
        )
        for batch in files.batches(drive, _RECORD_COLUMNS)
        for row in batch.to_pylist()
    ]
    return TableRows(records=tuple(sorted(found, key=lambda record: (record.revision, record.record_id))))


_READERS = {FRAMES_TABLE: _frames, SCENES_TABLE: _scenes, RECORDS_TABLE: _records}
