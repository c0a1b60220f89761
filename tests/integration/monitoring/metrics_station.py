"""A deployment with something to measure: drives published, kept out, and waiting."""

from __future__ import annotations

import uuid
from pathlib import Path

from pyspark.sql import SparkSession

from lake.landing import DriveId
from tests.integration.drives import small_drive
from tests.integration.station import Station
from tests.unit.localstack.stack_tools import provision

CLEAN, FAULTY, REFUSED, WAITING, LANDING = (
    DriveId("car-1", name) for name in ("d-clean", "d-faulty", "d-refused", "d-waiting", "d-landing")
)
OUTSIDE = "car-1/model.pkl"


def new_station(endpoint: str, folder: Path) -> Station:
    """A deployment of its own."""
    variables = dict(provision.provision(endpoint, f"metrics-{uuid.uuid4().hex[:8]}", "us-east-1").variables)
    return Station({**variables, "SCENELAKE_CATALOG_URI": f"sqlite:///{folder}/catalog.db"})


def fill(station: Station, spark: SparkSession, folder: Path) -> None:
    """Three drives are processed, one waits in the queue, one has only one object, and one object belongs to no drive."""
    faults = ("cut_jpeg:camera_front:4,5", "nan_points:lidar_top:0.9:5", "wrong_checksum:radar_front")
    station.land(small_drive(folder / "clean", drive_id=CLEAN.drive_id), CLEAN)
    station.land(small_drive(folder / "faulty", *faults, drive_id=FAULTY.drive_id), FAULTY)
    # Every other sweep of the reference is lost: the drive is refused before anything is built.
    lost = "drop_frames:lidar_top:1,3,5,7,9,11,13"
    station.land(small_drive(folder / "refused", lost, drive_id=REFUSED.drive_id), REFUSED)
    states = station.run(spark)
    assert sorted(states) == ["published", "published", "quarantined"]
    station.land(small_drive(folder / "waiting", drive_id=WAITING.drive_id), WAITING)
    first = next((folder / "waiting").rglob("*.mcap"))
    key = f"{LANDING}/{first.relative_to(folder / 'waiting')}"
    for name, body in ((key, first.read_bytes()), (OUTSIDE, b"nobody's")):
        station.s3.put_object(Bucket=station.settings.raw_bucket, Key=name, Body=body)
        station.registrar.register(name)
    station.registrar.evaluate(LANDING)
