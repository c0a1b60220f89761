"""Quarantine records for the tests of the review, and a desk that only records decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingest.errors import DriveBusyError
from ingest.ledger.records import DriveRecord
from ingest.ledger.states import DriveState
from lake.landing import DriveId
from lake.overrides import Override, Verdict
from lake.tables.rows import RecordFields, RecordRow
from ops.review.listing import ReviewRecord
from quality.records import Origin, Position, record
from quality.rules.catalogue import Level, Severity
from quality.rules.findings import Finding, finding

BASE = "b" * 64


def origin(drive: str = "d-1") -> Origin:
    return Origin(DriveId("car-1", drive), BASE, "c" * 40, "h" * 64)


def listed(row: RecordRow, **more: Any) -> ReviewRecord:
    return ReviewRecord(**{name: getattr(row, name) for name in RecordFields.__struct_fields__} | more)


def scene(anchor_ns: int, *findings: Finding, drive: str = "d-1", **more: Any) -> ReviewRecord:
    found = findings or (finding("SYN001", "camera_front: outside_tolerance", sensor="camera_front", measured=1),)
    return listed(record(Level.SCENE, origin(drive), found, frames=3, sensor="lidar_top", anchor_ns=anchor_ns), **more)


def frame(code: str = "DEC005", sensor: str = "camera_front", stamp_ns: int = 7) -> ReviewRecord:
    place = Position(f"car-1/d-1/camera/{sensor}/1.mcap", "v1", 10, 20)
    found = [finding(code, f"{sensor}: <b>bad</b>", sensor=sensor, measured=1)]
    return listed(record(Level.OBJECT, origin(), found, frames=1, sensor=sensor, stamp_ns=stamp_ns, position=place))


def whole_object(code: str = "DEC001") -> ReviewRecord:
    place = Position("car-1/d-1/radar/radar_front/1.mcap", "v1")
    found = [finding(code, "differs", sensor="radar_front", measured=1)]
    return listed(record(Level.OBJECT, origin(), found, frames=9, sensor="radar_front", position=place))


def whole_drive(*codes: str, drive: str = "d-2") -> ReviewRecord:
    found = [finding(code, f"{code} failed", measured=1, severity=Severity.ERROR) for code in codes]
    return listed(record(Level.DRIVE, origin(drive), found, frames=99))


class NotingDesk:
    """Accepts every decision except those about the drives in `busy`."""

    def __init__(self, *busy: str) -> None:
        self.busy = busy
        self.taken: list[tuple[Verdict, str, str, tuple[Override, ...]]] = []

    def release(self, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord:
        return self._take(Verdict.RELEASE, drive, revision, overrides)

    def reject(self, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord:
        return self._take(Verdict.REJECT, drive, revision, overrides)

    def _take(self, verdict: Verdict, drive: DriveId, revision: str, overrides: Sequence[Override]) -> DriveRecord:
        if str(drive) in self.busy:
            raise DriveBusyError(f"{drive} is processing (generation 2, reason released)")
        self.taken.append((verdict, str(drive), revision, tuple(overrides)))
        return DriveRecord(drive, DriveState.QUEUED, "e" * 64, generation=2)
