"""The command line of all jobs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lake.errors import LakeError
from lake.landing import DriveId
from lake.storage import ObjectVersion
from scenes.documents import Part

_REVISION = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class JobArguments:
    """Which drive revision a job works on, where its work area is, and where its result goes (None: to stdout only)."""

    drive: DriveId
    revision: str
    generation: int
    work: ObjectVersion
    result: Path | None

    def report(self, result: Part) -> None:
        """Write the job's small JSON result for its caller; it is also the last line of the job's log."""
        text = msgspec.json.encode(result, order="sorted").decode()
        print(text)
        if self.result is not None:
            self.result.write_text(text)


def parse(argv: Sequence[str], job: str, description: str) -> JobArguments:
    """Read a job's arguments; argparse prints the usage and exits with status 2 where they are wrong."""
    parser = argparse.ArgumentParser(prog=f"python -m spark_jobs.{job}", description=description)
    parser.add_argument("--vehicle", required=True, help="vehicle id")
    parser.add_argument("--drive", required=True, help="drive id")
    parser.add_argument("--revision", required=True, help="revision to work on (64 hex digits)")
    parser.add_argument("--generation", type=int, required=True, help="which revision of the drive this is, counted from 1")
    parser.add_argument("--work", required=True, help="work area, s3://BUCKET/work/VEHICLE/DRIVE/REVISION/ATTEMPT")
    parser.add_argument("--result", type=Path, help="file for the JSON result (it is printed, too)")
    known = parser.parse_args(argv)
    if _REVISION.fullmatch(known.revision) is None:
        parser.error(f"revision {known.revision!r} is not 64 lower-case hex digits")
    if known.generation < 1:
        parser.error(f"generation {known.generation} is less than 1")
    try:
        drive, work = DriveId(known.vehicle, known.drive), ObjectVersion.from_uri(known.work.rstrip("/"))
    except LakeError as error:
        parser.error(str(error))
    return JobArguments(drive, known.revision, known.generation, work, known.result)
