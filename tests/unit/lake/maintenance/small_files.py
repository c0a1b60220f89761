"""A lake of small files: scenes as the build writes them, with payload and digests, and frames and records beside them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lake.digests import payload_sha256, scene_digest
from lake.landing import DriveId
from lake.maintenance.merge_sizes import Sizes
from lake.parquet.table_file import WRITE_OPTIONS
from lake.tables.names import DATA_TABLES
from lake.tables.publish import Batch, publish
from lake.tables.rows import PublicationFacts
from lake.tables.schemas import FRAMES, RECORDS
from scenes.build.scene_file import scene_pieces
from sensors.time_units import NS_PER_DAY
from tests.unit.lake.tables import fence_lake
from tests.unit.lake.tables.fence_lake import DAY, FenceLake

DRIVES = tuple(DriveId("car-1", f"drive-{name}") for name in "abc")
SMALL = Sizes(60_000, 150_000, 60_000)
TIMES = {"gold.scenes": "anchor_ns", "gold.frames": "stamp_ns", "quarantine.records": "stamp_ns"}


def at(number: int) -> int:
    """The anchor of a drive's n-th scene."""
    return (DAY - datetime.date(1970, 1, 1)).days * NS_PER_DAY + number


def scene(drive: DriveId, anchor_ns: int, revision: str = "r1", points: int = 3000) -> dict[str, Any]:
    """A scene with points, and an image that neighbouring scenes share."""
    random = np.random.default_rng(anchor_ns)
    image, cloud = IMAGES[anchor_ns // 2 % len(IMAGES)], memoryview(random.bytes(points))
    match = {"offset_ns": 0, "residual_ns": 0, "sweep": 0, "ego_pose": (0.1, -0.0, 2.0, 1.0, 0.0, 0.0, 0.0)}
    found = fence_lake.scene(drive, revision, anchor_ns) | {
        "lidars": [
            {"sensor": "top", "stamp_ns": anchor_ns, **match, "num_points": points, "points": cloud, "point_step": 1}
            | {"payload_sha256": payload_sha256(cloud)}
        ],
        "cameras": [
            {"sensor": "cam", "stamp_ns": anchor_ns // 2, **match, "encoding": "jpeg", "image": image}
            | {"payload_sha256": payload_sha256(image)}
        ],
    }
    found["released"] = []
    return found | {"scene_digest": scene_digest(found)}


IMAGES = [memoryview(np.random.default_rng(seed).bytes(5000)) for seed in range(50)]


class SmallFilesLake(FenceLake):
    def write(self, body: Iterable[bytes | memoryview]) -> str:
        self.files += 1
        path = self.folder / f"{self.files}.parquet"
        path.write_bytes(b"".join(body))
        return f"file://{path}"

    def put_rows(self, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> str:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink, **WRITE_OPTIONS)
        return self.write([sink.getvalue().to_pybytes()])

    def publish(
        self,
        drive: DriveId,
        revision: str = "r1",
        generation: int = 1,
        windows: int = 4,
        scenes: int = 3,
        points: int = 3000,
        tail: int = 0,
    ) -> None:
        """Publish a drive whose scenes are in `windows` files of `scenes` each, and in one more of `tail`, if there are any."""
        sizes = [scenes] * windows + [tail] * (tail > 0)
        ends = list(accumulate(sizes))
        anchors = [[at(number) for number in range(end - size, end)] for size, end in zip(sizes, ends, strict=True)]
        stamps = [stamp for some in anchors for stamp in some]
        frames = [fence_lake.frame(drive, revision, stamp) for stamp in stamps]
        files = {
            "gold.scenes": [self.write(scene_pieces([scene(drive, one, revision, points) for one in some])) for some in anchors],
            "gold.frames": [self.put_rows(frames, FRAMES)],
            "quarantine.records": [self.put_rows([fence_lake.record(drive, revision, stamps[0])], RECORDS)],
        }
        facts = PublicationFacts(verdict="publish", scenes=len(stamps), frames=len(stamps), records=1)
        publish(self.catalog(), Batch(drive, revision, generation, files, facts))

    def data_files(self, table: str) -> list[str]:
        """URIs that the table's current snapshot holds."""
        return sorted(task.file.file_path for task in self.catalog().load_table(table).scan().plan_files())

    def contents(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of the data tables, payload included, in a fixed order."""
        catalog = self.catalog()
        return {
            name: sorted(
                catalog.load_table(name).scan().to_arrow().to_pylist(), key=lambda row: (row["drive_id"], row[TIMES[name]])
            )
            for name in DATA_TABLES
        }

    def stored(self) -> set[str]:
        """Every data file below the warehouse, whether a table refers to it or not."""
        return {f"file://{path}" for path in Path(self.folder).glob("warehouse/**/data/**/*.parquet")}

    def referenced(self) -> set[str]:
        """Every data file that a snapshot of a table refers to."""
        catalog, found = self.catalog(), set[str]()
        for name in (*DATA_TABLES, "gold.drives", "gold.compactions"):
            table = catalog.load_table(name)
            for snapshot in table.snapshots():
                found |= {task.file.file_path for task in table.scan(snapshot_id=snapshot.snapshot_id).plan_files()}
        return found
