"""Names of jobs and datasets, built in one place.

They follow the OpenLineage naming specification (`spec/Naming.md`): an object in S3 has the namespace `s3://{bucket}` and its
key as name. An Iceberg table is named by its location, as the OpenLineage Spark integration does, so that events of both
meet; its name in the catalog is a symlink with the warehouse as namespace.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lake.landing import MAX_KEY_BYTES, DriveId
from lineage.errors import NamingError

JOB_NAMESPACE = "scenelake"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # Amazon S3 User Guide, "Bucket naming rules"
_JOB = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_TABLE = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_SCHEME = "s3://"


@dataclass(frozen=True, slots=True, order=True)
class Symlink:
    """Another name of a dataset; `kind` as in OpenLineage, such as TABLE."""

    namespace: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True, order=True)
class DatasetName:
    """A dataset: `namespace` is the datasource, `name` the path in it.

    Raises:
        NamingError: A part is empty or longer than an S3 key may be, or the name begins with a slash.
    """

    namespace: str
    name: str
    symlinks: tuple[Symlink, ...] = ()

    def __post_init__(self) -> None:
        for what, value in (("namespace", self.namespace), ("name", self.name)):
            if not value or len(value.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
                raise NamingError(f"dataset {what} of {len(value)} characters; it needs 1 to {MAX_KEY_BYTES} bytes")
        if self.name.startswith("/"):
            raise NamingError(f"dataset name {self.name!r} begins with a slash")

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class JobName:
    """A job; `namespace` is the scheduler's.

    Raises:
        NamingError: The namespace is empty, or the name is not lower-case words joined by dots.
    """

    namespace: str
    name: str

    def __post_init__(self) -> None:
        if not self.namespace:
            raise NamingError(f"job {self.name!r} has an empty namespace")
        if _JOB.fullmatch(self.name) is None:
            raise NamingError(f"job name {self.name!r} must match {_JOB.pattern}")

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def job(name: str) -> JobName:
    """A job of this project, such as `build_scenes`.

    Raises:
        NamingError: Not lower-case words joined by dots.
    """
    return JobName(JOB_NAMESPACE, name)


def s3_object(bucket: str, key: str) -> DatasetName:
    """An object, or all objects below a prefix (`key` then ends before the slash).

    Raises:
        NamingError: `bucket` is not a bucket name, or `key` is empty or too long.
    """
    if _BUCKET.fullmatch(bucket) is None:
        raise NamingError(f"bucket {bucket!r} must match {_BUCKET.pattern}")
    return DatasetName(f"{_SCHEME}{bucket}", key)


def drive_manifest(bucket: str, drive: DriveId) -> DatasetName:
    """The manifest that stands for all raw objects of a drive."""
    return s3_object(bucket, drive.manifest_key)


def iceberg_table(warehouse: str, table: str, location: str | None = None) -> DatasetName:
    """A published table, such as `gold.scenes`.

    Args:
        warehouse: Root of the tables, `s3://{bucket}/{path}`.
        table: `{namespace}.{table}` in the catalog.
        location: Where the table's files are, if not at `{warehouse}/{namespace}/{table}`.

    Raises:
        NamingError: `warehouse` or `location` is not an S3 URI, or `table` is not two words joined by a dot.
    """
    if _TABLE.fullmatch(table) is None:
        raise NamingError(f"table {table!r} must match {_TABLE.pattern}")
    root = warehouse.rstrip("/")
    place = _of_uri(location or f"{root}/{table.replace('.', '/')}")
    _of_uri(root)
    return DatasetName(place.namespace, place.name, (Symlink(root, table, "TABLE"),))


def _of_uri(uri: str) -> DatasetName:
    bucket, slash, key = uri.removeprefix(_SCHEME).partition("/")
    if not uri.startswith(_SCHEME) or not slash:
        raise NamingError(f"{uri!r} is not an s3://BUCKET/PATH URI")
    return s3_object(bucket, key.rstrip("/"))
