"""A lake in a folder whose files are a versioned bucket, a quarantine bucket, and a ledger; faults can be injected."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lake.errors import AbsentError, LakeError
from lake.iceberg.sql_catalog import LakeCatalog
from lake.landing import DriveId
from lake.maintenance.judgement import DriveProgress
from lake.maintenance.sweep import SweepPolicy, SweptLake, sweep
from lake.maintenance.sweep_report import LakeSweepReport
from lake.maintenance.swept_buckets import ObjectEntry, ObjectVersions, UnfinishedUpload
from lake.storage import ObjectVersion
from lake.tables.schemas import FRAMES, RECORDS, SCENES
from tests.unit.lake.tables.fence_lake import frame, record, scene
from tests.unit.lake.versions.version_lake import DRIVE, VersionLake

HOUR = 3600 * 10**9
DAY = 24 * HOUR
REVISION = "a" * 64
POLICY = SweepPolicy()
MARKER = b"\0marker"


class FakeBucket:
    """Versions of objects in memory, each with the time at which it was written; `mirror`: a folder whose files are objects."""

    def __init__(self, name: str, clock: Callable[[], int], mirror: Path | None = None) -> None:
        self.name, self.clock, self.mirror = name, clock, mirror
        self.objects: dict[str, list[tuple[str, int, bytes]]] = {}  # key to versions, oldest first
        self.left: list[UnfinishedUpload] = []
        self.aborted: list[str] = []
        self.before_delete: list[Callable[[Sequence[tuple[str, str]]], object]] = []
        self.before_page: Callable[[str], object] = lambda key: None
        self.numbers = 0

    def put(self, key: str, body: bytes = b"x", at: int | None = None) -> str:
        self.numbers += 1
        version = f"v{self.numbers}"
        self.objects.setdefault(key, []).append((version, self.clock() if at is None else at, body))
        return version

    def mark_deleted(self, key: str) -> str:
        return self.put(key, MARKER)

    def observe(self) -> None:
        """Files that appeared in the folder are objects as of now; those that are gone have lost their versions."""
        assert self.mirror is not None
        for path in sorted(self.mirror.rglob("*")):
            if path.is_file() and (key := str(path.relative_to(self.mirror))) not in self.objects:
                self.put(key, path.read_bytes())

    def keys(self, prefix: str) -> Iterator[ObjectVersions]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                self.before_page(key)
                found = [
                    ObjectEntry(v, at, 0 if body == MARKER else len(body), body == MARKER) for v, at, body in self.objects[key]
                ]
                yield ObjectVersions(key, tuple(reversed(found)))

    def delete(self, versions: Sequence[tuple[str, str]]) -> None:
        if self.before_delete:
            self.before_delete.pop(0)(versions)
        for key, version in versions:
            self._drop(key, version)

    def _drop(self, key: str, version: str) -> None:
        rest = [entry for entry in self.objects.get(key, []) if entry[0] != version]
        if rest:
            self.objects[key] = rest
        else:
            self.objects.pop(key, None)
            if self.mirror is not None and (self.mirror / key).exists():
                (self.mirror / key).unlink()

    def fail_after(self, count: int) -> Callable[[Sequence[tuple[str, str]]], object]:
        """Delete the first `count` versions of a request, and fail."""

        def fail(versions: Sequence[tuple[str, str]]) -> None:
            for key, version in versions[:count]:
                self._drop(key, version)
            raise LakeError("SlowDown: please reduce your request rate")

        return fail

    def uploads(self) -> Iterator[UnfinishedUpload]:
        yield from self.left

    def abort(self, upload: UnfinishedUpload) -> None:
        self.aborted.append(upload.key)
        self.left.remove(upload)

    def read(self, source: ObjectVersion, start: int = 0, length: int | None = None, limit: int | None = None) -> bytes:
        past = self.objects.get(source.key)
        if not past:
            raise AbsentError(f"{source.uri} is absent")
        return past[-1][2]


class FakeAttempts(dict[DriveId, DriveProgress]):
    asked = 0

    def of(self, drive: DriveId) -> DriveProgress | None:
        self.asked += 1
        return self.get(drive)


class SweptWorld(VersionLake):
    """The lake bucket is the folder `lake`: its files are objects. Its time begins 60 days before the tables' own, so that what
    is written is older than the tables' last change until `now` is moved beyond it."""

    def __init__(self, folder: Path) -> None:
        (folder / "lake").mkdir()
        super().__init__(folder)
        self.now = self.changed() - 60 * DAY
        self.lake = FakeBucket(str(folder / "lake"), lambda: self.now, folder / "lake")
        self.quarantine = FakeBucket("quarantine", lambda: self.now)
        self.attempts = FakeAttempts()

    def catalog(self) -> LakeCatalog:
        return LakeCatalog("unit", uri=f"sqlite:///{self.folder}/catalog.db", warehouse=f"file://{self.folder}/lake/warehouse")

    def changed(self) -> int:
        return (
            max(table.metadata.last_updated_ms for table in map(self.catalog().load_table, ("gold.scenes", "gold.drives")))
            * 10**6
        )

    def data_file(self, table: str, drive: DriveId, name: str) -> str:
        path = self.folder / "lake" / "warehouse" / table.replace(".", "/") / "data" / str(drive) / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        return f"file://{path}"

    def batch(self, revision: str, generation: int, anchors: Sequence[int], drive: DriveId = DRIVE) -> Any:
        """As the plain lake's, but where the jobs put the files, and with a copy of what the record quarantined."""
        made = super().batch(revision, generation, anchors, drive)
        files = {}
        for table in made.files:
            target = self.data_file(table, drive, f"{revision[:8]}-{self.files}")
            rows, schema = {
                "gold.scenes": ([scene(drive, revision, one) for one in anchors], SCENES),
                "gold.frames": ([frame(drive, revision, one) for one in anchors], FRAMES),
                "quarantine.records": (
                    [record(drive, revision, anchors[0]) | {"payload_uri": f"s3://quarantine/{self.copy_key(revision, drive)}"}],
                    RECORDS,
                ),
            }[table]
            Path(self.put(rows, schema).removeprefix("file://")).rename(target.removeprefix("file://"))
            files[table] = [target]
        self.quarantine.put(self.copy_key(revision, drive))
        return dataclasses.replace(made, files=files)

    @staticmethod
    def copy_key(revision: str, drive: DriveId = DRIVE) -> str:
        return f"frames/{drive}/{revision}/1"

    def finished(self, drive: DriveId = DRIVE, revision: str = REVISION) -> None:
        self.attempts[drive] = DriveProgress(True, revision)

    def swept(self, catalog: LakeCatalog | None = None) -> SweptLake:
        self.lake.observe()
        return SweptLake(catalog or self.catalog(), Store(self.lake), self.lake, self.quarantine, self.attempts)

    def sweep(self, *, apply: bool = True, catalog: LakeCatalog | None = None, **more: Any) -> LakeSweepReport:
        return sweep(self.swept(catalog), POLICY, apply=apply, clock=lambda: self.now, **more)

    def pass_days(self, days: float = 1) -> None:
        self.lake.observe()
        self.now += int(days * DAY)

    def twice(self, **more: Any) -> LakeSweepReport:
        """Two sweeps a day apart, the first one of things that are old enough; what the second did."""
        self.pass_days(2)
        self.sweep(**more)
        self.pass_days()
        return self.sweep(**more)

    def loose(self, key: str, body: bytes = b"loose") -> str:
        """An object in the lake bucket that nothing references, as a file, too."""
        path = self.folder / "lake" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        self.lake.observe()
        return key


class Store:
    """`lake.maintenance.candidates.Documents` on a bucket."""

    def __init__(self, bucket: FakeBucket) -> None:
        self._bucket = bucket
        self.read = bucket.read

    def put(self, target: ObjectVersion, body: bytes | memoryview) -> None:
        self._bucket.put(target.key, bytes(body))
