"""Assumptions of the capacity model, not measured: a fleet like the benchmark's vehicle, a type of node, list prices."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sensors:
    """Some equal sensors of a vehicle. `in_scene`: whether scenes hold their frames."""

    modality: str
    count: int
    rate_hz: float
    frame_bytes: float
    in_scene: bool = True

    @property
    def bytes_per_s(self) -> float:
        """Of one of them."""
        return self.rate_hz * self.frame_bytes


# As the benchmark's drive (bench/build_scenes/signals.py and timing.py), which takes them from the nuScenes vehicle.
VEHICLE = (
    Sensors("camera", 6, 12.0, 150_000.0),
    Sensors("lidar", 1, 20.0, 34_688 * 20.0),
    Sensors("radar", 5, 13.0, 93 * 43.0),
    Sensors("pose", 1, 100.0, 720.0, in_scene=False),
)


@dataclass(frozen=True, slots=True)
class Prices:
    """AWS list prices in dollars, us-east-1, as of mid 2026, not verified against the price pages: check before use."""

    put: float = 0.005 / 1e3  # S3 Standard PUT, COPY, POST, LIST
    get: float = 0.0004 / 1e3  # S3 Standard GET, HEAD
    standard_gb_month: float = 0.021  # S3 Standard beyond 500 TB
    archive_gb_month: float = 0.00099  # S3 Glacier Deep Archive
    to_archive: float = 0.05 / 1e3  # lifecycle transition, by object
    node_hour: float = 0.68  # c6i.4xlarge, on demand
    spot_factor: float = 0.40  # of the on-demand price; varies by zone and hour
    always_on_hour: float = 0.514  # two m6i.xlarge, two db.t4g.medium
    sqs_request: float = 0.40 / 1e6
    lambda_request: float = 0.20 / 1e6
    lambda_gb_s: float = 0.0000166667
    write_unit: float = 0.625 / 1e6  # DynamoDB on demand, since November 2024
    read_unit: float = 0.125 / 1e6


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Assumed values. A node is a c6i.4xlarge: 16 vCPU, 32 GiB, 6.25 Gbit/s sustained."""

    bytes_a_day: float = 15e12
    vehicle: tuple[Sensors, ...] = VEHICLE
    drive_s: float = 1800.0
    object_s: float = 20.0
    scene_hz: float = 20.0
    compress: bool = True
    peak_factor: float = 3.0  # busiest hour over the mean of the day
    busy: float = 0.7  # share of a core's or a link's time that is work: skew, the ends of jobs, retries
    node_cores: int = 16  # a vCPU is half a core of such a node: see `vcpu_per_core`
    vcpu_per_core: float = 0.6  # work of one vCPU over that of one core of the machine that was measured
    node_bytes_per_s: float = 6.25e9 / 8
    tls_mb_per_s_per_core: float = 1000.0  # AES-GCM in hardware, records of 16 KiB read by Python
    jobs_a_drive: int = 2
    job_start_s: float = 12.0  # Spark and its workers, on the cores of one node
    drive_puts: int = 40  # index, metrics, findings, records, three manifests, lists and metadata files
    drive_gets: int = 120
    object_write_units: float = 4.0  # item and counter, and their index entries (ingest/ledger/repository.py)
    object_read_units: float = 3.0  # the object, the drive, its manifest: consistent reads
    function_s: float = 0.5  # one batch of events
    function_gb: float = 1.0  # localstack/template.yaml
    raw_standard_days: int = 30
    raw_archive_days: int = 335
    gold_days: int = 365
    prices: Prices = field(default_factory=Prices)
