"""A small lake with one good and one bad drive, and the report's facts of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyiceberg.catalog import Catalog

from lake.landing import DriveId
from lake.storage import ObjectVersion
from ops.audit import lake_reader
from ops.report.collect import drive_facts
from ops.report.facts import DriveReport, Figure, ReportFacts
from scenes.accounting.account import Line
from scenes.accounting.identity import Check
from tests.unit.ops import lake_builders as rows

GOOD, BAD = rows.DRIVE_A, DriveId("veh-1", "drive-b")
REVISION_B = "b" * 64
SCENES = 12
CUT = rows.jpeg()[:4000]


class FakeStore:
    """The quarantine bucket as a dictionary."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def size(self, source: ObjectVersion) -> int | None:
        body = self.objects.get(source.uri)
        return None if body is None else len(body)

    def read(self, source: ObjectVersion, start: int = 0, length: int | None = None) -> bytes:
        return self.objects[source.uri][start : None if length is None else start + length]


def fill_two_drives(catalog: Catalog) -> None:
    """`drive-a` is clean; `drive-b` lost its radar after four scenes, and two of its camera frames were cut short."""
    rows.fill(
        catalog,
        [rows.scene(i, camera_late_ns=3_000_000 + 400_000 * (i % 5)) for i in range(SCENES)],
        _frames(GOOD, rows.REVISION_A),
    )
    scenes = [rows.scene(i, BAD, REVISION_B, camera_late_ns=-9_000_000 + 2_000_000 * i, radar=i < 4) for i in range(SCENES)]
    cut = rows.record(
        "c" * 64, ["DEC005"], BAD, REVISION_B,
        findings=[{"rule_id": "DEC005", "measured": 1.0, "threshold": 0.0, "message": "image ends after 4000 bytes"}],
        payload_uri="s3://quarantine/c", frames=2,
    )  # fmt: skip
    rows.fill(catalog, scenes, _frames(BAD, REVISION_B, dead_radar=True), [cut], BAD, REVISION_B)


def _frames(drive: DriveId, revision: str, dead_radar: bool = False) -> list[dict[str, Any]]:
    made = []
    for index in range(SCENES):
        stamp_ns = rows.EPOCH_NS + index * rows.PERIOD_NS
        made.append(rows.frame("lidar_top", "lidar", stamp_ns, drive=drive, revision=revision))
        made.append(rows.frame("cam_front", "camera", stamp_ns, drive=drive, revision=revision))
        if not dead_radar or index < 4:
            made.append(rows.frame("radar_front", "radar", stamp_ns, drive=drive, revision=revision))
    if dead_radar:
        for index in (20, 21):
            stamp_ns = rows.EPOCH_NS + index * rows.PERIOD_NS
            made.append(rows.frame("cam_front", "camera", stamp_ns, "quarantined", "DEC005", drive, revision))
        made.append(
            rows.frame("radar_front", "radar", rows.EPOCH_NS - 5 * rows.PERIOD_NS, "unmatched", "no_anchor", drive, revision)
        )
    return made


def drives(catalog: Catalog) -> tuple[DriveReport, ...]:
    """The facts of both drives, as the demo collects them."""
    store: Any = FakeStore({"s3://quarantine/c": CUT})
    return (
        drive_facts(catalog, store, GOOD, "published", rows.REVISION_A, "A clean drive."),
        drive_facts(catalog, store, BAD, "published", REVISION_B, "Two images cut short; the radar dies after 0.4 s."),
    )


def example(folder: Path) -> ReportFacts:
    """A whole report over a lake made in `folder`."""
    catalog = rows.catalog_of(folder)
    fill_two_drives(catalog)
    lines = (*lake_reader.accounting(catalog, GOOD), *lake_reader.accounting(catalog, BAD))
    return ReportFacts(
        title="Scenelake demo",
        run=(
            ("made", "2026-11-20 16:40:12.000Z"), ("code", "0123456789ab (clean)"), ("machine", "2 cores, 24 GB"),
            ("python", "3.11.7"), ("spark", "4.3.0"), ("airflow", "3.3.2"),
        ),
        figures=(
            Figure("stack healthy", "23.4 s", "40 s", True),
            Figure("demo, from command to report", "212 s", "300 s", True),
            Figure("peak memory of all processes", "6.41 GB", "6.00 GB", False),
            Figure("drive-a: last PUT to published", "41.2 s", "90 s", True),
            Figure("drive-b: last PUT to published", "63.0 s"),
        ),
        checks=(*(_read(line) for line in lines), Check("scenes = distinct scene ids", "the lake", 2 * SCENES, 2 * SCENES, True)),
        drives=drives(catalog),
    )  # fmt: skip


def _read(line: Line) -> Check:
    name = "frames read = gold + quarantined + unmatched"
    return Check(name, f"{line.drive} {line.sensor}", line.read, line.read, line.balanced)
