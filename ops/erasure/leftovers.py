"""Objects without the drive's name in their keys that name it, or hold its rows, and that nothing needs any more.

- Metadata and data files of the tables that no version leads to. One that mentions the drive cannot become part of a version: a
  commit that was staged on it was staged before the tombstone's commit, and fails.
- Baselines that were learned from the drive, among others: derived data, which names the drives that it was learned from.
- Documents of maintenance and of the audit, which both write anew: without a watermark, the next audit looks at everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lake.drive_input import baseline_key
from lake.errors import AbsentError, LakeError
from lake.landing import DriveId
from lake.settings import Settings
from lake.storage import ObjectStore, ObjectVersion
from lake.tables.existing import existing_tables
from ops.erasure.buckets import FoundVersion, versions
from ops.erasure.contents import names_drive
from ops.erasure.mentions import Names
from ops.errors import InputError

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from types_boto3_s3 import S3Client

    from lake.iceberg.publisher import Publisher

WRITTEN_ANEW = ("audit/", "maintenance/")
BASELINES = "baselines"


class Leftovers:
    """The leftovers of one drive, by kind."""

    def __init__(self, s3: S3Client, settings: Settings, catalog: Publisher, drive: DriveId) -> None:
        self._s3, self._settings, self._catalog = s3, settings, catalog
        self._store = ObjectStore(s3)
        self._names = Names(drive)

    def of_tables(self) -> Iterator[FoundVersion]:
        """Files of the tables that no version leads to."""
        for table in existing_tables(self._catalog).values():
            needed = reachable(table)
            root = _place(table.location())
            if root is None:
                continue  # a warehouse that is no bucket, of a test
            for one in versions(self._s3, root.bucket, f"{root.key}/"):
                if f"s3://{one.bucket}/{one.key}" not in needed and self._mentions(one):
                    yield one

    def of_baselines(self) -> Iterator[FoundVersion]:
        """Versions of the vehicle's baseline."""
        key = baseline_key(self._names.drive.vehicle_id)
        for one in versions(self._s3, self._settings.lake_bucket, key):
            if one.key == key and self._mentions(one):
                yield one

    def of_documents(self) -> Iterator[FoundVersion]:
        """Documents of maintenance and of the audit."""
        for prefix in WRITTEN_ANEW:
            for one in versions(self._s3, self._settings.lake_bucket, prefix):
                if self._mentions(one):
                    yield one

    def _mentions(self, one: FoundVersion) -> bool:
        if self._names.text(one.key):
            return True
        if one.marker:
            return False
        try:
            return names_drive(self._names, one.key, self._store.read(one.location))
        except AbsentError:
            return False  # maintenance was faster
        except InputError:
            return False  # the search reports what cannot be read


def reachable(table: Table) -> frozenset[str]:
    """URIs of everything that a table's current metadata leads to."""
    found = {table.metadata_location}
    for snapshot in table.metadata.snapshots:
        found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in found:
                found.add(manifest.manifest_path)
                found |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)}
    return frozenset(found)


def _place(uri: str) -> ObjectVersion | None:
    try:
        return ObjectVersion.from_uri(uri)
    except LakeError:
        return None
