"""Time and peak memory of `scenelake audit` over lakes of different sizes, with moto's S3 and DynamoDB in a process of their own.

    python -m bench.lake_audit --days 1 --drives 336 --scenes 60 --frames 3000

Prints seconds and peak resident memory of `audit --day` and `audit --all`, each measured in a fresh process.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
from rich.console import Console

from bench.folder_settings import SETTINGS
from bench.lake_audit.lake import Size, SmallLake
from ingest.ledger.repository import Ledger
from lake.landing import DriveId
from ops.audit.run import Auditor

FIRST = date(2024, 5, 1)
VEHICLES = 40


def main() -> None:
    """Fill lakes and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--drives", type=int, default=336, help="of each day")
    parser.add_argument("--scenes", type=int, default=60, help="of each drive")
    parser.add_argument("--frames", type=int, default=3000, help="of each drive, besides those in scenes")
    parser.add_argument("--measure", choices=("day", "all"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        _measure(given.folder, given.measure)
        return
    out = Console()
    with TemporaryDirectory() as folder:
        began_s = time.monotonic()
        lake = _opened(Path(folder), fresh=True)
        for number in range(given.days * given.drives):
            day = FIRST + timedelta(days=number // given.drives)
            drive = DriveId(f"car-{number % VEHICLES:02d}", f"d-{number:06d}")
            lake.add(drive, day, Size(given.scenes, given.frames))
        out.print(f"{given.days} days of {given.drives} drives, filled in {time.monotonic() - began_s:.0f} s")
        for scope in ("day", "all"):
            command = [sys.executable, "-m", "bench.lake_audit", "--measure", scope, "--folder", folder]
            out.print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def _opened(folder: Path, *, fresh: bool = False) -> SmallLake:
    """The lake at the endpoint in AWS_ENDPOINT_URL."""
    assert os.environ["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1"), "only an emulator on this machine is filled"
    s3, dynamodb = boto3.client("s3"), boto3.client("dynamodb")
    if fresh:
        sys.path.insert(0, str(Path(__file__).parents[2] / "localstack"))
        import provision
        import template_values

        for bucket in (SETTINGS.raw_bucket, SETTINGS.lake_bucket, SETTINGS.quarantine_bucket):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        place = template_values.StackPlace("aws", "us-east-1", "123456789012")
        table = template_values.Template(provision.TEMPLATE, {"NamePrefix": "bench"}, place).resources("AWS::DynamoDB::Table")
        wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
        properties = table["Ledger"]
        dynamodb.create_table(TableName=SETTINGS.ledger_table, **{name: properties[name] for name in wanted})
    return SmallLake(folder, s3, Ledger(dynamodb, SETTINGS.ledger_table))


def _measure(folder: Path, scope: str) -> None:
    lake = _opened(folder)
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    auditor = Auditor(lake.sources, lake.ledger, None, "bench")
    done = auditor.day(FIRST) if scope == "day" else auditor.everything()
    assert done.result.balanced, done.result.failures[:5]
    wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    name = "audit --day" if scope == "day" else "audit --all"
    Console().print(f"{name}: {done.result.drives} drives, {wall_s:.1f} s, {cpu_s:.1f} s of CPU here, peak {peak_mb:.0f} MB")


if __name__ == "__main__":
    main()
