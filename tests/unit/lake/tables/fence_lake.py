"""A lake in a folder that drives are published to, and Iceberg's own maintenance on it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile

from lake.iceberg.catalog import AnyCatalog
from lake.iceberg.internals import begin
from lake.iceberg.replace_files import replace_files
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.maintenance.manifests import merge_manifests, merge_row_files
from lake.tables.creation import ensure_tables
from lake.tables.drives import DRIVES_TABLE, publications
from lake.tables.publish import Batch
from lake.tables.rows import DriveRow, PublicationFacts
from lake.tables.schemas import FRAMES, PUBLISHED, RECORDS, SCENES
from tests.unit.lake.tables.empty_lake import make_empty_lake

DAY = datetime.date(2024, 5, 1)
DRIVE = DriveId("car-1", "a-drive-with-a-name-longer-than-sixteen")
BOUNDED = ("vehicle_id", "drive_id", "day", "anchor_ns", "stamp_ns")


def scene(drive: DriveId, revision: str, anchor_ns: int) -> dict[str, Any]:
    return {
        "scene_id": f"{drive.vehicle_id}.{drive.drive_id}.{anchor_ns}",
        "vehicle_id": drive.vehicle_id,
        "drive_id": drive.drive_id,
        "revision": revision,
        "day": DAY,
        "anchor_sensor": "lidar",
        "anchor_ns": anchor_ns,
        "complete": True,
        "missing": [],
        "quality_flags": [],
        "lidars": [],
        "cameras": [],
        "radars": [],
        "sources": [{"key": "k", "version_id": "v", "sha256": "s"}],
        "calibration": "{}",
        "code_version": "c",
        "config_hash": "h",
    }


def frame(drive: DriveId, revision: str, stamp_ns: int) -> dict[str, Any]:
    return {
        "vehicle_id": drive.vehicle_id,
        "drive_id": drive.drive_id,
        "revision": revision,
        "day": DAY,
        "sensor": "lidar",
        "modality": "lidar",
        "stamp_ns": stamp_ns,
        "key": "k",
        "chunk_offset": 0,
        "message_offset": 0,
        "fate": "gold",
        "scenes": 1,
    }


def record(drive: DriveId, revision: str, stamp_ns: int) -> dict[str, Any]:
    return {
        "record_id": f"{revision}-{stamp_ns}",
        "level": "object",
        "vehicle_id": drive.vehicle_id,
        "drive_id": drive.drive_id,
        "revision": revision,
        "stamp_ns": stamp_ns,
        "rule_ids": ["DEC005"],
        "findings": [],
        "source": {"key": "k", "version_id": "v", "offset": 0},
        "frames": 1,
        "status": "quarantined",
        "code_version": "c",
        "config_hash": "h",
        "day": DAY,
    }


class FenceLake:
    """`opened`: opens another catalog than SQLite's, anew each time, whose warehouse is in the folder, too."""

    def __init__(self, folder: Path, opened: Callable[[], AnyCatalog] | None = None) -> None:
        self.folder = folder
        self.files = 0
        self._opened = opened or self._sqlite
        catalog = self.catalog()
        if isinstance(catalog, LakeCatalog) and not catalog.pointers():
            make_empty_lake(catalog)
        else:
            ensure_tables(catalog)

    def catalog(self) -> AnyCatalog:
        """Opened anew, as every process does."""
        return self._opened()

    def _sqlite(self) -> LakeCatalog:
        return LakeCatalog("unit", uri=f"sqlite:///{self.folder}/catalog.db", warehouse=f"file://{self.folder}/warehouse")

    def put(self, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> str:
        self.files += 1
        path = self.folder / f"{self.files}.parquet"
        bounded = [name for name in BOUNDED if name in schema.names]
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), path, write_statistics=bounded)
        return f"file://{path}"

    def batch(self, revision: str, generation: int, anchors: Sequence[int], drive: DriveId = DRIVE) -> Batch:
        """One scene and one frame for each anchor, and one quarantine record."""
        return Batch(
            drive=drive,
            revision=revision,
            generation=generation,
            files={
                "gold.scenes": [self.put([scene(drive, revision, anchor) for anchor in anchors], SCENES)],
                "gold.frames": [self.put([frame(drive, revision, anchor) for anchor in anchors], FRAMES)],
                "quarantine.records": [self.put([record(drive, revision, anchors[0])], RECORDS)],
            },
            facts=PublicationFacts(verdict="publish", scenes=len(anchors), frames=len(anchors), records=1, code_version="c"),
        )

    def expire(self) -> None:
        """Iceberg's everyday maintenance at its strictest: of every table, only the current snapshot stays."""
        catalog = self.catalog()
        for name in PUBLISHED:
            table = catalog.load_table(name)
            current = table.current_snapshot()
            old = [one.snapshot_id for one in table.snapshots() if current is not None and one.snapshot_id != current.snapshot_id]
            if old:
                table.maintenance.expire_snapshots().by_ids(old).commit()
            assert len(catalog.load_table(name).snapshots()) == min(len(table.snapshots()), 1)

    def merge(self) -> None:
        """The lake's own maintenance at its strictest: manifests, rows of drives, and the frames of all drives of a day."""
        for name in PUBLISHED:
            merge_manifests(self.catalog(), name)
        merge_row_files(self.catalog(), DRIVES_TABLE, least_files=2)
        self.merge_frames()

    def merge_frames(self) -> None:
        """Put the frames of each partition into one file, as compaction does, with row groups of two rows."""
        catalog = self.catalog()
        table = catalog.load_table("gold.frames")
        by_partition: dict[str, list[DataFile]] = {}
        for task in table.scan().plan_files():
            by_partition.setdefault(repr(task.file.partition), []).append(task.file)
        for files in by_partition.values():
            self.files += 1
            path = self.folder / f"merged-{self.files}.parquet"
            rows = pa.concat_tables([pq.read_table(one.file_path.removeprefix("file://")) for one in files])
            pq.write_table(rows, path, row_group_size=2)
            table = catalog.load_table("gold.frames")
            change = begin(table)
            replace_files(change, table.io, files, [f"file://{path}"], {}, same_rows=True)
            catalog.commit_together([change])

    def drives(self, drive: DriveId = DRIVE) -> tuple[DriveRow, ...]:
        """The publications of a drive."""
        return publications(self.catalog().load_table(DRIVES_TABLE), drive)

    def row_files(self) -> set[str]:
        """Data files of `gold.drives`, whether a commit has added them or not."""
        return {f"file://{path}" for path in self.folder.glob("warehouse/gold/drives/data/**/*.parquet")}

    def rows(self, drive: DriveId = DRIVE) -> dict[str, list[tuple[str, int]]]:
        """Revision and time of every row of a drive, by table."""
        keys = {"gold.scenes": "anchor_ns", "gold.frames": "stamp_ns", "quarantine.records": "stamp_ns"}
        catalog, found = self.catalog(), {}
        for name, key in keys.items():
            rows = catalog.load_table(name).scan(row_filter=f"drive_id == '{drive.drive_id}'").to_arrow()
            found[name] = sorted(zip(rows["revision"].to_pylist(), rows[key].to_pylist(), strict=True))
        return found


def held(revision: str, anchors: Sequence[int]) -> dict[str, list[tuple[str, int]]]:
    """What `FenceLake.rows` finds where `FenceLake.batch` of this revision is published once, and nothing else."""
    times = [(revision, anchor) for anchor in anchors]
    return {"gold.scenes": times, "gold.frames": times, "quarantine.records": times[:1]}
