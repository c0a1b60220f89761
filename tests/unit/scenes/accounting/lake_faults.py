"""Faults in a lake, each done by hand behind the pipeline's back, and the check that has to find it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from bench.folder_settings import SETTINGS
from bench.lake_audit.lake import CAMERA, SmallLake
from ingest.ledger.records import ObjectHead, RefusedRecord
from lake.landing import DriveId

DAY, NEXT_DAY = date(2024, 5, 1), date(2024, 5, 2)
A, B, C = (DriveId("car-1", "d-a"), DriveId("car-1", "d-b"), DriveId("car-1-b", "d-c"))
STRAY = "car-1/model.pkl"


def fill(lake: SmallLake) -> None:
    """Three drives of two vehicles and two days, and an object that was refused. With a slash behind, names sort otherwise."""
    lake.add(A, DAY)
    lake.add(B, DAY)
    lake.add(C, NEXT_DAY)
    refuse(lake, STRAY)


def refuse(lake: SmallLake, key: str) -> ObjectHead:
    head = lake.put(key)
    assert lake.ledger.refuse(RefusedRecord(head, "KEY001", "none of …", "", 0))
    return head


def of(drive: DriveId) -> str:
    return f"vehicle_id == '{drive.vehicle_id}' and drive_id == '{drive.drive_id}'"


def camera_key(drive: DriveId, day: date = DAY) -> str:
    days = (day - date(1970, 1, 1)).days
    return f"{drive}/camera/{CAMERA}/{days * 86_400 * 10**9:019d}.mcap"


def _lost_event(lake: SmallLake, drive: DriveId) -> None:
    lake.put(camera_key(drive).replace("camera", "lidar"))


def _lost_version(lake: SmallLake, drive: DriveId) -> None:
    found = lake.ledger.object_of(drive, camera_key(drive))
    assert found is not None
    lake.s3.delete_object(Bucket=SETTINGS.raw_bucket, Key=found.key, VersionId=found.version_id)


def _raw_deleted_whole(lake: SmallLake, drive: DriveId) -> None:
    for entry in lake.ledger.objects(drive):
        lake.s3.delete_object(Bucket=SETTINGS.raw_bucket, Key=entry.key, VersionId=entry.version_id)


def _unknown_drive_landed(lake: SmallLake, drive: DriveId) -> None:
    del drive
    lake.put(camera_key(DriveId("car-9", "d-new")))


def _rows_of_no_drive(lake: SmallLake, drive: DriveId) -> None:
    table = lake.catalog().load_table("gold.scenes")
    rows = table.scan(row_filter=of(drive)).to_arrow().to_pylist()
    foreign = [{**row, "vehicle_id": "car-8", "drive_id": "d-x", "scene_id": f"car-8.d-x.{row['anchor_ns']}"} for row in rows]
    table.append(pa.Table.from_pylist(foreign, schema=table.schema().as_arrow()))


def _rows_with_an_id_of_no_drive(lake: SmallLake, drive: DriveId) -> None:
    table = lake.catalog().load_table("gold.frames")
    row = table.scan(row_filter=of(drive)).to_arrow().to_pylist()[0]
    strange = [{**row, "drive_id": "No Drive"}]
    table.append(pa.Table.from_pylist(strange, schema=table.schema().as_arrow()))


def _scene_twice(lake: SmallLake, drive: DriveId) -> None:
    table = lake.catalog().load_table("gold.scenes")
    table.append(table.scan(row_filter=of(drive)).to_arrow().slice(0, 1))


def _old_rows_on_another_day(lake: SmallLake, drive: DriveId) -> None:
    table = lake.catalog().load_table("gold.frames")
    row = table.scan(row_filter=of(drive)).to_arrow().to_pylist()[0]
    stale = [{**row, "day": date(2020, 1, 1), "revision": "0" * 64}]
    table.append(pa.Table.from_pylist(stale, schema=table.schema().as_arrow()))


def _frames_removed(lake: SmallLake, drive: DriveId) -> None:
    lake.catalog().load_table("gold.frames").delete(f"{of(drive)} and sensor == 'odom'")


def _records_removed(lake: SmallLake, drive: DriveId) -> None:
    lake.catalog().load_table("quarantine.records").delete(of(drive))


def _published_twice(lake: SmallLake, drive: DriveId) -> None:
    table = lake.catalog().load_table("gold.drives")
    table.append(table.scan(row_filter=of(drive)).to_arrow())


def _never_published(lake: SmallLake, drive: DriveId) -> None:
    for name in ("gold.drives", "gold.scenes", "gold.frames", "quarantine.records"):
        lake.catalog().load_table(name).delete(of(drive))


def _copy_deleted(lake: SmallLake, drive: DriveId) -> None:
    key = f"frames/{drive}/{'a' * 12}/0.bin"
    lake.s3.delete_object(Bucket=SETTINGS.quarantine_bucket, Key=key)


def _file_deleted(lake: SmallLake, drive: DriveId) -> None:
    (task,) = lake.catalog().load_table("gold.frames").scan(row_filter=of(drive)).plan_files()
    Path(task.file.file_path.removeprefix("file://")).unlink()


def _refused_without_entry(lake: SmallLake, drive: DriveId) -> None:
    del drive
    lake.put("nowhere.pkl")
    lake.put("Bad Vehicle/d/x.mcap")


def _stray_in_a_drive(lake: SmallLake, drive: DriveId) -> None:
    lake.put(f"{drive}/notes.txt")


def _refused_deleted(lake: SmallLake, drive: DriveId) -> None:
    del drive
    (entry,) = lake.ledger.refused()
    lake.s3.delete_object(Bucket=SETTINGS.raw_bucket, Key=STRAY, VersionId=entry.head.version_id)


class Fault(NamedTuple):
    """What is done to a drive, the beginning of the check that fails, and its scope, None for the drive itself. `changed`:
    whether it leaves a trace that an audit of what changed follows."""

    do: Callable[[SmallLake, DriveId], None]
    check: str
    scope: str | None = None
    changed: bool = False


FAULTS: Mapping[str, Fault] = {
    "the event of an object was lost": Fault(_lost_event, "objects landed"),
    "a raw version was deleted": Fault(_lost_version, "objects in the ledger"),
    "every raw version of a drive was deleted": Fault(_raw_deleted_whole, "objects in the ledger"),
    "a drive landed and the ledger knows nothing": Fault(_unknown_drive_landed, "objects landed", "car-9/d-new"),
    "rows of a drive that nobody knows": Fault(_rows_of_no_drive, "drives in gold", "car-8/d-x", changed=True),
    "rows with an id that no drive can have": Fault(
        _rows_with_an_id_of_no_drive, "files of the tables", "the lake", changed=True
    ),
    "a scene twice": Fault(_scene_twice, "scenes = distinct", changed=True),
    "old rows on a day of no publication": Fault(_old_rows_on_another_day, "revisions in gold", changed=True),
    "frames removed": Fault(_frames_removed, "frames declared", changed=True),
    "records removed": Fault(_records_removed, "frames quarantined"),
    "a publication twice": Fault(_published_twice, "publications", changed=True),
    "published in the ledger alone": Fault(_never_published, "drives published in the ledger"),
    "a quarantined copy was deleted": Fault(_copy_deleted, "records with a payload"),
    "a data file was deleted": Fault(_file_deleted, "tables of rows"),
    "objects of no drive that were never refused": Fault(_refused_without_entry, "objects landed", "outside the layout"),
    "an object of no drive among those of one": Fault(_stray_in_a_drive, "objects landed", "outside the layout"),
    "a refused object was deleted": Fault(_refused_deleted, "objects in the ledger", "the lake"),
}
