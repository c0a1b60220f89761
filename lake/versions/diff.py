"""The difference of two versions by scene, drive by drive, and the cause of each change.

The drives to look at are those with rows of `gold.drives`, or files of `gold.scenes`, that only one of the versions has.
Manifests that both versions share are not opened, so the cost is that of the difference. Of a drive whose files differ, facts and
digests are read, never payload. A scene whose digest is missing on either side (written before there were digests) is unknown:
it is never taken for the same.

Memory: 100 bytes for each drive in the manifests that differ, and the facts of one drive's scenes.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import And, BooleanExpression
from pyiceberg.types import StringType

from lake.iceberg.snapshots import scan_at, snapshot_of
from lake.tables.drive_rows import equal
from lake.tables.drives import DRIVES_TABLE, WITHOUT_FILES
from lake.tables.names import SCENES_TABLE
from lake.tables.rows import DriveRow, row_of
from lake.versions.moments import Tables, Version
from lake.versions.publication_pages import read_rows

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile, ManifestFile
    from pyiceberg.table import Table

DIGEST = "scene_digest"
FACTS = ("scene_id", DIGEST, "sources", "code_version", "config_hash", "released")
_MAY_BE_NONE = "baseline"  # a drive that was compared with none
_MODULUS = 1 << 128
Progress = Callable[[str, int, int], None]
Sources = frozenset[tuple[str, str, str]]  # key, version, SHA-256
DriveName = tuple[str, str]  # vehicle, drive: also those that no drive may have, such as a forgotten one's


class Change(StrEnum):
    """What became of a scene from the first version to the second."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    LAYOUT = "layout only"  # the same content in other files
    UNKNOWN = "unknown"  # a digest is missing


class Cause(StrEnum):
    """What a change rests on, by what differs in the provenance of both sides."""

    OBJECT = "object version"  # of a raw object, or of the calibration
    CODE = "code"  # or the distributions that are installed with it
    RULE = "rule"  # the configuration, or the baseline that rules compare with
    OVERRIDE = "override"
    DRIVE = "drive"  # only one version has the drive
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SceneChange:
    """A scene that differs, and every cause of it."""

    scene_id: str
    change: Change
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class DriveDiff:
    """A drive that differs. `before`, `after`: its publication in each version where they differ, None where it has none.
    `scenes` are those that differ; scenes of the same content in other files are only counted."""

    vehicle_id: str
    drive_id: str
    before: DriveRow | None
    after: DriveRow | None
    counts: Mapping[Change, int]
    causes: Mapping[Cause, int]
    scenes: tuple[SceneChange, ...]

    @property
    def differs(self) -> bool:
        """Whether its content differs, or may."""
        return any(count for change, count in self.counts.items() if change is not Change.LAYOUT)


class _Facts(msgspec.Struct, frozen=True):
    digest: str | None
    sources: Sources
    code_version: str
    config_hash: str
    released: str


@dataclass(frozen=True, slots=True)
class _Side:
    row: DriveRow | None
    scenes: Mapping[str, _Facts]
    sources: Sources


def diff(tables: Tables, first: Version, second: Version, progress: Progress | None = None) -> Iterator[DriveDiff]:
    """Each drive that differs, in the order of their names; `tables` hold both versions.

    Raises:
        VersionError: A snapshot has expired since, or a version lacks a table.
    """
    scenes, rows = tables[SCENES_TABLE], tables[DRIVES_TABLE]
    published = _publications(rows, first.of(DRIVES_TABLE), second.of(DRIVES_TABLE))
    files = _drives_of_files(scenes, first.of(SCENES_TABLE), second.of(SCENES_TABLE))
    names = sorted(published.keys() | files)
    for done, name in enumerate(names, 1):
        before, after = published.get(name, (None, None))
        if name in files:
            yield _compare(scenes, name, (first.of(SCENES_TABLE), second.of(SCENES_TABLE)), (before, after))
        elif name in published:
            yield DriveDiff(*name, before, after, {}, {}, ())
        if progress is not None:
            progress("drives", done, len(names))


def _publications(table: Table, first: int, second: int) -> dict[DriveName, tuple[DriveRow | None, DriveRow | None]]:
    """The newest publication in each version of every drive that has rows in only one of them."""
    files = []
    for manifests in _unshared(table, first, second):
        files.append({entry.data_file.file_path for one in manifests for entry in one.fetch_manifest_entry(table.io)})
    own = [_identities(table, files[side] - files[1 - side]) for side in (0, 1)]
    found = {}
    for name in {(vehicle, drive) for vehicle, drive, *_ in own[0] ^ own[1]}:
        before, after = (_newest(table, snapshot, name) for snapshot in (first, second))
        if before != after:
            found[name] = before, after
    return found


def _identities(table: Table, uris: set[str]) -> set[tuple[str, str, int, str]]:
    """The publications in some files; those whose files were only merged are in files of both versions."""
    rows = (row for uri in sorted(uris) for row in read_rows(table.io, uri))
    return {(row.vehicle_id, row.drive_id, row.generation, row.revision) for row in rows}


def _newest(table: Table, snapshot_id: int, name: DriveName) -> DriveRow | None:
    columns = tuple(one for one in WITHOUT_FILES if one in _columns(table, snapshot_id))
    rows = scan_at(table, snapshot_id, _named(name), columns).to_arrow().to_pylist()
    return max((row_of(DriveRow, row) for row in rows), key=lambda row: row.generation, default=None)


def _unshared(table: Table, first: int, second: int) -> tuple[list[ManifestFile], list[ManifestFile]]:
    """The manifests that only the first snapshot lists, and those that only the second does."""
    listed = [{one.manifest_path: one for one in snapshot_of(table, each).manifests(table.io)} for each in (first, second)]
    return (
        [one for path, one in listed[0].items() if path not in listed[1]],
        [one for path, one in listed[1].items() if path not in listed[0]],
    )


def _drives_of_files(table: Table, first: int, second: int) -> set[DriveName]:
    """The drives whose files differ: a sum of hashes over their files is equal only if the files are."""
    sums: dict[DriveName, int] = defaultdict(int)
    ids = {field.name: field.field_id for field in table.schema().fields}
    for sign, manifests in zip((1, -1), _unshared(table, first, second), strict=True):
        for manifest in manifests:
            for entry in manifest.fetch_manifest_entry(table.io):
                file = entry.data_file
                value = int.from_bytes(hashlib.blake2b(file.file_path.encode(), digest_size=16).digest(), "big")
                for name in _drives_in(table.io, file, ids):
                    sums[name] = (sums[name] + sign * value) % _MODULUS
    return {name for name, total in sums.items() if total}


def _drives_in(io: FileIO, file: DataFile, ids: Mapping[str, int]) -> set[DriveName]:
    """The drives of a file, by its bounds; a file that does not prove that it holds one drive is asked itself."""
    bounds = [
        ((file.lower_bounds or {}).get(ids[name]), (file.upper_bounds or {}).get(ids[name]))
        for name in ("vehicle_id", "drive_id")
    ]
    if all(lower is not None and lower == upper for lower, upper in bounds):
        vehicle, drive = (str(from_bytes(StringType(), lower)) for lower, _ in bounds if lower is not None)
        return {(vehicle, drive)}
    with io.new_input(file.file_path).open() as stream, pq.ParquetFile(stream) as parquet:
        rows = parquet.read(columns=["vehicle_id", "drive_id"])
        return set(zip(rows["vehicle_id"].to_pylist(), rows["drive_id"].to_pylist(), strict=True))


def _compare(
    table: Table, name: DriveName, snapshots: tuple[int, int], rows: tuple[DriveRow | None, DriveRow | None]
) -> DriveDiff:
    before, after = (_side(table, snapshot, name, row) for snapshot, row in zip(snapshots, rows, strict=True))
    found = []
    for scene_id in sorted(before.scenes.keys() | after.scenes.keys()):
        change = _change(before.scenes.get(scene_id), after.scenes.get(scene_id))
        causes = () if change is Change.LAYOUT else _causes(before, after, scene_id)
        found.append(SceneChange(scene_id, change, causes))
    return DriveDiff(
        *name,
        before.row,
        after.row,
        Counter(one.change for one in found),
        Counter(cause for one in found for cause in one.causes),
        tuple(one for one in found if one.change is not Change.LAYOUT),
    )


def _side(table: Table, snapshot_id: int, name: DriveName, row: DriveRow | None) -> _Side:
    columns = tuple(column for column in FACTS if column in _columns(table, snapshot_id))
    scenes: dict[str, _Facts] = {}
    seen: dict[Sources, Sources] = {}  # scenes share their sources
    for batch in scan_at(table, snapshot_id, _named(name), columns).to_arrow_batch_reader():
        for found in batch.to_pylist():
            facts = _facts(found)
            scenes[found["scene_id"]] = msgspec.structs.replace(facts, sources=seen.setdefault(facts.sources, facts.sources))
    return _Side(row, scenes, frozenset().union(*seen))


def _facts(row: Mapping[str, Any]) -> _Facts:
    sources = frozenset((one["key"], one["version_id"], one["sha256"]) for one in row["sources"])
    released = msgspec.json.encode(row.get("released") or [], order="sorted").decode()
    return _Facts(row.get(DIGEST), sources, row["code_version"], row["config_hash"], released)


def _change(before: _Facts | None, after: _Facts | None) -> Change:
    if before is None:
        return Change.ADDED
    if after is None:
        return Change.REMOVED
    if before.digest is None or after.digest is None:
        return Change.UNKNOWN
    return Change.LAYOUT if before.digest == after.digest else Change.CHANGED


def _causes(before: _Side, after: _Side, scene_id: str) -> tuple[Cause, ...]:
    """What differs in the provenance; for a scene that only one version has, that of the drive around it."""
    old, new = before.scenes.get(scene_id), after.scenes.get(scene_id)
    if old is not None and new is not None:
        found = {
            Cause.OBJECT: old.sources != new.sources or _differ(before, after, "calibration_hash"),
            Cause.CODE: old.code_version != new.code_version or _differ(before, after, "lock_hash"),
            Cause.RULE: old.config_hash != new.config_hash or _differ(before, after, "baseline"),
            Cause.OVERRIDE: old.released != new.released,
        }
        return tuple(cause for cause, holds in found.items() if holds) or (Cause.UNKNOWN,)
    one, other = (old, after) if old is not None else (new, before)
    assert one is not None
    if other.row is None and not other.scenes:
        return (Cause.DRIVE,)
    objects = _other_versions(one.sources, other.sources) or _differ(before, after, "calibration_hash")
    found = {
        Cause.OBJECT: objects,
        Cause.CODE: _differ(before, after, "code_version", "lock_hash"),
        Cause.RULE: _differ(before, after, "config_hash", "baseline"),
        Cause.OVERRIDE: one.released != "[]" or (_differ(before, after, "revision") and not objects),
    }
    return tuple(cause for cause, holds in found.items() if holds) or (Cause.UNKNOWN,)


def _differ(before: _Side, after: _Side, *columns: str) -> bool:
    """Whether the publications of both sides differ in one of the columns. One of an older lake may not say."""
    if before.row is None or after.row is None:
        return False
    pairs = {column: {getattr(before.row, column), getattr(after.row, column)} for column in columns}
    return any(len(pair) == 2 and (None not in pair or column == _MAY_BE_NONE) for column, pair in pairs.items())


def _other_versions(own: Sources, other: Sources) -> bool:
    """Whether one of the objects is there on the other side in another version only."""
    keys = {key for key, _, _ in other}
    return any(source not in other and source[0] in keys for source in own)


def _named(name: DriveName) -> BooleanExpression:
    return And(equal("vehicle_id", name[0]), equal("drive_id", name[1]))


def _columns(table: Table, snapshot_id: int) -> frozenset[str]:
    """The columns that a snapshot was written with."""
    schema_id = snapshot_of(table, snapshot_id).schema_id
    schema = table.schema() if schema_id is None else table.schemas()[schema_id]
    return frozenset(field.name for field in schema.fields)
